/**
 * SYN cookies (RFC 4987 §3.6): under a flood of SYNs the connection's state goes into the sequence number and the
 * timestamp of the SYN-ACK, and costs no memory until the peer has proved its address. The key belongs to the
 * cluster, so that any dispatcher takes the acknowledgement of another's cookie. When to use them is the caller's
 * choice.
 */
import { ACK, CWR, createSegment, ECE, RST, type Segment, SYN } from '../wire/segment.ts'
import { DEFAULT_PEER_MSS_V4, DEFAULT_PEER_MSS_V6, type TcpConfig } from './config.ts'
import { type HashKey, hashFlow } from './isn.ts'
import { acceptSyn, flowOf, MIN_PEER_MSS, ownWindowScale } from './open.ts'
import { appendRecord, RETRANSMITTED } from './sent-records.ts'
import { add, asSeq } from './seq.ts'
import type { Flow, Tcb } from './tcb.ts'
import { clearTransmission, type Transmission } from './transmission.ts'

/** What fits into three bits: the largest of these that the peer's MSS allows. */
const MSS_TABLE = [
  MIN_PEER_MSS,
  DEFAULT_PEER_MSS_V4,
  DEFAULT_PEER_MSS_V6,
  1_380,
  1_420,
  1_440,
  1_460,
  8_940,
] as const
/** ms; a cookie counts for this period and the next (Linux: 60 s). */
const PERIOD_MS = 64_000
const MAX_AGE_PERIODS = 1
/** ms after which a cookie surely counts no more. */
export const COOKIE_LIFE_MS = (1 + MAX_AGE_PERIODS) * PERIOD_MS
/** What keeps the uses of one key apart; above those of `isn.ts`. */
const FOR_BASE = 3
const FOR_COUNT = 0x100

/** Bits of the tick that carry options: window scale (15: none), SACK, ECN. */
const OPTION_BITS = 6
const NO_SCALE = 15
const SACK_BIT = 16
const ECN_BIT = 32

const syn = createSegment()

/** The index for the MSS option of a SYN; where there is none it stands for the family's default (MUST-15). */
function mssIndex(segment: Segment): number {
  const assumed = segment.family === 4 ? DEFAULT_PEER_MSS_V4 : DEFAULT_PEER_MSS_V6
  const mss = segment.mss === 0 ? assumed : segment.mss
  let index = 0
  while (index + 1 < MSS_TABLE.length && (MSS_TABLE[index + 1] as number) <= mss) index++
  return index
}

function cookie(key: HashKey, flow: Flow, irs: number, period: number, value: number): number {
  const count = period & 0xff
  const inner = (hashFlow(key, flow, FOR_COUNT + count) + value) & 0xffffff
  return (hashFlow(key, flow, FOR_BASE) + irs + (count << 24) + inner) | 0
}

/** The index that a cookie hides, or -1 where it is none of ours or too old. */
function openCookie(key: HashKey, flow: Flow, irs: number, value: number, period: number): number {
  const rest = (value - irs - hashFlow(key, flow, FOR_BASE)) | 0
  for (let age = 0; age <= MAX_AGE_PERIODS; age++) {
    const count = (period - age) & 0xff
    const inner = (rest - (count << 24)) | 0
    if (inner >>> 24 !== 0) continue
    const index = (inner - hashFlow(key, flow, FOR_COUNT + count)) & 0xffffff
    if (index < MSS_TABLE.length) return index
  }
  return -1
}

/** The tick below `tick` whose low bits are `options`: a later segment's tick is not below it. */
function tickWithOptions(tick: number, options: number): number {
  const mask = (1 << OPTION_BITS) - 1
  const candidate = (tick & ~mask) | options
  return candidate > tick ? candidate - (1 << OPTION_BITS) : candidate
}

/**
 * Fills `out` with the SYN-ACK that answers `segment`, a SYN, from nothing but it. `wallMs` is the time of day;
 * `tsOffset` must be a function of the flow (`timestampOffset`), for `acceptCookie` needs the same.
 */
