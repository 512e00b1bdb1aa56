/**
 * ICMP for IPv4 (RFC 792, RFC 1191) and IPv6 (RFC 4443) as far as a TCP endpoint needs it: errors about
 * segments that we sent are read down to the quoted sequence number and TSval, echo requests are answered,
 * and packets for nobody are refused. Limiting the rate of what is sent is left to the caller.
 */
import { isMartian4, isMartian6, MAPPED_WORD } from './address.ts'
import { pseudoHeaderSum6, sumOctets } from './checksum.ts'
import {
  EXTENSION_NONE,
  IPV4_HEADER_OCTETS,
  IPV6_HEADER_OCTETS,
  MAX_EXTENSION_HEADERS,
  NO_NEXT_HEADER,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  skipExtension,
  writeIpv4Header,
  writeIpv6Header,
} from './ip.ts'
import { transportSum } from './parse.ts'
import type { Segment } from './segment.ts'
import { VIRTIO_GSO_NONE, VIRTIO_HEADER_OCTETS, writeVirtioHeader } from './virtio.ts'

/**
 * - `packet-too-big`: lower the path MTU to `mtu`.
 * - `unreachable`: net, host, route: a soft error (RFC 5461).
 * - `prohibited`: by a filter or policy.
 * - `refused`: protocol or port: hard by RFC 1122, but soft on a synchronised connection (RFC 5927 §5.2).
 */
export type IcmpErrorKind = 'packet-too-big' | 'unreachable' | 'prohibited' | 'refused'

/** An ICMP error about a TCP segment, as a flat record that is filled again and again. */
export interface IcmpError {
  kind: IcmpErrorKind
  type: number
  code: number
  /** Of the next hop, at most 65,535; 0 where an old router does not say (RFC 1191 §5). */
  mtu: number
  /** Length of the quoted packet by its own IP header. */
  packetOctets: number
  family: 4 | 6
  /** The quoted packet's source: our address. */
  src0: number
  src1: number
  src2: number
  src3: number
  /** Its destination: the client's. */
  dst0: number
  dst1: number
  dst2: number
  dst3: number
  srcPort: number
  dstPort: number
  seq: number
  /** Whether the quote reaches as far as the timestamps option. */
  hasTimestamps: boolean
  tsVal: number
}

export type IcmpVerdict = 'echo-request' | 'error' | 'ignored' | 'checksum' | 'malformed'

const ECHO_REQUEST = 8
const ECHO_REPLY = 0
const UNREACHABLE = 3
const ECHO_REQUEST_6 = 128
const ECHO_REPLY_6 = 129
const UNREACHABLE_6 = 1
const PACKET_TOO_BIG_6 = 2
const PARAMETER_PROBLEM_6 = 4
/** RFC 4443 §2.1: types below are errors. */
const FIRST_INFORMATIONAL_6 = 128

const ICMP_HEADER_OCTETS = 8
/** Largest echo message answered: a jumbo frame; a larger one could only come in fragments. */
export const MAX_ECHO_OCTETS = 9_216
/** RFC 1812 §4.3.2.3: an error is at most 576 octets long. */
const MAX_ERROR_OCTETS = 576
/** RFC 4443 §2.4 (c): at most the minimum MTU. */
const MAX_ERROR_OCTETS_6 = 1_280
/** The most that any function here writes, virtio header included. */
export const MAX_ICMP_PACKET_OCTETS = VIRTIO_HEADER_OCTETS + IPV6_HEADER_OCTETS + MAX_ECHO_OCTETS

/** The most that `writeUnreachable` and `writePacketTooBig` write. */
export const MAX_ICMP_ERROR_OCTETS = VIRTIO_HEADER_OCTETS + MAX_ERROR_OCTETS_6

/** Whether the error that was written at `at`, virtio header first, is IPv6's "parameter problem". */
export function isParameterProblem(view: DataView, at: number): boolean {
  const ip = at + VIRTIO_HEADER_OCTETS
  return view.getUint8(ip) >> 4 === 6 && view.getUint8(ip + IPV6_HEADER_OCTETS) === PARAMETER_PROBLEM_6
}

