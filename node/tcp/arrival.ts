/**
 * SEGMENT ARRIVES of RFC 9293 §3.10.7, one function a step and in its order, so that both can be read side by
 * side. A step that ends the matter returns a verdict. The steps for acknowledgement and text stand in
 * `arrival-ack.ts` and `arrival-text.ts`, SYN-SENT in `arrival-syn-sent.ts`.
 */
import { ACK, CWR, FIN, RST, type Segment, SYN, segmentLength } from '../wire/segment.ts'
import { acknowledgeNow, challenge, receiveWindow } from './acknowledgement.ts'
import { noteEcho } from './adoption.ts'
import { ackStep, type Verdict } from './arrival-ack.ts'
import { synSentArrives } from './arrival-syn-sent.ts'
import { finStep, noteDuplicateText, textStep } from './arrival-text.ts'
import { enterClosed } from './ending.ts'
import { RESET } from './events.ts'
import { flagsOf, LOST, markLost, sentCount } from './sent-records.ts'
import { add, asSeq, diff } from './seq.ts'
import type { Tcb } from './tcb.ts'
import { failsPaws, updateRecent } from './timestamps.ts'

/** The ECN codepoint Congestion Experienced. */
const CE = 3

/** Takes in a segment that was found to belong to this connection, and whose checksum is right. */
export function segmentArrives(tcb: Tcb, segment: Segment, now: number): void {
  tcb.config.counters.InSegs++
  if (tcb.state === 'CLOSED') return
  if (tcb.state === 'SYN-SENT') {
    synSentArrives(tcb, segment, now)
    return
  }
  void (
    timestampStep(tcb, segment, now) ??
    sequenceStep(tcb, segment, now) ??
    resetStep(tcb, segment, now) ??
    synStep(tcb, segment, now) ??
    acceptedStep(tcb, segment, now) ??
    ackStep(tcb, segment, now) ??
    textStep(tcb, segment, now) ??
    finStep(tcb, segment, now)
  )
}

/** RFC 7323 §3.2 and §5.3 R1: before anything else. A reset is exempt. */
function timestampStep(tcb: Tcb, segment: Segment, now: number): Verdict | undefined {
  if (!tcb.ts.on || (segment.flags & RST) !== 0) return undefined
  if (!segment.hasTimestamps) {
    tcb.config.counters.TSMissing++
    return 'dropped'
  }
  if (!failsPaws(tcb, segment, now)) return undefined
  tcb.config.counters.PAWSEstab++
  // An old acknowledgement may be answered, but two ends that answer each other for ever must not be possible.
  if (segmentLength(segment) === 0) challenge(tcb, now)
  else acknowledgeNow(tcb)
  return 'dropped'
}

/** First: check the sequence number, by the four cases of RFC 9293 §3.4 table 6. */
function sequenceStep(tcb: Tcb, segment: Segment, now: number): Verdict | undefined {
  const { rcv } = tcb
  const length = segmentLength(segment)
  const left = diff(asSeq(segment.seq), rcv.nxt)
  const window = receiveWindow(tcb)
  if (length === 0) {
    // From Last.ACK.sent on, as RFC 7323 §5.3 and Linux: a reordered acknowledgement is still one. And at the
    // right edge, where a peer that has filled the window stands.
    if (left >= diff(tcb.ack.sent, rcv.nxt) && left <= window) return undefined
  } else if (left === 0 || (left + length > 0 && left < window)) return undefined
  if ((segment.flags & RST) !== 0) return 'dropped'
  return unacceptable(tcb, segment, length, left, now)
}

function unacceptable(
  tcb: Tcb,
  segment: Segment,
  length: number,
  left: number,
  now: number,
): Verdict | undefined {
  const { rcv, sent } = tcb
  const seq = asSeq(segment.seq)
  if (tcb.state === 'SYN-RECEIVED' && (segment.flags & (SYN | ACK)) === SYN && seq === rcv.irs) {
    // The peer's SYN again: our SYN-ACK was lost.
    if (sentCount(sent) > 0 && (flagsOf(sent, 0) & LOST) === 0) markLost(sent, 0)
    return 'dropped'
  }
  if (tcb.state === 'SYN-RECEIVED' && (segment.flags & (SYN | ACK)) === (SYN | ACK) && seq === rcv.irs) {
    // Both opened at once, and this is the peer's SYN again with an acknowledgement of ours (§3.5 figure 7).
    acknowledgeNow(tcb)
    return ackStep(tcb, segment, now) ?? 'done'
  }
  if (length === 0 || (segment.flags & SYN) !== 0) {
    challenge(tcb, now)
    return 'dropped'
  }
  if (left + length <= 0 && segment.payloadLength > 0) {
    tcb.config.counters.TCPDSACKOldSent++
    noteDuplicateText(tcb, seq, add(seq, segment.payloadLength))
  }
  acknowledgeNow(tcb)
  if (tcb.state === 'TIME-WAIT' && (segment.flags & FIN) !== 0)
    tcb.timers.lifetime = now + tcb.config.timeWaitMs
  return 'dropped'
}

/** Second: check RST. RFC 5961 §3.2: only the exact next sequence number resets. */
function resetStep(tcb: Tcb, segment: Segment, now: number): Verdict | undefined {
  if ((segment.flags & RST) === 0) return undefined
  if (asSeq(segment.seq) !== tcb.rcv.nxt) {
    challenge(tcb, now)
    return 'dropped'
  }
  // MUST-11: what came from LISTEN returns to it, and its user knew of nothing yet.
  const unknown = tcb.state === 'SYN-RECEIVED' && tcb.passive
  const closing = tcb.state === 'CLOSING' || tcb.state === 'LAST-ACK' || tcb.state === 'TIME-WAIT'
  enterClosed(tcb, closing || unknown ? 0 : RESET)
  return 'done'
}

/** Fourth (the third is about security labels): check SYN. RFC 5961 §4.2: challenge, whatever its number. */
function synStep(tcb: Tcb, segment: Segment, now: number): Verdict | undefined {
  if ((segment.flags & SYN) === 0) return undefined
  tcb.config.counters.TCPSYNChallenge++
  challenge(tcb, now)
  return 'dropped'
}

/** Not a step of the RFC: what every acceptable segment means beside its fields. */
function acceptedStep(tcb: Tcb, segment: Segment, now: number): undefined {
  const { ecn } = tcb
  tcb.rcv.lastAt = now
  tcb.timers.keepaliveCount = 0
  if (tcb.shift.pending) noteEcho(tcb, segment)
  if (tcb.ts.on) updateRecent(tcb, segment, now)
  if (!ecn.on) return
  // RFC 3168 §6.1.3: CWR ends the echo, a CE in the same packet starts it again.
  if ((segment.flags & CWR) !== 0) ecn.echo = false
  if (segment.ecn === CE) {
    ecn.echo = true
    tcb.config.counters.InCEPkts++
    acknowledgeNow(tcb)
  }
}
