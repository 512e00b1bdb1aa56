/**
 * One owner without a world around it, for tests: packets are given to it, and those that it sends are kept. Its application
 * takes nothing of what arrives.
 */
import { tcpConfig } from '../tcp/config.ts'
import { PacketBatch } from '../tun/packet-batch.ts'
import { createTcpHeader, packetHeadOctets, type TcpHeader, writeTcpPacket } from '../wire/emit.ts'
import { SYN } from '../wire/segment.ts'
import type { Application } from './application.ts'
import type { Connection } from './connection.ts'
import { DEFAULT_LIMITS, type OwnerLimits } from './limits.ts'
import { Owner } from './owner.ts'
import type { OwnerEnvironment } from './owner-environment.ts'
import { Vips } from './vips.ts'

const ID = 0
const VIPS = Vips.parse('10.77.0.1', 'fd77::1', 80)
/** 2027-01-15. */
const WALL_MS = 1_800_000_000_000
const FLOOD_ARENA_OCTETS = 256 * 1024

export interface Sent {
  readonly to: number
  readonly envelope: readonly unknown[]
}

export class TestStand {
  readonly owner: Owner
  /** Packets sent to the device, virtio header first; only counted while `keeps` is off. */
  readonly packets: Uint8Array[] = []
  sentPackets = 0
  keeps = true
  readonly messages: Sent[] = []
  now = 1_000
  settled = true
  readonly #header = createTcpHeader()
  #ports = 1_024

  /** A dispatcher, or with another `dispatcherId` a node. */
  constructor(
    limits: Partial<OwnerLimits> = {},
    environment: Partial<OwnerEnvironment> = {},
    dispatcherId = ID,
  ) {
    const send = (to: number, envelope: unknown[]) => this.messages.push({ to, envelope }) > 0
    this.owner = new Owner(
      {
        id: ID,
        vips: VIPS,
        tcp: tcpConfig({ ownerId: ID }),
        mode: 'shift',
        limits: { ...DEFAULT_LIMITS, ...limits },
        idBase: 0,
        secret: dispatcherId === ID ? Uint8Array.from({ length: 16 }, (_, index) => index) : undefined,
      },
      {
        transmit: batch => this.#transmit(batch),
        send,
        sendDroppable: send,
        random: () => 4,
        nowSecond: () => Math.floor(WALL_MS / 1_000),
        wallMs: () => WALL_MS + this.now,
        owned: () => {},
        closed: () => {},
        forwarding: () => {},
        steer: () => {},
        told: () => {},
        reachable: () => false,
        dispatchers: () => (dispatcherId === ID ? [] : [dispatcherId]),
        settled: () => this.settled,
        ...environment,
      },
      idle,
    )
  }

  /** Packets as the device hands them over, in as few batches as they fit. */
  receive(packets: readonly Uint8Array[]): void {
    const batch = new PacketBatch(FLOOD_ARENA_OCTETS)
    for (const packet of packets) {
      if (batch.push(packet)) continue
      this.owner.receiveBatch(batch, this.now)
      batch.clear()
      batch.push(packet)
    }
    this.owner.receiveBatch(batch, this.now)
  }

  /** What the owner has to do until `now`. */
  runTo(now: number): void {
    while (this.owner.pollAt() <= now) {
      this.now = Math.max(this.now, this.owner.pollAt())
      this.owner.poll(this.now)
    }
    this.now = now
  }

  /** A segment from 10.9.0.1 with a port of its own, unless `fields` say otherwise; the payload is zeros. */
  segment(fields: Partial<TcpHeader>): Uint8Array {
    const header = this.#header
    Object.assign(header, createTcpHeader(), { flags: SYN, window: 64_240, srcPort: this.#ports++ }, fields)
    const vip = header.family === 4 ? VIPS.v4 : (VIPS.v6 ?? VIPS.v4)
    header.dst0 = vip.word0
    header.dst1 = vip.word1
    header.dst2 = vip.word2
    header.dst3 = vip.word3
    header.dstPort ||= VIPS.port
    if (header.family === 4) {
      header.src2 = VIPS.v4.word2
      header.src3 ||= 0x0a090001
    } else header.src0 ||= 0xfd09 << 16
    const octets = packetHeadOctets(header)
    const packet = new Uint8Array(octets + header.payloadLength)
    writeTcpPacket(packet, new DataView(packet.buffer), 0, header)
    return packet
  }

  connections(): Connection[] {
    return [...this.owner.byId.values()].filter(entry => entry.kind === 'connection')
  }

  #transmit(batch: PacketBatch): void {
    this.sentPackets += batch.count
    if (!this.keeps) return
    for (let index = 0; index < batch.count; index++) this.packets.push(batch.copyOf(index))
  }
}

const idle: Application = {
  accepted: () => {},
  advanced: () => {},
  released: () => {},
  expired: () => {},
  exportState: () => null,
  importState: () => true,
  resumed: () => {},
  admits: () => undefined,
  fetch: (_keys, done) => done(undefined),
  resolve: () => undefined,
}
