/**
 * One parsed TCP segment with the addresses of the packet that carried it, as one flat record that the
 * parser fills again and again: the packet path allocates no segment. Every 32-bit quantity is an int32
 * (`| 0`), because V8 keeps those unboxed; sequence numbers are compared by `node/tcp/seq.ts`.
 */

export const FIN = 0x01
export const SYN = 0x02
export const RST = 0x04
export const PSH = 0x08
export const ACK = 0x10
export const URG = 0x20
export const ECE = 0x40
export const CWR = 0x80

/** The most SACK blocks that fit beside nothing else in 40 octets of options (RFC 2018 §3). */
export const MAX_SACK_BLOCKS = 4

export interface Segment {
  family: 4 | 6
  /** Source address in four words; an IPv4 address stands in its mapped form ::ffff:a.b.c.d. */
  src0: number
  src1: number
  src2: number
  src3: number
  dst0: number
  dst1: number
  dst2: number
  dst3: number
  srcPort: number
  dstPort: number
  /** ECN codepoint of the IP header: 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE (RFC 3168 §5). */
  ecn: number
  ttl: number
  /** Whether there were IPv4 options or IPv6 extension headers, which were skipped. */
  extended: boolean

  seq: number
  ack: number
  flags: number
  /** The window field as on the wire, unscaled. */
  window: number
  urgent: number

  hasTimestamps: boolean
  tsVal: number
  tsEcr: number
  /** 0 where the option is absent. */
  mss: number
  /** -1 where the option is absent; shifts above 14 are clamped to 14 (RFC 7323 §2.3). */
  windowScale: number
  sackPermitted: boolean
  sackCount: number
  /** `sackCount` pairs of left and right edge, in the order of the wire. */
  readonly sackEdges: Int32Array

  /** The buffer that holds the payload. It is borrowed: it may be overwritten when the call returns. */
  octets: Uint8Array
  payloadStart: number
  payloadLength: number
}

const NO_OCTETS = new Uint8Array(0)

export function createSegment(): Segment {
  return {
    family: 4,
    src0: 0,
    src1: 0,
    src2: 0,
    src3: 0,
    dst0: 0,
    dst1: 0,
    dst2: 0,
    dst3: 0,
    srcPort: 0,
    dstPort: 0,
    ecn: 0,
    ttl: 0,
    extended: false,
    seq: 0,
    ack: 0,
    flags: 0,
    window: 0,
    urgent: 0,
    hasTimestamps: false,
    tsVal: 0,
    tsEcr: 0,
    mss: 0,
    windowScale: -1,
    sackPermitted: false,
    sackCount: 0,
    sackEdges: new Int32Array(2 * MAX_SACK_BLOCKS),
    octets: NO_OCTETS,
    payloadStart: 0,
    payloadLength: 0,
  }
}

/** SEG.LEN of RFC 9293 §3.3.1: the payload and one each for SYN and FIN. */
export function segmentLength(segment: Segment): number {
  return segment.payloadLength + ((segment.flags & SYN) >> 1) + (segment.flags & FIN)
}
