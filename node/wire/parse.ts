/**
 * Reads one IP packet into a flat `Segment`: IPv4 and IPv6 headers, TCP header and options. It allocates
 * nothing and never throws, whatever the octets are; what a segment means for a connection is decided by
 * `node/tcp`, and what an ICMP message says by `icmp.ts`.
 */
import { isMartian4, isMartian6, MAPPED_WORD } from './address.ts'
import { pseudoHeaderSum4, pseudoHeaderSum6, sumIpv4Header, sumOctets } from './checksum.ts'
import {
  checkIpv4Options,
  EXTENSION_FRAGMENT,
  EXTENSION_NONE,
  EXTENSION_OPTION,
  EXTENSION_ROUTED,
  HOP_BY_HOP,
  IPV4_HEADER_OCTETS,
  IPV6_HEADER_OCTETS,
  MAX_EXTENSION_HEADERS,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  PROTOCOL_TCP,
  skipExtension,
} from './ip.ts'
import { type Segment, SYN } from './segment.ts'

/**
 * - `tcp`: every field is filled.
 * - `icmp`, `other-protocol`: addresses, ecn and ttl are filled; the payload is the message behind the IP header.
 * - `fragment`: not reassembled; DF and path MTU discovery keep TCP from being fragmented.
 * - `martian`: an address that cannot be an end of a unicast packet (MUST-57, MUST-63).
 * - `truncated`: shorter than its own length says; `jumbogram`: longer than it can say (RFC 2675).
 * - `source-route`, `routing-header`: it wants to go on elsewhere.
 * - `extension-option`: an option that who does not know it must not skip (RFC 8200 §4.2).
 * - `header-checksum`, `checksum` (of TCP), `malformed`.
 *
 * All but the first three are to be dropped and counted.
 */
export type ParseVerdict =
  | 'tcp'
  | 'icmp'
  | 'other-protocol'
  | 'fragment'
  | 'martian'
  | 'truncated'
  | 'jumbogram'
  | 'source-route'
  | 'routing-header'
  | 'extension-option'
  | 'header-checksum'
  | 'checksum'
  | 'malformed'

const TCP_HEADER_OCTETS = 20

const END_OF_OPTIONS = 0
const NO_OPERATION = 1
const MAXIMUM_SEGMENT_SIZE = 2
const WINDOW_SCALE = 3
const SACK_PERMITTED = 4
const SACK = 5
const TIMESTAMPS = 8
/** NOP, NOP, kind 8, length 10: how nearly every segment in the world begins its options. */
const ALIGNED_TIMESTAMPS = 0x0101080a
/** RFC 7323 §2.3: a larger shift is to be taken as 14. */
const MAX_WINDOW_SHIFT = 14

/**
 * Parses the IP packet of `length` octets at `offset` of `octets` and its `view`; octets behind the length in
 * the IP header are padding. With `checksumTrusted` (the device verified it, or it never left the machine)
 * the transport checksum is not summed; the IPv4 header's always is. The payload stays borrowed from `octets`.
 */
export function parsePacket(
  octets: Uint8Array,
  view: DataView,
  offset: number,
  length: number,
  checksumTrusted: boolean,
  into: Segment,
): ParseVerdict {
  if (length < IPV4_HEADER_OCTETS || offset < 0 || offset + length > view.byteLength) return 'malformed'
  into.octets = octets
  const version = view.getUint8(offset) >> 4
  if (version === 4) return parseIpv4(view, offset, length, checksumTrusted, into)
  if (version === 6) return parseIpv6(view, offset, length, checksumTrusted, into)
  return 'malformed'
}

