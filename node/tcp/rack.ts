/**
 * Finding losses: RACK by time of transmission (RFC 8985 §6), the tail loss probe (§7), and for peers without
 * SACK the three duplicate acknowledgements and partial acknowledgements of NewReno (RFC 5681, 6582).
 */
import { reduce } from './congestion.ts'
import { backedOff } from './rtt.ts'
import type { SackReport } from './sack.ts'
import {
  type Delivery,
  endOf,
  flagsOf,
  LOST,
  markLost,
  RETRANSMITTED,
  SACKED,
  sentAtOf,
  sentCount,
  split,
  startOf,
} from './sent-records.ts'
import { add, diff, ge, gt, lt, type Seq } from './seq.ts'
import type { Tcb } from './tcb.ts'

/** RFC 5681 §3.2. */
export const DUP_THRESH = 3
/** RFC 8985 §6.2 step 4: recoveries that a widened window lasts. */
const REO_PERSIST = 16
const MAX_REO_MULTIPLIER = 64
/** RFC 8985 §7.2 TLP.max_ack_delay: what receivers may wait; Linux assumes its smallest RTO. */
const MAX_ACK_DELAY_MS = 200
/** RFC 8985 §7.2: without a sample. */
const DEFAULT_PTO_MS = 1_000
/** Grain that Linux adds where several segments are out. */
const PTO_GRAIN_MS = 2

const NEVER = Number.POSITIVE_INFINITY

/** RFC 8985 §6.2 RACK_sent_after. */
function sentAfter(at: number, end: Seq, otherAt: number, otherEnd: Seq): boolean {
  return at > otherAt || (at === otherAt && gt(end, otherEnd))
}

/** Steps 1–3 of §6.2: takes in what an acknowledgement delivered. `highest` is the end of what it named. */
export function noteDelivered(tcb: Tcb, delivery: Delivery, highest: Seq, now: number): void {
  const { rack, rtt } = tcb
  if (delivery.latestAt !== Number.NEGATIVE_INFINITY) {
    const rttMs = Math.max(0, now - delivery.latestAt)
    // A repetition acknowledged sooner than any round trip is an acknowledgement of the original.
    if (!delivery.latestRetransmitted || rttMs >= rtt.minMs) {
      rack.rttMs = rttMs
      if (sentAfter(delivery.latestAt, delivery.latestEnd, rack.xmitAt, rack.end)) {
        rack.xmitAt = delivery.latestAt
        rack.end = delivery.latestEnd
      }
    }
  }
  if (delivery.reordered && !rack.reordered) {
    rack.reordered = true
    tcb.config.counters.TCPSACKReorder++
  }
  if (gt(highest, rack.fack)) rack.fack = highest
}

/** Step 4 of §6.2: a D-SACK widens the reordering window, once in a round trip. */
export function noteDuplicateForReordering(tcb: Tcb): void {
  const { rack, snd } = tcb
  if (rack.dsackRoundOn) return
  rack.dsackRoundOn = true
  rack.dsackRound = snd.nxt
  rack.multiplier = Math.min(rack.multiplier + 1, MAX_REO_MULTIPLIER)
  rack.persist = REO_PERSIST
}

/** SND.UNA advanced, or a recovery ended: the widened window does not last for ever. */
export function endDsackRound(tcb: Tcb): void {
  if (tcb.rack.dsackRoundOn && ge(tcb.snd.una, tcb.rack.dsackRound)) tcb.rack.dsackRoundOn = false
}

export function endRecoveryRound(tcb: Tcb): void {
  const { rack } = tcb
  if (rack.persist > 0) rack.persist--
  if (rack.persist === 0) rack.multiplier = 1
}

function reorderingWindow(tcb: Tcb): number {
  const { rack, rtt } = tcb
  if (!rack.reordered) {
    if (tcb.recovery.phase === 'RECOVERY' || tcb.recovery.phase === 'LOSS') return 0
    if (tcb.sent.sacked >= DUP_THRESH * tcb.snd.mss) return 0
  }
  if (rtt.minMs === NEVER) return 0
  return Math.min((rack.multiplier * rtt.minMs) / 4, rtt.srttMs)
}

