/**
 * How a connection ends: into CLOSED for a reason, and into TIME-WAIT. Kept apart because every step of segment
 * arrival and every timer may get there.
 */
import { CLOSED, TIMED_OUT } from './events.ts'
import type { State, Tcb } from './tcb.ts'

const NEVER = Number.POSITIVE_INFINITY

/** RFC 4022 tcpCurrEstab counts these two. */
export function isEstablished(state: State): boolean {
  return state === 'ESTABLISHED' || state === 'CLOSE-WAIT'
}

/** Changes between two states that both are open. */
export function moveTo(tcb: Tcb, state: State): void {
  if (isEstablished(tcb.state) && !isEstablished(state)) tcb.config.counters.CurrEstab--
  tcb.state = state
}

export function disarmAll(tcb: Tcb): void {
  const { timers } = tcb
  timers.rto = NEVER
  timers.lossProbe = NEVER
  timers.reorder = NEVER
  timers.persist = NEVER
  timers.delayedAck = NEVER
  timers.keepalive = NEVER
  timers.lifetime = NEVER
  timers.shift = NEVER
}

/** CLOSED: nothing is sent any more but what is pending, and no timer runs. `why` are event bits beside CLOSED. */
export function enterClosed(tcb: Tcb, why: number): void {
  if (tcb.state === 'CLOSED') return
  const { counters } = tcb.config
  // RFC 4022 tcpAttemptFails and tcpEstabResets: straight to CLOSED from these states, whatever the reason.
  if (tcb.state === 'SYN-SENT' || tcb.state === 'SYN-RECEIVED') counters.AttemptFails++
  else if (isEstablished(tcb.state)) counters.EstabResets++
  if ((why & TIMED_OUT) !== 0) counters.TCPAbortOnTimeout++
  moveTo(tcb, 'CLOSED')
  tcb.snd.pending = 0
  tcb.ack.owed = 0
  tcb.events |= CLOSED | why
  disarmAll(tcb)
}

/** How long FIN-WAIT-2 lasts: without end where somebody reads (RFC 9293 §3.6); tcp_fin_timeout of Linux is of others, too. */
export function awaitPeerFin(tcb: Tcb, now: number): void {
  tcb.timers.lifetime = tcb.user.halfOpen ? NEVER : now + tcb.config.finWait2Ms
}

/** Both FINs are through: wait for two segment lifetimes, only acknowledging (RFC 9293 §3.10.7.4). */
export function enterTimeWait(tcb: Tcb, now: number): void {
  moveTo(tcb, 'TIME-WAIT')
  disarmAll(tcb)
  tcb.timers.lifetime = now + tcb.config.timeWaitMs
}
