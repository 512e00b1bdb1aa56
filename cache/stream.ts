/**
 * One version of a file that is too large for memory, as the windows of it that are resident, and what is to be read
 * next for whom. One read serves all who wait for its blocks; a reader that goes on in order finds the next stretch
 * read before it comes there. Sans-IO: `Streams.nextRead` says what to read, `finished` takes it.
 */
import type { Run } from '../node/tcp/content.ts'
import { BLOCK_OCTETS, type Block, type BlockHolder, type BlockPool } from './block-pool.ts'

/** Reads of one file under way: so many that the disk is busy while we send, so few that one slow file holds few threads. */
export const MAX_READS_PER_STREAM = 2
/** Blocks of one read: 1 MiB, from where on larger reads are no faster. */
export const MAX_READ_BLOCKS = 16
/** Blocks read for one that begins, or jumps: the first flights of a connection (RFC 6928 and three doublings). */
const FIRST_READ_BLOCKS = 2
/** Stretches of one file to be read ahead; with more readers than that, the rest waits until it is starved. */
export const MAX_AHEAD_PER_STREAM = 64

/** Shares of the blocks read that nobody used: above and below them less and more is read ahead. */
const HIGH_WASTE = 1 / 4
const LOW_WASTE = 1 / 16
/** Quarters of the pool read without waste before more is tried: what a trial wastes shows only a pool later. */
const CALM_PERIODS = 16

/** A stretch of a stream, from its first octet: as many whole blocks as are listed, but for the file's end. */
export interface StreamRead {
  readonly stream: Stream
  readonly offset: number
  /** To be filled. */
  readonly blocks: readonly Block[]
  /** In all: exactly so many, or the file is not the one that it was. */
  readonly octets: number
}

/** Called once: whether the octets are resident now. */
type Waiter = (ok: boolean) => void

/** Says what `read` of a version that is gone, or that could not be read, means for those who wait. */
export type ReadOutcome = 'read' | 'failed' | 'gone'

export class Stream implements BlockHolder {
  readonly length: number
  /** The file is not this version any more: nothing of it will ever be read again. */
  gone = false
  readonly #streams: Streams
  /** Resident, or being read. */
  readonly #blocks = new Map<number, Block>()
  readonly #waiters = new Map<number, Waiter[]>()
  /** Indexes of blocks that somebody waits for and nobody reads, in order of demand. */
  #demands: number[] = []
  /** Pairs of first index and count. */
  #ahead: number[] = []
  #reading = 0
  /** Whether it stands in the queue of those that have something to read. */
  queued = false

  constructor(streams: Streams, length: number) {
    this.#streams = streams
    this.length = length
  }

  /** The octets from `offset` on, as far as they lie in one block. On the packet path. */
  locate(offset: number, run: Run): boolean {
    const index = Math.floor(offset / BLOCK_OCTETS)
    const block = this.#blocks.get(index)
    if (block === undefined || block.reading) return false
    this.#streams.pool.touch(block)
    if (block.aheadCount > 0) this.#readAhead(block)
    run.octets = block.octets
    run.start = offset - index * BLOCK_OCTETS
    run.length = Math.min(BLOCK_OCTETS, this.length - index * BLOCK_OCTETS) - run.start
    return run.length > 0
  }

  /** Has the octets at `offset` read; `done` may be called at once, and within the call that it answers. */
  want(offset: number, done: Waiter): void {
    const index = Math.floor(offset / BLOCK_OCTETS)
    const block = this.#blocks.get(index)
    if (this.gone || (block !== undefined && !block.reading)) return done(!this.gone)
    const waiters = this.#waiters.get(index)
    if (waiters !== undefined) {
      waiters.push(done)
      return
    }
    this.#waiters.set(index, [done])
    if (block !== undefined) return
    this.#demands.push(index)
    this.#streams.enqueue(this)
  }

  evicted(block: Block): void {
    this.#blocks.delete(block.index)
  }

  /** Whether a read may begin now. */
  get ready(): boolean {
    return this.#reading < MAX_READS_PER_STREAM && (this.#demands.length > 0 || this.#ahead.length > 0)
  }

