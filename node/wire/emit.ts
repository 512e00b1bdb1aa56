/**
 * Writes the headers of one TCP packet (virtio, IP, TCP with options) from a flat record that the caller
 * fills again and again. The payload is not touched: it follows by reference, and its checksum is left to the
 * kernel; `finishChecksum` completes it where no kernel will.
 */
import { pseudoHeaderSum4, pseudoHeaderSum6, sumOctets } from './checksum.ts'
import {
  IPV4_HEADER_OCTETS,
  IPV6_HEADER_OCTETS,
  ipPacketOctets,
  MAX_IP_PACKET_OCTETS,
  PROTOCOL_TCP,
  writeIpv4Header,
  writeIpv6Header,
} from './ip.ts'
import { CWR, MAX_SACK_BLOCKS } from './segment.ts'
import {
  VIRTIO_GSO_ECN,
  VIRTIO_GSO_NONE,
  VIRTIO_GSO_TCPV4,
  VIRTIO_GSO_TCPV6,
  VIRTIO_HEADER_OCTETS,
  VIRTIO_NEEDS_CSUM,
  virtioCsumOffset,
  virtioCsumStart,
  writeVirtioHeader,
} from './virtio.ts'

const TCP_HEADER_OCTETS = 20
const TCP_CHECKSUM_OFFSET = 16
/** The data offset field counts 15 words at most. */
const MAX_OPTION_OCTETS = 40

/** The most octets that `writeTcpPacket` writes. */
export const MAX_PACKET_HEAD_OCTETS =
  VIRTIO_HEADER_OCTETS + IPV6_HEADER_OCTETS + TCP_HEADER_OCTETS + MAX_OPTION_OCTETS
/** The largest payload that fits behind the largest headers, of either family. */
export const MAX_PAYLOAD_OCTETS =
  MAX_IP_PACKET_OCTETS - IPV6_HEADER_OCTETS - TCP_HEADER_OCTETS - MAX_OPTION_OCTETS

/** What a packet's headers say; fields as in `Segment`. */
export interface TcpHeader {
  family: 4 | 6
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
  ttl: number
  ecn: number
  /** The Differentiated Services field, 0–63 (RFC 2474). */
  dscp: number

  seq: number
  ack: number
  flags: number
  /** As on the wire, already scaled. */
  window: number
  urgent: number

  hasTimestamps: boolean
  tsVal: number
  tsEcr: number
  /** 0: no option. */
  mss: number
  /** -1: no option. */
  windowScale: number
  sackPermitted: boolean
  /** Blocks that do not fit (a fourth beside timestamps) are left out. */
  sackCount: number
  readonly sackEdges: Int32Array

  /** At most MAX_PAYLOAD_OCTETS. */
  payloadLength: number
  /** A longer payload makes a super-segment that the kernel cuts into payloads of this size; 0: never. */
  segmentSize: number
}

export function createTcpHeader(): TcpHeader {
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
    ttl: 64,
    ecn: 0,
    dscp: 0,
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
    payloadLength: 0,
    segmentSize: 0,
  }
}

/** Octets of the options before the SACK blocks, each aligned to a word. */
function fixedOptionOctets(header: TcpHeader): number {
  return (
    (header.mss === 0 ? 0 : 4) +
    (header.hasTimestamps ? 12 : header.sackPermitted ? 4 : 0) +
    (header.windowScale < 0 ? 0 : 4)
  )
}

/** How many of `sackCount` blocks fit behind `fixedOctets` of options: three beside timestamps (RFC 2018 §3). */
function fittingSackBlocks(header: TcpHeader, fixedOctets: number): number {
  const room = (MAX_OPTION_OCTETS - 4 - fixedOctets) >> 3
  return Math.min(header.sackCount, room)
}

/** Octets of the TCP header with its options: 20 to 60. */
export function tcpHeaderOctets(header: TcpHeader): number {
  const fixed = fixedOptionOctets(header)
  const blocks = header.sackCount === 0 ? 0 : fittingSackBlocks(header, fixed)
  return TCP_HEADER_OCTETS + fixed + (blocks === 0 ? 0 : 4 + 8 * blocks)
}

/** Octets that `writeTcpPacket` will write: virtio, IP and TCP headers. */
export function packetHeadOctets(header: TcpHeader): number {
  const ip = header.family === 4 ? IPV4_HEADER_OCTETS : IPV6_HEADER_OCTETS
  return VIRTIO_HEADER_OCTETS + ip + tcpHeaderOctets(header)
}

/**
 * Writes the headers at `at` and returns their octets (`packetHeadOctets`). The checksum field holds the sum of
 * the pseudo-header, marked NEEDS_CSUM; the caller adds `payloadLength` octets behind, in place or by reference.
 */
