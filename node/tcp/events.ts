/**
 * What a connection tells its application, as bits of one number: the core sets them, `takeEvents` reads and
 * clears them. They say that something changed, never how much; the TCB says that.
 */
import type { Tcb } from './tcb.ts'

/** The handshake is complete: octets may be received from now on. */
export const ESTABLISHED = 0x001
/** Unread octets were added. */
export const READABLE = 0x002
/** The peer acknowledged octets: the send queue has more room. */
export const ACKED = 0x004
/** The peer sent its FIN and everything before it was received: no more octets will come. */
export const PEER_FIN = 0x008
/** Our FIN was acknowledged: the peer has every octet. */
export const FIN_ACKED = 0x010
/** The state is CLOSED: the TCB may be deleted as soon as `nextSegment` returns false. */
export const CLOSED = 0x020
/** Comes with CLOSED: the peer reset (or refused) the connection. */
export const RESET = 0x040
/** Comes with CLOSED: the peer did not answer within the retries or the time allowed. */
export const TIMED_OUT = 0x080
/** The next octets to send are not resident: load what is at `starvedPlace(tcb)`, then call `wake(tcb)`. */
export const STARVED = 0x100
/** After `adopt`: a segment that echoes our own owner id arrived, so the peer's packets reach us directly. */
export const CONFIRMED = 0x200

/** The peer has urgent octets on the way: `urgentOctets(tcb)` says how many (RFC 9293 MUST-32). */
export const URGENT = 0x400
/** Something stands in the way of the octets, `softError(tcb)`; the connection goes on. */
export const SOFT_ERROR = 0x800

export function takeEvents(tcb: Tcb): number {
  const events = tcb.events
  tcb.events = 0
  return events
}
