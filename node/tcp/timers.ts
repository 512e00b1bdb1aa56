/**
 * The deadlines of a connection and what happens at each. There is no timer here: the caller asks `pollAt` when
 * to come back, and calls `expire` then, late or early.
 */
import { acknowledgeNow } from './acknowledgement.ts'
import { repeatAnnouncement } from './adoption.ts'
import { enterClosed } from './ending.ts'
import { TIMED_OUT } from './events.ts'
import { isCongestion, timedOut } from './mtu-search.ts'
import { unsentOctets } from './output-data.ts'
import { armRetransmission, detectLoss, noteUnanswered } from './rack.ts'
import { enterLoss, enterRecovery } from './recovery.ts'
import { backedOff } from './rtt.ts'
import { flagsOf, LOST, markLost, sentCount } from './sent-records.ts'
import { add, diff } from './seq.ts'
import { noteSoftError } from './soft-error.ts'
import { PENDING_LOSS_PROBE, PENDING_OLD_OCTET, PENDING_OVERRIDE, PENDING_RST, type Tcb } from './tcb.ts'

const NEVER = Number.POSITIVE_INFINITY
/** A peer whose zero-window probes stay unanswered so long is gone: more than R2's 100 s (RFC 9293 SHLD-11). */
const MAX_PROBE_SILENCE_MS = 120_000

/** When `expire` has something to do next; Infinity: never. */
export function pollAt(tcb: Tcb): number {
  const { timers } = tcb
  let at = timers.rto
  if (timers.lossProbe < at) at = timers.lossProbe
  if (timers.reorder < at) at = timers.reorder
  if (timers.persist < at) at = timers.persist
  if (timers.delayedAck < at) at = timers.delayedAck
  if (timers.keepalive < at) at = timers.keepalive
  if (timers.lifetime < at) at = timers.lifetime
  if (timers.shift < at) at = timers.shift
  return at
}

export function expire(tcb: Tcb, now: number): void {
  const { timers } = tcb
  if (timers.delayedAck <= now) {
    timers.delayedAck = NEVER
    tcb.config.counters.DelayedACKs++
    acknowledgeNow(tcb)
  }
  if (timers.reorder <= now) reorderingTimeout(tcb, now)
  // Before the retransmission timer, which it replaces (RFC 8985 §7.2).
  if (timers.lossProbe <= now) lossProbeTimeout(tcb, now)
  if (timers.rto <= now) retransmissionTimeout(tcb, now)
  if (timers.persist <= now) persistTimeout(tcb, now)
  if (timers.keepalive <= now) keepaliveTimeout(tcb, now)
  if (timers.shift <= now) repeatAnnouncement(tcb, now)
  if (timers.lifetime <= now) enterClosed(tcb, tcb.state === 'TIME-WAIT' ? 0 : TIMED_OUT)
}

/** RFC 8985 §6.2: the time for reordering is over. */
function reorderingTimeout(tcb: Tcb, now: number): void {
  const { phase } = tcb.recovery
  if (detectLoss(tcb, now) && (phase === 'OPEN' || phase === 'CWR') && isCongestion(tcb, now))
    enterRecovery(tcb)
}

function lossProbeTimeout(tcb: Tcb, now: number): void {
  const { timers, snd } = tcb
  timers.lossProbe = NEVER
  if (sentCount(tcb.sent) === 0) return
  timers.rto = now + backedOff(tcb, tcb.recovery.retries)
  if (!snd.starved) snd.pending |= PENDING_LOSS_PROBE
}

function retransmissionTimeout(tcb: Tcb, now: number): void {
  const { timers, recovery, sent, config, snd } = tcb
  timers.rto = NEVER
  if (sentCount(sent) === 0) return
  if (snd.starved) {
    // We have nothing to send it from; that is no sign from the network.
    timers.rto = now + backedOff(tcb, recovery.retries)
    return
  }
  config.counters.TCPTimeouts++
  noteUnanswered(tcb, now)
  if (recovery.retries >= maxRetries(tcb) || now - recovery.retriesAt >= tcb.user.timeoutMs) {
    enterClosed(tcb, TIMED_OUT)
    return
  }
  recovery.retries++
  if (recovery.retries === config.troubleRetries) noteSoftError(tcb, 'retransmitting')
  timers.lossProbe = NEVER
  if (tcb.state === 'SYN-SENT' || tcb.state === 'SYN-RECEIVED') {
    if ((flagsOf(sent, 0) & LOST) === 0) markLost(sent, 0)
  } else {
    timedOut(tcb, now)
    enterLoss(tcb, now)
  }
  armRetransmission(tcb, now)
}

/** R2 (RFC 9293 §3.8.3, MUST-20 and MUST-23). */
function maxRetries(tcb: Tcb): number {
  const { config, state } = tcb
  if (state === 'SYN-SENT') return config.synRetries
  if (state === 'SYN-RECEIVED') return config.synAckRetries
  return tcb.snd.finQueued ? config.closedRetries : config.retries
}

/** RFC 9293 §3.8.6.1: the window may have opened, and the news been lost. */
function persistTimeout(tcb: Tcb, now: number): void {
  const { timers, snd, config, rcv } = tcb
  timers.persist = NEVER
  if (sentCount(tcb.sent) > 0 || (unsentOctets(tcb) <= 0 && (!snd.finQueued || snd.finSent))) return
  const silence = now - rcv.lastAt
  const patience = Math.min(Math.max(MAX_PROBE_SILENCE_MS, 2 * config.rtoMaxMs), tcb.user.timeoutMs)
  if (timers.persistCount > 3 && silence > patience) {
    enterClosed(tcb, TIMED_OUT)
    return
  }
  timers.persistCount++
  config.counters.TCPWinProbe++
  snd.pending |= diff(add(snd.una, snd.wnd), snd.nxt) > 0 ? PENDING_OVERRIDE : PENDING_OLD_OCTET
  timers.persist = now + backedOff(tcb, timers.persistCount)
}

/** RFC 9293 §3.8.4: only while the connection is idle, and never closed by one unanswered probe (MUST-26, MUST-29). */
function keepaliveTimeout(tcb: Tcb, now: number): void {
  const { timers, config, rcv, snd, user } = tcb
  timers.keepalive = now + user.keepaliveIdleMs
  if (tcb.state === 'TIME-WAIT' || sentCount(tcb.sent) > 0) return
  const due = rcv.lastAt + user.keepaliveIdleMs
  if (timers.keepaliveCount === 0 && due > now) {
    timers.keepalive = due
    return
  }
  if (timers.keepaliveCount >= config.keepaliveProbes) {
    enterClosed(tcb, TIMED_OUT)
    snd.pending |= PENDING_RST
    return
  }
  timers.keepaliveCount++
  config.counters.TCPKeepAlive++
  snd.pending |= PENDING_OLD_OCTET
  timers.keepalive = now + config.keepaliveIntervalMs
}
