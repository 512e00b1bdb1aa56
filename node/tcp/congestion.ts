/**
 * The congestion window while nothing is lost: initial window (RFC 6928), slow start with HyStart++ (RFC 9406),
 * CUBIC with its Reno-friendly region (RFC 9438), and the rule that a window that was not used does not grow.
 * What a loss does to it is asked for by `recovery.ts`.
 */
import type { TcpConfig } from './config.ts'
import { diff, ge } from './seq.ts'
import type { CongestionState, Tcb } from './tcb.ts'

/** RFC 9438 §4.6, §4.2 and §4.3. */
const BETA = 0.7
const C = 0.4
const ALPHA = (3 * (1 - BETA)) / (1 + BETA)
/** RFC 9406 §4.3. */
const MIN_RTT_THRESH_MS = 4
const MAX_RTT_THRESH_MS = 16
const MIN_RTT_DIVISOR = 8
const N_RTT_SAMPLE = 8
const CSS_GROWTH_DIVISOR = 4
const CSS_ROUNDS = 5
/** Octets of RFC 6928 §2. */
const INITIAL_OCTETS = 14_600

const NEVER = Number.POSITIVE_INFINITY

export function initialWindow(config: TcpConfig, mss: number): number {
  return Math.min(config.initialCwndSegments * mss, Math.max(2 * mss, INITIAL_OCTETS))
}

/** Notes after a transmission of new data whether it used the window up, as Linux's tcp_cwnd_validate. */
export function noteUse(tcb: Tcb): void {
  const { congestion, sent, snd } = tcb
  // What goes out in answer to the acknowledgement that began a round of HyStart++ belongs to that round.
  if (congestion.hyStart === snd.una) congestion.hyEnd = snd.nxt
  const limited = sent.inFlight + snd.mss > congestion.cwnd
  const newRound = ge(snd.una, congestion.roundEnd)
  if (!newRound && !limited && (congestion.limited || sent.inFlight <= congestion.roundFlight)) return
  congestion.limited = limited
  congestion.roundFlight = sent.inFlight
  congestion.roundEnd = snd.nxt
}

/** More was ready to be sent than cwnd allowed, even if a part of it was left open to wait for more room. */
export function noteLimit(tcb: Tcb): void {
  tcb.congestion.limited = true
}

/** In slow start half of the window in use is enough: it doubles in a round (RFC 7661 §4.3 is stricter). */
function mayGrow(congestion: CongestionState): boolean {
  if (congestion.limited) return true
  return congestion.cwnd < congestion.ssthresh && congestion.cwnd < 2 * congestion.roundFlight
}

/** `acked` octets were acknowledged outside of recovery. */
export function grow(tcb: Tcb, acked: number, now: number): void {
  const { congestion, config } = tcb
  if (!mayGrow(congestion)) return
  if (congestion.cwnd < congestion.ssthresh) slowStart(congestion, acked)
  else congestionAvoidance(tcb, acked, now)
  if (congestion.cwnd > config.maxCwndOctets) congestion.cwnd = config.maxCwndOctets
}

/**
 * Without the limit L of RFC 9406: receivers acknowledge 64 KiB at a time where segments are merged, and the
 * number of acknowledgements says nothing there. Linux does the same.
 */
function slowStart(congestion: CongestionState, acked: number): void {
  const cwnd = congestion.cwnd + (congestion.hyRounds > 0 ? acked / CSS_GROWTH_DIVISOR : acked)
  congestion.cwnd = Math.min(cwnd, Math.max(congestion.ssthresh, congestion.cwnd))
}

function congestionAvoidance(tcb: Tcb, acked: number, now: number): void {
  const { congestion } = tcb
  const { mss } = tcb.snd
  const cwnd = congestion.cwnd / mss
  const segments = Math.min(acked / mss, cwnd)
  if (congestion.epochAt === NEVER) {
    congestion.epochAt = now
    congestion.wEst = cwnd
    congestion.kSeconds = cwnd < congestion.wMax ? Math.cbrt((congestion.wMax - cwnd) / C) : 0
    if (cwnd >= congestion.wMax) congestion.wMax = cwnd
  }
  const seconds = (now - congestion.epochAt) / 1000
  congestion.wEst += ((congestion.wEst < congestion.cwndPrior ? ALPHA : 1) * segments) / cwnd
  if (cubicWindow(congestion, seconds) < congestion.wEst) {
    congestion.cwnd = Math.max(cwnd, congestion.wEst) * mss
    return
  }
  const wanted = cubicWindow(congestion, seconds + tcb.rtt.srttMs / 1000)
  const target = Math.min(Math.max(wanted, cwnd), 1.5 * cwnd)
  congestion.cwnd += ((target - cwnd) / cwnd) * segments * mss
}

