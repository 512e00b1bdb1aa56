/**
 * Segments with octets: retransmissions, new data in super-segments, and the tail loss probe. How much cwnd
 * allows is decided by `congestion.ts` and `recovery.ts`; here that is turned into segments worth sending.
 */
import { MAX_PAYLOAD_OCTETS } from '../wire/emit.ts'
import { ACK, CWR, FIN, PSH } from '../wire/segment.ts'
import { noteLimit, noteUse, resumeAfterIdle } from './congestion.ts'
import { STARVED } from './events.ts'
import { fillHeader } from './header.ts'
import { mtuProbeSent, probePayload } from './mtu-search.ts'
import { armRetransmission, noteUnanswered, scheduleLossProbe } from './rack.ts'
import { pipe } from './recovery.ts'
import { backedOff } from './rtt.ts'
import { pendingSackBlocks, sackOptionOctets } from './sack.ts'
import {
  appendRecord,
  endOf,
  firstLost,
  flagsOf,
  isFull,
  markRetransmitted,
  RETRANSMITTED,
  sentAtOf,
  sentCount,
  split,
  startOf,
} from './sent-records.ts'
import { add, diff, lt, type Seq } from './seq.ts'
import { PENDING_LOSS_PROBE, PENDING_OLD_OCTET, PENDING_OVERRIDE, type Tcb } from './tcb.ts'
import type { Transmission } from './transmission.ts'

/** A window of at least so many segments waits for room worth sending, rather than answer each acknowledgement. */
const MIN_DEFER_SEGMENTS = 16
/** The part of the window that is worth sending at once (Linux tcp_tso_win_divisor is 3). */
const DEFER_DIVISOR = 4
/** Waiting for more room costs throughput: at most for what the window sends in so many ms (Linux tcp_tso_autosize: 1). */
const MAX_DEFER_MS = 1
/** ms that tell two transmissions of one instant apart; what a snapshot keeps of a time. */
const ORDER_GRAIN_MS = 0.001
/** The ECN codepoint ECT(0). */
const ECT0 = 2

const NEVER = Number.POSITIVE_INFINITY

/** Octets of payload for a packet of the next segment. */
function segmentOctets(tcb: Tcb): number {
  const { mss } = tcb.snd
  const blocks = pendingSackBlocks(tcb)
  return blocks === 0 ? mss : mss - sackOptionOctets(blocks)
}

/** A whole number of segments, where there is at least one. */
function wholeSegments(octets: number, size: number): number {
  return octets < size ? octets : octets - (octets % size)
}

/** Octets that were appended and never sent. */
export function unsentOctets(tcb: Tcb): number {
  const { snd, sendQueue } = tcb
  const sent = diff(snd.nxt, sendQueue.base) - (snd.finSent ? 1 : 0)
  return sendQueue.octets - Math.max(sent, 0)
}

/** The octets from `seq` on that are in memory, of `length`; none: the connection waits to be woken. */
function residentOctets(tcb: Tcb, seq: Seq, length: number): number {
  if (length === 0) return 0
  const found = tcb.sendQueue.resident(seq, length)
  if (found === 0) {
    tcb.snd.starved = true
    tcb.snd.starvedSeq = seq
    tcb.events |= STARVED
  }
  return found
}

/** States in which data and a FIN may be sent for the first time. */
function maySend(tcb: Tcb): boolean {
  return (
    tcb.state === 'ESTABLISHED' ||
    tcb.state === 'CLOSE-WAIT' ||
    ((tcb.state === 'FIN-WAIT-1' || tcb.state === 'CLOSING' || tcb.state === 'LAST-ACK') && !tcb.snd.finSent)
  )
}

export function newData(tcb: Tcb, now: number, out: Transmission): boolean {
  const { snd, sent } = tcb
  const unsent = unsentOctets(tcb)
  const finWaits = snd.finQueued && !snd.finSent
  if ((unsent <= 0 && !finWaits) || !maySend(tcb) || snd.starved || isFull(sent)) return false
  if (sent.head === sent.tail) resumeAfterIdle(tcb, now)
  const windowRoom = diff(add(snd.una, snd.wnd), snd.nxt)
  const cwndRoom = roomInCwnd(tcb)
  const size = segmentOctets(tcb)
  let length = worthSending(tcb, unsent, windowRoom, cwndRoom, size)
  const probe =
    tcb.mtu.probeAt <= now && size === snd.mss ? probePayload(tcb, unsent, Math.min(windowRoom, cwndRoom)) : 0
  if (probe > 0) length = probe
  if (length === 0 && cwndRoom < unsent && cwndRoom < windowRoom) noteLimit(tcb)
  if (length > 0) {
    const found = residentOctets(tcb, snd.nxt, length)
    if (found === 0) return false
    if (found < length) length = wholeSegments(found, size)
  }
  const fin = finWaits && length === unsent && windowRoom > length && cwndRoom > 0
  if (length === 0 && !fin) {
    if (windowRoom < Math.min(unsent, size) + (finWaits ? 1 : 0) || windowRoom <= 0) armPersist(tcb, now)
    return false
  }
  sendNew(tcb, now, length, fin, length === unsent, out)
  if (probe > 0 && length === probe) {
    out.segmentSize = probe
    mtuProbeSent(tcb, probe)
  }
  return true
}

