import fc from 'fast-check'
import { pack, unpack } from 'msgpackr'
import { segmentArrives } from './arrival.ts'
import { tcpConfig } from './config.ts'
import { checkInvariants } from './invariants.ts'
import { patternContent } from './pair-transfer.ts'
import { exportTcb, importTcb } from './snapshot.ts'
import { STATES, type State, type Tcb } from './tcb.ts'
import { arrives, drain, fromPeer, NOW, tcbIn } from './tcb-in-state.ts'
import { pollAt } from './timers.ts'
import { stamp } from './timestamps.ts'
import { TRAVELS, type Travels } from './travels.ts'
import { contiguous, send, sendContent, setHalfOpen, unreadOctets } from './user.ts'

const content = patternContent(1_000_000)
const resolve = (key: string) => (key === content.key ? content : undefined)
const config = tcpConfig({ ownerId: 4 })
/** The target's clock at the same moment. */
const THERE = 987_654_321.25

/** A connection with everything: unread and out-of-order octets, holes, a part of a content, owned octets. */
function busy(): Tcb {
  const tcb = tcbIn('ESTABLISHED')
  arrives(tcb, { window: 60_000 })
  send(tcb, new Uint8Array(200).fill(5))
  sendContent(tcb, content, 1_000, 500_000)
  drain(tcb)
  arrives(tcb, { octets: 300, window: 60_000, ack: -12_000 }, NOW + 20)
  drain(tcb, NOW + 20)
  arrives(tcb, { seq: 50, octets: 60, window: 60_000, ack: -20_000, sack: [1_448, 2_896] }, NOW + 21)
  drain(tcb, NOW + 21)
  return tcb
}

function moved(tcb: Tcb, now = NOW + 22): Tcb {
  const there = importTcb(unpack(pack(exportTcb(tcb, now))), config, THERE, resolve)
  if (typeof there === 'string') throw new Error(there)
  checkInvariants(there)
  return there
}

describe('a snapshot', () => {
  it.each(STATES.filter(state => state !== 'CLOSED' && state !== 'SYN-SENT'))(
    'of %s comes back the same',
    state => {
      const tcb = tcbIn(state as State)
      const there = moved(tcb)
      expect(there.state).toBe(state)
      expect(exportTcb(there, THERE)).toEqual(exportTcb(tcb, NOW + 22))
    },
  )

  it('of FIN-WAIT-2 has no deadline where the application reads on, and one where it does not', () => {
    const tcb = tcbIn('FIN-WAIT-2')
    expect(pollAt(moved(tcb)) - THERE).toBeCloseTo(NOW + 60_000 - (NOW + 22))
    setHalfOpen(tcb, true, NOW)
    const there = moved(tcb)
    expect([there.user.halfOpen, pollAt(there)]).toEqual([true, Number.POSITIVE_INFINITY])
  })

  it('of a busy connection comes back the same, with every octet and the whole scoreboard', () => {
    const tcb = busy()
    const there = moved(tcb)
    expect(tcb.sent.sacked).toBeGreaterThan(0)
    expect(tcb.outOfOrder.runs).toHaveLength(1)
    expect(exportTcb(there, THERE)).toEqual(exportTcb(tcb, NOW + 22))
    expect(unreadOctets(there)).toBe(300)
    expect(contiguous(there, 300).octets[0]).toBe(7)
  })

  it('carries deadlines as time left, and the tick goes on where it was', () => {
    const tcb = busy()
    const there = moved(tcb)
    expect(pollAt(there) - THERE).toBeCloseTo(pollAt(tcb) - (NOW + 22), 2)
    expect((stamp(there, THERE) - stamp(tcb, NOW + 22)) >>> 8).toBe(0)
  })

  it('does not change when the connection goes on', () => {
    const tcb = busy()
    const packet = fromPeer(tcb, { octets: 20 })
    segmentArrives(tcb, packet, NOW + 22)
    const plain = exportTcb(tcb, NOW + 22)
    const before = pack(plain).toString('hex')
    packet.octets.fill(99)
    arrives(tcb, { octets: 30, ack: -10_000 }, NOW + 23)
    drain(tcb, NOW + 23)
    expect(pack(plain).toString('hex')).toBe(before)
  })

  it('keeps nothing of the buffer it was unpacked from', () => {
    const packed = pack(exportTcb(busy(), NOW + 22))
    const there = importTcb(unpack(packed), config, THERE, resolve) as Tcb
    packed.fill(0)
    expect(contiguous(there, 300).octets[299]).toBe(7)
  })

  it.each([
    ['another version', (plain: unknown[]) => plain.with(0, 999)],
    ['other owner ids', (plain: unknown[]) => plain.with(1, 4)],
    ['no numbers', (plain: unknown[]) => plain.with(2, 0)],
    ['unknown flags', (plain: unknown[]) => plain.with(2, Uint8Array.of(255, 255, 255, 255, 15))],
    ['a number too few', (plain: unknown[]) => plain.with(2, (plain[2] as Uint8Array).slice(0, -1))],
    ['a number too many', (plain: unknown[]) => plain.with(2, Uint8Array.of(...(plain[2] as Uint8Array), 0))],
    [
      'a number without an end',
      (plain: unknown[]) =>
        plain.with(
          2,
          (plain[2] as Uint8Array).map((octet, at) => (at < 20 ? octet : 255)),
        ),
    ],
    ['a field too few', (plain: unknown[]) => plain.slice(1)],
    ['a field too many', (plain: unknown[]) => [...plain, 0]],
    ['no list of records', (plain: unknown[]) => plain.with(-1, 5)],
    ['records that do not add up', (plain: unknown[]) => plain.with(-1, [100, 0, 0])],
    ['a record both SACKED and LOST', (plain: unknown[]) => plain.with(-1, [100, 0, 3])],
    ['runs that overlap', (plain: unknown[]) => plain.with(-2, [5, new Uint8Array(9), 7, new Uint8Array(9)])],
    ['an empty run', (plain: unknown[]) => plain.with(-2, [5, new Uint8Array(0)])],
    ['text for octets', (plain: unknown[]) => plain.with(-3, ['octets'])],
    [
      'a reference beyond its content',
      (plain: unknown[]) => plain.with(-4, [[content.key], 0, 0, 1_000_001]),
    ],
    ['an unknown content', (plain: unknown[]) => plain.with(-4, [['/other'], 0, 0, 1])],
    ['nothing', () => undefined],
  ])('with %s is refused', (_, spoil) => {
    const plain = exportTcb(busy(), NOW + 22)
    const given = (spoil as (plain: unknown[]) => unknown)(plain)
    expect(typeof importTcb(given, config, THERE, resolve)).toBe('string')
  })

  it('names the content that is missing', () => {
    const plain = exportTcb(busy(), NOW + 22)
    expect(importTcb(plain, config, THERE, () => undefined)).toBe(`no content ${content.key}`)
  })

  it('with any field replaced by anything is refused or keeps the invariants, and never throws', () => {
    const plain = exportTcb(busy(), NOW + 22)
    const hostile = fc.oneof(
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      fc.integer({ min: -5, max: 300 }),
      fc.maxSafeInteger(),
      fc.double(),
      fc.constantFrom(null, undefined, Number.NaN, '', 'x', [], {}, true, new Uint8Array(3)),
      fc.array(fc.oneof(fc.integer(), fc.constant(new Uint8Array(2)), fc.constant([])), { maxLength: 6 }),
    )
    fc.assert(
      fc.property(fc.nat({ max: plain.length - 1 }), hostile, (at, value) => {
        const there = importTcb(plain.with(at, value), config, THERE, resolve)
        if (typeof there === 'string') return
        checkInvariants(there)
        drain(there, THERE)
      }),
      { numRuns: 3_000 },
    )
  })
})

