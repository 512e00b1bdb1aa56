/**
 * Mutations of real packets that know where the fields are: sequence numbers near what the receiver compares them with,
 * flags, windows, options, lengths, truncation; and garbage. Checksums are put right afterwards most of the time, so
 * that what was changed is reached, and left wrong sometimes, because that is a change as well.
 */
import type { Tcb } from '../../node/tcp/tcb.ts'
import { finishChecksum } from '../../node/wire/emit.ts'
import { VIRTIO_HEADER_OCTETS, VIRTIO_NEEDS_CSUM } from '../../node/wire/virtio.ts'
import { type Packet, viewOf } from '../sim/network/element.ts'
import type { Random } from '../sim/network/random.ts'

const IP = VIRTIO_HEADER_OCTETS
const IPV4_OCTETS = 20
const IPV6_OCTETS = 40
const TCP_OCTETS = 20
const MAX_OPTION_OCTETS = 40
/** How many changes one packet gets at most. */
const MAX_CHANGES = 4
const WRONG_CHECKSUM = 0.03
const GARBAGE = 0.01

/** `packet` changed, in a copy; `tcb` is the receiver, whose variables the numbers are chosen near to. */
export function mutate(packet: Packet, tcb: Tcb | undefined, random: Random): Packet {
  if (random.chance(GARBAGE)) return garbage(random)
  let copy: Packet = packet.slice()
  for (let changes = 1 + random.int(MAX_CHANGES); changes > 0; changes--) copy = change(copy, tcb, random)
  if (copy.length < IP + IPV4_OCTETS || random.chance(WRONG_CHECKSUM)) return copy
  return mend(copy, random)
}

function garbage(random: Random): Packet {
  const packet = random.octets(VIRTIO_HEADER_OCTETS + random.int(200))
  packet.fill(0, 0, VIRTIO_HEADER_OCTETS)
  if (packet.length > IP && random.chance(0.7)) packet[IP] = random.chance(0.5) ? 0x45 : 0x60
  return packet
}

function isVersion6(packet: Packet): boolean {
  return ((packet[IP] ?? 0) & 0xf0) === 0x60
}

function tcpOffset(packet: Packet): number {
  return IP + (isVersion6(packet) ? IPV6_OCTETS : IPV4_OCTETS)
}

/** IP length and header checksum as they ought to be, and the transport's, which is sometimes left to a trusted device. */
function mend(packet: Packet, random: Random): Packet {
  const view = viewOf(packet)
  const version6 = isVersion6(packet)
  const tcp = tcpOffset(packet)
  if (packet.length < tcp + TCP_OCTETS) return packet
  if (!version6) {
    if (random.chance(0.98)) view.setUint16(IP + 2, packet.length - IP)
    view.setUint16(IP + 10, 0)
    let sum = 0
    const headerOctets = Math.min(((packet[IP] ?? 0) & 15) << 2, packet.length - IP)
    for (let at = 0; at + 1 < headerOctets; at += 2) sum += view.getUint16(IP + at)
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
    view.setUint16(IP + 10, ~sum)
  } else if (random.chance(0.98)) view.setUint16(IP + 4, packet.length - IP - IPV6_OCTETS)
  packet.fill(0, 0, VIRTIO_HEADER_OCTETS)
  packet[0] = VIRTIO_NEEDS_CSUM
  if (random.chance(0.5)) return packet
  view.setUint16(6, tcp - IP, true)
  view.setUint16(8, 16, true)
  view.setUint16(tcp + 16, pseudoSum(view, version6, packet.length - tcp))
  finishChecksum(packet, view, 0)
  return packet
}

