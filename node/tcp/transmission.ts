/**
 * One segment to send, as a flat record that `nextSegment` fills again and again. It holds every header field
 * but the addresses (they stand in `tcb.flow`, or in the segment that a reset answers) and no payload: the
 * octets are gathered from the send queue by the caller, straight into its packet.
 */
import { MAX_SACK_BLOCKS } from '../wire/segment.ts'

/** RFC 1700, and what every large stack sends. */
export const DEFAULT_TTL = 64

export interface Transmission {
  seq: number
  ack: number
  flags: number
  /** The window field as it goes on the wire, already scaled down. */
  window: number
  /** Always 0: we never send urgent data (RFC 6093 advises against it). */
  urgent: number

  hasTimestamps: boolean
  tsVal: number
  tsEcr: number
  /** The MSS option; 0: none. Only on a SYN. */
  mss: number
  /** The window scale option; -1: none. Only on a SYN. */
  windowScale: number
  /** The SACK-permitted option. Only on a SYN. */
  sackPermitted: boolean
  sackCount: number
  /** `sackCount` pairs of left and right edge, a D-SACK block first (RFC 2883 §4). */
  readonly sackEdges: Int32Array

  payloadSeq: number
  /** Octets, up to 64 KiB less headers: a multiple of `segmentSize` unless it is the end of the queue. */
  payloadLength: number
  /** Octets of payload a wire packet takes beside these options: the GSO size where `payloadLength` is larger. */
  segmentSize: number
  /** The ECN codepoint for the IP header: 0 or 2 (ECT(0)). */
  ecn: number
  /** For the IP header, too: the Differentiated Services field and the time to live. */
  dscp: number
  ttl: number
  /** The payload is one zero octet below SND.NXT that the peer has already; do not gather it from the queue. */
  probe: boolean
  /** For counters, captures and tests: octets that were sent before. */
  retransmission: boolean
}

export function createTransmission(): Transmission {
  return {
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
    payloadSeq: 0,
    payloadLength: 0,
    segmentSize: 0,
    ecn: 0,
    dscp: 0,
    ttl: DEFAULT_TTL,
    probe: false,
    retransmission: false,
  }
}

/** Makes `out` a bare segment: everything optional absent. */
export function clearTransmission(out: Transmission): void {
  out.urgent = 0
  out.hasTimestamps = false
  out.tsVal = 0
  out.tsEcr = 0
  out.mss = 0
  out.windowScale = -1
  out.sackPermitted = false
  out.sackCount = 0
  out.payloadSeq = 0
  out.payloadLength = 0
  out.segmentSize = 0
  out.ecn = 0
  out.dscp = 0
  out.ttl = DEFAULT_TTL
  out.probe = false
  out.retransmission = false
}
