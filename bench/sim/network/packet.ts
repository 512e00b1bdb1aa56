/** Whole packets for simulated networks: building one out of a header and its payload, and reading one. */
import { packetHeadOctets, type TcpHeader, writeTcpPacket } from '../../../node/wire/emit.ts'
import { type ParseVerdict, parsePacket } from '../../../node/wire/parse.ts'
import type { Segment } from '../../../node/wire/segment.ts'
import { VIRTIO_HEADER_OCTETS, virtioChecksumTrusted } from '../../../node/wire/virtio.ts'
import { type Packet, viewOf } from './element.ts'

/** A packet as a sender hands it to its device: partial checksum, super-segment where the payload is longer. */
export function tcpPacket(header: TcpHeader, payload: Uint8Array): Packet {
  header.payloadLength = payload.length
  const head = packetHeadOctets(header)
  const packet = new Uint8Array(head + payload.length)
  writeTcpPacket(packet, viewOf(packet), 0, header)
  packet.set(payload, head)
  return packet
}

/** Parses a packet as a receiver does, trusting the checksum only where its virtio header says so. */
export function readPacket(packet: Packet, into: Segment): ParseVerdict {
  const view = viewOf(packet)
  const length = packet.length - VIRTIO_HEADER_OCTETS
  return parsePacket(packet, view, VIRTIO_HEADER_OCTETS, length, virtioChecksumTrusted(view, 0), into)
}