  /** The next stretch to read; undefined where there is none after all, or no block is free. */
  nextRead(): StreamRead | undefined {
    while (this.#demands.length > 0) {
      const demand = this.#demands[0] as number
      // It may be on its way within another stretch.
      const read = this.#blocks.has(demand) ? undefined : this.#begin(demand, this.#demandCount(demand))
      if (read === undefined && !this.#blocks.has(demand)) return undefined
      this.#demands.shift()
      if (read !== undefined) return read
    }
    while (this.#ahead.length > 0) {
      const [from, count] = this.#ahead.splice(0, 2) as [number, number]
      const allowed = Math.min(count, this.#streams.aheadLimit)
      const first = this.#firstMissing(from, from + allowed)
      if (first >= 0) return this.#begin(first, from + allowed - first)
    }
    return undefined
  }

  finished(read: StreamRead, outcome: ReadOutcome): void {
    this.#reading--
    if (outcome === 'gone') this.gone = true
    for (const block of read.blocks) {
      if (outcome === 'read') this.#streams.pool.filled(block)
      else {
        this.#blocks.delete(block.index)
        this.#streams.pool.release(block)
      }
    }
    if (this.ready) this.#streams.enqueue(this)
    for (const { index } of read.blocks) this.#answer(index, outcome === 'read')
    if (this.gone) this.#end()
  }

  /** A reader that begins, or that follows where others were, goes on; one in the midst of nothing may not. */
  #demandCount(index: number): number {
    const goesOn = index === 0 || this.#blocks.has(index - 1)
    return goesOn ? Math.max(1, Math.min(FIRST_READ_BLOCKS, this.#streams.aheadLimit)) : 1
  }

  #begin(first: number, wanted: number): StreamRead | undefined {
    const blocks: Block[] = []
    const end = Math.min(first + wanted, Math.ceil(this.length / BLOCK_OCTETS))
    for (let index = first; index < end && !this.#blocks.has(index); index++) {
      const block = this.#streams.pool.take(this, index)
      if (block === undefined) break
      this.#blocks.set(index, block)
      blocks.push(block)
    }
    const start = blocks[0]
    if (start === undefined) return undefined
    this.#reading++
    // As Linux does it: whoever comes to the first block of a stretch has the next, larger one read meanwhile.
    start.aheadFrom = first + blocks.length
    start.aheadCount = start.aheadFrom < Math.ceil(this.length / BLOCK_OCTETS) ? 2 * blocks.length : 0
    const offset = first * BLOCK_OCTETS
    const octets = Math.min(blocks.length * BLOCK_OCTETS, this.length - offset)
    return { stream: this, offset, blocks, octets }
  }

  #readAhead(block: Block): void {
    const count = Math.min(block.aheadCount, MAX_READ_BLOCKS)
    block.aheadCount = 0
    if (this.#ahead.length >= 2 * MAX_AHEAD_PER_STREAM || this.gone) return
    this.#ahead.push(block.aheadFrom, count)
    this.#streams.enqueue(this)
  }

  #firstMissing(from: number, end: number): number {
    const last = Math.min(end, Math.ceil(this.length / BLOCK_OCTETS))
    for (let index = from; index < last; index++) if (!this.#blocks.has(index)) return index
    return -1
  }

  #answer(index: number, ok: boolean): void {
    const waiters = this.#waiters.get(index)
    if (waiters === undefined) return
    this.#waiters.delete(index)
    for (const waiter of waiters) waiter(ok)
  }

  #end(): void {
    for (const block of this.#blocks.values()) if (!block.reading) this.#streams.pool.release(block)
    this.#blocks.clear()
    this.#demands = []
    this.#ahead = []
    for (const index of [...this.#waiters.keys()]) this.#answer(index, false)
  }
}

/** All streams of a node, with the one pool that they share and one order of what is read next. */
export class Streams {
  readonly pool: BlockPool
  /** Something may be read now: to be followed by calls of `nextRead`, but not within this one. */
  onWork: () => void = () => {}
  /**
   * Blocks that one read-ahead may take: halved while many blocks go before they are used, as under thousands of slow
   * readers, who then get what they ask for and no more.
   */
  aheadLimit = MAX_READ_BLOCKS
  #queue: Stream[] = []
  #wastedBefore = 0
  #blocksRead = 0
  #calmPeriods = 0

  constructor(pool: BlockPool) {
    this.pool = pool
  }

  create(length: number): Stream {
    return new Stream(this, length)
  }

  enqueue(stream: Stream): void {
    if (stream.queued || !stream.ready) return
    stream.queued = true
    this.#queue.push(stream)
    this.onWork()
  }

  /** The next stretch to read, each stream in its turn; undefined: nothing now. Every one is to be `finished`. */
  nextRead(): StreamRead | undefined {
    for (let turns = this.#queue.length; turns > 0; turns--) {
      const stream = this.#queue.shift() as Stream
      stream.queued = false
      if (!stream.ready) continue
      const read = stream.nextRead()
      if (stream.ready) {
        stream.queued = true
        this.#queue.push(stream)
      }
      if (read !== undefined) return read
    }
    return undefined
  }

  finished(read: StreamRead, outcome: ReadOutcome): void {
    this.#adapt(read.blocks.length)
    read.stream.finished(read, outcome)
    // A block is free for those that found none.
    if (this.#queue.length > 0) this.onWork()
  }

  #adapt(blocks: number): void {
    this.#blocksRead += blocks
    if (this.#blocksRead < Math.max(MAX_READ_BLOCKS, this.pool.maxBlocks / 4)) return
    const wasted = (this.pool.wasted - this.#wastedBefore) / this.#blocksRead
    this.#calmPeriods = wasted < LOW_WASTE ? this.#calmPeriods + 1 : 0
    if (wasted > HIGH_WASTE) this.aheadLimit >>= 1
    else if (this.#calmPeriods >= CALM_PERIODS) {
      this.aheadLimit = Math.min(MAX_READ_BLOCKS, 2 * this.aheadLimit + 1)
    }
    this.#blocksRead = 0
    this.#wastedBefore = this.pool.wasted
  }
}
