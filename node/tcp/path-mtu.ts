/**
 * What an ICMP "fragmentation needed" or "packet too big" means to a connection (RFC 1191, RFC 8201), believed
 * only when it quotes a sequence number that is in flight (RFC 5927 §7.2).
 */
import { updateMss } from './open.ts'
import { markLostFrom } from './sent-records.ts'
import { asSeq, diff } from './seq.ts'
import type { Tcb } from './tcb.ts'

/** Linux ip_rt_min_pmtu; a smaller one is answered with segments of this size all the same. */
export const MIN_PATH_MTU_V4 = 552
/** RFC 8200 §5. */
export const MIN_PATH_MTU_V6 = 1_280

/** Takes in the MTU of the next hop; false where the message is not believed or changes nothing. */
export function pathMtu(tcb: Tcb, mtu: number, quotedSeq: number, now: number): boolean {
  const { snd, flow, config } = tcb
  const quoted = asSeq(quotedSeq)
  if (diff(quoted, snd.una) < 0 || diff(quoted, snd.nxt) >= 0) return false
  const least = flow.family === 4 ? MIN_PATH_MTU_V4 : MIN_PATH_MTU_V6
  const mss = Math.max(mtu, least) - (flow.family === 4 ? 40 : 60)
  if (!(mss < Math.min(snd.pathMss, snd.peerMss))) return false
  snd.pathMss = mss
  updateMss(tcb)
  config.counters.TCPMTUPReduced++
  if (tcb.state === 'SYN-SENT' || tcb.state === 'SYN-RECEIVED') return true
  // Dropped for its size, not for congestion: sent again at once, with cwnd as it is (RFC 8201 §5.4).
  markLostFrom(tcb.sent, quoted)
  tcb.timers.lossProbe = Number.POSITIVE_INFINITY
  if (tcb.timers.rto !== Number.POSITIVE_INFINITY) tcb.timers.rto = now + tcb.rtt.rtoMs
  return true
}
