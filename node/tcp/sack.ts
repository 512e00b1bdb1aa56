/**
 * What the peer's SACK option says (RFC 2018, 2883), checked and entered into the sent records; and the order
 * of the blocks that we report.
 */
import type { Segment } from '../wire/segment.ts'
import { blockAround } from './out-of-order.ts'
import { noteDuplicateForReordering } from './rack.ts'
import { noteDuplicate } from './recovery.ts'
import { type Delivery, markSacked } from './sent-records.ts'
import { add, asSeq, diff, ge, gt, le, lt, type Seq } from './seq.ts'
import type { Tcb } from './tcb.ts'
import type { Transmission } from './transmission.ts'

/** What the blocks of one segment said beside marking records. */
export interface SackReport {
  /** The end of the highest block that was accepted; the acknowledgement number if there was none. */
  highest: Seq
  hasDuplicate: boolean
  duplicateLeft: Seq
  duplicateRight: Seq
}

export function createSackReport(): SackReport {
  return { highest: asSeq(0), hasDuplicate: false, duplicateLeft: asSeq(0), duplicateRight: asSeq(0) }
}

/** RFC 2883 §4: the first block reports a duplicate if it lies below the acknowledgement or inside the second. */
function isDuplicate(segment: Segment, left: Seq, right: Seq): boolean {
  if (le(right, asSeq(segment.ack))) return true
  if (segment.sackCount < 2) return false
  const second = asSeq(segment.sackEdges[2] as number)
  const secondEnd = asSeq(segment.sackEdges[3] as number)
  return ge(left, second) && le(right, secondEnd)
}

/** Enters the blocks of `segment`, whose acknowledgement was already taken in. */
export function takeSack(tcb: Tcb, segment: Segment, delivery: Delivery, report: SackReport): void {
  const { snd, sent, rack } = tcb
  for (let block = 0; block < segment.sackCount; block++) {
    const left = asSeq(segment.sackEdges[2 * block] as number)
    const right = asSeq(segment.sackEdges[2 * block + 1] as number)
    if (block === 0 && lt(left, right) && isDuplicate(segment, left, right)) {
      takeDuplicate(tcb, left, right, report)
    } else if (!lt(left, right) || lt(left, snd.una) || gt(right, snd.nxt)) {
      // Below SND.UNA it is old news; elsewhere it is an error or an attack.
      if (gt(right, snd.nxt) || !lt(left, right)) tcb.config.counters.TCPSACKDiscard++
    } else {
      markSacked(sent, left, right, rack.fack, delivery)
      if (gt(right, report.highest)) report.highest = right
    }
  }
}

function takeDuplicate(tcb: Tcb, left: Seq, right: Seq, report: SackReport): void {
  const { shift, snd } = tcb
  if (gt(right, snd.nxt) || diff(snd.nxt, left) > Math.max(2 * snd.maxWnd, 0x10000)) {
    tcb.config.counters.TCPSACKDiscard++
    return
  }
  // The old octet of a probe is a duplicate by design, and says nothing about the network.
  if (shift.probed && left === shift.probeSeq && right === add(left, 1)) return
  tcb.config.counters.TCPDSACKRecv++
  report.hasDuplicate = true
  report.duplicateLeft = left
  report.duplicateRight = right
  noteDuplicateForReordering(tcb)
  noteDuplicate(tcb, left, diff(right, left))
}

// Edges of a block that is looked at within one call.
const block = new Int32Array(2)

/**
 * An out-of-order segment arrived: its block is reported first from now on, and those before it are each repeated as
 * long as there is room (RFC 2018 §4), however many segments one block grows by.
 */
export function noteRecent(tcb: Tcb, seq: Seq): void {
  const { ack } = tcb
  if (!blockAround(tcb.outOfOrder, seq, block, 0)) return
  if (!inBlock(ack.recent0)) {
    if (!inBlock(ack.recent1)) {
      if (!inBlock(ack.recent2)) ack.recent3 = ack.recent2
      ack.recent2 = ack.recent1
    }
    ack.recent1 = ack.recent0
  }
  ack.recent0 = seq
}

function inBlock(seq: Seq): boolean {
  return ge(seq, asSeq(block[0] as number)) && lt(seq, asSeq(block[1] as number))
}

/** Octets of options that the blocks take beside timestamps, padded as they are on the wire. */
export function sackOptionOctets(count: number): number {
  return count === 0 ? 0 : 4 + 8 * count
}

/** Fills the SACK option of `out`: the duplicate first, then the latest runs, each once. */
export function fillSack(tcb: Tcb, out: Transmission): void {
  const { ack } = tcb
  out.sackCount = 0
  if (!tcb.sack) return
  const most = tcb.ts.on ? 3 : 4
  if (ack.duplicateLeft !== ack.duplicateRight) {
    out.sackEdges[0] = ack.duplicateLeft
    out.sackEdges[1] = ack.duplicateRight
    out.sackCount = 1
    ack.duplicateLeft = ack.duplicateRight
  }
  if (tcb.outOfOrder.runs.length === 0) return
  const first = out.sackCount
  addBlock(tcb, ack.recent0, first, most, out)
  addBlock(tcb, ack.recent1, first, most, out)
  addBlock(tcb, ack.recent2, first, most, out)
  addBlock(tcb, ack.recent3, first, most, out)
}

function addBlock(tcb: Tcb, seq: Seq, first: number, most: number, out: Transmission): void {
  const at = 2 * out.sackCount
  if (out.sackCount >= most || !blockAround(tcb.outOfOrder, seq, out.sackEdges, at)) return
  for (let other = first; other < out.sackCount; other++)
    if (out.sackEdges[2 * other] === out.sackEdges[at]) return
  out.sackCount++
}

/** How many blocks the next segment will carry at most; exact enough to size its payload. */
export function pendingSackBlocks(tcb: Tcb): number {
  if (!tcb.sack) return 0
  const duplicate = tcb.ack.duplicateLeft !== tcb.ack.duplicateRight ? 1 : 0
  return Math.min(duplicate + tcb.outOfOrder.runs.length, tcb.ts.on ? 3 : 4)
}
