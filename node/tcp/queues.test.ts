import fc from 'fast-check'
import type { Content, Run } from './content.ts'
import { blockAround, createInsertion, createOutOfOrder, insert, takeContiguous } from './out-of-order.ts'
import {
  appendBorrowed,
  contiguousRun,
  createReceiveQueue,
  dropUnread,
  type ReceiveQueue,
  retain,
} from './receive-queue.ts'
import { MAX_SEND_CHUNKS, SendQueue } from './send-queue.ts'
import { add, asSeq, diff } from './seq.ts'

const FIRST = asSeq(0x7fffff80)

function octetsOf(queue: ReceiveQueue): number[] {
  const all: number[] = []
  for (const run of [queue.first, ...queue.more])
    all.push(...run.octets.subarray(run.start, run.start + run.length))
  return all
}

const streamOctet = (index: number) => (index * 31 + 7) & 0xff

describe('reassembly', () => {
  it('gives the octets of a plain array, whatever order and overlap they come in', () => {
    const piece = fc.record({ at: fc.integer({ min: 0, max: 300 }), length: fc.integer({ min: 1, max: 60 }) })
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), pieces => {
        const outOfOrder = createOutOfOrder()
        const unread = createReceiveQueue()
        const insertion = createInsertion()
        const have = new Set<number>()
        let nxt = FIRST
        for (const { at, length } of pieces) {
          const seq = add(FIRST, at)
          // What lies below RCV.NXT was cut off before.
          const skip = Math.max(0, diff(nxt, seq))
          if (skip >= length) continue
          const octets = new Uint8Array(length).map((_, index) => streamOctet(at + index))
          insert(outOfOrder, add(seq, skip), octets, skip, length - skip, insertion)
          const known = [...Array(length - skip).keys()].filter(index => have.has(at + skip + index)).length
          expect(insertion.fresh).toBe(known < length - skip)
          expect(insertion.duplicateLeft !== insertion.duplicateRight).toBe(known > 0)
          for (let index = 0; index < length; index++) have.add(at + index)
          nxt = takeContiguous(outOfOrder, nxt, unread)
          let end = 0
          while (have.has(end)) end++
          expect(diff(nxt, FIRST)).toBe(end)
        }
        expect(octetsOf(unread)).toEqual([...Array(diff(nxt, FIRST)).keys()].map(streamOctet))
        const edges = new Int32Array(2)
        for (let at = diff(nxt, FIRST); at < 370; at++) {
          const held = blockAround(outOfOrder, add(FIRST, at), edges, 0)
          expect(held).toBe(have.has(at))
          if (!held) continue
          expect(have.has(diff(asSeq(edges[0] as number), FIRST) - 1)).toBe(false)
          expect(have.has(diff(asSeq(edges[1] as number), FIRST))).toBe(false)
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('the receive queue', () => {
  it('is a plain array of octets, though the buffers they came in are overwritten', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('append' as const), length: fc.integer({ min: 1, max: 700 }) }),
      fc.record({ kind: fc.constant('drop' as const), length: fc.integer({ min: 1, max: 900 }) }),
      fc.record({ kind: fc.constant('together' as const), length: fc.integer({ min: 1, max: 900 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        const queue = createReceiveQueue()
        let model: number[] = []
        let next = 0
        const packet = new Uint8Array(800)
        for (const { kind, length } of steps) {
          if (kind === 'append') {
            for (let at = 0; at < length; at++) packet[10 + at] = next++ & 0xff
            model.push(...packet.subarray(10, 10 + length))
            appendBorrowed(queue, packet, 10, length)
            retain(queue)
            packet.fill(0xee)
          } else if (kind === 'drop') {
            expect(dropUnread(queue, length)).toBe(Math.min(length, model.length))
            model = model.slice(length)
          } else {
            const run = contiguousRun(queue, length)
            expect(run.length).toBeGreaterThanOrEqual(Math.min(length, model.length))
          }
          expect(queue.octets).toBe(model.length)
          expect(octetsOf(queue)).toEqual(model)
        }
      }),
    )
  })

  it('borrows what arrives at an empty queue: nothing is copied when it is consumed at once', () => {
    const queue = createReceiveQueue()
    const packet = new Uint8Array([1, 2, 3])
    appendBorrowed(queue, packet, 0, 3)
    expect(queue.first.octets).toBe(packet)
    dropUnread(queue, 3)
    expect(queue.first.octets).not.toBe(packet)
  })

  it('spends no object on each of many small segments', () => {
    const queue = createReceiveQueue()
    for (let count = 0; count < 10_000; count++) appendBorrowed(queue, new Uint8Array([count & 0xff]), 0, 1)
    expect(queue.octets).toBe(10_000)
    expect(queue.more.length).toBeLessThan(10)
  })
})

function contentOf(length: number, resident = length): Content {
  return {
    key: `content-${length}`,
    length,
    locate(offset: number, run: Run) {
      // In pieces of 10, as a content of several buffers would be.
      run.octets = new Uint8Array(10).map((_, index) => streamOctet(offset - (offset % 10) + index))
      run.start = offset % 10
      run.length = Math.min(10 - (offset % 10), resident - offset)
      return run.length > 0
    },
  }
}

function gathered(queue: SendQueue, at: number, length: number): number[] | undefined {
  const all: number[] = []
  const whole = queue.gather(add(FIRST, at), length, {
    add: (octets, start, count) => void all.push(...octets.subarray(start, start + count)),
  })
  return whole ? all : undefined
}

describe('the send queue', () => {
  it('gathers what a plain array would give, before and after acknowledgements', () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('owned' as const),
        a: fc.integer({ min: 1, max: 50 }),
        b: fc.constant(0),
      }),
      fc.record({
        kind: fc.constant('content' as const),
        a: fc.integer({ min: 0, max: 50 }),
        b: fc.integer({ min: 1, max: 50 }),
      }),
      fc.record({
        kind: fc.constant('release' as const),
        a: fc.integer({ min: 1, max: 80 }),
        b: fc.constant(0),
      }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), steps => {
        const queue = new SendQueue(FIRST)
        let model: number[] = []
        let gone = 0
        for (const { kind, a, b } of steps) {
          if (kind === 'owned') {
            const octets = new Uint8Array(a).map((_, index) => (gone + model.length + index) & 0xff)
            expect(queue.append(octets)).toBe(true)
            model.push(...octets)
          } else if (kind === 'content') {
            expect(queue.appendContent(contentOf(100), a, b)).toBe(true)
            for (let index = 0; index < b; index++) model.push(streamOctet(a + index))
          } else {
            const count = Math.min(a, model.length)
            queue.release(add(FIRST, gone + count))
            gone += count
            model = model.slice(count)
          }
          expect(queue.octets).toBe(model.length)
          expect(gathered(queue, gone, model.length)).toEqual(model)
          const from = model.length >> 2
          expect(gathered(queue, gone + from, model.length >> 1)).toEqual(
            model.slice(from, from + (model.length >> 1)),
          )
        }
      }),
    )
  })

  it('does not gather what is not resident, and says how much is', () => {
    const queue = new SendQueue(FIRST)
    queue.append(new Uint8Array(5))
    queue.appendContent(contentOf(100, 25), 0, 100)
    expect(queue.resident(FIRST, 100)).toBe(30)
    expect(queue.resident(add(FIRST, 30), 10)).toBe(0)
    expect(gathered(queue, 0, 30)).toHaveLength(30)
    expect(gathered(queue, 0, 31)).toBeUndefined()
    expect(queue.contentAt(add(FIRST, 30))).toMatchObject({
      content: { length: 100 },
      offset: expect.any(Number),
    })
    expect(queue.contentAt(FIRST)).toBeUndefined()
  })

  it('refuses what is not in the content, and more than MAX_SEND_CHUNKS pieces', () => {
    const queue = new SendQueue(FIRST)
    expect(queue.appendContent(contentOf(100), 50, 51)).toBe(false)
    expect(queue.appendContent(contentOf(100), -1, 5)).toBe(false)
    for (let count = 0; count < MAX_SEND_CHUNKS; count++) expect(queue.append(new Uint8Array(1))).toBe(true)
    expect(queue.append(new Uint8Array(1))).toBe(false)
    queue.release(add(FIRST, 1))
    expect(queue.append(new Uint8Array(1))).toBe(true)
  })

  it('holds a content that is longer than the sequence space', () => {
    const queue = new SendQueue(FIRST)
    const content = { ...contentOf(1), length: 2 ** 40 }
    expect(queue.appendContent(content, 0, 2 ** 40)).toBe(true)
    for (let count = 0; count < 8; count++) queue.release(add(queue.base, 2 ** 30))
    expect(queue.octets).toBe(2 ** 40 - 2 ** 33)
  })
})
