/**
 * Errors that do not end a connection (RFC 5461, RFC 9293 §3.9.2.2): what ICMP says of it, and that segments go
 * unacknowledged. They are kept in the TCB, told by an event, and are the reason if the connection times out later.
 */
import { type IcmpError, pathMtuOf } from '../wire/icmp.ts'
import { enterClosed } from './ending.ts'
import { RESET, SOFT_ERROR } from './events.ts'
import { tooBig } from './path-mtu.ts'
import { asSeq, diff } from './seq.ts'
import type { Tcb } from './tcb.ts'

export const SOFT_ERRORS = ['none', 'unreachable', 'prohibited', 'refused', 'retransmitting'] as const
export type SoftError = (typeof SOFT_ERRORS)[number]

/** Six bits (RFC 2474 §3). */
export const MAX_DSCP = 63

/** The latest error that did not end the connection. */
export function softError(tcb: Tcb): SoftError {
  return SOFT_ERRORS[tcb.user.softError] ?? 'none'
}

export function noteSoftError(tcb: Tcb, error: SoftError): void {
  tcb.user.softError = SOFT_ERRORS.indexOf(error)
  tcb.events |= SOFT_ERROR
}

/**
 * Takes in an ICMP error that quotes a segment of this flow; false where it is not believed: the quoted sequence
 * number is not in flight, as a blind attacker's hardly is (RFC 5927 §4.1). On an open connection no error is hard
 * (RFC 5927 §5.2, MUST-56), because whoever can be reached again will be; one that is being opened is refused.
 */
export function icmpArrives(tcb: Tcb, error: IcmpError, now: number): boolean {
  const { snd, config, state } = tcb
  const quoted = asSeq(error.seq)
  if (state === 'CLOSED' || diff(quoted, snd.una) < 0 || diff(quoted, snd.nxt) >= 0) {
    config.counters.OutOfWindowIcmps++
    return false
  }
  if (error.kind === 'packet-too-big') return tooBig(tcb, pathMtuOf(error), quoted, now)
  if (error.kind === 'refused' && (state === 'SYN-SENT' || state === 'SYN-RECEIVED'))
    enterClosed(tcb, state === 'SYN-SENT' ? RESET : 0)
  else noteSoftError(tcb, error.kind)
  return true
}
