/**
 * What a network card does at both ends of a wire: cutting super-packets into packets of the wire (GSO), so that
 * loss acts on those, and merging packets in order into super-packets again (GRO).
 */
import { cutPacket } from '../../../node/tun/offload.ts'
import { writePacketTooBig } from '../../../node/wire/icmp.ts'
import { VIRTIO_HEADER_OCTETS } from '../../../node/wire/virtio.ts'
import { type LossyElement, type Packet, type Sink, viewOf } from './element.ts'

export interface SegmentElement extends LossyElement {
  /** IP octets of the largest packet that passes; a route whose MTU falls is one whose `mtu` is set. */
  mtu: number
}

/**
 * Cuts super-packets by their gso_size and completes every checksum. What is then still larger than `mtu` is lost
 * (DF is always set) and reported to `tooBig`, where one is given; without, the path is a black hole (RFC 8899).
 */
export function segment(mtu = 1_500, tooBig?: Sink): SegmentElement {
  const element = {
    mtu,
    lost: 0,
    attach(_world, next) {
      return packet => {
        const pieces = cutPacket(packet)
        // The sender's mistake, not the network's doing: a simulation that goes on would hide it.
        if (pieces.length === 0) throw new Error('the virtio header contradicts its packet')
        for (const piece of pieces) {
          if (piece.length - VIRTIO_HEADER_OCTETS <= element.mtu) next(piece)
          else {
            element.lost++
            tooBig?.(piece)
          }
        }
      }
    },
  } satisfies SegmentElement
  return element
}

/** The ICMP answer of a router whose next hop takes `mtu` octets (RFC 1191, RFC 8201), for `tooBig` to send back. */
export function packetTooBig(packet: Packet, mtu: number): Packet {
  const answer = new Uint8Array(VIRTIO_HEADER_OCTETS + 1_280)
  const ip = VIRTIO_HEADER_OCTETS
  const octets = writePacketTooBig(
    answer,
    viewOf(answer),
    0,
    64,
    mtu,
    packet,
    viewOf(packet),
    ip,
    packet.length - ip,
  )
  if (octets === 0) throw new Error('no error may be sent about this packet')
  return answer.subarray(0, octets)
}