/** RFC 1191 §7.1: the MTUs that are usual; an old router does not say its own. */
const PLATEAUS = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, 68] as const

/** What `error`, a "packet too big", lets the path take: what it says, or the next usual size below the packet (RFC 1191 §5). */
export function pathMtuOf(error: IcmpError): number {
  if (error.mtu > 0) return error.mtu
  return PLATEAUS.find(mtu => mtu < error.packetOctets) ?? 0
}

export function createIcmpError(): IcmpError {
  return {
    kind: 'unreachable',
    type: 0,
    code: 0,
    mtu: 0,
    packetOctets: 0,
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
    seq: 0,
    hasTimestamps: false,
    tsVal: 0,
  }
}

/**
 * Reads the message that `parsePacket` called 'icmp' out of `packet`; `into` is filled for 'error' only. An error
 * that quotes anything but a TCP segment of the address that it came to is 'malformed' or 'ignored'.
 */
export function parseIcmp(
  view: DataView,
  packet: Segment,
  checksumTrusted: boolean,
  into: IcmpError,
): IcmpVerdict {
  const at = packet.payloadStart
  const length = packet.payloadLength
  if (length < ICMP_HEADER_OCTETS) return 'malformed'
  if (!checksumTrusted) {
    const sum =
      packet.family === 4 ? sumOctets(view, at, length, 0) : transportSum(view, PROTOCOL_ICMPV6, packet)
    if (sum !== 0xffff) return 'checksum'
  }
  const type = view.getUint8(at)
  const code = view.getUint8(at + 1)
  if (type === (packet.family === 4 ? ECHO_REQUEST : ECHO_REQUEST_6)) return 'echo-request'
  const kind = packet.family === 4 ? errorKind4(type, code) : errorKind6(type, code)
  if (kind === undefined) return 'ignored'
  into.kind = kind
  into.type = type
  into.code = code
  into.mtu = 0
  if (kind === 'packet-too-big') {
    into.mtu = packet.family === 4 ? view.getUint16(at + 6) : Math.min(view.getUint32(at + 4), 65_535)
  }
  const quote = at + ICMP_HEADER_OCTETS
  return packet.family === 4
    ? parseQuote4(view, quote, at + length, packet, into)
    : parseQuote6(view, quote, at + length, packet, into)
}

function errorKind4(type: number, code: number): IcmpErrorKind | undefined {
  if (type !== UNREACHABLE || code > 15) return undefined
  if (code === 4) return 'packet-too-big'
  if (code === 2 || code === 3) return 'refused'
  // RFC 1812 §5.2.7.1: 9, 10, 13, 14 and 15 are administrative.
  return code === 9 || code === 10 || code >= 13 ? 'prohibited' : 'unreachable'
}

function errorKind6(type: number, code: number): IcmpErrorKind | undefined {
  if (type === PACKET_TOO_BIG_6) return 'packet-too-big'
  // Unrecognised next header: "protocol unreachable" of IPv6; the other codes are soft (RFC 5461 §2).
  if (type === PARAMETER_PROBLEM_6) return code === 1 ? 'refused' : 'unreachable'
  if (type !== UNREACHABLE_6 || code > 6) return undefined
  if (code === 4) return 'refused'
  return code === 1 || code >= 5 ? 'prohibited' : 'unreachable'
}

function parseQuote4(view: DataView, at: number, end: number, packet: Segment, into: IcmpError): IcmpVerdict {
  if (at + IPV4_HEADER_OCTETS > end || view.getUint8(at) >> 4 !== 4) return 'malformed'
  const headerOctets = (view.getUint8(at) & 15) << 2
  if (headerOctets < IPV4_HEADER_OCTETS) return 'malformed'
  if (view.getUint8(at + 9) !== PROTOCOL_TCP || (view.getUint16(at + 6) & 0x1fff) !== 0) return 'ignored'
  into.family = 4
  into.packetOctets = view.getUint16(at + 2)
  into.src0 = 0
  into.src1 = 0
  into.src2 = MAPPED_WORD
  into.src3 = view.getInt32(at + 12)
  into.dst0 = 0
  into.dst1 = 0
  into.dst2 = MAPPED_WORD
  into.dst3 = view.getInt32(at + 16)
  if (into.src3 !== packet.dst3) return 'malformed'
  return parseQuotedTcp(view, at + headerOctets, end, into)
}

