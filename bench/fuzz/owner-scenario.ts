/**
 * A whole cluster in virtual time, whose owners get forged packets beside the honest ones: changed copies of what its
 * clients send, in bursts, at the dispatcher and at every node, while connections shift. No owner may throw, two may
 * never own one connection, and every table stays within its bound; the honest answers are `tcp-scenario.ts`'s matter.
 */
import type { Tcb } from '../../node/tcp/tcb.ts'
import { createSegment, type Segment } from '../../node/wire/segment.ts'
import type { Client } from '../sim/cluster/client.ts'
import { Cluster, parse } from '../sim/cluster/cluster.ts'
import { exchangeOf } from '../sim/cluster/exchange.ts'
import { delay } from '../sim/network/delay.ts'
import { chain, type Packet, viewOf } from '../sim/network/element.ts'
import { Random } from '../sim/network/random.ts'
import { tap } from '../sim/network/tap.ts'
import { checkUsage } from './bounds.ts'
import { mutate } from './packet-mutator.ts'
import type { Coverage } from './tcp-scenario.ts'

const NODES = 2
const HISTORY = 200
const ROUNDS = 150
const MAX_BURST = 24
/** Small enough to be reached. */
const LIMITS = { connections: 40, halfOpen: 12, timeWait: 12, forwards: 24 }
const PORT = 80
/** Offset of the source port behind the virtio and IPv4 headers. */
const SOURCE_PORT = 30

export class OwnerScenario {
  readonly seed: number
  readonly #random: Random
  readonly #coverage: Coverage
  readonly #history: Packet[] = []
  readonly #segment: Segment = createSegment()
  readonly #cluster: Cluster
  readonly #clients: Client[] = []

  constructor(seed: number, coverage: Coverage) {
    this.seed = seed
    this.#random = new Random(seed)
    this.#coverage = coverage
    this.#cluster = new Cluster({
      seed,
      nodes: NODES,
      files: { '/a': 30_000, '/b': 200 },
      isAttacked: true,
      ownerLimits: LIMITS,
      wan: () => chain([tap(packet => this.#keep(packet)), delay(this.#random.between(0.1, 20))]),
    })
  }

  run(): void {
    const random = this.#random
    for (let round = 0; round < ROUNDS; round++) {
      if (this.#clients.length < 12 && random.chance(0.15)) this.#connect()
      if (this.#clients.length > 0 && random.chance(0.2))
        this.#cluster.shift(random.pick(this.#clients), 1 + random.int(NODES))
      this.#attack(random.int(NODES + 1))
      this.#cluster.run(random.chance(0.02) ? random.between(0, 70_000) : random.between(0, 30))
      this.#check()
    }
  }

  #keep(packet: Packet): void {
    if (parse(packet, this.#segment)?.dstPort !== PORT) return
    if (this.#history.length < HISTORY) this.#history.push(packet)
    else this.#history[this.#random.int(HISTORY)] = packet
  }

  #connect(): void {
    const random = this.#random
    const { files } = this.#cluster
    const exchanges = Array.from({ length: 1 + random.int(3) }, () =>
      exchangeOf(files, random.pick(['/a', '/b', '/none'])),
    )
    this.#clients.push(
      this.#cluster.client({
        exchanges,
        family: random.chance(0.7) ? 4 : 6,
        timestamps: random.chance(0.7),
        closes: random.chance(0.7),
        pipelined: random.chance(0.3),
      }),
    )
  }

  #attack(to: number): void {
    const random = this.#random
    if (this.#history.length === 0) return
    const packets: Packet[] = []
    for (let left = 1 + random.int(MAX_BURST); left > 0; left--) {
      const base = random.pick(this.#history)
      const packet = mutate(base, this.#receiver(to, base), random)
      // Other ports: connections that nobody honest has.
      if (random.chance(0.3) && packet.length > SOURCE_PORT + 2)
        viewOf(packet).setUint16(SOURCE_PORT, 1 + random.int(50_000))
      packets.push(packet)
    }
    this.#coverage.injected += packets.length
    this.#cluster.flood(packets, to)
  }

  /** The connection that the packet belongs to, if `to` owns it. */
  #receiver(to: number, packet: Packet): Tcb | undefined {
    const port = parse(packet, this.#segment)?.srcPort
    const owner = this.#cluster.owners()[to]
    for (const entry of owner?.byId.values() ?? []) {
      if (entry.kind === 'connection' && entry.remotePort === port) return entry.tcb
    }
    return undefined
  }

  #check(): void {
    try {
      for (const owner of this.#cluster.owners()) checkUsage(owner)
    } catch (error) {
      throw new Error(`SEED=${this.seed}`, { cause: error })
    }
  }
}
