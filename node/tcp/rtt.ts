/**
 * Round-trip time and retransmission timeout (RFC 6298) from samples of our own transmission times, and the
 * smallest recent one, for RACK. Which transmissions give a sample (Karn's rule) is decided where they are
 * acknowledged.
 */
import type { TcpConfig } from './config.ts'
import type { RttState, Tcb } from './tcb.ts'

/** Linux tcp_min_rtt_wlen: a route may get longer, and a minimum is only good as long as it is recent. */
const MIN_RTT_WINDOW_MS = 300_000
/** The clock's own grain, G of RFC 6298 §2.3. */
const CLOCK_GRAIN_MS = 0.001

export function addSample(rtt: RttState, config: TcpConfig, sampleMs: number, now: number): void {
  const sample = Math.max(sampleMs, CLOCK_GRAIN_MS)
  if (rtt.srttMs === 0) {
    rtt.srttMs = sample
    rtt.rttvarMs = sample / 2
  } else {
    rtt.rttvarMs += (Math.abs(rtt.srttMs - sample) - rtt.rttvarMs) / 4
    rtt.srttMs += (sample - rtt.srttMs) / 8
  }
  // The floor is added, not compared, as in Linux: an acknowledgement may be delayed on top of any round trip.
  const rto = rtt.srttMs + Math.max(config.rtoMinMs, 4 * rtt.rttvarMs)
  rtt.rtoMs = Math.min(rto, config.rtoMaxMs)
  if (sample <= rtt.minMs || now - rtt.minAt > MIN_RTT_WINDOW_MS) {
    rtt.minMs = sample
    rtt.minAt = now
  }
}

/** The timeout after `retries` of them: doubled each time (RFC 6298 §5.5), bounded. */
export function backedOff(tcb: Tcb, retries: number): number {
  return Math.min(tcb.rtt.rtoMs * 2 ** Math.min(retries, 16), tcb.config.rtoMaxMs)
}
