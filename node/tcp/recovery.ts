/**
 * What happens to the congestion window when something was lost or marked: fast recovery paced by PRR (RFC
 * 6937), the reduction after ECE (RFC 3168), the timeout (RFC 6298, 5681), and taking any of them back when it
 * turns out that nothing was lost (RFC 5682, 3708). What is lost is found by `rack.ts`.
 */
import { grow, initialWindow, reduce } from './congestion.ts'
import {
  type Delivery,
  flagsOf,
  forgetSacked,
  markTimedOut,
  SACKED,
  sentCount,
  unmarkLost,
} from './sent-records.ts'
import { diff, ge, le, type Seq } from './seq.ts'
import type { Phase, Tcb } from './tcb.ts'

const NEVER = Number.POSITIVE_INFINITY

/** Octets believed to be in the network; each duplicate acknowledgement stands for a segment that left it. */
export function pipe(tcb: Tcb): number {
  const { inFlight } = tcb.sent
  if (tcb.recovery.duplicates === 0) return inFlight
  return Math.max(0, inFlight - tcb.recovery.duplicates * tcb.snd.mss)
}

/** Remembers what a reduction can be undone to. A phase that follows another undoes to before both. */
function keepForUndo(tcb: Tcb): void {
  const { congestion, recovery, snd } = tcb
  if (recovery.phase === 'OPEN') {
    recovery.undoCwnd = congestion.cwnd
    recovery.undoSsthresh = congestion.ssthresh
    recovery.undoWMax = congestion.wMax
    recovery.undoOctets = 0
    recovery.undoUna = snd.una
  } else if (recovery.phase === 'CWR') recovery.undoCwnd = 0
}

function begin(tcb: Tcb, phase: Phase): void {
  const { recovery, snd } = tcb
  recovery.phase = phase
  recovery.point = snd.nxt
  recovery.prrDelivered = 0
  recovery.prrOut = 0
  recovery.prrFlight = Math.max(diff(snd.nxt, snd.una), 1)
  recovery.prrForce = phase === 'RECOVERY'
  recovery.frto = false
  recovery.probeOut = false
  // RFC 3168 §6.1.2: CWR tells of every reduction, whatever its reason, with the first new octets after it.
  tcb.ecn.cwr = tcb.ecn.on
}

/** RFC 6675 §5 (4), with CUBIC's reduction: something was found lost outside of a recovery. */
export function enterRecovery(tcb: Tcb): void {
  const counters = tcb.config.counters
  if (tcb.sack) counters.TCPSackRecovery++
  else counters.TCPRenoRecovery++
  keepForUndo(tcb)
  if (tcb.recovery.phase === 'OPEN') reduce(tcb)
  begin(tcb, 'RECOVERY')
  tcb.congestion.cwnd = pipe(tcb) + tcb.snd.mss
}

/** RFC 3168 §6.1.2: ECE reduces once in a window of data. */
export function reduceForEcn(tcb: Tcb): void {
  const { recovery } = tcb
  if (recovery.phase !== 'OPEN') return
  tcb.config.counters.TCPECNReductions++
  recovery.undoCwnd = 0
  reduce(tcb)
  begin(tcb, 'CWR')
}

/** RFC 6937 §3 with the rule of its successor: grow like slow start only while nothing more is lost. */
function paceReduction(tcb: Tcb, delivered: number, advanced: boolean, newlyLost: boolean): void {
  const { congestion, recovery, snd } = tcb
  recovery.prrDelivered += delivered
  const flight = pipe(tcb)
  let room: number
  if (flight > congestion.ssthresh)
    room = Math.ceil((recovery.prrDelivered * congestion.ssthresh) / recovery.prrFlight) - recovery.prrOut
  else {
    room = Math.max(recovery.prrDelivered - recovery.prrOut, delivered)
    if (advanced && !newlyLost) room += snd.mss
    room = Math.min(congestion.ssthresh - flight, room)
  }
  const least = recovery.prrForce ? snd.mss : 0
  congestion.cwnd = Math.max(flight + Math.max(room, least), snd.mss)
}

