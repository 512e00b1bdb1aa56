/** Packets that are not this owner's: handed to the owner whose they are, or back to the dispatcher, which knows more. */
import type { Flow } from '../../clone/flow.ts'
import type { PacketBatch } from '../tun/packet-batch.ts'
import type { Segment } from '../wire/segment.ts'
import type { OwnerCounters } from './counters.ts'
import { encodeOwnerMessage, MAX_HOPS, type OwnerMessage, type PacketMessage } from './messages.ts'
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

  giveBack(batch: PacketBatch, index: number, hops: number, leastIsn: number | undefined): void {
    if (hops >= MAX_HOPS) {
      this.#counters.droppedForwards++
      return
    }
    const octets = batch.copyOf(index)
    this.send(this.#config.dispatcherId, { type: 'RETURNED', hops: hops + 1, octets, leastIsn })
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
