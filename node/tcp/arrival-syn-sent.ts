/**
 * SEGMENT ARRIVES in SYN-SENT (RFC 9293 §3.10.7.3): the peer's SYN-ACK, its SYN (simultaneous open), or its
 * refusal.
 */
import { ACK, RST, type Segment, SYN } from '../wire/segment.ts'
import { acknowledgeNow } from './acknowledgement.ts'
import { takeAcknowledgement } from './arrival-ack.ts'
import { enterClosed } from './ending.ts'
import { RESET } from './events.ts'
import { agreesToEcn, establish, negotiate } from './open.ts'
import { flagsOf, LOST, markLost, sentCount } from './sent-records.ts'
import { asSeq, diff } from './seq.ts'
import { PENDING_RST_REPLY, type Tcb } from './tcb.ts'

export function synSentArrives(tcb: Tcb, segment: Segment, now: number): void {
  const { snd } = tcb
  const { flags } = segment
  const ack = asSeq(segment.ack)
  if ((flags & ACK) !== 0 && (diff(ack, snd.iss) <= 0 || diff(ack, snd.nxt) > 0)) {
    if ((flags & RST) !== 0) return
    snd.pending |= PENDING_RST_REPLY
    snd.replySeq = ack
    return
  }
  if ((flags & RST) !== 0) {
    // RFC 5961 §3.2: a reset without an acknowledgement of our SYN proves nothing.
    if ((flags & ACK) !== 0) enterClosed(tcb, RESET)
    return
  }
  if ((flags & SYN) === 0) return
  negotiate(tcb, segment, now)
  tcb.rcv.lastAt = now
  if ((flags & ACK) === 0) {
    simultaneous(tcb)
    return
  }
  tcb.ecn.on = tcb.config.ecn && agreesToEcn(segment)
  const { retries } = tcb.recovery
  takeAcknowledgement(tcb, segment, ack, now)
  tcb.recovery.retries = retries
  establish(tcb, segment, now)
  tcb.recovery.retries = 0
  acknowledgeNow(tcb)
}

/** Both ends opened at once: our SYN goes out again, as a SYN-ACK (MUST-10). */
function simultaneous(tcb: Tcb): void {
  tcb.state = 'SYN-RECEIVED'
  tcb.ecn.on = false
  const { sent } = tcb
  if (sentCount(sent) > 0 && (flagsOf(sent, 0) & LOST) === 0) markLost(sent, 0)
}