function parseQuote6(view: DataView, at: number, end: number, packet: Segment, into: IcmpError): IcmpVerdict {
  if (at + IPV6_HEADER_OCTETS > end || view.getUint8(at) >> 4 !== 6) return 'malformed'
  // We send no extension headers, so none stand in the quote.
  if (view.getUint8(at + 6) !== PROTOCOL_TCP) return 'ignored'
  into.family = 6
  into.packetOctets = IPV6_HEADER_OCTETS + view.getUint16(at + 4)
  into.src0 = view.getInt32(at + 8)
  into.src1 = view.getInt32(at + 12)
  into.src2 = view.getInt32(at + 16)
  into.src3 = view.getInt32(at + 20)
  into.dst0 = view.getInt32(at + 24)
  into.dst1 = view.getInt32(at + 28)
  into.dst2 = view.getInt32(at + 32)
  into.dst3 = view.getInt32(at + 36)
  if (
    into.src0 !== packet.dst0 ||
    into.src1 !== packet.dst1 ||
    into.src2 !== packet.dst2 ||
    into.src3 !== packet.dst3
  ) {
    return 'malformed'
  }
  return parseQuotedTcp(view, at + IPV6_HEADER_OCTETS, end, into)
}

/** A router quotes at least eight octets of the segment (RFC 792), so ports and sequence number must be there. */
function parseQuotedTcp(view: DataView, at: number, end: number, into: IcmpError): IcmpVerdict {
  if (at + 8 > end) return 'malformed'
  into.srcPort = view.getUint16(at)
  into.dstPort = view.getUint16(at + 2)
  into.seq = view.getInt32(at + 4)
  into.hasTimestamps = false
  into.tsVal = 0
  if (at + 20 > end) return 'error'
  const optionsEnd = Math.min(at + ((view.getUint8(at + 12) >> 4) << 2), end)
  let option = at + 20
  while (option + 6 <= optionsEnd) {
    const kind = view.getUint8(option)
    if (kind === 0) break
    if (kind === 1) {
      option++
      continue
    }
    const length = view.getUint8(option + 1)
    if (length < 2) break
    // TSval alone is enough; the quote may end within the option.
    if (kind === 8 && length === 10) {
      into.hasTimestamps = true
      into.tsVal = view.getInt32(option + 2)
    }
    option += length
  }
  return 'error'
}

/** Octets of the reply to the echo request `request`, virtio header included; 0 where it is too long. */
export function echoReplyOctets(request: Segment): number {
  if (request.payloadLength > MAX_ECHO_OCTETS) return 0
  const ip = request.family === 4 ? IPV4_HEADER_OCTETS : IPV6_HEADER_OCTETS
  return VIRTIO_HEADER_OCTETS + ip + request.payloadLength
}

/**
 * Writes the reply to an echo request at `at` (RFC 1122 §3.2.2.6, RFC 4443 §4.2) and returns its octets, or 0
 * where it is too long to answer or does not fit. The caller has checked that the address is ours.
 */
