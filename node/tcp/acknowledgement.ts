/**
 * When to acknowledge: at once, with the next data, or after a short while (RFC 9293 §3.8.6.3, RFC 5681 §4.2),
 * the challenge ACKs of RFC 5961 with their limit, and the window to offer (RFC 9293 §3.8.6.2.2).
 */
import { add, diff, max, type Seq } from './seq.ts'
import type { Tcb } from './tcb.ts'

/** RFC 5961 §7: the period in which a connection sends at most `challengeAcks`. */
const CHALLENGE_PERIOD_MS = 5_000
/** Duplicate acknowledgements owed at once: more tell a peer without SACK nothing. */
const MAX_OWED = 16
/** Until a full segment was seen: small requests are not acknowledged two by two. */
const MIN_ASSUMED_MSS = 536
/** Windows are 16 bits; without scaling that is all. */
const MAX_FIELD = 0xffff

const NEVER = Number.POSITIVE_INFINITY

export function acknowledgeNow(tcb: Tcb): void {
  if (tcb.ack.owed === 0) tcb.ack.owed = 1
}

/** One for each segment that arrives out of order: a peer without SACK counts them (RFC 5681 §4.2). */
export function acknowledgeEach(tcb: Tcb): void {
  const { ack } = tcb
  if (tcb.sack) ack.owed = 1
  else if (ack.owed < MAX_OWED) ack.owed++
}

/** New data in order: MUST-40, SHLD-18 and SHLD-19 of RFC 9293. */
export function acknowledgeData(tcb: Tcb, octets: number, now: number): void {
  const { ack, rcv, timers } = tcb
  if (octets > rcv.mss) rcv.mss = Math.min(Math.max(octets, MIN_ASSUMED_MSS), tcb.snd.mss)
  if (ack.quick > 0 || diff(rcv.nxt, ack.sent) >= 2 * rcv.mss) acknowledgeNow(tcb)
  else if (timers.delayedAck === NEVER) timers.delayedAck = now + tcb.config.delayedAckMs
}

/**
 * RFC 5961 §7, by connection and not by host: a count that connections share tells an attacker, by the challenges that
 * he still gets on his own, of those that he provoked on another's (CVE-2016-5696). It bounds the host as well, because
 * connections are bounded, and a challenge is never more than the packet that asked for it.
 */
export function challenge(tcb: Tcb, now: number): void {
  const { ack, config } = tcb
  if (now - ack.challengeAt >= CHALLENGE_PERIOD_MS) {
    ack.challengeAt = now
    ack.challenges = 0
  }
  if (ack.challenges >= config.challengeAcks) {
    config.counters.TCPACKSkippedChallenge++
    return
  }
  ack.challenges++
  config.counters.TCPChallengeACK++
  acknowledgeNow(tcb)
}

/** Octets still open to the peer: RCV.WND. */
export function receiveWindow(tcb: Tcb): number {
  return Math.max(0, diff(tcb.rcv.edge, tcb.rcv.nxt))
}

/** The right edge that there is room for. */
function possibleEdge(tcb: Tcb): Seq {
  return add(tcb.rcv.nxt, Math.max(0, tcb.rcv.limit - tcb.receiveQueue.octets))
}

/**
 * Moves the right edge as far as there is room for, but never left (SHLD-14) and never by little (MUST-39), and
 * returns the window field. On a SYN the field is not scaled (RFC 7323 §2.2). The field is rounded down, so that
 * the edge seems to move left by less than its grain; what was offered before is still accepted (RFC 7323 §2.4).
 * Rounding up instead would creep on with every acknowledgement and never close.
 */
export function offerWindow(tcb: Tcb, onSyn: boolean): number {
  const { rcv, snd } = tcb
  const scale = onSyn ? 0 : rcv.scale
  const possible = possibleEdge(tcb)
  const gain = diff(possible, rcv.edge)
  const opens = gain > 0 && (gain >= Math.min(rcv.limit >> 1, snd.pathMss) || onSyn)
  const field = Math.min(diff(opens ? possible : rcv.edge, rcv.nxt) >> scale, MAX_FIELD)
  if (field === 0) tcb.config.counters.TCPToZeroWindowAdv++
  rcv.edge = max(rcv.edge, add(rcv.nxt, field << scale))
  return field
}

/** The application took octets: tell the peer if its window can now at least double (as Linux does). */
export function windowUpdateDue(tcb: Tcb): boolean {
  const { rcv, snd } = tcb
  const gain = diff(possibleEdge(tcb), rcv.edge)
  if (gain < Math.min(rcv.limit >> 1, snd.pathMss)) return false
  return gain >= receiveWindow(tcb)
}

/** Notes that a segment which acknowledges RCV.NXT goes out. */
export function acknowledged(tcb: Tcb): void {
  const { ack, rcv, timers } = tcb
  if (ack.owed > 0) ack.owed--
  if (ack.quick > 0 && ack.sent !== rcv.nxt) ack.quick--
  ack.sent = rcv.nxt
  timers.delayedAck = NEVER
}