export function cookieSynAck(
  segment: Segment,
  config: TcpConfig,
  key: HashKey,
  tsOffset: number,
  wallMs: number,
  now: number,
  out: Transmission,
): void {
  const flow = flowOf(segment)
  const period = Math.floor(wallMs / PERIOD_MS)
  clearTransmission(out)
  out.seq = cookie(key, flow, segment.seq, period, mssIndex(segment))
  out.ack = (segment.seq + 1) | 0
  out.dscp = config.dscp
  out.ttl = config.ttl
  out.flags = SYN | ACK
  out.window = Math.min(config.receiveInitialOctets, 0xffff)
  out.mss = flow.family === 4 ? config.mssV4 : config.mssV6
  if (!config.timestamps || !segment.hasTimestamps) return
  const scaled = config.windowScaling && segment.windowScale >= 0
  const sack = config.sack && segment.sackPermitted
  const ecn = config.ecn && (segment.flags & (ECE | CWR)) === (ECE | CWR)
  const scale = scaled ? Math.min(segment.windowScale, 14) : NO_SCALE
  const options = scale | (sack ? SACK_BIT : 0) | (ecn ? ECN_BIT : 0)
  const tick = Math.floor(now / (1 << config.ownerIdBits)) + tsOffset
  out.hasTimestamps = true
  out.tsVal = (tickWithOptions(tick, options) << config.ownerIdBits) | config.ownerId
  out.tsEcr = segment.tsVal
  out.windowScale = scaled ? ownWindowScale(config) : -1
  out.sackPermitted = sack
  if (ecn) out.flags |= ECE
}

/**
 * The connection that `segment` acknowledges the cookie of, in SYN-RECEIVED as if its SYN-ACK had just been sent:
 * hand it the same segment next. Undefined where the acknowledgement is of no cookie.
 */
export function acceptCookie(
  segment: Segment,
  config: TcpConfig,
  key: HashKey,
  tsOffset: number,
  wallMs: number,
  now: number,
): Tcb | undefined {
  if ((segment.flags & (SYN | ACK | RST)) !== ACK) return undefined
  const flow = flowOf(segment)
  const irs = (segment.seq - 1) | 0
  const iss = (segment.ack - 1) | 0
  const index = openCookie(key, flow, irs, iss, Math.floor(wallMs / PERIOD_MS))
  if (index < 0) return undefined
  restoreSyn(segment, config, irs, MSS_TABLE[index] as number)
  const tcb = acceptSyn(syn, config, iss, tsOffset, now)
  if (tcb.ts.on) neverBelow(tcb, segment.tsEcr)
  tcb.snd.nxt = add(asSeq(iss), 1)
  tcb.ack.sent = tcb.rcv.nxt
  tcb.rcv.edge = add(tcb.rcv.nxt, Math.min(config.receiveInitialOctets, 0xffff))
  // Marked as repeated, so that no round trip is measured from it.
  appendRecord(tcb.sent, tcb.snd.iss, tcb.snd.nxt, now, RETRANSMITTED)
  tcb.timers.rto = now + tcb.rtt.rtoMs
  return tcb
}

/** TSval never steps back, even where another machine's clock, or one that was set, stamped the cookie. */
function neverBelow(tcb: Tcb, tsVal: number): void {
  const bits = tcb.config.ownerIdBits
  const tick = tsVal >>> bits
  if ((tick - tcb.ts.tick) << bits > 0) tcb.ts.tick = tick
}

/** Fills `syn` with what the peer's SYN must have been. */
function restoreSyn(segment: Segment, config: TcpConfig, irs: number, mss: number): void {
  syn.family = segment.family
  syn.src0 = segment.src0
  syn.src1 = segment.src1
  syn.src2 = segment.src2
  syn.src3 = segment.src3
  syn.dst0 = segment.dst0
  syn.dst1 = segment.dst1
  syn.dst2 = segment.dst2
  syn.dst3 = segment.dst3
  syn.srcPort = segment.srcPort
  syn.dstPort = segment.dstPort
  syn.seq = irs
  syn.flags = SYN
  syn.window = segment.window
  syn.mss = mss
  syn.hasTimestamps = segment.hasTimestamps
  syn.tsVal = segment.tsVal
  const options = segment.hasTimestamps ? segment.tsEcr >>> config.ownerIdBits : NO_SCALE
  const scale = options & NO_SCALE
  syn.windowScale = scale === NO_SCALE ? -1 : scale
  syn.sackPermitted = segment.hasTimestamps && (options & SACK_BIT) !== 0
  if (segment.hasTimestamps && (options & ECN_BIT) !== 0) syn.flags |= ECE | CWR
}
