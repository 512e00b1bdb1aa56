/**
 * The fifth step of RFC 9293 §3.10.7.4: the acknowledgement, with everything that hangs on it: the records it
 * releases, the send window, round-trip samples, loss detection, congestion control and the retransmission timer.
 */
import { ACK, ECE, FIN, type Segment, SYN } from '../wire/segment.ts'
import { acknowledgeNow, challenge } from './acknowledgement.ts'
import { hystartRound, hystartSample } from './congestion.ts'
import { awaitPeerFin, enterClosed, enterTimeWait, moveTo } from './ending.ts'
import { ACKED, FIN_ACKED } from './events.ts'
import { isCongestion, probeAcknowledged } from './mtu-search.ts'
import { establish } from './open.ts'
import {
  armRetransmission,
  detectLoss,
  detectRenoLoss,
  endDsackRound,
  endRecoveryRound,
  noteDelivered,
  scheduleLossProbe,
  settleLossProbe,
} from './rack.ts'
import { advance, enterRecovery, reduceForEcn, undoTimeout } from './recovery.ts'
import { addSample } from './rtt.ts'
import { createSackReport, takeSack } from './sack.ts'
import { acknowledge, clearDelivery, createDelivery } from './sent-records.ts'
import { asSeq, diff, type Seq } from './seq.ts'
import { learnSent } from './succession.ts'
import { PENDING_OVERRIDE, PENDING_RST_REPLY, type Tcb } from './tcb.ts'

/** What a step says when the segment needs none of the following ones. */
export type Verdict = 'dropped' | 'done'

const NEVER = Number.POSITIVE_INFINITY
/** Timeouts in a row that acknowledgements of a zero window hold the count at: back-off stays, giving up does not. */
const ZERO_WINDOW_RETRIES = 6

// Filled and read within one call; kept so that an acknowledgement allocates nothing.
const delivery = createDelivery()
const report = createSackReport()

export function ackStep(tcb: Tcb, segment: Segment, now: number): Verdict | undefined {
  if ((segment.flags & ACK) === 0) return 'dropped'
  const { snd } = tcb
  const ack = asSeq(segment.ack)
  if (tcb.state === 'SYN-RECEIVED') {
    if (diff(ack, snd.una) <= 0 || diff(ack, snd.nxt) > 0) {
      snd.pending |= PENDING_RST_REPLY
      snd.replySeq = ack
      return 'dropped'
    }
    establish(tcb, segment, now)
  }
  if (tcb.shift.reaches && !learnSent(tcb, ack, now)) return 'done'
  // RFC 5961 §5.2, which narrows the test of RFC 9293; beyond SND.NXT it is RFC 9293's own.
  if (diff(ack, snd.nxt) > 0 || diff(ack, snd.una) < -Math.max(snd.maxWnd, snd.mss)) {
    challenge(tcb, now)
    return 'dropped'
  }
  takeAcknowledgement(tcb, segment, ack, now)
  return afterAcknowledgement(tcb, segment, now)
}

export function takeAcknowledgement(tcb: Tcb, segment: Segment, ack: Seq, now: number): void {
  const { snd, sent, recovery } = tcb
  const acked = diff(ack, snd.una)
  const hasSack = tcb.sack && segment.sackCount > 0
  const oldWindow = snd.wnd
  if (acked >= 0) updateWindow(tcb, segment, ack)
  if (acked <= 0 && !hasSack && sent.head === sent.tail && !recovery.probeOut) return
  clearDelivery(delivery)
  report.highest = ack
  report.hasDuplicate = false
  if (acked > 0) {
    advanceUna(tcb, ack)
    if (tcb.mtu.probe > 0) probeAcknowledged(tcb, ack, now)
  }
  if (hasSack) takeSack(tcb, segment, delivery, report)
  if (!tcb.sack) countDuplicates(tcb, segment, acked, oldWindow)
  if (tcb.ecn.on && (segment.flags & (ECE | SYN)) === ECE) reduceForEcn(tcb)
  // Karn's rule, RFC 6298 §3: octets behind a repetition may have waited at the peer for it.
  if (delivery.sampleAt !== Number.NEGATIVE_INFINITY && delivery.retransmittedDelivered === 0) {
    // What follows a repetition at the same instant counts as sent a moment later (`repetitionTime`).
    const sampleMs = Math.max(0, now - delivery.sampleAt)
    addSample(tcb.rtt, tcb.config, sampleMs, now)
    hystartSample(tcb, sampleMs)
  }
  if (acked > 0) {
    hystartRound(tcb)
    endDsackRound(tcb)
  }
  settleLossProbe(tcb, ack, report, acked === 0 && !hasSack && isPure(segment) && oldWindow === snd.wnd)
  recover(tcb, acked > 0, now)
  if (acked > 0) {
    armRetransmission(tcb, now)
    scheduleLossProbe(tcb, now)
  } else if (recovery.phase !== 'OPEN' || sent.sacked > 0) tcb.timers.lossProbe = NEVER
}