/** What may be added to the network; a loss probe may send one segment beyond cwnd. */
function roomInCwnd(tcb: Tcb): number {
  const room = tcb.congestion.cwnd - pipe(tcb)
  return (tcb.snd.pending & PENDING_LOSS_PROBE) !== 0 ? Math.max(room, tcb.snd.mss) : room
}

/**
 * Octets to send now, or 0 to wait: whole segments while more is queued, the sender's side of silly window
 * avoidance (RFC 9293 §3.8.6.2.1, MUST-38), and super-segments worth their cost while acknowledgements are due.
 */
function worthSending(tcb: Tcb, unsent: number, windowRoom: number, cwndRoom: number, size: number): number {
  const { snd, congestion, sent } = tcb
  // CWR belongs to one segment (RFC 3168 §6.1.2), so no super-segment carries it.
  const most = tcb.ecn.cwr ? size : MAX_PAYLOAD_OCTETS
  const room = Math.min(windowRoom, cwndRoom)
  if (unsent <= room && unsent <= most) {
    if (tcb.user.nagle && unsent < size && sent.inFlight > 0 && !snd.finQueued) return 0
    return unsent
  }
  if (room >= size) {
    if (tcb.ecn.cwr) return size
    const whole = wholeSegments(Math.min(room, most), size)
    const window = Math.min(congestion.cwnd, snd.wnd)
    if (sent.inFlight === 0 || tcb.recovery.phase !== 'OPEN' || window < MIN_DEFER_SEGMENTS * size)
      return whole
    if ((snd.pending & PENDING_LOSS_PROBE) !== 0) return whole
    return room >= worthWaitingFor(tcb, window, size) ? whole : 0
  }
  // Less than a segment: only for a peer whose whole window is small, or when the override timer says so.
  if (room <= 0 || cwndRoom < Math.min(size, unsent)) return 0
  if (windowRoom >= snd.maxWnd / 2 || (snd.pending & PENDING_OVERRIDE) !== 0) return Math.min(room, unsent)
  return 0
}

/**
 * The room that a super-segment waits for while acknowledgements are due. On a long path the window is not kept from
 * the network for it: a quarter of a window of 64 KiB over 50 ms cost 22 % of the throughput.
 */
function worthWaitingFor(tcb: Tcb, window: number, size: number): number {
  const { srttMs } = tcb.rtt
  const part =
    srttMs > DEFER_DIVISOR * MAX_DEFER_MS ? (window * MAX_DEFER_MS) / srttMs : window / DEFER_DIVISOR
  return Math.min(MAX_PAYLOAD_OCTETS - size, part)
}

function sendNew(
  tcb: Tcb,
  now: number,
  length: number,
  fin: boolean,
  push: boolean,
  out: Transmission,
): void {
  const { snd, sent, ack, ecn, recovery, timers } = tcb
  const seq = snd.nxt
  let flags = ACK
  if (push && length > 0) flags |= PSH
  if (fin) flags |= FIN
  if (ecn.cwr && length > 0) {
    flags |= CWR
    ecn.cwr = false
  }
  fillHeader(tcb, now, seq, flags, out)
  out.payloadSeq = seq
  out.payloadLength = length
  if (ecn.on && length > 0) out.ecn = ECT0
  snd.nxt = add(seq, length + (fin ? 1 : 0))
  if (fin) snd.finSent = true
  if (now > snd.lastAt) snd.lastAt = now
  appendRecord(sent, seq, snd.nxt, snd.lastAt, 0)
  ack.quick = 0
  timers.persist = NEVER
  if (recovery.phase !== 'OPEN') {
    recovery.prrOut += length
    recovery.prrForce = false
  } else noteUse(tcb)
  if (timers.rto === NEVER) armRetransmission(tcb, now)
  const probe = (snd.pending & PENDING_LOSS_PROBE) !== 0
  // New data makes every other probe needless, too.
  snd.pending &= ~(PENDING_LOSS_PROBE | PENDING_OVERRIDE | PENDING_OLD_OCTET)
  if (probe) probeSent(tcb, now, false)
  else scheduleLossProbe(tcb, now)
}

/** The window is closed or too small, and nothing in flight will tell when it opens (RFC 9293 §3.8.6.1). */
function armPersist(tcb: Tcb, now: number): void {
  const { timers } = tcb
  if (sentCount(tcb.sent) > 0 || timers.persist !== NEVER) return
  timers.persist = now + backedOff(tcb, timers.persistCount)
}

