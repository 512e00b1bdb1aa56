/**
 * Octets received beyond a gap, as sorted runs that do not overlap, and the SACK blocks that tell the peer of
 * them (RFC 2018). Runs are copies: a packet's buffer is gone when the gap closes. The peer's FIN is no octet
 * and stands in `tcb.rcv.fin`.
 */
import { appendOwned, type ReceiveQueue } from './receive-queue.ts'
import { add, diff, ge, gt, le, lt, type Seq } from './seq.ts'

/** A peer that sends every other octet makes this many holes at most; more are dropped, and sent again. */
export const MAX_OUT_OF_ORDER_RUNS = 1_024
/** Neighbouring segments share a run up to this size, so that 1-octet segments cost no object each. */
const MAX_RUN_OCTETS = 65_536
const MIN_RUN_OCTETS = 2_048

export interface OutOfOrderRun {
  start: Seq
  end: Seq
  /** `end - start` octets from the beginning; the rest is room. */
  octets: Uint8Array
}

export interface OutOfOrder {
  readonly runs: OutOfOrderRun[]
}

/** What an insertion met: whether octets were new, and the first stretch that was not (left = right: none). */
export interface Insertion {
  fresh: boolean
  merged: boolean
  dropped: boolean
  duplicateLeft: Seq
  duplicateRight: Seq
}

export function createOutOfOrder(): OutOfOrder {
  return { runs: [] }
}

export function createInsertion(): Insertion {
  return { fresh: false, merged: false, dropped: false, duplicateLeft: 0 as Seq, duplicateRight: 0 as Seq }
}

/** Index of the first run that ends after `seq`. */
function findRun(runs: OutOfOrderRun[], seq: Seq): number {
  let low = 0
  let high = runs.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (gt((runs[middle] as OutOfOrderRun).end, seq)) high = middle
    else low = middle + 1
  }
  return low
}

export function insert(
  queue: OutOfOrder,
  seq: Seq,
  octets: Uint8Array,
  offset: number,
  length: number,
  into: Insertion,
): void {
  const { runs } = queue
  const end = add(seq, length)
  into.fresh = false
  into.merged = false
  into.dropped = false
  into.duplicateLeft = seq
  into.duplicateRight = seq
  let at = seq
  let index = findRun(runs, seq)
  while (lt(at, end)) {
    const run = runs[index]
    if (run !== undefined && le(run.start, at)) {
      const overlapEnd = lt(run.end, end) ? run.end : end
      noteDuplicate(into, at, overlapEnd)
      into.merged = true
      at = overlapEnd
      index++
      continue
    }
    const pieceEnd = run !== undefined && lt(run.start, end) ? run.start : end
    const source = offset + diff(at, seq)
    const added = insertPiece(runs, index, at, pieceEnd, octets, source)
    if (added < 0) {
      into.dropped = true
      return
    }
    into.fresh = true
    index += added
    at = pieceEnd
  }
}

/** The first duplicate stretch; one that continues it belongs to it (RFC 2883 §4 reports one). */
function noteDuplicate(into: Insertion, left: Seq, right: Seq): void {
  if (into.duplicateLeft === into.duplicateRight) {
    into.duplicateLeft = left
    into.duplicateRight = right
  } else if (into.duplicateRight === left) into.duplicateRight = right
}

/** Adds a piece that overlaps nothing; returns by how much the index of what follows moved, -1 if not added. */
function insertPiece(
  runs: OutOfOrderRun[],
  index: number,
  start: Seq,
  end: Seq,
  octets: Uint8Array,
  source: number,
): number {
  const length = diff(end, start)
  const piece = octets.subarray(source, source + length)
  const before = runs[index - 1]
  if (before !== undefined && before.end === start) {
    const used = diff(before.end, before.start)
    if (used + length <= MAX_RUN_OCTETS) {
      if (used + length > before.octets.length) grow(before, used, used + length)
      before.octets.set(piece, used)
      before.end = end
      return 0
    }
  }
  if (runs.length >= MAX_OUT_OF_ORDER_RUNS) return -1
  const copy = new Uint8Array(Math.max(length, MIN_RUN_OCTETS))
  copy.set(piece)
  runs.splice(index, 0, { start, end, octets: copy })
  return 1
}

function grow(run: OutOfOrderRun, used: number, needed: number): void {
  const larger = new Uint8Array(Math.min(MAX_RUN_OCTETS, Math.max(needed, 2 * run.octets.length)))
  larger.set(run.octets.subarray(0, used))
  run.octets = larger
}

/** Moves what became contiguous with `nxt` to the receive queue; returns the new RCV.NXT. */
export function takeContiguous(queue: OutOfOrder, nxt: Seq, into: ReceiveQueue): Seq {
  const { runs } = queue
  let at = nxt
  let count = 0
  for (; count < runs.length; count++) {
    const run = runs[count] as OutOfOrderRun
    if (gt(run.start, at)) break
    if (ge(at, run.end)) continue
    appendOwned(into, run.octets, diff(at, run.start), diff(run.end, at))
    at = run.end
  }
  if (count > 0) runs.splice(0, count)
  return at
}

/**
 * Writes the block of contiguous octets around `seq` at `edges[at]` and `edges[at + 1]`; false where nothing is
 * held there.
 */
export function blockAround(queue: OutOfOrder, seq: Seq, edges: Int32Array, at: number): boolean {
  const { runs } = queue
  let first = findRun(runs, seq)
  const run = runs[first]
  if (run === undefined || gt(run.start, seq)) return false
  let last = first
  while (first > 0 && (runs[first - 1] as OutOfOrderRun).end === (runs[first] as OutOfOrderRun).start) first--
  while (
    last + 1 < runs.length &&
    (runs[last + 1] as OutOfOrderRun).start === (runs[last] as OutOfOrderRun).end
  )
    last++
  edges[at] = (runs[first] as OutOfOrderRun).start
  edges[at + 1] = (runs[last] as OutOfOrderRun).end
  return true
}
