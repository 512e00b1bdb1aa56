/**
 * In software what the virtio header asks the kernel for: completing a partial checksum and cutting a TCP
 * super-packet into segments. For captures, simulated links and tests, which must see what would be on the
 * wire; the real device leaves both to the kernel, and the TCP core has its own checksums.
 */
import {
  VNET_GSO_ECN,
  VNET_GSO_NONE,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_HEADER_OCTETS,
  VNET_NEEDS_CSUM,
} from './packet-batch.ts'

const IPV6_HEADER_OCTETS = 40
const TCP_HEADER_OCTETS = 20
/** Where the checksum stands in a TCP header. */
const TCP_CHECKSUM = 16
const TCP_FIN = 0x01
const TCP_PSH = 0x08
const TCP_CWR = 0x80

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
}

/** Ones' complement sum of 16-bit words (RFC 1071), folded; an odd last octet counts as a high one. */
function sumOf(view: DataView, start: number, end: number, initial: number): number {
  let sum = initial
  let at = start
  // 65,535 octets of 0xffff words stay far below 2^53, so one fold at the end is enough.
  for (; at + 1 < end; at += 2) sum += view.getUint16(at)
  if (at < end) sum += view.getUint8(at) << 8
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000)
  return sum
}

/** The checksum field for a folded sum; 0 is sent as 0xffff, which is equal and never means "none". */
function checksumOf(sum: number): number {
  return ~sum & 0xffff || 0xffff
}

/**
 * Completes the transport checksum of one packet, virtio header included, in place, where the header says that
 * it is still to be done. Returns false, with the packet unchanged, where the header points outside it.
 */
export function completeChecksum(packet: Uint8Array): boolean {
  if (packet.length < VNET_HEADER_OCTETS) return false
  const view = viewOf(packet)
  const flags = view.getUint8(0)
  if ((flags & VNET_NEEDS_CSUM) === 0) return true
  const start = VNET_HEADER_OCTETS + view.getUint16(6, true)
  const field = start + view.getUint16(8, true)
  if (field + 2 > packet.length) return false
  // The field holds the pseudo-header's sum, so it takes part.
  view.setUint16(field, checksumOf(sumOf(view, start, packet.length, 0)))
  view.setUint8(0, flags & ~VNET_NEEDS_CSUM)
  return true
}

/**
 * Cuts a TCP super-packet into the packets that a device without segmentation offload would send, with complete
 * checksums and empty virtio headers. A packet that is none comes back alone, completed, in a copy. The list is
 * empty where the virtio header contradicts the packet.
 */
export function cutPacket(packet: Uint8Array): Uint8Array[] {
  if (packet.length <= VNET_HEADER_OCTETS) return []
  const type = viewOf(packet).getUint8(1) & ~VNET_GSO_ECN
  if (type !== VNET_GSO_NONE) return cutSuperPacket(packet, type)
  const copy = packet.slice()
  return completeChecksum(copy) ? [copy.fill(0, 0, VNET_HEADER_OCTETS)] : []
}

function cutSuperPacket(packet: Uint8Array, type: number): Uint8Array[] {
  const view = viewOf(packet)
  const segmentSize = view.getUint16(4, true)
  const transport = VNET_HEADER_OCTETS + view.getUint16(6, true)
  const version = view.getUint8(VNET_HEADER_OCTETS) >> 4
  const known = (type === VNET_GSO_TCPV4 && version === 4) || (type === VNET_GSO_TCPV6 && version === 6)
  const partial = (view.getUint8(0) & VNET_NEEDS_CSUM) !== 0 && view.getUint16(8, true) === TCP_CHECKSUM
  if (!known || !partial || segmentSize === 0 || transport + TCP_HEADER_OCTETS > packet.length) return []
  const payload = transport + (view.getUint8(transport + 12) >> 4) * 4
  if (payload < transport + TCP_HEADER_OCTETS || payload >= packet.length) return []
  const pieces: Uint8Array[] = []
  for (let start = payload; start < packet.length; start += segmentSize) {
    const end = Math.min(start + segmentSize, packet.length)
    pieces.push(cutPiece(packet, transport, payload, start, end, pieces.length))
  }
  return pieces
}

/** One segment: the headers of the super-packet around its octets from `start` to `end`. */
function cutPiece(
  packet: Uint8Array,
  transport: number,
  payload: number,
  start: number,
  end: number,
  index: number,
): Uint8Array {
  const piece = new Uint8Array(payload + end - start)
  piece.set(packet.subarray(VNET_HEADER_OCTETS, payload), VNET_HEADER_OCTETS)
  piece.set(packet.subarray(start, end), payload)
  const view = viewOf(piece)
  finishIpHeader(view, transport, index)
  view.setUint32(transport + 4, view.getUint32(transport + 4) + start - payload)
  // FIN and PSH belong to the last octet, CWR to the first segment (RFC 3168 §6.1.2).
  let flags = view.getUint8(transport + 13)
  if (end < packet.length) flags &= ~(TCP_FIN | TCP_PSH)
  if (index > 0) flags &= ~TCP_CWR
  view.setUint8(transport + 13, flags)
  // The field holds the pseudo-header's sum with the super-packet's length: take that out, put this one's in.
  const correction = (~(packet.length - transport) & 0xffff) + (piece.length - transport)
  view.setUint16(transport + TCP_CHECKSUM, checksumOf(sumOf(view, transport, piece.length, correction)))
  return piece
}

function finishIpHeader(view: DataView, transport: number, index: number): void {
  const ip = VNET_HEADER_OCTETS
  const octets = view.byteLength - ip
  if (view.getUint8(ip) >> 4 === 6) {
    view.setUint16(ip + 4, octets - IPV6_HEADER_OCTETS)
    return
  }
  view.setUint16(ip + 2, octets)
  view.setUint16(ip + 4, view.getUint16(ip + 4) + index)
  view.setUint16(ip + 10, 0)
  view.setUint16(ip + 10, ~sumOf(view, ip, transport, 0) & 0xffff)
}
