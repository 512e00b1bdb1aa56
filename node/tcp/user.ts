/**
 * The calls of an application (RFC 9293 §3.10.1–3.10.6): sending octets or references, closing, aborting, and
 * taking what was received. Sending is done later, by `nextSegment`. Every call takes `now` last, as the core has
 * no clock; those that need none leave it unread.
 */
import { acknowledgeNow, windowUpdateDue } from './acknowledgement.ts'
import { DEFAULT_KEEPALIVE_IDLE_MS } from './config.ts'
import type { Content, Run } from './content.ts'
import { awaitPeerFin, enterClosed, moveTo } from './ending.ts'
import { contiguousRun, dropUnread, retain } from './receive-queue.ts'
import { tuneReceiveWindow } from './receive-tuning.ts'
import type { Place } from './send-queue.ts'
import { diff, gt } from './seq.ts'
import { MAX_DSCP } from './soft-error.ts'
import { PENDING_RST, type Tcb } from './tcb.ts'

/** RFC 9293 §3.10.2: states in which more may be sent. */
function maySend(tcb: Tcb): boolean {
  if (tcb.snd.finQueued) return false
  switch (tcb.state) {
    case 'SYN-SENT':
    case 'SYN-RECEIVED':
    case 'ESTABLISHED':
    case 'CLOSE-WAIT':
      return true
    default:
      return false
  }
}

/**
 * Queues octets, which must never change from now on, by reference. Returns how many were taken: fewer than
 * given where `sendMaxOctets` of owned octets wait already, none where the connection is closing.
 */
export function send(tcb: Tcb, octets: Uint8Array, _now?: number): number {
  if (!maySend(tcb)) return 0
  const { sendQueue, config } = tcb
  const room = config.sendMaxOctets - sendQueue.ownedOctets
  if (room <= 0) return 0
  if (octets.length <= room) return sendQueue.append(octets) ? octets.length : 0
  return sendQueue.append(octets.subarray(0, room)) ? room : 0
}

/** Queues a stretch of a content; false where the connection is closing or its queue has its most pieces. */
export function sendContent(
  tcb: Tcb,
  content: Content,
  offset: number,
  length: number,
  _now?: number,
): boolean {
  return maySend(tcb) && tcb.sendQueue.appendContent(content, offset, length)
}

/** No more octets will be sent; receiving goes on (RFC 9293 §3.10.4). */
export function close(tcb: Tcb, _now?: number): void {
  const { snd } = tcb
  if (snd.finQueued) return
  switch (tcb.state) {
    case 'SYN-SENT':
      enterClosed(tcb, 0)
      return
    case 'SYN-RECEIVED':
      snd.finQueued = true
      return
    case 'ESTABLISHED':
      snd.finQueued = true
      moveTo(tcb, 'FIN-WAIT-1')
      return
    case 'CLOSE-WAIT':
      snd.finQueued = true
      moveTo(tcb, 'LAST-ACK')
      return
    default:
  }
}

/** Ends the connection at once, with a reset where the peer still counts on it (RFC 9293 §3.10.5). */
export function abort(tcb: Tcb): void {
  const { state } = tcb
  if (state === 'CLOSED') return
  enterClosed(tcb, 0)
  if (state === 'SYN-SENT' || state === 'CLOSING' || state === 'LAST-ACK' || state === 'TIME-WAIT') return
  tcb.snd.pending = PENDING_RST
}

/** Octets received in order that were not consumed. */
export function unreadOctets(tcb: Tcb): number {
  return tcb.receiveQueue.octets
}

/** The peer's FIN has come, behind everything that was received (RFC 9293 §3.3.2). */
export function hasPeerFinished({ state }: Tcb): boolean {
  switch (state) {
    case 'CLOSE-WAIT':
    case 'LAST-ACK':
    case 'CLOSING':
    case 'TIME-WAIT':
    case 'CLOSED':
      return true
    default:
      return false
  }
}

