/**
 * The IP headers that we write, the length of a packet that was written, and the walk over IPv6 extension
 * headers. Reading whole packets is done by `parse.ts`.
 */
import { fold, halves } from './checksum.ts'

export const PROTOCOL_ICMP = 1
export const PROTOCOL_TCP = 6
export const PROTOCOL_UDP = 17
export const PROTOCOL_ICMPV6 = 58
/** IPv6: nothing follows, and nobody is to say that it is unknown (RFC 8200 §4.7). */
export const NO_NEXT_HEADER = 59

export const IPV4_HEADER_OCTETS = 20
export const IPV6_HEADER_OCTETS = 40
/** The total length field of IPv4 has 16 bits. */
export const MAX_IP_PACKET_OCTETS = 65_535

const DONT_FRAGMENT = 0x4000

/**
 * Without options; `trafficClass` is the octet of Differentiated Services and ECN (RFC 3168 §5). ID 0 beside DF (RFC
 * 6864 §4.1): a kernel that segments a super-packet counts it up.
 */
export function writeIpv4Header(
  view: DataView,
  at: number,
  src: number,
  dst: number,
  protocol: number,
  trafficClass: number,
  ttl: number,
  payloadLength: number,
): void {
  const first = 0x45000000 | (trafficClass << 16) | (IPV4_HEADER_OCTETS + payloadLength)
  const third = (ttl << 24) | (protocol << 16)
  // Summed out of the registers: 10 ns less than reading the header back.
  const sum = halves(first) + DONT_FRAGMENT + (third >>> 16) + halves(src) + halves(dst)
  view.setInt32(at, first)
  view.setInt32(at + 4, DONT_FRAGMENT)
  view.setInt32(at + 8, third | (~fold(sum) & 0xffff))
  view.setInt32(at + 12, src)
  view.setInt32(at + 16, dst)
}

/** Flow label 0: RFC 6437 §3 allows it, and a kernel or router may set its own. */
export function writeIpv6Header(
  view: DataView,
  at: number,
  src0: number,
  src1: number,
  src2: number,
  src3: number,
  dst0: number,
  dst1: number,
  dst2: number,
  dst3: number,
  protocol: number,
  trafficClass: number,
  hopLimit: number,
  payloadLength: number,
): void {
  view.setInt32(at, 0x60000000 | (trafficClass << 20))
  view.setInt32(at + 4, (payloadLength << 16) | (protocol << 8) | hopLimit)
  view.setInt32(at + 8, src0)
  view.setInt32(at + 12, src1)
  view.setInt32(at + 16, src2)
  view.setInt32(at + 20, src3)
  view.setInt32(at + 24, dst0)
  view.setInt32(at + 28, dst1)
  view.setInt32(at + 32, dst2)
  view.setInt32(at + 36, dst3)
}

/** Octets of the packet at `at` by its own header; 0 where it is neither IPv4 nor IPv6. */
export function ipPacketOctets(view: DataView, at: number): number {
  const version = view.getUint8(at) >> 4
  if (version === 4) return view.getUint16(at + 2)
  if (version === 6) return IPV6_HEADER_OCTETS + view.getUint16(at + 4)
  return 0
}

/** A chain longer than this is dropped (RFC 8504 §5.3 lets a host set such a limit). */
export const MAX_EXTENSION_HEADERS = 8

export const EXTENSION_MALFORMED = -1
export const EXTENSION_FRAGMENT = -2
/** The header at hand is no extension header that we skip: the walk has arrived. */
export const EXTENSION_NONE = -3
/** A routing header that wants the packet to go on elsewhere. */
export const EXTENSION_ROUTED = -4
/** An option that must not be skipped by who does not know it (RFC 8200 §4.2). */
export const EXTENSION_OPTION = -5

export const HOP_BY_HOP = 0
const ROUTING = 43
const FRAGMENT = 44
const DESTINATION_OPTIONS = 60

/**
 * One step over the extension header of type `next` at `at`: `(offset of what follows << 8) | its type`, or
 * one of the negative EXTENSION_ values.
 */
export function skipExtension(
  view: DataView,
  at: number,
  end: number,
  next: number,
  isFirst: boolean,
): number {
  if (next !== HOP_BY_HOP && next !== ROUTING && next !== FRAGMENT && next !== DESTINATION_OPTIONS) {
    return EXTENSION_NONE
  }
  if (at + 8 > end) return EXTENSION_MALFORMED
  const following = view.getUint8(at)
  if (next === FRAGMENT) {
    // An atomic fragment is a whole packet (RFC 6946 §4).
    return (view.getUint16(at + 2) & 0xfff9) === 0 ? ((at + 8) << 8) | following : EXTENSION_FRAGMENT
  }
  const after = at + 8 + view.getUint8(at + 1) * 8
  if (after > end) return EXTENSION_MALFORMED
  if (next === ROUTING) {
    // RFC 8200 §4.4: with segments left it is on its way to somebody else, by a route that we do not follow.
    if (view.getUint8(at + 3) !== 0) return EXTENSION_ROUTED
  } else {
    // RFC 8200 §4.1: Hop-by-Hop Options only directly after the IPv6 header.
    if (next === HOP_BY_HOP && !isFirst) return EXTENSION_MALFORMED
    const refusal = refuseOptions(view, at + 2, after)
    if (refusal !== 0) return refusal
  }
  return (after << 8) | following
}

/** RFC 8200 §4.2: the two highest bits of an unknown option say whether it may be skipped. 0: all may be. */
function refuseOptions(view: DataView, from: number, end: number): number {
  let at = from
  while (at < end) {
    const type = view.getUint8(at)
    if (type === 0) {
      at++
      continue
    }
    if (type >> 6 !== 0) return EXTENSION_OPTION
    if (at + 2 > end) return EXTENSION_MALFORMED
    at += 2 + view.getUint8(at + 1)
  }
  return at === end ? 0 : EXTENSION_MALFORMED
}

const END_OF_OPTIONS = 0
const NO_OPERATION = 1
const LOOSE_SOURCE_ROUTE = 0x83
const STRICT_SOURCE_ROUTE = 0x89

/**
 * Walks the options of an IPv4 header. All are skipped but source routes, which nobody needs and attackers like (RFC 7126
 * §4.3; Linux drops them, too, unless told otherwise).
 */
export function checkIpv4Options(
  view: DataView,
  from: number,
  end: number,
): 'harmless' | 'source-route' | 'malformed' {
  let at = from
  while (at < end) {
    const kind = view.getUint8(at)
    if (kind === END_OF_OPTIONS) return 'harmless'
    if (kind === NO_OPERATION) {
      at++
      continue
    }
    if (kind === LOOSE_SOURCE_ROUTE || kind === STRICT_SOURCE_ROUTE) return 'source-route'
    if (at + 2 > end) return 'malformed'
    const length = view.getUint8(at + 1)
    if (length < 2 || at + length > end) return 'malformed'
    at += length
  }
  return 'harmless'
}