export function writeTcpPacket(octets: Uint8Array, view: DataView, at: number, header: TcpHeader): number {
  const headerOctets = tcpHeaderOctets(header)
  const length = headerOctets + header.payloadLength
  if (header.payloadLength < 0 || header.payloadLength > MAX_PAYLOAD_OCTETS) {
    throw new RangeError(`a payload of ${header.payloadLength} octets does not fit in an IP packet`)
  }
  const ip = at + VIRTIO_HEADER_OCTETS
  const trafficClass = (header.dscp << 2) | header.ecn
  let tcp = ip + IPV4_HEADER_OCTETS
  let pseudo = 0
  if (header.family === 4) {
    writeIpv4Header(view, ip, header.src3, header.dst3, PROTOCOL_TCP, trafficClass, header.ttl, length)
    pseudo = pseudoHeaderSum4(header.src3, header.dst3, PROTOCOL_TCP, length)
  } else {
    tcp = ip + IPV6_HEADER_OCTETS
    pseudo = writeIpv6(view, ip, header, trafficClass, length)
  }
  writeVirtio(view, at, header, tcp - ip, headerOctets)
  view.setUint16(tcp, header.srcPort)
  view.setUint16(tcp + 2, header.dstPort)
  view.setInt32(tcp + 4, header.seq)
  view.setInt32(tcp + 8, header.ack)
  octets[tcp + 12] = headerOctets << 2
  octets[tcp + 13] = header.flags
  view.setUint16(tcp + 14, header.window)
  view.setUint16(tcp + TCP_CHECKSUM_OFFSET, pseudo)
  view.setUint16(tcp + 18, header.urgent)
  if (headerOctets > TCP_HEADER_OCTETS) writeOptions(view, tcp + TCP_HEADER_OCTETS, header)
  return tcp + headerOctets - at
}

function writeIpv6(
  view: DataView,
  at: number,
  header: TcpHeader,
  trafficClass: number,
  length: number,
): number {
  const { src0, src1, src2, src3, dst0, dst1, dst2, dst3 } = header
  const { ttl } = header
  writeIpv6Header(
    view,
    at,
    src0,
    src1,
    src2,
    src3,
    dst0,
    dst1,
    dst2,
    dst3,
    PROTOCOL_TCP,
    trafficClass,
    ttl,
    length,
  )
  return pseudoHeaderSum6(src0, src1, src2, src3, dst0, dst1, dst2, dst3, PROTOCOL_TCP, length)
}

function writeVirtio(
  view: DataView,
  at: number,
  header: TcpHeader,
  ipOctets: number,
  tcpOctets: number,
): void {
  let gsoType = VIRTIO_GSO_NONE
  let gsoSize = 0
  if (header.segmentSize > 0 && header.payloadLength > header.segmentSize) {
    gsoType = header.family === 4 ? VIRTIO_GSO_TCPV4 : VIRTIO_GSO_TCPV6
    if ((header.flags & CWR) !== 0) gsoType |= VIRTIO_GSO_ECN
    gsoSize = header.segmentSize
  }
  const headOctets = gsoType === VIRTIO_GSO_NONE ? 0 : ipOctets + tcpOctets
  writeVirtioHeader(view, at, VIRTIO_NEEDS_CSUM, gsoType, headOctets, gsoSize, ipOctets, TCP_CHECKSUM_OFFSET)
}

/** In the order and with the padding of Linux: some middleboxes have seen nothing else. */
function writeOptions(view: DataView, from: number, header: TcpHeader): void {
  let at = from
  if (header.mss !== 0) {
    view.setInt32(at, 0x02040000 | header.mss)
    at += 4
  }
  if (header.hasTimestamps) {
    // SACK-permitted takes the place of the two NOPs.
    view.setInt32(at, header.sackPermitted ? 0x0402080a : 0x0101080a)
    view.setInt32(at + 4, header.tsVal)
    view.setInt32(at + 8, header.tsEcr)
    at += 12
  } else if (header.sackPermitted) {
    view.setInt32(at, 0x01010402)
    at += 4
  }
  if (header.windowScale >= 0) {
    view.setInt32(at, 0x01030300 | header.windowScale)
    at += 4
  }
  if (header.sackCount === 0) return
  const blocks = fittingSackBlocks(header, at - from)
  if (blocks === 0) return
  view.setInt32(at, 0x01010500 | (2 + 8 * blocks))
  at += 4
  for (let edge = 0; edge < 2 * blocks; edge++) view.setInt32(at + 4 * edge, header.sackEdges[edge] ?? 0)
}

/**
 * Completes the checksum that a packet's virtio header at `at` leaves open (NEEDS_CSUM) and clears that flag; the
 * payload lies behind the headers. False where the header points outside of the packet, which is then unchanged.
 */
export function finishChecksum(octets: Uint8Array, view: DataView, at: number): boolean {
  const ip = at + VIRTIO_HEADER_OCTETS
  if (at < 0 || ip + IPV4_HEADER_OCTETS > octets.length) return false
  const flags = view.getUint8(at)
  if ((flags & VIRTIO_NEEDS_CSUM) === 0) return true
  const end = ip + ipPacketOctets(view, ip)
  const start = ip + virtioCsumStart(view, at)
  const field = start + virtioCsumOffset(view, at)
  if (end > octets.length || field + 2 > end) return false
  const sum = ~sumOctets(view, start, end - start, 0) & 0xffff
  // 0 would mean "no checksum" in UDP; 0xffff is the same number in one's complement (the kernel does so too).
  view.setUint16(field, sum === 0 ? 0xffff : sum)
  view.setUint8(at, flags & ~VIRTIO_NEEDS_CSUM)
  return true
}
