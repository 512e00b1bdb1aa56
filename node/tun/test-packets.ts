/**
 * Packets for the tests of this folder, built plainly and independently of the TCP core's own writer: virtio
 * header, IP header, body. Nothing here is for the packet path.
 */
import { VNET_GSO_TCPV4, VNET_GSO_TCPV6, VNET_HEADER_OCTETS, VNET_NEEDS_CSUM } from './packet-batch.ts'

export const TCP = 6
export const UDP = 17
export const ICMP = 1
export const ICMPV6 = 58

/** RFC 1071, the slow and obvious way. */
export function checksum(...pieces: Uint8Array[]): number {
  let sum = 0
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at++) sum += (piece[at] ?? 0) << (at % 2 === 0 ? 8 : 0)
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000)
  return ~sum & 0xffff
}

export function addressOctets(text: string): Uint8Array {
  if (text.includes('.')) return Uint8Array.from(text.split('.'), Number)
  const [left = '', right = ''] = text.split('::')
  const words = (side: string) => (side === '' ? [] : side.split(':').map(word => Number.parseInt(word, 16)))
  const head = words(left)
  const tail = words(right)
  const all = [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail]
  return Uint8Array.from(all.flatMap(word => [word >> 8, word & 0xff]))
}

function uint16(value: number): Uint8Array {
  return Uint8Array.of((value >> 8) & 0xff, value & 0xff)
}

export function pseudoHeader(src: string, dst: string, protocol: number, octets: number): Uint8Array {
  return concat(addressOctets(src), addressOctets(dst), Uint8Array.of(0, protocol), uint16(octets))
}

export function concat(...pieces: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((total, piece) => total + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

/** A whole packet behind an empty virtio header; the family follows from the addresses. */
export function ipPacket(src: string, dst: string, protocol: number, body: Uint8Array): Uint8Array {
  const virtio = new Uint8Array(VNET_HEADER_OCTETS)
  if (src.includes(':')) {
    const head = concat(Uint8Array.of(0x60, 0, 0, 0), uint16(body.length), Uint8Array.of(protocol, 64))
    return concat(virtio, head, addressOctets(src), addressOctets(dst), body)
  }
  const head = concat(
    Uint8Array.of(0x45, 0),
    uint16(20 + body.length),
    Uint8Array.of(0, 7, 0x40, 0, 64, protocol, 0, 0),
    addressOctets(src),
    addressOctets(dst),
  )
  head.set(uint16(checksum(head)), 10)
  return concat(virtio, head, body)
}

export function udpPacket(src: string, dst: string, port: number, payload: Uint8Array): Uint8Array {
  const datagram = concat(uint16(port), uint16(port), uint16(8 + payload.length), uint16(0), payload)
  datagram.set(uint16(checksum(pseudoHeader(src, dst, UDP, datagram.length), datagram) || 0xffff), 6)
  return ipPacket(src, dst, UDP, datagram)
}

export interface TcpFields {
  readonly src: string
  readonly dst: string
  readonly srcPort: number
  readonly dstPort: number
  readonly seq: number
  readonly ack: number
  readonly flags: number
  readonly window: number
  readonly options?: Uint8Array
}

/**
 * The headers of a TCP packet as the stack writes them: partial checksum, and where the payload is longer than
 * `segmentSize`, the request to cut it. The payload follows separately.
 */
export function tcpHead(fields: TcpFields, payloadOctets: number, segmentSize: number): Uint8Array {
  const { src, dst, options = new Uint8Array(0) } = fields
  const header = new Uint8Array(20 + options.length)
  const view = new DataView(header.buffer)
  view.setUint16(0, fields.srcPort)
  view.setUint16(2, fields.dstPort)
  view.setUint32(4, fields.seq)
  view.setUint32(8, fields.ack)
  view.setUint8(12, (header.length / 4) << 4)
  view.setUint8(13, fields.flags)
  view.setUint16(14, fields.window)
  header.set(options, 20)
  const tcpOctets = header.length + payloadOctets
  view.setUint16(16, ~checksum(pseudoHeader(src, dst, TCP, tcpOctets)) & 0xffff)
  const packet = ipPacket(src, dst, TCP, header)
  const ip6 = src.includes(':')
  const all = new DataView(packet.buffer)
  const ipOctets = ip6 ? 40 : 20
  if (ip6) all.setUint16(VNET_HEADER_OCTETS + 4, tcpOctets)
  else {
    all.setUint16(VNET_HEADER_OCTETS + 2, ipOctets + tcpOctets)
    all.setUint16(VNET_HEADER_OCTETS + 10, 0)
    all.setUint16(
      VNET_HEADER_OCTETS + 10,
      checksum(packet.subarray(VNET_HEADER_OCTETS, VNET_HEADER_OCTETS + 20)),
    )
  }
  all.setUint8(0, VNET_NEEDS_CSUM)
  if (payloadOctets > segmentSize) {
    all.setUint8(1, ip6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4)
    all.setUint16(2, ipOctets + header.length, true)
    all.setUint16(4, segmentSize, true)
  }
  all.setUint16(6, ipOctets, true)
  all.setUint16(8, 16, true)
  return packet
}

/** Octets that differ at every place for a long while. */
export function pattern(octets: number, seed = 1): Uint8Array {
  const whole = new Uint8Array(octets)
  let state = seed | 1
  for (let at = 0; at < octets; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) | 0
    whole[at] = state >>> 16
  }
  return whole
}

export function protocolOf(packet: Uint8Array): number {
  const isIpv6 = (packet[VNET_HEADER_OCTETS] ?? 0) >> 4 === 6
  return packet[VNET_HEADER_OCTETS + (isIpv6 ? 6 : 9)] ?? 0
}

export function ipOctetsOf(packet: Uint8Array): number {
  return (packet[VNET_HEADER_OCTETS] ?? 0) >> 4 === 6 ? 40 : 20
}