/** Step 5 of §6.2: marks what was sent well before the latest delivered transmission; true if anything was. */
export function detectLoss(tcb: Tcb, now: number): boolean {
  const { rack, sent, timers } = tcb
  timers.reorder = NEVER
  if (!tcb.sack || sent.inFlight === 0) return false
  const windowMs = reorderingWindow(tcb)
  let latest = 0
  let found = false
  for (let index = 0; index < sentCount(sent); index++) {
    const flags = flagsOf(sent, index)
    if ((flags & (SACKED | LOST)) !== 0) continue
    const at = sentAtOf(sent, index)
    if (!sentAfter(rack.xmitAt, rack.end, at, endOf(sent, index))) {
      // First transmissions are in order of time: whatever follows was sent later still.
      if ((flags & RETRANSMITTED) === 0) break
      continue
    }
    const remaining = at + rack.rttMs + windowMs - now
    if (remaining > 0) {
      if (remaining > latest) latest = remaining
      continue
    }
    if ((flags & RETRANSMITTED) !== 0) tcb.config.counters.TCPLostRetransmit++
    index = markLost(sent, index)
    found = true
  }
  if (latest > 0) timers.reorder = now + latest
  return found
}

/** RFC 5681 §3.2 and RFC 6582 §3.2 for a peer without SACK; true if the first segment was marked LOST. */
export function detectRenoLoss(tcb: Tcb, advanced: boolean): boolean {
  const { recovery, sent, snd } = tcb
  if (sentCount(sent) === 0) return false
  const partial = advanced && recovery.phase === 'RECOVERY' && lt(snd.una, recovery.point)
  const third = !advanced && recovery.phase === 'OPEN' && recovery.duplicates >= DUP_THRESH
  if (!partial && !third) return false
  if ((flagsOf(sent, 0) & LOST) !== 0) return false
  const firstEnd = add(startOf(sent, 0), snd.mss)
  if (lt(firstEnd, endOf(sent, 0))) split(sent, 0, firstEnd)
  markLost(sent, 0)
  return true
}

/** RFC 8985 §7.2: after new data and after an advance of SND.UNA. */
export function scheduleLossProbe(tcb: Tcb, now: number): void {
  const { recovery, rtt, sent, timers } = tcb
  timers.lossProbe = NEVER
  if (!tcb.sack || sentCount(sent) === 0 || recovery.phase !== 'OPEN') return
  if (sent.sacked > 0 || sent.lost > 0 || recovery.probeOut) return
  let pto = DEFAULT_PTO_MS
  if (rtt.srttMs > 0) {
    // A receiver delays also what it owes for several segments while its application does not read.
    const delayed = recovery.probeNeedless || diff(tcb.snd.nxt, tcb.snd.una) <= tcb.snd.mss
    pto = 2 * rtt.srttMs + (delayed ? MAX_ACK_DELAY_MS : PTO_GRAIN_MS)
  }
  timers.lossProbe = Math.min(now + pto, timers.rto)
}

/**
 * RFC 8985 §7.4.2, for every acknowledgement: whether the probe repaired a loss that nothing else saw; then cwnd owes a
 * reduction. `isDuplicate`: it says nothing new, as the answer to a needless probe of a receiver without D-SACK.
 */
export function settleLossProbe(tcb: Tcb, ack: Seq, report: SackReport, isDuplicate: boolean): void {
  const { congestion, recovery } = tcb
  if (!recovery.probeOut || lt(ack, recovery.probeEnd)) return
  if (!recovery.probeRetransmits || isDuplicate) recovery.probeOut = false
  else if (report.hasDuplicate && report.duplicateRight === recovery.probeEnd) {
    recovery.probeOut = false
    recovery.probeNeedless = true
  } else if (gt(ack, recovery.probeEnd)) {
    recovery.probeOut = false
    recovery.probeNeedless = false
    if (recovery.phase !== 'OPEN') return
    tcb.config.counters.TCPLossProbeRecovery++
    reduce(tcb)
    congestion.cwnd = congestion.ssthresh
  }
}

/**
 * The first octet in flight is about to be sent again. The user timeout counts from when it was sent first (RFC 9293
 * §3.9.1 OPEN), and behind a closed window from the first repetition that goes unanswered.
 */
export function noteUnanswered(tcb: Tcb, now: number): void {
  const { recovery, sent, snd } = tcb
  if (recovery.retriesAt !== NEVER) return
  recovery.retriesAt = snd.wnd === 0 && tcb.state !== 'SYN-SENT' ? now : Math.min(sentAtOf(sent, 0), now)
}

/** RFC 6298 §5.1 and §5.3; once it has expired, not beyond the user timeout. */
export function armRetransmission(tcb: Tcb, now: number): void {
  const { recovery, sent, timers, user } = tcb
  if (sentCount(sent) === 0) timers.rto = NEVER
  else {
    const at = now + backedOff(tcb, recovery.retries)
    timers.rto =
      recovery.retries === 0 ? at : Math.max(now, Math.min(at, recovery.retriesAt + user.timeoutMs))
  }
}