/** RFC 9293: SND.UNA moves; what it passes is released. */
function advanceUna(tcb: Tcb, ack: Seq): void {
  const { snd, recovery, sendQueue } = tcb
  acknowledge(tcb.sent, ack, tcb.rack.fack, delivery)
  snd.una = ack
  if (sendQueue.octets > 0) {
    sendQueue.release(ack)
    tcb.events |= ACKED
  }
  recovery.retries = 0
  recovery.retriesAt = NEVER
}

/**
 * SND.WND by SND.WL1 and SND.WL2. Where neither tells the segments apart their timestamps do: an old owner's
 * straggler, forwarded late, must never close a window that has opened since. Without timestamps the larger window
 * is the newer one, unless it is closed (as in Linux), because a receiver takes no offer back (SHLD-14).
 */
function updateWindow(tcb: Tcb, segment: Segment, ack: Seq): void {
  const { snd } = tcb
  const seq = asSeq(segment.seq)
  const wnd = segment.window << snd.scale
  const later = diff(seq, snd.wl1)
  if (later < 0) return
  if (later === 0) {
    const beyond = diff(ack, snd.wl2)
    if (beyond < 0 || (beyond === 0 && wnd !== snd.wnd && !isNewerWindow(tcb, segment, wnd))) return
  }
  if (wnd !== snd.wnd) windowChanged(tcb, wnd)
  snd.wl1 = seq
  snd.wl2 = ack
  snd.wlTs = segment.tsVal
}

function isNewerWindow(tcb: Tcb, segment: Segment, wnd: number): boolean {
  const { snd, ts } = tcb
  if (!ts.on) return wnd > snd.wnd || wnd === 0
  const age = (segment.tsVal - snd.wlTs) | 0
  return wnd > snd.wnd ? age >= 0 : age > 0
}

function windowChanged(tcb: Tcb, wnd: number): void {
  const { snd, timers } = tcb
  snd.wnd = wnd
  if (wnd > snd.maxWnd) snd.maxWnd = wnd
  if (wnd === 0) return
  timers.persist = NEVER
  timers.persistCount = 0
  snd.pending &= ~PENDING_OVERRIDE
}

/** RFC 5681 §2, for a peer without SACK: a duplicate tells that one segment has left the network. */
/** Nothing but an acknowledgement. */
function isPure(segment: Segment): boolean {
  return segment.payloadLength === 0 && (segment.flags & (SYN | FIN)) === 0
}

function countDuplicates(tcb: Tcb, segment: Segment, acked: number, oldWindow: number): void {
  const { recovery, snd, sent } = tcb
  if (acked > 0) {
    const segments = Math.ceil(acked / snd.mss)
    if (recovery.phase === 'OPEN') recovery.duplicates = 0
    else recovery.duplicates = Math.max(0, recovery.duplicates - (segments - 1))
    return
  }
  if (acked < 0 || !isPure(segment)) return
  if (oldWindow !== snd.wnd || sent.head === sent.tail || recovery.phase === 'LOSS') return
  if ((recovery.duplicates + 1) * snd.mss > diff(snd.nxt, snd.una)) return
  recovery.duplicates++
  delivery.delivered += snd.mss
}

/** Finds losses and moves cwnd accordingly. */
function recover(tcb: Tcb, advanced: boolean, now: number): void {
  const { recovery, snd } = tcb
  const before = recovery.phase
  noteDelivered(tcb, delivery, report.highest, now)
  if (before === 'LOSS') undoTimeout(tcb, delivery)
  const lost = tcb.sack ? detectLoss(tcb, now) : detectRenoLoss(tcb, advanced)
  if (lost && (recovery.phase === 'OPEN' || recovery.phase === 'CWR') && isCongestion(tcb, now))
    enterRecovery(tcb)
  if (delivery.delivered > 0 || delivery.acked > 0) advance(tcb, delivery, lost, now)
  if (before === 'RECOVERY' && recovery.phase === 'OPEN') endRecoveryRound(tcb)
  if (snd.wnd === 0) {
    // MUST-37: the peer is there, so neither R2 nor a user timeout runs; SHLD-17: not even for what it shrank away from.
    if (recovery.retries > ZERO_WINDOW_RETRIES) recovery.retries = ZERO_WINDOW_RETRIES
    recovery.retriesAt = NEVER
  }
}

/** What the acknowledgement of our FIN means in each state. */
function afterAcknowledgement(tcb: Tcb, segment: Segment, now: number): Verdict | undefined {
  const { snd } = tcb
  switch (tcb.state) {
    case 'FIN-WAIT-1':
    case 'CLOSING':
    case 'LAST-ACK':
      if (!snd.finSent || snd.una !== snd.nxt) return undefined
      tcb.events |= FIN_ACKED
      if (tcb.state === 'FIN-WAIT-1') {
        moveTo(tcb, 'FIN-WAIT-2')
        awaitPeerFin(tcb, now)
        return undefined
      }
      if (tcb.state === 'CLOSING') enterTimeWait(tcb, now)
      else enterClosed(tcb, 0)
      return 'done'
    case 'TIME-WAIT':
      // The only thing that can arrive is a retransmission of the peer's FIN: acknowledge it, wait anew.
      if ((segment.flags & FIN) !== 0) {
        acknowledgeNow(tcb)
        tcb.timers.lifetime = now + tcb.config.timeWaitMs
      }
      return 'done'
    default:
      return undefined
  }
}
