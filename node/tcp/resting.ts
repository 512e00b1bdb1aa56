/**
 * A connection in TIME-WAIT as the few numbers that still matter for it. A server that closes first has as many of
 * them as it served connections in a minute, and a whole TCB each would be most of its memory and of the garbage
 * collector's work. `wake` makes an equal TCB again, for the rare segment that still comes, and for a shift.
 */
import type { TcpConfig } from './config.ts'
import { updateMss } from './open.ts'
import { add, type Seq } from './seq.ts'
import { createTcb, type Flow, type Tcb } from './tcb.ts'

export interface Resting {
  readonly config: TcpConfig
  readonly flow: Flow
  readonly passive: boolean
  readonly sack: boolean
  readonly scaled: boolean
  readonly ecn: boolean
  readonly iss: Seq
  readonly sndNxt: Seq
  readonly sndWnd: number
  readonly sndScale: number
  readonly peerMss: number
  readonly pathMss: number
  readonly irs: Seq
  readonly rcvNxt: Seq
  readonly rcvEdge: Seq
  readonly rcvScale: number
  readonly timestamps: boolean
  readonly ownerId: number
  readonly tsOffset: number
  readonly tsTick: number
  readonly tsRecent: number
  readonly tsRecentAt: number
  /** When TIME-WAIT ends. */
  readonly lifetime: number
}

/** The numbers of a TCB in TIME-WAIT that has nothing to send and nothing to tell; undefined for any other. */
export function rest(tcb: Tcb): Resting | undefined {
  const { snd, rcv, ack, ts, shift } = tcb
  if (tcb.state !== 'TIME-WAIT' || tcb.events !== 0 || shift.pending || shift.probed) return undefined
  if (snd.pending !== 0 || ack.owed !== 0 || ack.duplicateLeft !== ack.duplicateRight) return undefined
  if (ack.sent !== rcv.nxt || tcb.receiveQueue.octets !== 0 || tcb.sendQueue.octets !== 0) return undefined
  return {
    config: tcb.config,
    flow: tcb.flow,
    passive: tcb.passive,
    sack: tcb.sack,
    scaled: tcb.scaled,
    ecn: tcb.ecn.on,
    iss: snd.iss,
    sndNxt: snd.nxt,
    sndWnd: snd.wnd,
    sndScale: snd.scale,
    peerMss: snd.peerMss,
    pathMss: snd.pathMss,
    irs: rcv.irs,
    rcvNxt: rcv.nxt,
    rcvEdge: rcv.edge,
    rcvScale: rcv.scale,
    timestamps: ts.on,
    ownerId: ts.ownerId,
    tsOffset: ts.offset,
    tsTick: ts.tick,
    tsRecent: ts.recent,
    tsRecentAt: ts.recentAt,
    lifetime: tcb.timers.lifetime,
  }
}

/** A TCB that answers every segment as the one that was laid to rest. */
export function wake(resting: Resting): Tcb {
  const { config, flow, iss, sndNxt, rcvNxt, tsRecentAt } = resting
  const tcb = createTcb(config, flow, 'TIME-WAIT', iss, resting.tsOffset, tsRecentAt)
  const { snd, rcv, ts } = tcb
  tcb.passive = resting.passive
  tcb.sack = resting.sack
  tcb.scaled = resting.scaled
  tcb.ecn.on = resting.ecn
  ts.on = resting.timestamps
  ts.ownerId = resting.ownerId
  ts.tick = resting.tsTick
  ts.recent = resting.tsRecent
  snd.nxt = sndNxt
  snd.una = sndNxt
  snd.wnd = resting.sndWnd
  snd.maxWnd = resting.sndWnd
  snd.wl1 = add(rcvNxt, -1)
  snd.wl2 = sndNxt
  snd.wlTs = resting.tsRecent
  snd.scale = resting.sndScale
  snd.peerMss = resting.peerMss
  snd.pathMss = resting.pathMss
  snd.finQueued = true
  snd.finSent = true
  updateMss(tcb)
  rcv.irs = resting.irs
  rcv.nxt = rcvNxt
  rcv.edge = resting.rcvEdge
  rcv.scale = resting.rcvScale
  rcv.fin = add(rcvNxt, -1)
  rcv.finKnown = true
  tcb.ack.sent = rcvNxt
  tcb.ack.quick = 0
  tcb.congestion.cwnd = snd.mss
  // All octets are acknowledged, and behind them our FIN.
  tcb.sendQueue.base = add(sndNxt, -1)
  tcb.rack.fack = sndNxt
  tcb.timers.lifetime = resting.lifetime
  return tcb
}