function pseudoSum(view: DataView, version6: boolean, length: number): number {
  let sum = 6 + length
  const [from, to] = version6 ? [IP + 8, IP + 40] : [IP + 12, IP + 20]
  for (let at = from; at < to; at += 2) sum += view.getUint16(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return sum
}

type Change = (
  packet: Packet,
  view: DataView,
  tcp: number,
  tcb: Tcb | undefined,
  random: Random,
) => Packet | undefined

const CHANGES: readonly Change[] = [
  (_packet, view, tcp, tcb, random) => {
    view.setInt32(tcp + 4, nearReceived(tcb, random))
    return undefined
  },
  (_packet, view, tcp, tcb, random) => {
    view.setInt32(tcp + 4, (view.getInt32(tcp + 4) + small(random)) | 0)
    view.setInt32(tcp + 8, nearSent(tcb, random))
    return undefined
  },
  (_packet, view, tcp, tcb, random) => {
    view.setInt32(tcp + 8, nearSent(tcb, random))
    return undefined
  },
  (packet, _view, tcp, _tcb, random) => {
    packet[tcp + 13] = random.chance(0.5) ? random.int(256) : (packet[tcp + 13] ?? 0) ^ (1 << random.int(8))
    return undefined
  },
  (_packet, view, tcp, _tcb, random) => {
    view.setUint16(tcp + 14, random.pick([0, 1, 2, 0x7fff, 0xffff, random.int(0x10000)]))
    return undefined
  },
  (packet, view, tcp, tcb, random) => {
    changeTimestamps(packet, view, tcp, tcb, random)
    return undefined
  },
  (packet, _view, tcp, tcb, random) => replaceOptions(packet, tcp, options(tcb, random)),
  (packet, _view, tcp, _tcb, random) => {
    const end = tcp + headerOctets(packet, tcp)
    const at = tcp + TCP_OCTETS + random.int(Math.max(1, end - tcp - TCP_OCTETS))
    if (at < packet.length) packet[at] = random.int(256)
    return undefined
  },
  (packet, view, tcp, _tcb, random) => {
    view.setUint8(tcp + 12, random.int(16) << 4)
    return packet
  },
  (packet, _view, _tcp, _tcb, random) => packet.slice(0, IP + random.int(packet.length - IP + 1)),
  (packet, _view, _tcp, _tcb, random) => {
    const longer = new Uint8Array(packet.length + random.int(random.chance(0.1) ? 3_000 : 50))
    longer.set(packet)
    longer.fill(random.int(256), packet.length)
    return longer
  },
  (packet, _view, tcp) => packet.slice(0, Math.min(packet.length, tcp + headerOctets(packet, tcp))),
  (_packet, view, tcp, _tcb, random) => {
    view.setUint16(tcp + 18, random.int(0x10000))
    return undefined
  },
  (packet, _view, _tcp, _tcb, random) => {
    packet[IP + 1] = random.int(256)
    return undefined
  },
  (packet, _view, tcp, _tcb, random) => {
    packet[IP + random.int(tcp - IP)] = random.int(256)
    return undefined
  },
  (packet, _view, _tcp, _tcb, random) => {
    const at = IP + random.int(packet.length - IP)
    packet[at] = (packet[at] ?? 0) ^ (1 << random.int(8))
    return undefined
  },
]

function change(packet: Packet, tcb: Tcb | undefined, random: Random): Packet {
  const tcp = tcpOffset(packet)
  if (packet.length < tcp + TCP_OCTETS) return packet
  return random.pick(CHANGES)(packet, viewOf(packet), tcp, tcb, random) ?? packet
}

function headerOctets(packet: Packet, tcp: number): number {
  return Math.max(TCP_OCTETS, ((packet[tcp + 12] ?? 0) >> 4) << 2)
}

function small(random: Random): number {
  return random.int(7) - 3
}

/** A sequence number at, or a little beside, an edge that the receiver compares with. */
function nearReceived(tcb: Tcb | undefined, random: Random): number {
  if (tcb === undefined || random.chance(0.1)) return random.int32()
  const { rcv, ack } = tcb
  const edges = [rcv.nxt, rcv.nxt, rcv.edge, ack.sent, rcv.irs, rcv.fin, (rcv.nxt + 0x8000_0000) | 0]
  if (random.chance(0.3)) return (rcv.nxt + random.int(Math.max(1, (rcv.edge - rcv.nxt) | 0))) | 0
  return (random.pick(edges) + small(random)) | 0
}

function nearSent(tcb: Tcb | undefined, random: Random): number {
  if (tcb === undefined || random.chance(0.1)) return random.int32()
  const { snd, recovery } = tcb
  const edges = [snd.una, snd.nxt, snd.nxt, snd.iss, snd.una - snd.maxWnd, recovery.point, snd.una - snd.mss]
  if (random.chance(0.3)) return (snd.una + random.int(Math.max(1, (snd.nxt - snd.una) | 0))) | 0
  return (random.pick(edges) + small(random)) | 0
}

function changeTimestamps(
  packet: Packet,
  view: DataView,
  tcp: number,
  tcb: Tcb | undefined,
  random: Random,
): void {
  const at = tcp + TCP_OCTETS
  if (at + 12 > packet.length || view.getInt32(at) !== 0x0101080a) return
  const recent = tcb?.ts.recent ?? 0
  const value = random.pick([
    recent,
    recent - 1,
    recent + 1,
    recent + 0x8000_0000,
    recent + 1_000,
    random.int32(),
    0,
  ])
  if (random.chance(0.6)) view.setInt32(at + 4, value | 0)
  else
    view.setInt32(at + 8, random.chance(0.5) ? random.int32() : view.getInt32(at + 8) + random.int(512) - 256)
}

function replaceOptions(packet: Packet, tcp: number, list: Uint8Array): Packet {
  const payload = Math.min(packet.length, tcp + headerOctets(packet, tcp))
  const octets = (list.length + 3) & ~3
  const result = new Uint8Array(tcp + TCP_OCTETS + octets + packet.length - payload)
  result.set(packet.subarray(0, tcp + TCP_OCTETS))
  result.set(list, tcp + TCP_OCTETS)
  result.set(packet.subarray(payload), tcp + TCP_OCTETS + octets)
  result[tcp + 12] = ((TCP_OCTETS + octets) >> 2) << 4
  return result
}

/** Timestamps most of the time, or all else would be dropped for want of them; then options right, wrong and unknown. */
function options(tcb: Tcb | undefined, random: Random): Uint8Array {
  const list: number[] = []
  if (tcb?.ts.on === true && random.chance(0.9)) {
    list.push(
      1,
      1,
      8,
      10,
      ...word(tcb.ts.recent + random.int(3)),
      ...word((tcb.ts.tick << 8) | tcb.ts.ownerId),
    )
  }
  while (list.length < MAX_OPTION_OCTETS && random.chance(0.7)) {
    const room = MAX_OPTION_OCTETS - list.length
    const kind = random.pick([0, 1, 2, 3, 4, 5, 5, 5, 5, 8, 19, 30, 34, random.int(256)])
    if (kind < 2) list.push(kind)
    else if (kind === 5) list.push(...sackBlocks(tcb, random, room))
    else
      list.push(
        kind,
        random.chance(0.8) ? 2 + random.int(9) : random.int(256),
        ...random.octets(random.int(9)),
      )
  }
  return Uint8Array.from(list.slice(0, MAX_OPTION_OCTETS))
}

function sackBlocks(tcb: Tcb | undefined, random: Random, room: number): number[] {
  const count = Math.min(1 + random.int(4), (room - 2) >> 3)
  if (count < 1) return []
  const list = [5, 2 + 8 * count]
  for (let block = 0; block < count; block++) {
    const left = nearSent(tcb, random)
    list.push(...word(left), ...word(random.chance(0.8) ? left + random.int(4_000) : nearSent(tcb, random)))
  }
  return list
}

function word(value: number): number[] {
  return [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]
}
