/**
 * The change of owner (design §1): the new owner stamps its id above everything sent before, makes the client
 * echo it as soon as it can, and knows when it does. What moves, and when, is not decided here.
 */
import type { Segment } from '../wire/segment.ts'
import { acknowledgeNow } from './acknowledgement.ts'
import { isEstablished } from './ending.ts'
import { CONFIRMED } from './events.ts'
import { backedOff } from './rtt.ts'
import { sentCount } from './sent-records.ts'
import { diff } from './seq.ts'
import { PENDING_OLD_OCTET, type Tcb } from './tcb.ts'
import { bumpTick } from './timestamps.ts'

/** Probes of one shift; after them the next transmission, or the client's, confirms it. */
export const MAX_SHIFT_PROBES = 10
/** ms before the first probe is repeated, where no round trip was measured, and at least. */
const FIRST_REPEAT_MS = 200
const MIN_REPEAT_MS = 5

const NEVER = Number.POSITIVE_INFINITY

/** The connection is one more, or one less, of this owner's open ones. */
export function countOwned(tcb: Tcb, change: 1 | -1): void {
  if (isEstablished(tcb.state)) tcb.config.counters.CurrEstab += change
}

/** Makes this owner the one that transmits from here on. */
export function adopt(tcb: Tcb, ownerId: number, now: number): void {
  const { shift, timers, ts, sent, config } = tcb
  if (tcb.state === 'CLOSED') return
  config.counters.ShiftAdopted++
  countOwned(tcb, 1)
  ts.ownerId = ownerId
  bumpTick(tcb, now)
  shift.tsVal = (ts.tick << config.ownerIdBits) | ownerId
  shift.probes = 0
  // Without timestamps the gateway was told by an element before: there is nothing that could be echoed.
  shift.pending = ts.on && tcb.state !== 'SYN-SENT'
  if (sentCount(sent) > 0 && timers.rto === NEVER) timers.rto = now + backedOff(tcb, tcb.recovery.retries)
  if (!shift.pending) return
  announce(tcb)
  timers.shift = now + repeatMs(tcb)
}

/**
 * Segments with the new id. An acknowledgement at SND.NXT moves the echo of a peer that has acknowledged all it has
 * received (RFC 7323 §4.3: SEG.SEQ <= Last.ACK.sent); where more is in flight than a peer may delay the acknowledgement of
 * (RFC 9293 §3.8.6.3: every second full-sized segment is acknowledged), that carries it. Otherwise an old octet follows,
 * which is answered at once; alone it would do for Linux, but RFC 7323 §5.3 (R2, R3) keeps no timestamp of a segment left of
 * the window. New data, if there is any to send, goes first and serves as well.
 */
function announce(tcb: Tcb): void {
  const { snd, state, shift } = tcb
  // What follows its handshake says it, too.
  if (state === 'SYN-RECEIVED' && shift.probes === 0) return
  acknowledgeNow(tcb)
  // Of a peer that may not have our SYN nothing is old; it drops the acknowledgement then (RFC 9293 §3.10.7.3, fifth).
  if (state === 'SYN-RECEIVED' || state === 'TIME-WAIT') return
  if (diff(snd.nxt, snd.una) <= 2 * snd.mss) snd.pending |= PENDING_OLD_OCTET
}

function repeatMs(tcb: Tcb): number {
  const { rtt, shift } = tcb
  const first = rtt.srttMs > 0 ? Math.max(2 * rtt.srttMs, MIN_REPEAT_MS) : FIRST_REPEAT_MS
  return Math.min(first * 2 ** shift.probes, tcb.config.rtoMaxMs)
}

/** The timer of the shift: no echo yet. */
export function repeatAnnouncement(tcb: Tcb, now: number): void {
  const { shift, timers } = tcb
  timers.shift = NEVER
  if (!shift.pending || shift.probes >= MAX_SHIFT_PROBES) return
  shift.probes++
  announce(tcb)
  timers.shift = now + repeatMs(tcb)
}

/** An acceptable segment arrived: whether it echoes a timestamp of this owner. */
export function noteEcho(tcb: Tcb, segment: Segment): void {
  const { shift, ts, config } = tcb
  if (!segment.hasTimestamps) return
  if ((segment.tsEcr & ((1 << config.ownerIdBits) - 1)) !== ts.ownerId) return
  if (((segment.tsEcr - shift.tsVal) | 0) < 0) return
  shift.pending = false
  tcb.timers.shift = NEVER
  tcb.events |= CONFIRMED
  config.counters.ShiftConfirmed++
}

/** Whether the peer's packets name this owner; true also where there are no timestamps to tell. */
export function confirmed(tcb: Tcb): boolean {
  return !tcb.shift.pending
}
