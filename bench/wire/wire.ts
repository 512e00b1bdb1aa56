/**
 * A wire between two network namespaces: a TUN in each, and this process between them, which cuts super-packets as a
 * network card would and sends every packet through the elements of the simulator in real time. Stock kernels have no
 * netem everywhere; and here each connection has elements of its own, so that two that are compared do not disturb
 * each other's dice.
 */
import type { Device } from '../../node/tun/device.ts'
import { PacketBatch } from '../../node/tun/packet-batch.ts'
import { createSegment, FIN, RST } from '../../node/wire/segment.ts'
import { chain, type Element, type Packet, type Sink } from '../sim/network/element.ts'
import { readPacket } from '../sim/network/packet.ts'
import { Random } from '../sim/network/random.ts'
import { segment } from '../sim/network/segment.ts'
import { RealClock } from './real-clock.ts'

/** What a wire does to one connection, each way; super-packets are cut before. */
export interface Treatment {
  readonly leftToRight: readonly Element[]
  readonly rightToLeft: readonly Element[]
}

/** What was seen of one connection where it entered the wire, before anything was lost. */
export interface Sighting {
  packets: number
  octets: number
  /** Resets while one of the two streams had not come to its end: behind both, a late duplicate may rightly be reset. */
  earlyResets: number
  /** By the side that sent it. */
  readonly ended: { left: boolean; right: boolean }
}

interface Lane {
  readonly leftToRight: Sink
  readonly rightToLeft: Sink
  readonly sighting: Sighting
}

/** IP octets of a packet, as on Ethernet. */
const MTU = 1_500
const BATCH_ARENA_OCTETS = 256 * 1024

export class Wire {
  readonly clock: RealClock
  readonly #left: Outlet
  readonly #right: Outlet
  readonly #lanes = new Map<number, Lane>()
  readonly #treat: (leftPort: number) => Treatment
  readonly #seed: number
  readonly #segment = createSegment()
  /** Packets that belong to no connection: neighbour discovery, router solicitations. */
  ignored = 0

  /** `treat` is asked once for each connection, by its port on the left side. */
  constructor(left: Device, right: Device, seed: number, treat: (leftPort: number) => Treatment) {
    this.#left = new Outlet(left)
    this.#right = new Outlet(right)
    this.#seed = seed
    this.#treat = treat
    this.clock = new RealClock(() => {
      this.#left.flush()
      this.#right.flush()
    })
    left.onReceive = batch => this.#receive(batch, true)
    right.onReceive = batch => this.#receive(batch, false)
  }

  sighting(leftPort: number): Sighting {
    return this.#lane(leftPort).sighting
  }

  close(): void {
    this.clock.close()
    this.#left.device.close()
    this.#right.device.close()
  }

  #receive(batch: PacketBatch, fromLeft: boolean): void {
    this.clock.advance(() => {
      for (let index = 0; index < batch.count; index++) this.#take(batch.copyOf(index), fromLeft)
    })
  }

  #take(packet: Packet, fromLeft: boolean): void {
    const found = this.#segment
    if (readPacket(packet, found) !== 'tcp') {
      this.ignored++
      return
    }
    const lane = this.#lane(fromLeft ? found.srcPort : found.dstPort)
    const { sighting } = lane
    sighting.packets++
    sighting.octets += found.payloadLength
    if ((found.flags & RST) !== 0 && !(sighting.ended.left && sighting.ended.right)) sighting.earlyResets++
    if ((found.flags & FIN) !== 0) sighting.ended[fromLeft ? 'left' : 'right'] = true
    if (fromLeft) lane.leftToRight(packet)
    else lane.rightToLeft(packet)
  }

  #lane(port: number): Lane {
    const known = this.#lanes.get(port)
    if (known !== undefined) return known
    const treatment = this.#treat(port)
    // The same dice for every connection.
    const world = () => ({
      seed: this.#seed,
      scheduler: this.clock.scheduler,
      random: new Random(this.#seed),
    })
    const attach = (elements: readonly Element[], outlet: Outlet) =>
      chain([segment(MTU), ...elements]).attach(world(), packet => outlet.put(packet))
    const lane: Lane = {
      leftToRight: attach(treatment.leftToRight, this.#right),
      rightToLeft: attach(treatment.rightToLeft, this.#left),
      sighting: { packets: 0, octets: 0, earlyResets: 0, ended: { left: false, right: false } },
    }
    this.#lanes.set(port, lane)
    return lane
  }
}

/** Where packets leave the wire: into a device, in batches. */
class Outlet {
  readonly device: Device
  readonly #batch = new PacketBatch(BATCH_ARENA_OCTETS)

  constructor(device: Device) {
    this.device = device
  }

  put(packet: Packet): void {
    if (this.#batch.push(packet)) return
    this.flush()
    this.#batch.push(packet)
  }

  flush(): void {
    if (this.#batch.count === 0) return
    this.device.send(this.#batch)
    this.#batch.clear()
  }
}