/** RFC 6675 NextSeg (1): the first octets found lost, as many as cwnd and the window allow. */
export function retransmission(tcb: Tcb, now: number, out: Transmission): boolean {
  const { snd, sent, congestion, recovery } = tcb
  const index = firstLost(sent)
  if (index < 0 || snd.starved) return false
  const start = startOf(sent, index)
  const octets = diff(endOf(sent, index), start)
  const size = segmentOctets(tcb)
  let room = congestion.cwnd - pipe(tcb)
  if (recovery.prrForce) room = Math.max(room, size)
  const windowRoom = diff(add(snd.una, snd.wnd), start)
  // The first segment goes whatever the window says: it was offered once (RFC 9293 MUST-34).
  room = Math.min(room, start === snd.una ? Math.max(windowRoom, size) : windowRoom)
  const most = Math.min(room, MAX_PAYLOAD_OCTETS)
  const length = octets <= most ? octets : wholeSegments(most, size)
  if (length <= 0 || (length < size && length < octets)) return false
  return sendAgain(tcb, now, index, length, out)
}

/** Our FIN is the last sequence number that was sent. */
function coversFin(tcb: Tcb, start: Seq, length: number): boolean {
  return tcb.snd.finSent && add(start, length) === tcb.snd.nxt
}

/**
 * When a repetition is sent: now, but after new octets that were sent at this same instant. RACK orders equal times by
 * sequence number (RFC 8985 §6.2), and would find the repetition lost as soon as those octets arrive.
 */
function repetitionTime(tcb: Tcb, now: number): number {
  const { snd, sent } = tcb
  if (now > snd.lastAt) return now
  const last = sentCount(sent) - 1
  const afterNew = (flagsOf(sent, last) & RETRANSMITTED) === 0 && sentAtOf(sent, last) === snd.lastAt
  return afterNew ? snd.lastAt + ORDER_GRAIN_MS : snd.lastAt
}

/** Sends the first `length` sequence numbers of record `index` again. */
function sendAgain(tcb: Tcb, now: number, index: number, wanted: number, out: Transmission): boolean {
  const { snd, sent, recovery, config } = tcb
  const start = startOf(sent, index)
  let length = wanted
  const payload = coversFin(tcb, start, length) ? length - 1 : length
  if (payload > 0) {
    const found = residentOctets(tcb, start, payload)
    if (found === 0) return false
    if (found < payload) length = wholeSegments(found, segmentOctets(tcb))
  }
  const end = add(start, length)
  if (lt(end, endOf(sent, index)) && !split(sent, index, end)) {
    // The list is full: the record goes whole or not at all.
    if (diff(endOf(sent, index), start) > MAX_PAYLOAD_OCTETS) return false
    length = diff(endOf(sent, index), start)
  }
  const fin = coversFin(tcb, start, length)
  const octets = fin ? length - 1 : length
  fillHeader(tcb, now, start, fin ? ACK | FIN : ACK, out)
  out.payloadSeq = start
  out.payloadLength = octets
  out.retransmission = true
  // In octets, not in sequence numbers: a queue may be longer than those can tell apart.
  if (octets > 0 && diff(start, tcb.sendQueue.base) + octets >= tcb.sendQueue.octets) out.flags |= PSH
  if (start === snd.una) noteUnanswered(tcb, now)
  snd.lastAt = repetitionTime(tcb, now)
  markRetransmitted(sent, index, snd.lastAt)
  const packets = Math.max(1, Math.ceil(octets / Math.max(out.segmentSize, 1)))
  config.counters.RetransSegs += packets
  if (recovery.phase === 'LOSS') config.counters.TCPSlowStartRetrans += packets
  else config.counters.TCPFastRetrans += packets
  recovery.undoOctets += length
  recovery.prrOut += length
  recovery.prrForce = false
  if (start === snd.una) armRetransmission(tcb, now)
  return true
}

/** RFC 8985 §7.3: new data went already if it could; else the last segment again. */
export function lossProbe(tcb: Tcb, now: number, out: Transmission): boolean {
  const { snd, sent } = tcb
  snd.pending &= ~PENDING_LOSS_PROBE
  const last = sentCount(sent) - 1
  if (last < 0 || sent.lost > 0 || sent.sacked > 0) return false
  const size = segmentOctets(tcb)
  const from = add(endOf(sent, last), -size)
  const cut = lt(startOf(sent, last), from) && split(sent, last, from)
  const index = cut ? last + 1 : last
  const length = diff(endOf(sent, index), startOf(sent, index))
  if (!sendAgain(tcb, now, index, Math.min(length, MAX_PAYLOAD_OCTETS), out)) return false
  probeSent(tcb, now, true)
  return true
}

/** RFC 8985 §7.3: one probe is out, and then the retransmission timer. */
function probeSent(tcb: Tcb, now: number, retransmits: boolean): void {
  const { snd, recovery, timers } = tcb
  recovery.probeOut = true
  recovery.probeRetransmits = retransmits
  recovery.probeEnd = snd.nxt
  tcb.config.counters.TCPLossProbes++
  timers.lossProbe = NEVER
  armRetransmission(tcb, now)
}
