/**
 * The calls of an application (RFC 9293 §3.10.1–3.10.6): sending octets or references, closing, aborting, and
 * taking what was received. Sending is done later, by `nextSegment`. Every call takes `now` last, as the core has
 * no clock; those that need none leave it unread.
 */
import { acknowledgeNow, windowUpdateDue } from './acknowledgement.ts'
import type { Content, Run } from './content.ts'
import { enterClosed, moveTo } from './ending.ts'
import { contiguousRun, dropUnread, retain } from './receive-queue.ts'
import type { Place } from './send-queue.ts'
import { PENDING_RST, type Tcb } from './tcb.ts'

/** ms over which the application's taking is measured, at least: shorter round trips are below our batches. */
const MIN_TUNE_MS = 2
/** The same where no round trip was measured. */
const DEFAULT_TUNE_MS = 100

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
  tune(tcb, taken, now)
  if (tcb.state === 'CLOSED' || tcb.rcv.finKnown) return
  if (windowUpdateDue(tcb)) acknowledgeNow(tcb)
}

/**
 * Receive window auto-tuning: room for twice what the application takes in a round trip, and for twice the growth on top
 * of that (Linux tcp_rcv_space_adjust), because a slow start has doubled once more when the news of the window arrives.
 */
function tune(tcb: Tcb, taken: number, now: number): void {
  const { rcv, rtt, config } = tcb
  rcv.tuneOctets += taken
  const period = rtt.srttMs > 0 ? Math.max(rtt.srttMs, MIN_TUNE_MS) : DEFAULT_TUNE_MS
  if (now - rcv.tuneAt < period) return
  const wanted = 2 * rcv.tuneOctets
  if (tcb.scaled && wanted > rcv.limit && rcv.limit < config.receiveMaxOctets) {
    const growth = (wanted - rcv.limit) / rcv.limit
    rcv.limit = Math.min(Math.floor(wanted * (1 + 2 * growth)), 4 * rcv.limit, config.receiveMaxOctets)
  }
  rcv.tuneOctets = 0
  rcv.tuneAt = now
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
