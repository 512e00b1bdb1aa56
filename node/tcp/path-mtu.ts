/**
 * What an ICMP "fragmentation needed" or "packet too big" means to a connection (RFC 1191, RFC 8201), believed
 * only when it quotes a sequence number that is in flight (RFC 5927 §7.2). Where no ICMP comes, `mtu-search.ts` helps.
 */
import { updateMss } from './open.ts'
import { markLostFrom } from './sent-records.ts'
import { asSeq, diff, type Seq } from './seq.ts'
import type { Flow, Tcb } from './tcb.ts'

/** Linux ip_rt_min_pmtu; a smaller one is answered with segments of this size all the same. */
export const MIN_PATH_MTU_V4 = 552
/** RFC 8200 §5. */
export const MIN_PATH_MTU_V6 = 1_280
/** RFC 8899 PMTU_RAISE_TIMER, RFC 8201 §4 (ten minutes, never below five): when more is tried again. */
export const RAISE_MS = 600_000

/** Octets of an MSS that a packet of `mtu` octets holds: without the headers of IP and TCP, with TCP's options. */
export function mssOf(flow: Flow, mtu: number): number {
  return flow.family === 4 ? Math.max(mtu, MIN_PATH_MTU_V4) - 40 : Math.max(mtu, MIN_PATH_MTU_V6) - 60
}

/** Takes in the MTU of the next hop; false where the message is not believed or changes nothing. */
export function pathMtu(tcb: Tcb, mtu: number, quotedSeq: number, now: number): boolean {
  const { snd } = tcb
  const quoted = asSeq(quotedSeq)
  if (diff(quoted, snd.una) < 0 || diff(quoted, snd.nxt) >= 0) return false
  return tooBig(tcb, mtu, quoted, now)
}

/** The same, once it is believed. */
export function tooBig(tcb: Tcb, mtu: number, quoted: Seq, now: number): boolean {
  const { snd, flow } = tcb
  const mss = mssOf(flow, mtu)
  // A probe for more than the path takes is lost, and then known for what it is.
  if (tcb.mtu.probe > 0 && mss < tcb.mtu.probe) tcb.mtu.high = Math.min(tcb.mtu.high, mss)
  if (!(mss < Math.min(snd.pathMss, snd.peerMss))) return false
  lower(tcb, mss, now)
  if (tcb.state === 'SYN-SENT' || tcb.state === 'SYN-RECEIVED') return true
  // Dropped for its size, not for congestion: sent again at once, with cwnd as it is (RFC 8201 §5.4).
  markLostFrom(tcb.sent, quoted)
  tcb.timers.lossProbe = Number.POSITIVE_INFINITY
  if (tcb.timers.rto !== Number.POSITIVE_INFINITY) tcb.timers.rto = now + tcb.rtt.rtoMs
  return true
}

/** The path takes `mss` and is known to take no more, until the time to try again. */
function lower(tcb: Tcb, mss: number, now: number): void {
  const { snd, mtu } = tcb
  snd.pathMss = mss
  updateMss(tcb)
  mtu.high = mss
  mtu.probe = 0
  mtu.probeAt = now + RAISE_MS
  tcb.config.counters.TCPMTUPReduced++
}