function parseIpv4(
  view: DataView,
  offset: number,
  length: number,
  checksumTrusted: boolean,
  into: Segment,
): ParseVerdict {
  const headerOctets = (view.getUint8(offset) & 15) << 2
  const total = view.getUint16(offset + 2)
  if (headerOctets < IPV4_HEADER_OCTETS || total < headerOctets) return 'malformed'
  if (total > length) return 'truncated'
  const sum =
    headerOctets === IPV4_HEADER_OCTETS
      ? sumIpv4Header(view, offset)
      : sumOctets(view, offset, headerOctets, 0)
  if (sum !== 0xffff) return 'header-checksum'
  const src = view.getInt32(offset + 12)
  const dst = view.getInt32(offset + 16)
  if (isMartian4(src) || isMartian4(dst)) return 'martian'
  if ((view.getUint16(offset + 6) & 0x3fff) !== 0) return 'fragment'
  into.family = 4
  into.src0 = 0
  into.src1 = 0
  into.src2 = MAPPED_WORD
  into.src3 = src
  into.dst0 = 0
  into.dst1 = 0
  into.dst2 = MAPPED_WORD
  into.dst3 = dst
  into.ecn = view.getUint8(offset + 1) & 3
  into.ttl = view.getUint8(offset + 8)
  into.payloadStart = offset + headerOctets
  into.payloadLength = total - headerOctets
  into.extended = headerOctets > IPV4_HEADER_OCTETS
  if (into.extended) {
    const options = checkIpv4Options(view, offset + IPV4_HEADER_OCTETS, into.payloadStart)
    if (options !== 'harmless') return options
  }
  const protocol = view.getUint8(offset + 9)
  if (protocol === PROTOCOL_TCP) return parseTcp(view, checksumTrusted, into)
  return protocol === PROTOCOL_ICMP ? 'icmp' : 'other-protocol'
}

function parseIpv6(
  view: DataView,
  offset: number,
  length: number,
  checksumTrusted: boolean,
  into: Segment,
): ParseVerdict {
  if (length < IPV6_HEADER_OCTETS) return 'malformed'
  const end = offset + IPV6_HEADER_OCTETS + view.getUint16(offset + 4)
  if (end > offset + length) return 'truncated'
  into.family = 6
  into.src0 = view.getInt32(offset + 8)
  into.src1 = view.getInt32(offset + 12)
  into.src2 = view.getInt32(offset + 16)
  into.src3 = view.getInt32(offset + 20)
  into.dst0 = view.getInt32(offset + 24)
  into.dst1 = view.getInt32(offset + 28)
  into.dst2 = view.getInt32(offset + 32)
  into.dst3 = view.getInt32(offset + 36)
  if (isMartian6(into.src0, into.src1, into.src2) || isMartian6(into.dst0, into.dst1, into.dst2)) {
    return 'martian'
  }
  into.ecn = (view.getUint8(offset + 1) >> 4) & 3
  into.ttl = view.getUint8(offset + 7)
  let next = view.getUint8(offset + 6)
  let at = offset + IPV6_HEADER_OCTETS
  // No payload, and a header behind it: the real length stands in an option that we do not know.
  if (at === end && next === HOP_BY_HOP) return 'jumbogram'
  for (let headers = 0; next !== PROTOCOL_TCP; headers++) {
    const step = skipExtension(view, at, end, next, headers === 0)
    if (step === EXTENSION_NONE) break
    if (step === EXTENSION_FRAGMENT) return 'fragment'
    if (step === EXTENSION_ROUTED) return 'routing-header'
    if (step === EXTENSION_OPTION) return 'extension-option'
    if (step < 0 || headers === MAX_EXTENSION_HEADERS) return 'malformed'
    at = step >> 8
    next = step & 0xff
  }
  into.payloadStart = at
  into.payloadLength = end - at
  into.extended = at !== offset + IPV6_HEADER_OCTETS
  if (next === PROTOCOL_TCP) return parseTcp(view, checksumTrusted, into)
  return next === PROTOCOL_ICMPV6 ? 'icmp' : 'other-protocol'
}