describe('the numbers of a snapshot', () => {
  it('with any octets replaced, cut or added are refused or keep the invariants, and never throw', () => {
    const plain = exportTcb(busy(), NOW + 22)
    const numbers = plain[2] as Uint8Array
    const change = fc.tuple(
      fc.nat({ max: numbers.length - 1 }),
      fc.uint8Array({ maxLength: 4 }),
      fc.nat({ max: 4 }),
    )
    let restored = 0
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), changes => {
        let octets = [...numbers]
        for (const [at, added, removed] of changes) octets = octets.toSpliced(at, removed, ...added)
        const there = importTcb(plain.with(2, Uint8Array.from(octets)), config, THERE, resolve)
        if (typeof there === 'string') return
        restored++
        checkInvariants(there)
        drain(there, THERE)
      }),
      { numRuns: 3_000 },
    )
    expect(restored).toBeGreaterThan(0)
  })

  it('take less than 130 octets on a quiet connection', () => {
    expect(pack(exportTcb(tcbIn('ESTABLISHED'), NOW)).length).toBeLessThan(130)
  })
})

describe('TRAVELS', () => {
  it('names every field of a TCB, and no other', () => {
    const names = (value: object): string[] =>
      Object.entries(value).flatMap(([name, inner]) =>
        typeof inner === 'object' && inner !== null && !('list' in inner)
          ? Object.keys(inner).map(field => `${name}.${field}`)
          : [name],
      )
    const tcb = tcbIn('ESTABLISHED') as Partial<Tcb>
    const { config: _, sendQueue, receiveQueue, outOfOrder, sent, ...rest } = tcb
    const { config: __, sendQueue: a, receiveQueue: b, outOfOrder: c, sent: d, ...travels } = TRAVELS
    expect([a, b, c, d]).toEqual(['send-queue', 'receive-queue', 'out-of-order', 'sent-records'])
    expect([sendQueue, receiveQueue, outOfOrder, sent].every(list => list !== undefined)).toBe(true)
    expect(names(travels).sort()).toEqual(names(rest).sort())
  })

  it('does not compile with a field too few', () => {
    const { sack: _, ...less } = TRAVELS
    // @ts-expect-error: `sack` is not named.
    const incomplete: Travels<Tcb> = less
    // @ts-expect-error: a time is not a list.
    const wrong: Travels<Tcb> = { ...TRAVELS, timers: { ...TRAVELS.timers, rto: 'sent-records' } }
    expect([incomplete, wrong]).toHaveLength(2)
  })
})
