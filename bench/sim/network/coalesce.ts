/**
 * Generic receive offload: merges packets that follow each other in one flow into a super-packet, as the
 * receiving kernel does before the TUN. Only neighbours are merged, so that no packet overtakes another.
 */
import { pseudoHeaderSum4, pseudoHeaderSum6, sumIpv4Header } from '../../../node/wire/checksum.ts'
import { IPV6_HEADER_OCTETS, MAX_IP_PACKET_OCTETS, PROTOCOL_TCP } from '../../../node/wire/ip.ts'
import { parsePacket } from '../../../node/wire/parse.ts'
import { ACK, createSegment, FIN, PSH, type Segment } from '../../../node/wire/segment.ts'
import {
  VIRTIO_GSO_TCPV4,
  VIRTIO_GSO_TCPV6,
  VIRTIO_HEADER_OCTETS,
  VIRTIO_NEEDS_CSUM,
  virtioChecksumTrusted,
  writeVirtioHeader,
} from '../../../node/wire/virtio.ts'
import { type Element, type Packet, viewOf } from './element.ts'

/** Beside 64 KiB, which full-sized packets of 1,500 octets reach first. */
const MAX_MERGED_PACKETS = 64

/** The packets of one run, all of one flow, contiguous and alike. */
interface Run {
  readonly packets: Packet[]
  readonly first: Segment
  /** Of each packet but the last. */
  readonly gsoSize: number
  readonly headOctets: number
  payloadOctets: number
  flags: number
  isClosed: boolean
}

/**
 * Holds packets for `windowMs` at most (0: until all that comes in this instant has come) and hands each run on as
 * one super-packet. Anything but plain data in order ends the run and passes as it is.
 */
export function coalesce(windowMs = 0): Element & { readonly merged: number } {
  const element = {
    merged: 0,
    attach({ scheduler }, next) {
      const segment = createSegment()
      let run: Run | undefined
      const flush = (ended: Run | undefined) => {
        if (ended === undefined || run !== ended) return
        run = undefined
        element.merged += ended.packets.length - 1
        next(ended.packets.length === 1 ? (ended.packets[0] as Packet) : merge(ended))
      }
      return packet => {
        if (!isMergeable(packet, segment)) {
          flush(run)
          return next(packet)
        }
        if (run !== undefined && follows(run, packet, segment)) append(run, packet, segment)
        else {
          flush(run)
          const started = startRun(packet, segment)
          run = started
          scheduler.after(windowMs, () => flush(started))
        }
        if (run.isClosed) flush(run)
      }
    },
  } satisfies Element & { merged: number }
  return element
}

/** Plain data: TCP with ACK, nothing but PSH and FIN beside it, headers without IP options, checksum right. */
function isMergeable(packet: Packet, into: Segment): boolean {
  const view = viewOf(packet)
  if (view.getUint8(1) !== 0) return false
  const length = packet.length - VIRTIO_HEADER_OCTETS
  const verdict = parsePacket(
    packet,
    view,
    VIRTIO_HEADER_OCTETS,
    length,
    virtioChecksumTrusted(view, 0),
    into,
  )
  if (verdict !== 'tcp' || into.payloadLength === 0 || (into.flags & ~(PSH | FIN)) !== ACK) return false
  return into.payloadStart + into.payloadLength === packet.length && transportOffset(packet, into) > 0
}

/** Offset of the TCP header; 0 where IP options or extension headers stand before it. */
function transportOffset(packet: Packet, segment: Segment): number {
  const at = VIRTIO_HEADER_OCTETS + (segment.family === 4 ? 20 : IPV6_HEADER_OCTETS)
  const headerOctets = ((packet[at + 12] ?? 0) >> 4) << 2
  return at + headerOctets === segment.payloadStart ? at : 0
}

function startRun(packet: Packet, segment: Segment): Run {
  return {
    packets: [packet],
    first: { ...segment, sackEdges: segment.sackEdges.slice() },
    gsoSize: segment.payloadLength,
    headOctets: segment.payloadStart,
    payloadOctets: segment.payloadLength,
    flags: segment.flags,
    isClosed: (segment.flags & (PSH | FIN)) !== 0,
  }
}

function append(run: Run, packet: Packet, segment: Segment): void {
  run.packets.push(packet)
  run.payloadOctets += segment.payloadLength
  run.flags |= segment.flags
  // A short segment, a push or an end is the last one of a super-packet.
  run.isClosed =
    segment.payloadLength < run.gsoSize ||
    (segment.flags & (PSH | FIN)) !== 0 ||
    run.packets.length === MAX_MERGED_PACKETS
}

function follows(run: Run, packet: Packet, segment: Segment): boolean {
  const head = run.packets[0] as Packet
  const at = transportOffset(packet, segment)
  return (
    segment.payloadStart === run.headOctets &&
    segment.payloadLength <= run.gsoSize &&
    segment.seq === ((run.first.seq + run.payloadOctets) | 0) &&
    run.headOctets - VIRTIO_HEADER_OCTETS + run.payloadOctets + segment.payloadLength <=
      MAX_IP_PACKET_OCTETS &&
    segment.ttl === run.first.ttl &&
    segment.ecn === run.first.ecn &&
    // Addresses, ports; acknowledgement; window, and from the urgent pointer on all options.
    areEqual(head, packet, addressesAt(segment), at + 4) &&
    areEqual(head, packet, at + 8, at + 12) &&
    areEqual(head, packet, at + 14, at + 16) &&
    areEqual(head, packet, at + 18, run.headOctets)
  )
}

function addressesAt(segment: Segment): number {
  return VIRTIO_HEADER_OCTETS + (segment.family === 4 ? 12 : 8)
}

function areEqual(one: Packet, other: Packet, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (one[at] !== other[at]) return false
  return true
}

/** One super-packet with the headers of the first, the flags of all, and a partial checksum, as GRO leaves it. */
function merge(run: Run): Packet {
  const { first, headOctets } = run
  const whole = new Uint8Array(headOctets + run.payloadOctets)
  whole.set((run.packets[0] as Packet).subarray(0, headOctets))
  let end = headOctets
  for (const packet of run.packets) {
    whole.set(packet.subarray(headOctets), end)
    end += packet.length - headOctets
  }
  const view = viewOf(whole)
  const ip = VIRTIO_HEADER_OCTETS
  const tcp = transportOffset(whole, first)
  const length = whole.length - tcp
  view.setUint8(tcp + 13, run.flags)
  if (first.family === 4) {
    view.setUint16(ip + 2, whole.length - ip)
    view.setUint16(ip + 10, 0)
    view.setUint16(ip + 10, ~sumIpv4Header(view, ip))
    view.setUint16(tcp + 16, pseudoHeaderSum4(first.src3, first.dst3, PROTOCOL_TCP, length))
  } else {
    const { src0, src1, src2, src3, dst0, dst1, dst2, dst3 } = first
    view.setUint16(ip + 4, length)
    const sum = pseudoHeaderSum6(src0, src1, src2, src3, dst0, dst1, dst2, dst3, PROTOCOL_TCP, length)
    view.setUint16(tcp + 16, sum)
  }
  const gsoType = first.family === 4 ? VIRTIO_GSO_TCPV4 : VIRTIO_GSO_TCPV6
  writeVirtioHeader(view, 0, VIRTIO_NEEDS_CSUM, gsoType, headOctets - ip, run.gsoSize, tcp - ip, 16)
  return whole
}
