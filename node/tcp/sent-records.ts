/**
 * What was sent and not cumulatively acknowledged, as a list of records that together cover SND.UNA to SND.NXT:
 * the scoreboard of RFC 6675 and the per-segment state of RFC 8985 in one. A record may be a super-segment of
 * 64 KiB; it is split where an acknowledgement or a SACK block ends inside it. SYN and FIN count as octets do.
 * It marks and counts; what is lost and how much may be sent is decided in `rack.ts` and `recovery.ts`.
 *
 * Records lie in one array of numbers (a stride of four), which V8 keeps as unboxed doubles: a record costs no
 * object.
 */
import { asSeq, diff, ge, gt, le, lt, type Seq } from './seq.ts'

/** Bounds the records of a connection. When there are so many, nothing new is sent and nothing is split. */
export const MAX_SENT_RECORDS = 4_096

const STRIDE = 4
const START = 0
const END = 1
const SENT_AT = 2
const FLAGS = 3
/** Cells kept when the list is empty: more are given back. */
const SPARE_CELLS = 16 * STRIDE

export const SACKED = 1
export const LOST = 2
/** Sent more than once. */
export const RETRANSMITTED = 4

export interface SentRecords {
  readonly cells: number[]
  /** Records from `head` to `tail` (both in records, not cells) are in use. */
  head: number
  tail: number
  /** Octets neither SACKED nor LOST: what is believed to be in the network (pipe of RFC 6675). */
  inFlight: number
  sacked: number
  lost: number
}

/** What one acknowledgement told of records; filled by `acknowledge` and `markSacked`. */
export interface Delivery {
  /** Octets newly cumulatively acknowledged, whether SACKED before or not. */
  acked: number
  /** Octets newly known to be delivered, either way. */
  delivered: number
  /** Octets of records that were marked LOST, or sent again, when they turned out delivered. */
  lostDelivered: number
  retransmittedDelivered: number
  /** The latest transmission among delivered records: time (-Infinity: none), end, and whether it was a repetition. */
  latestAt: number
  latestEnd: Seq
  latestRetransmitted: boolean
  /** The latest transmission among delivered records that were sent once: for RTT samples (Karn); -Infinity: none. */
  sampleAt: number
  /** Once-sent octets up to the recovery point were delivered (RFC 5682). */
  originalEnd: Seq
  originals: boolean
  /** A once-sent record below the highest delivered one was delivered (RFC 8985 §6.2 step 3). */
  reordered: boolean
}

export function createDelivery(): Delivery {
  return {
    acked: 0,
    delivered: 0,
    lostDelivered: 0,
    retransmittedDelivered: 0,
    latestAt: Number.NEGATIVE_INFINITY,
    latestEnd: asSeq(0),
    latestRetransmitted: false,
    sampleAt: Number.NEGATIVE_INFINITY,
    originalEnd: asSeq(0),
    originals: false,
    reordered: false,
  }
}

export function clearDelivery(delivery: Delivery): void {
  delivery.acked = 0
  delivery.delivered = 0
  delivery.lostDelivered = 0
  delivery.retransmittedDelivered = 0
  delivery.latestAt = Number.NEGATIVE_INFINITY
  delivery.latestRetransmitted = false
  delivery.sampleAt = Number.NEGATIVE_INFINITY
  delivery.originals = false
  delivery.reordered = false
}

export function createSentRecords(): SentRecords {
  return { cells: [], head: 0, tail: 0, inFlight: 0, sacked: 0, lost: 0 }
}

export function sentCount(sent: SentRecords): number {
  return sent.tail - sent.head
}

export function isFull(sent: SentRecords): boolean {
  return sent.tail - sent.head >= MAX_SENT_RECORDS
}

export function startOf(sent: SentRecords, index: number): Seq {
  return sent.cells[(sent.head + index) * STRIDE + START] as Seq
}

export function endOf(sent: SentRecords, index: number): Seq {
  return sent.cells[(sent.head + index) * STRIDE + END] as Seq
}

export function sentAtOf(sent: SentRecords, index: number): number {
  return sent.cells[(sent.head + index) * STRIDE + SENT_AT] as number
}

export function flagsOf(sent: SentRecords, index: number): number {
  return sent.cells[(sent.head + index) * STRIDE + FLAGS] as number
}