export function writeEchoReply(
  octets: Uint8Array,
  view: DataView,
  at: number,
  ttl: number,
  request: Segment,
): number {
  const total = echoReplyOctets(request)
  if (total === 0 || at + total > octets.length) return 0
  const length = request.payloadLength
  writeVirtioHeader(view, at, 0, VIRTIO_GSO_NONE, 0, 0, 0, 0)
  const message = at + total - length
  const start = request.payloadStart
  octets.set(request.octets.subarray(start, start + length), message)
  octets[message] = request.family === 4 ? ECHO_REPLY : ECHO_REPLY_6
  const { src0, src1, src2, src3, dst0, dst1, dst2, dst3 } = request
  const ip = at + VIRTIO_HEADER_OCTETS
  let pseudo = 0
  if (request.family === 4) {
    writeIpv4Header(view, ip, dst3, src3, PROTOCOL_ICMP, 0, ttl, length)
  } else {
    writeIpv6Header(view, ip, dst0, dst1, dst2, dst3, src0, src1, src2, src3, PROTOCOL_ICMPV6, 0, ttl, length)
    pseudo = pseudoHeaderSum6(dst0, dst1, dst2, dst3, src0, src1, src2, src3, PROTOCOL_ICMPV6, length)
  }
  view.setUint16(message + 2, 0)
  view.setUint16(message + 2, ~sumOctets(view, message, length, pseudo))
  return total
}

/**
 * Refuses a packet that no protocol of ours takes: port unreachable for UDP, else protocol unreachable (IPv6:
 * parameter problem, unrecognised next header). `packet` is the IP packet of `length` octets at `offset`. Returns the
 * octets written at `at`, or 0 where no error may be sent (RFC 1122 §3.2.2, RFC 4443 §2.4 (e)) or it does not fit.
 */
export function writeUnreachable(
  octets: Uint8Array,
  view: DataView,
  at: number,
  ttl: number,
  packet: Uint8Array,
  packetView: DataView,
  offset: number,
  length: number,
): number {
  if (!mayBeAnswered(packetView, offset, length)) return 0
  if (packetView.getUint8(offset) >> 4 === 4) {
    const code = packetView.getUint8(offset + 9) === PROTOCOL_UDP ? 3 : 2
    return writeError(octets, view, at, ttl, UNREACHABLE, code, 0, packet, packetView, offset, length)
  }
  const pointer = locateTransport6(packetView, offset, length) & 0xffff
  if (packetView.getUint8(offset + pointer) === NO_NEXT_HEADER) return 0
  if (packetView.getUint8(offset + pointer) === PROTOCOL_UDP) {
    return writeError(octets, view, at, ttl, UNREACHABLE_6, 4, 0, packet, packetView, offset, length)
  }
  return writeError(
    octets,
    view,
    at,
    ttl,
    PARAMETER_PROBLEM_6,
    1,
    pointer,
    packet,
    packetView,
    offset,
    length,
  )
}

/**
 * Says that the packet is longer than the next hop's `mtu` (RFC 1191 §4, RFC 4443 §3.2), as a router would; it
 * speaks in the name of the packet's destination, because it has no address of its own. Otherwise as
 * `writeUnreachable`.
 */
export function writePacketTooBig(
  octets: Uint8Array,
  view: DataView,
  at: number,
  ttl: number,
  mtu: number,
  packet: Uint8Array,
  packetView: DataView,
  offset: number,
  length: number,
): number {
  if (!mayBeAnswered(packetView, offset, length)) return 0
  return packetView.getUint8(offset) >> 4 === 4
    ? writeError(octets, view, at, ttl, UNREACHABLE, 4, mtu, packet, packetView, offset, length)
    : writeError(octets, view, at, ttl, PACKET_TOO_BIG_6, 0, mtu, packet, packetView, offset, length)
}

/** No error about an error, a later fragment, or anything but unicast between two hosts. */
function mayBeAnswered(view: DataView, offset: number, length: number): boolean {
  if (length < IPV4_HEADER_OCTETS || offset < 0 || offset + length > view.byteLength) return false
  const version = view.getUint8(offset) >> 4
  if (version === 4) {
    if (isMartian4(view.getInt32(offset + 12)) || isMartian4(view.getInt32(offset + 16))) return false
    if ((view.getUint16(offset + 6) & 0x1fff) !== 0) return false
    if (view.getUint8(offset + 9) !== PROTOCOL_ICMP) return true
    const message = offset + ((view.getUint8(offset) & 15) << 2)
    return message < offset + length && view.getUint8(message) === ECHO_REQUEST
  }
  if (version !== 6 || length < IPV6_HEADER_OCTETS) return false
  const src0 = view.getInt32(offset + 8)
  const dst0 = view.getInt32(offset + 24)
  if (isMartian6(src0, view.getInt32(offset + 12), view.getInt32(offset + 16))) return false
  if (isMartian6(dst0, view.getInt32(offset + 28), view.getInt32(offset + 32))) return false
  const transport = locateTransport6(view, offset, length)
  if (transport < 0) return false
  if (view.getUint8(offset + (transport & 0xffff)) !== PROTOCOL_ICMPV6) return true
  const message = offset + (transport >> 16)
  return message < offset + length && view.getUint8(message) >= FIRST_INFORMATIONAL_6
}

