import fc from 'fast-check'
import { BLOCK_OCTETS, BlockPool } from './block-pool.ts'
import {
  MAX_READ_BLOCKS,
  MAX_READS_PER_STREAM,
  type ReadOutcome,
  type Stream,
  type StreamRead,
  Streams,
} from './stream.ts'

const BLOCK = BLOCK_OCTETS
const STEP = 4_096

/** Octet of a file at an offset: what it holds, and which file it is. */
const octetAt = (offset: number, file = 0) =>
  (offset * 31 + Math.floor(offset / BLOCK) * 7 + file * 101) & 0xff

/** A disk that reads when it is told to. */
class Disk {
  readonly streams: Streams
  readonly reads: StreamRead[] = []
  readonly #step: number
  readonly #files = new Map<Stream, number>()

  /** `step`: every how many octets the reads are filled. */
  constructor(blocks: number, step = STEP) {
    this.#step = step
    this.streams = new Streams(new BlockPool(blocks * BLOCK))
  }

  create(length: number): Stream {
    const stream = this.streams.create(length)
    this.#files.set(stream, this.#files.size)
    return stream
  }

  /** Begins every read that may begin. */
  begin(most = Number.POSITIVE_INFINITY): StreamRead[] {
    const begun: StreamRead[] = []
    while (begun.length < most) {
      const read = this.streams.nextRead()
      if (read === undefined) break
      begun.push(read)
    }
    this.reads.push(...begun)
    return begun
  }