/** Appends a record with any flags: a new transmission has none, an imported one may. */
export function appendRecord(sent: SentRecords, start: Seq, end: Seq, sentAt: number, flags: number): void {
  const { cells } = sent
  const at = sent.tail * STRIDE
  if (at === cells.length) cells.push(start, end, sentAt, flags)
  else {
    cells[at + START] = start
    cells[at + END] = end
    cells[at + SENT_AT] = sentAt
    cells[at + FLAGS] = flags
  }
  sent.tail++
  count(sent, flags, diff(end, start))
}

/** Adds `octets` (negative: removes) to the sum that `flags` belong to. */
function count(sent: SentRecords, flags: number, octets: number): void {
  if ((flags & SACKED) !== 0) sent.sacked += octets
  else if ((flags & LOST) !== 0) sent.lost += octets
  else sent.inFlight += octets
}

function setFlags(sent: SentRecords, index: number, flags: number): void {
  const at = (sent.head + index) * STRIDE
  const octets = diff(sent.cells[at + END] as Seq, sent.cells[at + START] as Seq)
  count(sent, sent.cells[at + FLAGS] as number, -octets)
  sent.cells[at + FLAGS] = flags
  count(sent, flags, octets)
}

/** Divides record `index` at `seq`, which lies inside it. False where the list is full. */
export function split(sent: SentRecords, index: number, seq: Seq): boolean {
  if (isFull(sent)) return false
  const { cells } = sent
  const at = (sent.head + index) * STRIDE
  const end = cells[at + END] as number
  const sentAt = cells[at + SENT_AT] as number
  const flags = cells[at + FLAGS] as number
  if (cells.length > sent.tail * STRIDE) cells.length = sent.tail * STRIDE
  cells[at + END] = seq
  cells.splice(at + STRIDE, 0, seq, end, sentAt, flags)
  sent.tail++
  return true
}

/** Joins record `index` with the next, which has equal flags; the later transmission counts. */
function join(sent: SentRecords, index: number): void {
  const { cells } = sent
  const at = (sent.head + index) * STRIDE
  cells[at + END] = cells[at + STRIDE + END] as number
  cells[at + SENT_AT] = Math.max(cells[at + SENT_AT] as number, cells[at + STRIDE + SENT_AT] as number)
  cells.splice(at + STRIDE, STRIDE)
  sent.tail--
}

/** Joins record `index` with SACKED or LOST neighbours of the same kind, so that long lists stay short. */
function joinNeighbours(sent: SentRecords, index: number): void {
  const flags = flagsOf(sent, index)
  if ((flags & (SACKED | LOST)) === 0) return
  if (index + 1 < sentCount(sent) && same(flagsOf(sent, index + 1), flags)) join(sent, index)
  if (index > 0 && same(flagsOf(sent, index - 1), flags)) join(sent, index - 1)
}

/** How often a SACKED record was sent matters no more. */
function same(a: number, b: number): boolean {
  return a === b || (a & b & SACKED) !== 0
}

/** Notes in `delivery` that a record, or its first `octets`, arrived. */
function deliver(sent: SentRecords, at: number, end: Seq, octets: number, fack: Seq, into: Delivery): void {
  const flags = sent.cells[at + FLAGS] as number
  const sentAt = sent.cells[at + SENT_AT] as number
  into.delivered += octets
  if ((flags & LOST) !== 0) into.lostDelivered += octets
  if ((flags & RETRANSMITTED) === 0) {
    if (sentAt > into.sampleAt) into.sampleAt = sentAt
    if (!into.originals || gt(end, into.originalEnd)) into.originalEnd = end
    into.originals = true
    if (lt(end, fack)) into.reordered = true
  } else into.retransmittedDelivered += octets
  if (sentAt > into.latestAt || (sentAt === into.latestAt && gt(end, into.latestEnd))) {
    into.latestAt = sentAt
    into.latestEnd = end
    into.latestRetransmitted = (flags & RETRANSMITTED) !== 0
  }
}

/** Removes everything before `ack`. `fack` is the highest sequence number delivered until now. */
export function acknowledge(sent: SentRecords, ack: Seq, fack: Seq, into: Delivery): void {
  const { cells } = sent
  while (sent.head < sent.tail) {
    const at = sent.head * STRIDE
    const start = cells[at + START] as Seq
    const end = cells[at + END] as Seq
    if (le(ack, start)) break
    const upTo = lt(ack, end) ? ack : end
    const octets = diff(upTo, start)
    const flags = cells[at + FLAGS] as number
    into.acked += octets
    if ((flags & SACKED) === 0) deliver(sent, at, upTo, octets, fack, into)
    count(sent, flags, -octets)
    if (upTo !== end) {
      cells[at + START] = upTo
      break
    }
    sent.head++
  }
  compact(sent)
}

