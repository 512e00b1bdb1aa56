/** Packets that are not this owner's: handed to the owner whose they are, or to a dispatcher, which knows more. */
import type { Flow } from '../../clone/flow.ts'
import type { PacketBatch } from '../tun/packet-batch.ts'
import { ACK, type Segment } from '../wire/segment.ts'
import type { OwnerCounters } from './counters.ts'
import { encodeOwnerMessage, MAX_ASKED, MAX_HOPS, type OwnerMessage, type PacketMessage } from './messages.ts'
import { OWNER_PROTOCOL } from './owner.ts'
import type { OwnerConfig, OwnerEnvironment } from './owner-environment.ts'

export class PacketPasser {
  readonly #config: OwnerConfig
  readonly #environment: OwnerEnvironment
  readonly #counters: OwnerCounters

  constructor(config: OwnerConfig, environment: OwnerEnvironment, counters: OwnerCounters) {
    this.#config = config
    this.#environment = environment
    this.#counters = counters
  }

  /** What was sent, or tried to be; undefined where the packet has gone round for too long. */
  passOn(to: number, batch: PacketBatch, index: number, hops: number): PacketMessage | undefined {
    if (hops >= MAX_HOPS || to === this.#config.id) {
      this.#counters.droppedForwards++
      return undefined
    }
    const packet = { type: 'PACKET', hops: hops + 1, octets: batch.copyOf(index) } as const
    this.send(to, packet)
    return packet
  }

  /**
   * To the dispatcher that passed it to us, so that one alone accepts a connection; else packets from one port of a client go
   * to the same one while the dispatchers stay the same.
   */
  giveBack(
    batch: PacketBatch,
    index: number,
    hops: number,
    passedBy: number,
    port: number,
    leastIsn: number | undefined,
  ): void {
    const dispatchers = this.#environment.dispatchers()
    const to = dispatchers.includes(passedBy) ? passedBy : dispatchers[port % dispatchers.length]
    if (hops >= MAX_HOPS || to === undefined) {
      this.#counters.droppedForwards++
      return
    }
    this.send(to, { type: 'RETURNED', hops: hops + 1, octets: batch.copyOf(index), leastIsn })
  }

  /** To the owner that the segment's timestamp names; false where that is nobody else who can be reached. */
  passToNamed(segment: Segment, batch: PacketBatch, index: number, hops: number): boolean {
    const { id, tcp } = this.#config
    if (!segment.hasTimestamps || (segment.flags & ACK) === 0) return false
    const named = segment.tsEcr & ((1 << tcp.ownerIdBits) - 1)
    if (named === id || !this.#environment.reachable(named)) return false
    this.passOn(named, batch, index, hops)
    return true
  }

  /** Between dispatchers: has one that was not asked yet look for the flow; false where there is none. */
  ask(
    batch: PacketBatch,
    index: number,
    hops: number,
    returnedBy: number,
    asked: readonly number[],
  ): boolean {
    const to = this.#environment.dispatchers().find(id => !asked.includes(id))
    if (to === undefined || hops >= MAX_HOPS || asked.length >= MAX_ASKED) return false
    const octets = batch.copyOf(index)
    this.send(to, { type: 'STRAY', hops: hops + 1, octets, returnedBy, asked: [...asked, this.#config.id] })
    return true
  }

  send(to: number, packet: OwnerMessage): void {
    const sent = this.#environment.sendDroppable(to, [OWNER_PROTOCOL, ...encodeOwnerMessage(packet)])
    if (sent) this.#counters.forwardedPackets++
    else this.#counters.droppedForwards++
  }
}

/** The flow of a segment that a client has sent. */
export function flowOf(segment: Segment): Flow {
  return {
    family: segment.family,
    remote0: segment.src0,
    remote1: segment.src1,
    remote2: segment.src2,
    remote3: segment.src3,
    remotePort: segment.srcPort,
    localPort: segment.dstPort,
  }
}
