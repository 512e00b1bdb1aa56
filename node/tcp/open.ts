/**
 * How a connection begins: from a SYN that arrived (RFC 9293 §3.10.7.2, LISTEN), or by asking for one (OPEN),
 * what both ends negotiate in their SYNs, and the step into ESTABLISHED.
 */
import { isMartian4, isMartian6 } from '../wire/address.ts'
import { ACK, CWR, ECE, type Segment, SYN } from '../wire/segment.ts'
import { DEFAULT_PEER_MSS_V4, DEFAULT_PEER_MSS_V6, type TcpConfig } from './config.ts'
import { initialWindow } from './congestion.ts'
import { ESTABLISHED } from './events.ts'
import { add, asSeq } from './seq.ts'
import { createTcb, type Flow, type Tcb } from './tcb.ts'
import { startClock } from './timestamps.ts'

/** Octets of the timestamps option with its padding (RFC 7323 appendix A). */
export const TIMESTAMP_OPTION_OCTETS = 12
/** A smaller MSS is an attack on our packet rate (Linux tcp_min_snd_mss is 48, and allows one octet then). */
export const MIN_PEER_MSS = 88
/** RFC 7323 §2.3. */
export const MAX_WINDOW_SCALE = 14
/** RFC 6298 §5.7: the timeout after a handshake whose SYN was lost, so that it gave no sample. */
const RTO_AFTER_LOST_SYN_MS = 3_000

/** The connection's flow as the receiver of `segment` sees it. */
export function flowOf(segment: Segment): Flow {
  return {
    family: segment.family,
    local0: segment.dst0,
    local1: segment.dst1,
    local2: segment.dst2,
    local3: segment.dst3,
    localPort: segment.dstPort,
    remote0: segment.src0,
    remote1: segment.src1,
    remote2: segment.src2,
    remote3: segment.src3,
    remotePort: segment.srcPort,
  }
}

/** The shift that lets 16 bits tell of the largest window we may ever open. */
export function ownWindowScale(config: TcpConfig): number {
  let scale = 0
  while (scale < MAX_WINDOW_SCALE && 0xffff << scale < config.receiveMaxOctets) scale++
  return scale
}

/** Payload octets of a packet, from what the peer and the path allow (RFC 6691). */
export function updateMss(tcb: Tcb): void {
  const { snd } = tcb
  snd.mss = Math.min(snd.peerMss, snd.pathMss) - (tcb.ts.on ? TIMESTAMP_OPTION_OCTETS : 0)
}

/** Takes in the options of the peer's SYN or SYN-ACK; an option that we do not offer counts as absent. */
export function negotiate(tcb: Tcb, segment: Segment, now: number): void {
  const { config, snd, rcv, ts } = tcb
  rcv.irs = asSeq(segment.seq)
  rcv.nxt = add(rcv.irs, 1)
  rcv.edge = rcv.nxt
  rcv.lastAt = now
  tcb.ack.sent = rcv.irs
  const assumed = tcb.flow.family === 4 ? DEFAULT_PEER_MSS_V4 : DEFAULT_PEER_MSS_V6
  snd.peerMss = segment.mss === 0 ? assumed : Math.max(segment.mss, MIN_PEER_MSS)
  ts.on = config.timestamps && segment.hasTimestamps
  if (ts.on) {
    ts.recent = segment.tsVal
    ts.recentAt = now
  }
  tcb.sack = config.sack && segment.sackPermitted
  tcb.scaled = config.windowScaling && segment.windowScale >= 0
  if (tcb.scaled) {
    snd.scale = Math.min(segment.windowScale, MAX_WINDOW_SCALE)
    rcv.scale = ownWindowScale(config)
  } else {
    snd.scale = 0
    rcv.scale = 0
    rcv.limit = Math.min(rcv.limit, 0xffff)
  }
  updateMss(tcb)
  // RFC 7323 §2.2: the window of a SYN is never scaled.
  snd.wnd = segment.window
  snd.maxWnd = segment.window
  snd.wl1 = asSeq(segment.seq)
  snd.wl2 = snd.iss
  snd.wlTs = segment.tsVal
  tcb.congestion.cwnd = initialWindow(config, snd.mss)
}

