/**
 * The sixth to eighth steps of RFC 9293 §3.10.7.4: urgent data (taken in line, RFC 6093), the segment text with
 * reassembly and D-SACK, and the FIN.
 */
import { FIN, type Segment, URG } from '../wire/segment.ts'
import { acknowledgeData, acknowledgeEach, acknowledgeNow, receiveWindow } from './acknowledgement.ts'
import type { Verdict } from './arrival-ack.ts'
import { awaitPeerFin, enterTimeWait, moveTo } from './ending.ts'
import { PEER_FIN, READABLE, URGENT } from './events.ts'
import { createInsertion, insert, takeContiguous } from './out-of-order.ts'
import { appendBorrowed } from './receive-queue.ts'
import { measureReceiveRtt } from './receive-tuning.ts'
import { noteRecent } from './sack.ts'
import { add, asSeq, diff, ge, gt, le, lt, type Seq } from './seq.ts'
import type { Tcb } from './tcb.ts'
import { urgentOctets } from './user.ts'

// Filled and read within one call.
const insertion = createInsertion()

/** States in which the peer may still send octets. */
function receives(tcb: Tcb): boolean {
  return tcb.state === 'ESTABLISHED' || tcb.state === 'FIN-WAIT-1' || tcb.state === 'FIN-WAIT-2'
}

export function textStep(tcb: Tcb, segment: Segment, now: number): Verdict | undefined {
  if (!receives(tcb)) return 'done'
  const { payloadLength } = segment
  if ((segment.flags & URG) !== 0) urgentStep(tcb, segment)
  if (payloadLength === 0) return undefined
  const { rcv } = tcb
  const seq = asSeq(segment.seq)
  const skip = diff(rcv.nxt, seq)
  let end = add(seq, payloadLength)
  const limit = rcv.finKnown && lt(rcv.fin, rcv.edge) ? rcv.fin : rcv.edge
  if (gt(end, limit)) {
    end = limit
    tcb.config.counters.TCPRcvQDrop++
  }
  const length = diff(end, seq)
  if (length <= Math.max(skip, 0)) {
    // All old, or all beyond what we offered: RFC 9293 MUST-66 lets only the acknowledgement through.
    if (receiveWindow(tcb) === 0) tcb.config.counters.TCPZeroWindowDrop++
    acknowledgeNow(tcb)
  } else if (skip >= 0) inOrder(tcb, segment, seq, skip, length, now)
  else outOfOrder(tcb, segment, seq, length)
  return undefined
}

/** The sixth: the pointer, which stands behind the last urgent octet (MUST-62). The octets themselves stay in line. */
function urgentStep(tcb: Tcb, segment: Segment): void {
  const { rcv } = tcb
  const up = add(asSeq(segment.seq), segment.urgent)
  const from = rcv.urgent ? rcv.up : add(rcv.nxt, -tcb.receiveQueue.octets)
  if (le(up, from)) return
  rcv.up = up
  rcv.urgent = true
  tcb.events |= URGENT
}

function inOrder(tcb: Tcb, segment: Segment, seq: Seq, skip: number, length: number, now: number): void {
  const { rcv } = tcb
  if (skip > 0) noteDuplicateText(tcb, seq, rcv.nxt)
  const fresh = length - skip
  appendBorrowed(tcb.receiveQueue, segment.octets, segment.payloadStart + skip, fresh)
  rcv.nxt = add(rcv.nxt, fresh)
  tcb.events |= READABLE
  if (ge(rcv.nxt, rcv.rttEnd)) measureReceiveRtt(tcb, now)
  if (tcb.state === 'FIN-WAIT-2') awaitPeerFin(tcb, now)
  acknowledgeData(tcb, fresh, now)
  if (tcb.outOfOrder.runs.length === 0) return
  // RFC 5681 §4.2: a segment that fills a gap is acknowledged at once.
  rcv.nxt = takeContiguous(tcb.outOfOrder, rcv.nxt, tcb.receiveQueue)
  acknowledgeNow(tcb)
}

function outOfOrder(tcb: Tcb, segment: Segment, seq: Seq, length: number): void {
  const { counters } = tcb.config
  insert(tcb.outOfOrder, seq, segment.octets, segment.payloadStart, length, insertion)
  if (insertion.fresh) counters.TCPOFOQueue++
  // The first block is that of the segment which causes the acknowledgement, new or not (RFC 2018 §4, RFC 2883 §4).
  noteRecent(tcb, seq)
  if (insertion.merged) counters.TCPOFOMerge++
  if (insertion.dropped) counters.TCPOFODrop++
  if (insertion.duplicateLeft !== insertion.duplicateRight) {
    counters.TCPDSACKOfoSent++
    noteDuplicateText(tcb, insertion.duplicateLeft, insertion.duplicateRight)
  }
  acknowledgeEach(tcb)
}

/** RFC 2883: the next acknowledgement reports what came twice. */
export function noteDuplicateText(tcb: Tcb, left: Seq, right: Seq): void {
  if (!tcb.sack) return
  tcb.ack.duplicateLeft = left
  tcb.ack.duplicateRight = right
}

export function finStep(tcb: Tcb, segment: Segment, now: number): Verdict | undefined {
  const { rcv } = tcb
  if ((segment.flags & FIN) !== 0 && !rcv.finKnown) {
    const fin = add(asSeq(segment.seq), segment.payloadLength)
    const held = tcb.outOfOrder.runs[tcb.outOfOrder.runs.length - 1]
    // Octets beyond a FIN that came later are the peer's contradiction, and so is a FIN in the past.
    if (lt(fin, rcv.nxt) || (held !== undefined && gt(held.end, fin))) {
      tcb.config.counters.InErrs++
      return 'dropped'
    }
    // A FIN in a segment that was cut at the window's edge was cut off, too.
    if (gt(fin, rcv.edge)) return 'done'
    rcv.fin = fin
    rcv.finKnown = true
    if (rcv.nxt !== fin) acknowledgeEach(tcb)
  }
  if (!rcv.finKnown || rcv.nxt !== rcv.fin) return undefined
  rcv.nxt = add(rcv.fin, 1)
  if (lt(rcv.edge, rcv.nxt)) rcv.edge = rcv.nxt
  // Nothing urgent can come behind the FIN, whatever the pointer said.
  if (rcv.urgent && gt(rcv.up, rcv.fin)) rcv.up = rcv.fin
  if (urgentOctets(tcb) === 0) rcv.urgent = false
  acknowledgeNow(tcb)
  tcb.events |= PEER_FIN
  peerClosed(tcb, now)
  return 'done'
}

function peerClosed(tcb: Tcb, now: number): void {
  switch (tcb.state) {
    case 'ESTABLISHED':
      moveTo(tcb, 'CLOSE-WAIT')
      return
    case 'FIN-WAIT-1':
      // Had our FIN been acknowledged, the fifth step had left this state.
      moveTo(tcb, 'CLOSING')
      return
    case 'FIN-WAIT-2':
      enterTimeWait(tcb, now)
      return
    default:
  }
}
