/**
 * For tests only: a server's TCB brought into each state by the segments that lead there, and segments of its peer
 * with numbers relative to what the TCB expects, so that a row of a table is short.
 */
import { ACK, createSegment, FIN, PSH, RST, type Segment, SYN } from '../wire/segment.ts'
import { segmentArrives } from './arrival.ts'
import { type TcpConfig, tcpConfig } from './config.ts'
import { takeEvents } from './events.ts'
import { checkInvariants, checkProgress } from './invariants.ts'
import { acceptSyn, connect } from './open.ts'
import { nextSegment } from './output.ts'
import { testFlow } from './pair.ts'
import type { State, Tcb } from './tcb.ts'
import { createTransmission, type Transmission } from './transmission.ts'
import { close } from './user.ts'

export const NOW = 10_000
/** Our ISN and the peer's: both wrap within a test's first octets. */
export const ISS = 0x7ffffff0
export const IRS = -8

const FLAG_NAMES: [number, string][] = [
  [SYN, 'SYN'],
  [FIN, 'FIN'],
  [RST, 'RST'],
  [PSH, 'PSH'],
  [ACK, 'ACK'],
]

export interface Peer {
  flags?: number
  /** Relative to RCV.NXT. */
  seq?: number
  /** Relative to SND.NXT. */
  ack?: number
  octets?: number
  window?: number
  tsVal?: number
  tsEcr?: number
  timestamps?: boolean
  ecn?: number
  /** Pairs relative to SND.UNA. */
  sack?: number[]
}

/** A segment of the peer, by what is particular about it. */
export function fromPeer(tcb: Tcb, peer: Peer): Segment {
  const segment = createSegment()
  segment.src3 = 2
  segment.dst3 = 1
  segment.srcPort = 40_000
  segment.dstPort = 80
  segment.flags = peer.flags ?? ACK
  segment.seq = (tcb.rcv.nxt + (peer.seq ?? 0)) | 0
  segment.ack = (tcb.snd.nxt + (peer.ack ?? 0)) | 0
  segment.window = peer.window ?? 1_000
  segment.ecn = peer.ecn ?? 0
  segment.octets = new Uint8Array(peer.octets ?? 0).fill(7)
  segment.payloadLength = peer.octets ?? 0
  segment.hasTimestamps = peer.timestamps ?? tcb.ts.on
  segment.tsVal = peer.tsVal ?? tcb.ts.recent
  segment.tsEcr = peer.tsEcr ?? (tcb.ts.tick << tcb.config.ownerIdBits) | tcb.ts.ownerId
  segment.sackCount = (peer.sack?.length ?? 0) / 2
  for (const [index, edge] of (peer.sack ?? []).entries()) segment.sackEdges[index] = tcb.snd.una + edge
  return segment
}

/** The peer's segment arrives. */
export function arrives(tcb: Tcb, peer: Peer, now = NOW): void {
  segmentArrives(tcb, fromPeer(tcb, peer), now)
  checkInvariants(tcb)
}

/** Everything that the TCB has to send now. */
export function drain(tcb: Tcb, now = NOW): Transmission[] {
  const sent: Transmission[] = []
  for (;;) {
    const out = createTransmission()
    if (!nextSegment(tcb, now, out)) break
    sent.push(out)
    checkInvariants(tcb)
    if (sent.length > 10_000) throw new Error('nextSegment never ends')
  }
  checkProgress(tcb)
  return sent
}

export function flagNames(flags: number): string {
  return FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0)
    .map(([, name]) => name)
    .join(',')
}

/** `<SEQ=+0><ACK=+0><CTL=ACK>` as in the RFC, with numbers relative to SND.NXT and RCV.NXT after the fact. */
export function describeSegment(tcb: Tcb, out: Transmission): string {
  const seq = (out.seq - tcb.snd.nxt) | 0
  const ack = (out.ack - tcb.rcv.nxt) | 0
  const length = out.payloadLength > 0 ? ` ${out.payloadLength} octets` : ''
  const acknowledges = (out.flags & ACK) !== 0 ? `<ACK=${ack >= 0 ? '+' : ''}${ack}>` : ''
  return `<SEQ=${seq >= 0 ? '+' : ''}${seq}>${acknowledges}<CTL=${flagNames(out.flags)}>${length}`
}

/** The segments sent, in words. */
export function sentInWords(tcb: Tcb, now = NOW): string[] {
  return drain(tcb, now).map(out => describeSegment(tcb, out))
}

function synReceived(chosen: Partial<TcpConfig>): Tcb {
  const config = tcpConfig({ ownerId: 3, ...chosen })
  const syn = createSegment()
  syn.flags = SYN
  syn.src3 = 2
  syn.dst3 = 1
  syn.srcPort = 40_000
  syn.dstPort = 80
  syn.seq = IRS
  syn.window = 60_000
  syn.mss = 1_460
  syn.windowScale = 7
  syn.sackPermitted = true
  syn.hasTimestamps = true
  syn.tsVal = 500
  const tcb = acceptSyn(syn, config, ISS, 77, NOW - 10)
  drain(tcb, NOW - 10)
  return tcb
}

function synSent(chosen: Partial<TcpConfig>): Tcb {
  const tcb = connect(tcpConfig({ ownerId: 3, ...chosen }), testFlow(80, 40_000), ISS, 77, NOW - 10)
  drain(tcb, NOW - 10)
  return tcb
}

/** A connection in `state`, with nothing in flight where the state allows it, and no events pending. */
export function tcbIn(state: State, chosen: Partial<TcpConfig> = {}): Tcb {
  if (state === 'SYN-SENT') return synSent(chosen)
  const tcb = synReceived(chosen)
  if (state === 'SYN-RECEIVED') return tcb
  arrives(tcb, {})
  for (const step of LEADS[state] ?? []) step(tcb)
  drain(tcb)
  takeEvents(tcb)
  if (tcb.state !== state) throw new Error(`led to ${tcb.state}, not to ${state}`)
  return tcb
}

const fin = (tcb: Tcb) => arrives(tcb, { flags: ACK | FIN, ack: tcb.state === 'FIN-WAIT-1' ? -1 : 0 })
const ours = (tcb: Tcb) => {
  close(tcb)
  drain(tcb)
}
const acked = (tcb: Tcb) => arrives(tcb, {})

const LEADS: Partial<Record<State, ((tcb: Tcb) => void)[]>> = {
  'FIN-WAIT-1': [ours],
  'FIN-WAIT-2': [ours, acked],
  'CLOSE-WAIT': [fin],
  CLOSING: [ours, fin],
  'LAST-ACK': [fin, ours],
  'TIME-WAIT': [ours, acked, fin],
}