/**
 * Where the transport header of an IPv6 packet begins and which field names its protocol, both as offsets from
 * the IPv6 header: `(start << 16) | field`; -1 where the chain of extension headers is broken.
 */
function locateTransport6(view: DataView, offset: number, length: number): number {
  let field = 6
  let at = offset + IPV6_HEADER_OCTETS
  for (let headers = 0; headers <= MAX_EXTENSION_HEADERS; headers++) {
    const step = skipExtension(view, at, offset + length, view.getUint8(offset + field), headers === 0)
    // Nine headers of 2,048 octets keep the start below 2^15.
    if (step === EXTENSION_NONE) return ((at - offset) << 16) | field
    if (step < 0) return -1
    field = at - offset
    at = step >> 8
  }
  return -1
}

function writeError(
  octets: Uint8Array,
  view: DataView,
  at: number,
  ttl: number,
  type: number,
  code: number,
  word: number,
  packet: Uint8Array,
  packetView: DataView,
  offset: number,
  length: number,
): number {
  const isV4 = packetView.getUint8(offset) >> 4 === 4
  const ipOctets = isV4 ? IPV4_HEADER_OCTETS : IPV6_HEADER_OCTETS
  const room = (isV4 ? MAX_ERROR_OCTETS : MAX_ERROR_OCTETS_6) - ipOctets - ICMP_HEADER_OCTETS
  const quoted = Math.min(length, room)
  const messageOctets = ICMP_HEADER_OCTETS + quoted
  const total = VIRTIO_HEADER_OCTETS + ipOctets + messageOctets
  if (at + total > octets.length) return 0
  const ip = at + VIRTIO_HEADER_OCTETS
  const message = ip + ipOctets
  writeVirtioHeader(view, at, 0, VIRTIO_GSO_NONE, 0, 0, 0, 0)
  octets[message] = type
  octets[message + 1] = code
  view.setUint16(message + 2, 0)
  view.setInt32(message + 4, word)
  octets.set(packet.subarray(offset, offset + quoted), message + ICMP_HEADER_OCTETS)
  let pseudo = 0
  if (isV4) {
    const src = packetView.getInt32(offset + 16)
    writeIpv4Header(view, ip, src, packetView.getInt32(offset + 12), PROTOCOL_ICMP, 0, ttl, messageOctets)
  } else {
    writeReversedIpv6Header(view, ip, packetView, offset, ttl, messageOctets)
    // The addresses stand in the header just written; the rest of the pseudo-header is two small numbers.
    pseudo = sumOctets(view, ip + 8, 32, 0)
    pseudo = pseudoHeaderSum6(0, 0, 0, pseudo, 0, 0, 0, 0, PROTOCOL_ICMPV6, messageOctets)
  }
  view.setUint16(message + 2, ~sumOctets(view, message, messageOctets, pseudo))
  return total
}

function writeReversedIpv6Header(
  view: DataView,
  at: number,
  original: DataView,
  offset: number,
  ttl: number,
  payloadLength: number,
): void {
  writeIpv6Header(
    view,
    at,
    original.getInt32(offset + 24),
    original.getInt32(offset + 28),
    original.getInt32(offset + 32),
    original.getInt32(offset + 36),
    original.getInt32(offset + 8),
    original.getInt32(offset + 12),
    original.getInt32(offset + 16),
    original.getInt32(offset + 20),
    PROTOCOL_ICMPV6,
    0,
    ttl,
    payloadLength,
  )
}