  finish(read: StreamRead, outcome: ReadOutcome = 'read'): void {
    const file = this.#files.get(read.stream) as number
    for (const [index, block] of read.blocks.entries()) {
      for (let at = 0; at < BLOCK; at += this.#step)
        block.octets[at] = octetAt(read.offset + index * BLOCK + at, file)
    }
    this.streams.finished(read, outcome)
  }

  /** Reads until nothing is left to read. */
  run(): void {
    for (let begun = this.begin(1); begun.length > 0; begun = this.begin(1))
      this.finish(begun[0] as StreamRead)
  }
}

const run = { octets: new Uint8Array(0), start: 0, length: 0 }

describe('a stream', () => {
  it('is not resident until it was read, and then as far as its block goes', () => {
    const disk = new Disk(8)
    const stream = disk.create(10 * BLOCK + 5)
    expect(stream.locate(0, run)).toBe(false)
    const heard: boolean[] = []
    stream.want(0, ok => heard.push(ok))
    disk.run()
    expect(heard).toEqual([true])
    expect(stream.locate(STEP, run)).toBe(true)
    expect(run.octets[run.start]).toBe(octetAt(STEP))
    expect(run.length).toBe(BLOCK - STEP)
    stream.want(10 * BLOCK, ok => heard.push(ok))
    disk.run()
    expect(stream.locate(10 * BLOCK + 1, run)).toBe(true)
    expect(run.length).toBe(4)
    expect(heard).toEqual([true, true])
  })

  it('has offsets beyond 2^32', () => {
    const disk = new Disk(8)
    const stream = disk.create(2 ** 40 + 3)
    const offset = 2 ** 40 - BLOCK
    stream.want(offset, () => {})
    const [read] = disk.begin()
    expect(read).toMatchObject({ offset, octets: BLOCK })
    disk.finish(read as StreamRead)
    expect(stream.locate(offset, run)).toBe(true)
    expect(run.octets[run.start]).toBe(octetAt(offset))
  })

  it('is read once for all who wait for the same stretch', () => {
    const disk = new Disk(8)
    const stream = disk.create(10 * BLOCK)
    let heard = 0
    for (let reader = 0; reader < 1_000; reader++) stream.want(3 * BLOCK + reader, () => heard++)
    expect(disk.begin()).toHaveLength(1)
    for (let reader = 0; reader < 1_000; reader++) stream.want(3 * BLOCK + reader, () => heard++)
    expect(disk.begin()).toHaveLength(0)
    disk.finish(disk.reads[0] as StreamRead)
    expect(heard).toBe(2_000)
  })

  it('is read ahead in growing stretches for a reader who goes on, who then never waits', () => {
    const disk = new Disk(64)
    const stream = disk.create(200 * BLOCK)
    let waits = 0
    for (let offset = 0; offset < stream.length; offset += BLOCK / 4) {
      if (!stream.locate(offset, run)) {
        waits++
        stream.want(offset, () => {})
        disk.run()
        expect(stream.locate(offset, run)).toBe(true)
      }
      expect(run.octets[run.start]).toBe(octetAt(offset))
      disk.run()
    }
    expect(waits).toBe(1)
    expect(Math.max(...disk.reads.map(read => read.blocks.length))).toBe(MAX_READ_BLOCKS)
    expect(disk.reads.reduce((sum, read) => sum + read.blocks.length, 0)).toBe(200)
  })

  it('that could not be read fails those who wait, and is read again for others', () => {
    const disk = new Disk(8)
    const stream = disk.create(10 * BLOCK)
    const heard: boolean[] = []
    stream.want(0, ok => heard.push(ok))
    disk.finish(disk.begin()[0] as StreamRead, 'failed')
    stream.want(0, ok => heard.push(ok))
    disk.run()
    expect(heard).toEqual([false, true])
  })

  it('whose file is another one by now serves nobody any more, and its blocks are free', () => {
    const disk = new Disk(4)
    const stream = disk.create(10 * BLOCK)
    const heard: boolean[] = []
    stream.want(0, ok => heard.push(ok))
    disk.run()
    stream.want(5 * BLOCK, ok => heard.push(ok))
    stream.want(7 * BLOCK, ok => heard.push(ok))
    const [first, second] = disk.begin()
    disk.finish(first as StreamRead, 'gone')
    expect(heard).toEqual([true, false, false])
    expect(stream.locate(0, run)).toBe(false)
    // A read that was under way then ends without an effect.
    disk.finish(second as StreamRead)
    expect(stream.locate(7 * BLOCK, run)).toBe(false)
    stream.want(0, ok => heard.push(ok))
    expect(heard).toEqual([true, false, false, false])
    const other = disk.create(4 * BLOCK)
    other.want(0, ok => heard.push(ok))
    disk.run()
    expect(heard.at(-1)).toBe(true)
  })
})

describe('the pool', () => {
  it('is never larger than it may be, and a block that went is read again', () => {
    const disk = new Disk(4)
    const stream = disk.create(100 * BLOCK)
    for (const index of [50, 10, 30, 70, 90, 50]) {
      stream.want(index * BLOCK, () => {})
      disk.run()
      expect(stream.locate(index * BLOCK, run)).toBe(true)
      expect(run.octets[run.start]).toBe(octetAt(index * BLOCK))
    }
    expect(disk.streams.pool.octets).toBe(4 * BLOCK)
    expect(disk.reads.filter(read => read.offset === 50 * BLOCK)).toHaveLength(2)
  })

  it('has all readers wait where every block is being filled, and serves them as blocks come back', () => {
    const disk = new Disk(2)
    const streams = Array.from({ length: 5 }, () => disk.create(10 * BLOCK))
    let heard = 0
    for (const stream of streams) stream.want(9 * BLOCK, () => heard++)
    expect(disk.begin()).toHaveLength(2)
    disk.finish(disk.reads[0] as StreamRead)
    disk.finish(disk.reads[1] as StreamRead)
    disk.run()
    expect(heard).toBe(5)
  })

  it('gives each file its turn, and none more than its reads at once', () => {
    const disk = new Disk(64)
    const [busy, idle] = [disk.create(1_000 * BLOCK), disk.create(1_000 * BLOCK)]
    for (let reader = 0; reader < 50; reader++) busy.want(reader * 10 * BLOCK, () => {})
    idle.want(0, () => {})
    const begun = disk.begin()
    expect(begun.filter(read => read.stream === busy)).toHaveLength(MAX_READS_PER_STREAM)
    expect(begun.filter(read => read.stream === idle)).toHaveLength(1)
  })

  it('under thousands of slow readers reads little that nobody uses, and a fast one is not held up', () => {
    const disk = new Disk(64, BLOCK)
    const stream = disk.create(16_384 * BLOCK)
    const slow = Array.from({ length: 600 }, (_, reader) => ((reader * 79) % 16_000) * BLOCK)
    let fast = 0
    let fastWaits = 0
    const readAt = (offset: number) => {
      const waits = !stream.locate(offset, run)
      if (waits) {
        stream.want(offset, () => {})
        disk.run()
        expect(stream.locate(offset, run)).toBe(true)
      }
      disk.run()
      return waits
    }
    const blocksRead = () => disk.reads.reduce((sum, read) => sum + read.blocks.length, 0)
    let settled = 0
    for (let round = 0; round < 10; round++) {
      if (round === 2) settled = blocksRead()
      for (const [reader, offset] of slow.entries()) {
        readAt(offset)
        slow[reader] = (offset + BLOCK / 4) % stream.length
        if (reader % 10 > 0) continue
        if (readAt(fast)) fastWaits++
        fast = (fast + BLOCK / 4) % stream.length
      }
    }
    // 4,800 uses by slow readers, each of another block than 64 others before it: one block each, and few beside them.
    expect(blocksRead() - settled).toBeLessThan(4_800 * 1.3)
    expect(fastWaits).toBeLessThan(600 / 4 + 30)
    expect(disk.streams.pool.octets).toBe(64 * BLOCK)
  })
})

it('laws: whoever waits is answered once, and what is located is what the file holds', () => {
  const action = fc.record({
    kind: fc.constantFrom('want', 'want', 'begin', 'finish', 'finish', 'fail', 'locate'),
    file: fc.nat(2),
    index: fc.nat(19),
  })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.array(action, { maxLength: 80 }), (blocks, actions) => {
      const disk = new Disk(blocks)
      const files = [0, 1, 2].map(() => disk.create(20 * BLOCK - 7))
      const underWay: StreamRead[] = []
      let wanted = 0
      let heard = 0
      for (const { kind, file, index } of actions) {
        const stream = files[file] as Stream
        if (kind === 'want') {
          wanted++
          stream.want(index * BLOCK, () => heard++)
        } else if (kind === 'begin') underWay.push(...disk.begin(1))
        else if (kind === 'locate') {
          if (stream.locate(index * BLOCK, run))
            expect(run.octets[run.start]).toBe(octetAt(index * BLOCK, file))
        } else {
          const [read] = underWay.splice(index % Math.max(1, underWay.length), 1)
          if (read !== undefined) disk.finish(read, kind === 'fail' ? 'failed' : 'read')
        }
        expect(disk.streams.pool.octets).toBeLessThanOrEqual(blocks * BLOCK)
      }
      for (const read of underWay) disk.finish(read)
      disk.run()
      expect(heard).toBe(wanted)
    }),
  )
})