/** Octets up to the end of the peer's urgent ones, unread or still on the way; 0: none (RFC 9293 MUST-33). */
export function urgentOctets(tcb: Tcb): number {
  const { rcv, receiveQueue } = tcb
  // The FIN has a number, but is no octet.
  const end = rcv.finKnown && gt(rcv.nxt, rcv.fin) ? rcv.fin : rcv.nxt
  return rcv.urgent ? Math.max(0, diff(rcv.up, end) + receiveQueue.octets) : 0
}

/** The first of them, as far as they lie together; valid until the next call on this connection. */
export function unread(tcb: Tcb): Run {
  return tcb.receiveQueue.first
}

/** The first `octets` of them (fewer if there are fewer) in one run, copied together where they were not. */
export function contiguous(tcb: Tcb, octets: number): Run {
  return contiguousRun(tcb.receiveQueue, octets)
}

/** Copies what is unread and still borrowed from a packet: before that packet's buffer is used again. */
export function retainUnread(tcb: Tcb): void {
  retain(tcb.receiveQueue)
}

/** The application is done with the first `octets` unread ones. */
export function consume(tcb: Tcb, octets: number, now: number): void {
  const taken = dropUnread(tcb.receiveQueue, octets)
  if (taken === 0) return
  if (tcb.rcv.urgent && urgentOctets(tcb) === 0) tcb.rcv.urgent = false
  tuneReceiveWindow(tcb, taken, now)
  if (tcb.state === 'CLOSED' || tcb.rcv.finKnown) return
  if (windowUpdateDue(tcb)) acknowledgeNow(tcb)
}

/** After a STARVED event: where in which content the octets stand that are wanted; undefined where they no longer are. */
export function starvedPlace(tcb: Tcb): Place | undefined {
  const { snd, sendQueue } = tcb
  return snd.starved ? sendQueue.contentAt(snd.starvedSeq) : undefined
}

/** The octets at `starvedPlace` are resident now, or shall be looked for again. */
export function wake(tcb: Tcb): void {
  tcb.snd.starved = false
}

/** Holds small segments back while octets are in flight, or not (RFC 9293 §3.7.4, MUST-17). */
export function setNagle(tcb: Tcb, on: boolean): void {
  tcb.user.nagle = on
}

/** ms of silence before a keepalive, at least 1 (default two hours); Infinity turns them off (MUST-24, MUST-27). */
export function setKeepalive(tcb: Tcb, now: number, idleMs = DEFAULT_KEEPALIVE_IDLE_MS): void {
  tcb.user.keepaliveIdleMs = Math.max(idleMs, 1)
  tcb.timers.keepaliveCount = 0
  const open = tcb.state !== 'CLOSED' && tcb.state !== 'SYN-SENT' && tcb.state !== 'SYN-RECEIVED'
  if (open && tcb.state !== 'TIME-WAIT') tcb.timers.keepalive = now + tcb.user.keepaliveIdleMs
}

/** ms, at least 1, that sent octets may stay unacknowledged; Infinity: R2 alone (MUST-21). Never told to the peer. */
export function setUserTimeout(tcb: Tcb, timeoutMs: number): void {
  tcb.user.timeoutMs = Math.max(timeoutMs, 1)
}

/**
 * Whether the application reads on after `close` (RFC 9293 §3.6): it waits for the peer's FIN without end then. At first, and
 * where not, `finWait2Ms` of silence in FIN-WAIT-2 drop the connection.
 */
export function setHalfOpen(tcb: Tcb, on: boolean, now: number): void {
  if (tcb.user.halfOpen === on) return
  tcb.user.halfOpen = on
  if (tcb.state === 'FIN-WAIT-2') awaitPeerFin(tcb, now)
}

/** The Differentiated Services field of the segments from now on, 0–63 (MUST-48, SHLD-21). */
export function setDiffserv(tcb: Tcb, dscp: number): void {
  tcb.user.dscp = dscp & MAX_DSCP
}
