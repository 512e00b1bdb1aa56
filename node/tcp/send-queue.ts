/**
 * The octets an application has sent and the peer has not yet acknowledged, as a list of references: a stretch
 * of a content, or owned octets. Nothing is copied, not even for a retransmission. It knows sequence numbers
 * but not what was sent: `tcb.snd` and `tcb.sent` do.
 */
import type { Content, PayloadSink, Run } from './content.ts'
import { add, diff, type Seq } from './seq.ts'

/** Bounds the references of one connection: many small pieces are the application's to join. */
export const MAX_SEND_CHUNKS = 1_024
/** A content is at most this long: 2^53 octets cannot be counted, 2^48 can. */
export const MAX_CONTENT_OCTETS = 2 ** 48
/** Emptied chunks kept for reuse, so that a response on a kept-alive connection allocates none. */
const SPARE_CHUNKS = 4

export interface SendChunk {
  /** The referred content, or null: owned octets. */
  content: Content | null
  octets: Uint8Array
  /** Where in the content or in the octets the chunk begins. */
  offset: number
  length: number
  /** Octets of the queue, since its beginning, before this chunk. */
  at: number
}

/** An octet of a content. */
export interface Place {
  readonly content: Content
  readonly offset: number
}

const NO_OCTETS = new Uint8Array(0)

export class SendQueue {
  /** The sequence number of the first octet that is kept. */
  base: Seq
  /** Octets of the queue released so far. */
  released = 0
  /** Octets kept: acknowledged ones are not among them. */
  octets = 0
  /** How many of them are owned, not referenced. */
  ownedOctets = 0
  /** Chunks in use stand from `head` to `tail`; behind them are spare ones. */
  readonly chunks: SendChunk[] = []
  head = 0
  tail = 0
  private readonly run: Run = { octets: NO_OCTETS, start: 0, length: 0 }

  constructor(base: Seq) {
    this.base = base
  }

  /** Whether one more chunk can be appended. */
  get full(): boolean {
    return this.tail - this.head >= MAX_SEND_CHUNKS
  }

  /** Appends octets, which must never change from now on; false where the queue has its most chunks. */
  append(octets: Uint8Array): boolean {
    if (octets.length === 0) return true
    if (this.full) return false
    this.push(null, octets, 0, octets.length)
    this.ownedOctets += octets.length
    return true
  }

  /** Appends a stretch of a content by reference; false where the queue is full or the stretch is not in it. */
  appendContent(content: Content, offset: number, length: number): boolean {
    if (length === 0) return true
    if (this.full || offset < 0 || length < 0 || offset + length > content.length) return false
    if (this.octets + length > MAX_CONTENT_OCTETS) return false
    this.push(content, NO_OCTETS, offset, length)
    return true
  }

  private push(content: Content | null, octets: Uint8Array, offset: number, length: number): void {
    const at = this.released + this.octets
    const chunk = this.chunks[this.tail]
    if (chunk === undefined) this.chunks.push({ content, octets, offset, length, at })
    else {
      chunk.content = content
      chunk.octets = octets
      chunk.offset = offset
      chunk.length = length
      chunk.at = at
    }
    this.tail++
    this.octets += length
  }

  /** Forgets every octet before `upTo`; a sequence number beyond the end (an acknowledged FIN) means all. */
  release(upTo: Seq): void {
    let count = diff(upTo, this.base)
    if (count <= 0) return
    if (count > this.octets) count = this.octets
    this.base = add(this.base, count)
    this.released += count
    this.octets -= count
    while (this.head < this.tail) {
      const chunk = this.chunks[this.head] as SendChunk
      if (chunk.at + chunk.length > this.released) break
      if (chunk.content === null) this.ownedOctets -= chunk.length
      chunk.content = null
      chunk.octets = NO_OCTETS
      this.head++
    }
    if (this.head > 0) this.compact()
  }

  private compact(): void {
    if (this.head === this.tail) {
      this.head = 0
      this.tail = 0
      if (this.chunks.length > SPARE_CHUNKS) this.chunks.length = SPARE_CHUNKS
    } else if (this.head >= 32 && this.head * 2 > this.tail) {
      this.chunks.splice(0, this.head)
      this.tail -= this.head
      this.head = 0
    }
  }

  /** Index of the chunk that holds the octet at `position`, which is kept. */
  private find(position: number): number {
    let low = this.head
    let high = this.tail - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.chunks[middle] as SendChunk).at <= position) low = middle
      else high = middle - 1
    }
    return low
  }

  /** How many octets from `seq` on, at most `length`, are in memory now without a gap. */
  resident(seq: Seq, length: number): number {
    const position = this.released + diff(seq, this.base)
    let found = 0
    for (let index = this.find(position); index < this.tail && found < length; index++) {
      const chunk = this.chunks[index] as SendChunk
      const skip = position + found - chunk.at
      const wanted = Math.min(chunk.length - skip, length - found)
      if (chunk.content === null) found += wanted
      else {
        const part = locate(chunk.content, chunk.offset + skip, wanted, this.run)
        found += part
        if (part < wanted) break
      }
    }
    this.run.octets = NO_OCTETS
    return found
  }

  /**
   * Hands the `length` octets from `seq` on to `sink`. False where one of them is not resident; the sink may
   * then have been given some, and the caller drops what it was building.
   */
  gather(seq: Seq | number, length: number, sink: PayloadSink): boolean {
    const offset = diff(seq as Seq, this.base)
    if (offset < 0 || offset + length > this.octets) return false
    const position = this.released + offset
    let found = 0
    for (let index = this.find(position); index < this.tail && found < length; index++) {
      const chunk = this.chunks[index] as SendChunk
      const skip = position + found - chunk.at
      const wanted = Math.min(chunk.length - skip, length - found)
      if (chunk.content === null) sink.add(chunk.octets, chunk.offset + skip, wanted)
      else if (!gatherContent(chunk.content, chunk.offset + skip, wanted, this.run, sink)) return false
      found += wanted
    }
    this.run.octets = NO_OCTETS
    return found === length
  }

  /** Where in which content the octet at `seq` stands; undefined where it is owned or not kept. */
  contentAt(seq: Seq): Place | undefined {
    const ahead = diff(seq, this.base)
    if (ahead < 0 || ahead >= this.octets) return undefined
    const position = this.released + ahead
    const { content, offset, at } = this.chunks[this.find(position)] as SendChunk
    return content === null ? undefined : { content, offset: offset + position - at }
  }
}

function locate(content: Content, offset: number, wanted: number, run: Run): number {
  let found = 0
  while (found < wanted && content.locate(offset + found, run) && run.length > 0) found += run.length
  return Math.min(found, wanted)
}

function gatherContent(
  content: Content,
  offset: number,
  wanted: number,
  run: Run,
  sink: PayloadSink,
): boolean {
  let found = 0
  while (found < wanted) {
    if (!content.locate(offset + found, run) || run.length <= 0) return false
    const length = Math.min(run.length, wanted - found)
    sink.add(run.octets, run.start, length)
    found += length
  }
  return true
}