/** What an acknowledgement that delivered something means for cwnd, in every phase. */
export function advance(tcb: Tcb, delivery: Delivery, newlyLost: boolean, now: number): void {
  const { congestion, recovery, snd } = tcb
  if (recovery.phase === 'OPEN') {
    if (delivery.acked > 0) grow(tcb, delivery.acked, now)
    return
  }
  if (recovery.phase === 'LOSS') {
    if (ge(snd.una, recovery.point)) finish(tcb)
    else if (delivery.acked > 0) {
      // RFC 3465 §2.3: after a timeout one acknowledgement may stand for octets that left the network long ago.
      const counted = Math.min(delivery.acked, 2 * snd.mss)
      if (congestion.cwnd < congestion.ssthresh) congestion.cwnd += counted
      else grow(tcb, counted, now)
    }
    return
  }
  if (ge(snd.una, recovery.point)) {
    congestion.cwnd = Math.max(congestion.ssthresh, snd.mss)
    finish(tcb)
  } else paceReduction(tcb, delivery.delivered, delivery.acked > 0, newlyLost)
}

function finish(tcb: Tcb): void {
  tcb.recovery.phase = 'OPEN'
  tcb.recovery.frto = false
  tcb.recovery.prrForce = false
  tcb.recovery.duplicates = 0
}

/** RFC 6298 §5.4–5.6, RFC 5681 §3.1 (4): the retransmission timer expired. */
export function enterLoss(tcb: Tcb, now: number): void {
  const { congestion, recovery, sent, snd } = tcb
  const first = recovery.phase !== 'LOSS'
  if (first) {
    keepForUndo(tcb)
    if (recovery.phase !== 'RECOVERY') reduce(tcb)
    // RFC 9438 §4.8: the growth after a timeout knows no earlier maximum; K is 0 and W_max where it begins.
    congestion.wMax = 0
  }
  const frto = tcb.sack && first
  // RFC 2018 §8: the peer acknowledged beyond what it had "received" but not that, so it took it back.
  if (sentCount(sent) > 0 && (flagsOf(sent, 0) & SACKED) !== 0) {
    tcb.config.counters.TCPSACKReneging++
    forgetSacked(sent)
  }
  if (first) begin(tcb, 'LOSS')
  recovery.point = snd.nxt
  recovery.frto = frto
  recovery.duplicates = 0
  markTimedOut(sent, now - tcb.rack.rttMs)
  congestion.cwnd = lossWindow(tcb)
}

/**
 * RFC 5681 §3.1: one segment. Where a peer still does not name us after a second time-out, its acknowledgements go to a
 * former owner that is dead: that says nothing of the network, and only a segment that reaches beyond all that the peer has
 * can make it name us (RFC 7323 §5.3, R2).
 */
function lossWindow({ shift, recovery, config, congestion, snd }: Tcb): number {
  if (!shift.pending || recovery.retries < 2) return snd.mss
  return Math.max(Math.min(initialWindow(config, snd.mss), congestion.ssthresh), snd.mss)
}

/** Restores what a reduction took. */
function undo(tcb: Tcb): void {
  const { congestion, recovery } = tcb
  congestion.cwnd = Math.max(congestion.cwnd, recovery.undoCwnd)
  congestion.ssthresh = Math.max(congestion.ssthresh, recovery.undoSsthresh)
  congestion.wMax = Math.max(congestion.wMax, recovery.undoWMax)
  congestion.epochAt = NEVER
  recovery.undoCwnd = 0
  recovery.undoOctets = 0
  unmarkLost(tcb.sent)
  finish(tcb)
}

/**
 * RFC 5682 §3 for peers with SACK: after a timeout an octet that was sent only once was delivered, so it was
 * late, not lost, and so was the rest.
 */
export function undoTimeout(tcb: Tcb, delivery: Delivery): boolean {
  const { recovery } = tcb
  if (!recovery.frto || recovery.undoCwnd === 0) return false
  if (!delivery.originals || !le(delivery.originalEnd, recovery.point)) return false
  tcb.config.counters.TCPSpuriousRTOs++
  undo(tcb)
  return true
}

/** A D-SACK reported `octets` from `left` on as received twice: when all repetitions were, none was needed. */
export function noteDuplicate(tcb: Tcb, left: Seq, octets: number): void {
  const { recovery } = tcb
  if (recovery.undoCwnd === 0 || recovery.undoOctets <= 0) return
  if (diff(left, recovery.undoUna) < 0) return
  // What was late, not lost, was reordered. RFC 8985 §6.2 step 3 sees that only in segments that were sent once: a path
  // that holds packets back for longer than three others take would never show it, and each of them would be sent twice.
  tcb.rack.reordered = true
  recovery.undoOctets -= octets
  if (recovery.undoOctets > 0) return
  tcb.config.counters.TCPDSACKUndo++
  undo(tcb)
}
