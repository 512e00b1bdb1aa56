/**
 * What the literature says a connection gets: the averages of RFC 9438 §5.1 and §5.2, and the throughput equation with
 * timeouts of RFC 5348 §3.1 (Padhye et al.). Windows are in segments, times in seconds, `p` is loss per packet.
 */

/** RFC 9438 §4.6 and §5. */
const C = 0.4
const BETA = 0.7

/** Reno's, and that of CUBIC's Reno-friendly region (§5.1 with alpha = 3 (1 - beta) / (1 + beta)). */
export function renoWindow(p: number): number {
  return Math.sqrt(1.5 / p)
}

/** AVG_W_cubic of RFC 9438 §5.1. */
export function cubicWindow(p: number, rttSeconds: number): number {
  return ((C * (3 + BETA)) / (4 * (1 - BETA))) ** 0.25 * (rttSeconds / p) ** 0.75
}

/** The better of the two regions, as §4.3 chooses it; infinite without loss. */
export function averageWindow(p: number, rttSeconds: number): number {
  return p === 0 ? Number.POSITIVE_INFINITY : Math.max(renoWindow(p), cubicWindow(p, rttSeconds))
}

/** Packets a second by RFC 5348 §3.1 with b = 1: what Reno has left when timeouts are counted in. */
export function timeoutThroughput(p: number, rttSeconds: number, rtoSeconds: number): number {
  if (p === 0) return Number.POSITIVE_INFINITY
  const fast = rttSeconds * Math.sqrt((2 * p) / 3)
  const slow = rtoSeconds * Math.min(1, 3 * Math.sqrt((3 * p) / 8)) * p * (1 + 32 * p * p)
  return 1 / (fast + slow)
}