/** Sum over the pseudo-header and the payload of `into`: 0xffff where the checksum within is right. */
export function transportSum(view: DataView, protocol: number, into: Segment): number {
  const length = into.payloadLength
  const pseudo =
    into.family === 4
      ? pseudoHeaderSum4(into.src3, into.dst3, protocol, length)
      : pseudoHeaderSum6(
          into.src0,
          into.src1,
          into.src2,
          into.src3,
          into.dst0,
          into.dst1,
          into.dst2,
          into.dst3,
          protocol,
          length,
        )
  return sumOctets(view, into.payloadStart, length, pseudo)
}

function parseTcp(view: DataView, checksumTrusted: boolean, into: Segment): ParseVerdict {
  const at = into.payloadStart
  if (into.payloadLength < TCP_HEADER_OCTETS) return 'malformed'
  const headerOctets = (view.getUint8(at + 12) >> 4) << 2
  if (headerOctets < TCP_HEADER_OCTETS || headerOctets > into.payloadLength) return 'malformed'
  // RFC 9293 §3.1: the receiver MUST check it (MUST-3).
  if (!checksumTrusted && transportSum(view, PROTOCOL_TCP, into) !== 0xffff) return 'checksum'
  into.srcPort = view.getUint16(at)
  into.dstPort = view.getUint16(at + 2)
  into.seq = view.getInt32(at + 4)
  into.ack = view.getInt32(at + 8)
  into.flags = view.getUint8(at + 13)
  into.window = view.getUint16(at + 14)
  into.urgent = view.getUint16(at + 18)
  into.hasTimestamps = false
  into.tsVal = 0
  into.tsEcr = 0
  into.mss = 0
  into.windowScale = -1
  into.sackPermitted = false
  into.sackCount = 0
  into.payloadStart = at + headerOctets
  into.payloadLength = into.payloadLength - headerOctets
  if (headerOctets === 32 && view.getInt32(at + 20) === ALIGNED_TIMESTAMPS) {
    into.hasTimestamps = true
    into.tsVal = view.getInt32(at + 24)
    into.tsEcr = view.getInt32(at + 28)
  } else if (headerOctets > TCP_HEADER_OCTETS) {
    parseOptions(view, at + TCP_HEADER_OCTETS, at + headerOctets, into)
  }
  return 'tcp'
}

/**
 * RFC 9293 §3.1: options may stand in any segment (MUST-5), unknown ones are skipped by their length (MUST-6),
 * and an illegal length ends the list, while the segment stays (MUST-7; Linux does the same).
 */
function parseOptions(view: DataView, from: number, end: number, into: Segment): void {
  let at = from
  while (at < end) {
    const kind = view.getUint8(at)
    if (kind === END_OF_OPTIONS) return
    if (kind === NO_OPERATION) {
      at++
      continue
    }
    if (at + 2 > end) return
    const length = view.getUint8(at + 1)
    if (length < 2 || at + length > end) return
    parseOption(view, at, kind, length, into)
    at += length
  }
}

/** A known option of a wrong length is skipped as if it were unknown. Of several of a kind the last counts. */
function parseOption(view: DataView, at: number, kind: number, length: number, into: Segment): void {
  if (kind === TIMESTAMPS) {
    if (length !== 10) return
    into.hasTimestamps = true
    into.tsVal = view.getInt32(at + 2)
    into.tsEcr = view.getInt32(at + 6)
  } else if (kind === SACK) {
    const count = (length - 2) >> 3
    if (count === 0 || length !== 2 + 8 * count) return
    into.sackCount = count
    for (let edge = 0; edge < 2 * count; edge++) into.sackEdges[edge] = view.getInt32(at + 2 + 4 * edge)
  } else if ((into.flags & SYN) !== 0) {
    // Outside of a SYN these three are ignored (RFC 9293 §3.7.1, RFC 7323 §2.2, RFC 2018 §2).
    if (kind === MAXIMUM_SEGMENT_SIZE && length === 4) into.mss = view.getUint16(at + 2)
    else if (kind === WINDOW_SCALE && length === 3) {
      const shift = view.getUint8(at + 2)
      into.windowScale = Math.min(shift, MAX_WINDOW_SHIFT)
    } else if (kind === SACK_PERMITTED && length === 2) into.sackPermitted = true
  }
}