function compact(sent: SentRecords): void {
  if (sent.head === sent.tail) {
    sent.head = 0
    sent.tail = 0
    if (sent.cells.length > SPARE_CELLS) sent.cells.length = SPARE_CELLS
  } else if (sent.head >= 64 && sent.head * 2 > sent.tail) {
    sent.cells.splice(0, sent.head * STRIDE)
    sent.tail -= sent.head
    sent.head = 0
  }
}

/** Index of the record that holds `seq`, which lies in the list. */
export function findRecord(sent: SentRecords, seq: Seq): number {
  let low = 0
  let high = sentCount(sent) - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (le(startOf(sent, middle), seq)) low = middle
    else high = middle - 1
  }
  return low
}

/** Marks the octets from `left` to `right`, which lie in the list, as SACKED. */
export function markSacked(sent: SentRecords, left: Seq, right: Seq, fack: Seq, into: Delivery): void {
  let index = findRecord(sent, left)
  while (index < sentCount(sent) && lt(startOf(sent, index), right)) {
    const flags = flagsOf(sent, index)
    if ((flags & SACKED) !== 0) {
      index++
      continue
    }
    if (lt(startOf(sent, index), left)) {
      if (!split(sent, index, left)) return
      index++
    }
    if (gt(endOf(sent, index), right) && !split(sent, index, right)) return
    const end = endOf(sent, index)
    deliver(sent, (sent.head + index) * STRIDE, end, diff(end, startOf(sent, index)), fack, into)
    setFlags(sent, index, (flags & ~LOST) | SACKED)
    const joinsLeft = index > 0 && (flagsOf(sent, index - 1) & SACKED) !== 0
    joinNeighbours(sent, index)
    if (!joinsLeft) index++
  }
}

/** Marks record `index` as LOST; returns the index it stands at after joining its neighbours. */
export function markLost(sent: SentRecords, index: number): number {
  setFlags(sent, index, flagsOf(sent, index) | LOST)
  const joinsLeft = index > 0 && same(flagsOf(sent, index - 1), flagsOf(sent, index))
  joinNeighbours(sent, index)
  return joinsLeft ? index - 1 : index
}

/**
 * After a retransmission timeout the first record is LOST, and so is what is not SACKED and was sent no later
 * than `before` (RFC 6298 §5.4, RFC 8985 §6.3): what went out since is probably still on its way.
 */
export function markTimedOut(sent: SentRecords, before: number): void {
  for (let index = 0; index < sentCount(sent); index++) {
    if ((flagsOf(sent, index) & (SACKED | LOST)) !== 0) continue
    if (index === 0 || sentAtOf(sent, index) <= before) index = markLost(sent, index)
  }
}

/** The path takes no packets of that size: what is not SACKED from `from` on is LOST. */
export function markLostFrom(sent: SentRecords, from: Seq): void {
  for (let index = 0; index < sentCount(sent); index++)
    if ((flagsOf(sent, index) & (SACKED | LOST)) === 0 && ge(startOf(sent, index), from))
      index = markLost(sent, index)
}

/** The peer took SACKED octets back (RFC 2018 §8): forget all of that. */
export function forgetSacked(sent: SentRecords): void {
  for (let index = 0; index < sentCount(sent); index++) {
    const flags = flagsOf(sent, index)
    if ((flags & SACKED) !== 0) setFlags(sent, index, flags & ~SACKED)
  }
}

/** A loss that was none: what is marked LOST is in flight again. */
export function unmarkLost(sent: SentRecords): void {
  for (let index = 0; index < sentCount(sent); index++) {
    const flags = flagsOf(sent, index)
    if ((flags & LOST) !== 0) setFlags(sent, index, flags & ~LOST)
  }
}

/** Index of the first LOST record, or -1. */
export function firstLost(sent: SentRecords): number {
  if (sent.lost === 0) return -1
  for (let index = 0; index < sentCount(sent); index++) if ((flagsOf(sent, index) & LOST) !== 0) return index
  return -1
}

/** Notes that record `index` is sent again now, whole. */
export function markRetransmitted(sent: SentRecords, index: number, now: number): void {
  const flags = flagsOf(sent, index)
  setFlags(sent, index, (flags & ~LOST) | RETRANSMITTED)
  sent.cells[(sent.head + index) * STRIDE + SENT_AT] = now
}