/** LISTEN: a SYN (no ACK, no RST) arrived. The TCB is in SYN-RECEIVED with its SYN-ACK to be sent. */
export function acceptSyn(
  segment: Segment,
  config: TcpConfig,
  isn: number,
  tsOffset: number,
  now: number,
): Tcb {
  const tcb = createTcb(config, flowOf(segment), 'SYN-RECEIVED', isn, tsOffset, now)
  tcb.passive = true
  startClock(tcb, now)
  negotiate(tcb, segment, now)
  // RFC 3168 §6.1.1: both flags ask for ECN.
  tcb.ecn.on = config.ecn && (segment.flags & (ECE | CWR)) === (ECE | CWR)
  config.counters.PassiveOpens++
  return tcb
}

/** Whether the remote end of the flow can be one: not broadcast, multicast or unspecified (MUST-46). */
function isUnicast(flow: Flow): boolean {
  if (flow.family === 4) return !isMartian4(flow.remote3)
  return !isMartian6(flow.remote0, flow.remote1, flow.remote2)
}

/** OPEN: the TCB is in SYN-SENT with its SYN to be sent. Throws a RangeError for an address that is nobody's. */
export function connect(config: TcpConfig, flow: Flow, isn: number, tsOffset: number, now: number): Tcb {
  if (!isUnicast(flow)) throw new RangeError('a connection needs a unicast address at its other end')
  const tcb = createTcb(config, flow, 'SYN-SENT', isn, tsOffset, now)
  startClock(tcb, now)
  tcb.congestion.cwnd = initialWindow(config, tcb.snd.mss)
  config.counters.ActiveOpens++
  return tcb
}

/** Our SYN is acknowledged and the peer's received. The window was, or will be, taken from `segment`. */
export function establish(tcb: Tcb, segment: Segment, now: number): void {
  const { snd, rcv, congestion, config } = tcb
  tcb.state = 'ESTABLISHED'
  tcb.events |= ESTABLISHED
  snd.wnd = (segment.flags & SYN) !== 0 ? segment.window : segment.window << snd.scale
  snd.maxWnd = snd.wnd
  snd.wl1 = asSeq(segment.seq)
  snd.wl2 = asSeq(segment.ack)
  snd.wlTs = segment.tsVal
  // RFC 5681 §3.1: a lost SYN is a loss; one may have been a slow peer, as Linux sees it.
  congestion.cwnd = tcb.recovery.retries > 1 ? snd.mss : initialWindow(config, snd.mss)
  congestion.roundEnd = snd.nxt
  congestion.hyStart = snd.nxt
  congestion.hyEnd = snd.nxt
  rcv.tuneAt = now
  rcv.rttAt = now
  rcv.rttEnd = add(rcv.nxt, rcv.limit)
  if (tcb.recovery.retries > 0 && tcb.rtt.srttMs === 0)
    tcb.rtt.rtoMs = Math.min(Math.max(tcb.rtt.rtoMs, RTO_AFTER_LOST_SYN_MS), config.rtoMaxMs)
  tcb.timers.keepalive = now + tcb.user.keepaliveIdleMs
  config.counters.CurrEstab++
  // A FIN that was asked for before goes out now (RFC 9293 §3.10.4).
  if (snd.finQueued) tcb.state = 'FIN-WAIT-1'
}

/** RFC 3168 §6.1.1: the flags of our SYN. */
export function ecnSynFlags(tcb: Tcb): number {
  if (tcb.state === 'SYN-SENT') return tcb.config.ecn && tcb.recovery.retries === 0 ? ECE | CWR : 0
  return tcb.ecn.on ? ECE : 0
}

/** Whether the peer's SYN-ACK agrees to ECN. */
export function agreesToEcn(segment: Segment): boolean {
  return (segment.flags & (SYN | ACK | ECE | CWR)) === (SYN | ACK | ECE)
}