function cubicWindow(congestion: CongestionState, seconds: number): number {
  const t = seconds - congestion.kSeconds
  return C * t * t * t + congestion.wMax
}

/** RFC 9438 §4.6 and §4.7: a congestion event sets ssthresh; the caller brings cwnd there in its own way. */
export function reduce(tcb: Tcb): void {
  const { congestion } = tcb
  const { mss } = tcb.snd
  const used = usedWindow(tcb)
  const cwnd = used / mss
  congestion.wMax = cwnd < congestion.wMax ? (cwnd * (1 + BETA)) / 2 : cwnd
  congestion.cwndPrior = cwnd
  congestion.epochAt = NEVER
  congestion.ssthresh = Math.max(used * BETA, 2 * mss)
  congestion.hyRounds = 0
}

/**
 * What a reduction starts from: flight_size of RFC 9438 §4.6. That is cwnd where cwnd was the limit, because sends that
 * were deferred leave a part of it open; a slow start that the peer's window holds back has a cwnd of twice the flight.
 */
function usedWindow(tcb: Tcb): number {
  const { congestion, snd } = tcb
  if (congestion.limited) return congestion.cwnd
  return Math.min(congestion.cwnd, Math.max(congestion.roundFlight, diff(snd.nxt, snd.una)))
}

/** HyStart++ runs only in the first slow start (RFC 9406 §4.3). */
function inFirstSlowStart(tcb: Tcb): boolean {
  return tcb.congestion.ssthresh >= tcb.config.maxCwndOctets
}

/** A round-trip sample, taken once an acknowledgement. */
export function hystartSample(tcb: Tcb, sampleMs: number): void {
  const { congestion: hy } = tcb
  if (!inFirstSlowStart(tcb)) return
  if (sampleMs < hy.hyCurrentMs) hy.hyCurrentMs = sampleMs
  hy.hySamples++
  if (hy.hySamples < N_RTT_SAMPLE || hy.hyLastMs === NEVER) return
  if (hy.hyRounds === 0) {
    const threshold = Math.min(Math.max(hy.hyLastMs / MIN_RTT_DIVISOR, MIN_RTT_THRESH_MS), MAX_RTT_THRESH_MS)
    if (hy.hyCurrentMs < hy.hyLastMs + threshold) return
    hy.hyBaselineMs = hy.hyCurrentMs
    hy.hyRounds = 1
    tcb.config.counters.TCPHystartDelayDetect++
  } else if (hy.hyCurrentMs < hy.hyBaselineMs) {
    hy.hyBaselineMs = NEVER
    hy.hyRounds = 0
  }
}

/** SND.UNA advanced: rounds of HyStart++ end where they were said to. */
export function hystartRound(tcb: Tcb): void {
  const { congestion: hy, snd } = tcb
  if (diff(snd.una, hy.hyEnd) < 0) return
  hy.hyStart = snd.una
  hy.hyEnd = snd.nxt
  hy.hyLastMs = hy.hyCurrentMs
  hy.hyCurrentMs = NEVER
  hy.hySamples = 0
  if (hy.hyRounds === 0 || !inFirstSlowStart(tcb)) return
  hy.hyRounds++
  if (hy.hyRounds <= CSS_ROUNDS) return
  hy.ssthresh = hy.cwnd
  hy.hyRounds = 0
}

/**
 * Before sending after a pause: cwnd halves for every RTO of silence down to the initial window (RFC 2861 as in
 * Linux; RFC 5681 §4.1 would drop at once), and CUBIC's clock does not count the pause (RFC 9438 §5.8).
 */
export function resumeAfterIdle(tcb: Tcb, now: number): void {
  const { congestion, config, rtt, snd } = tcb
  const idleMs = now - snd.lastAt
  if (congestion.epochAt !== NEVER) congestion.epochAt = Math.min(now, congestion.epochAt + idleMs)
  if (!config.slowStartAfterIdle || idleMs <= rtt.rtoMs) return
  const floor = Math.min(initialWindow(config, snd.mss), congestion.cwnd)
  if (congestion.cwnd <= floor) return
  congestion.ssthresh = Math.max(congestion.ssthresh, 0.75 * congestion.cwnd)
  const halvings = Math.min(Math.floor(idleMs / rtt.rtoMs), 32)
  congestion.cwnd = Math.max(congestion.cwnd / 2 ** halvings, floor)
}
