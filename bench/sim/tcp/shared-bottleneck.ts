/** Flows that share one bottleneck, each with its own way to it and back: for fairness, late joiners and queues. */
import type { TcpConfig } from '../../../node/tcp/config.ts'
import { createSegment } from '../../../node/wire/segment.ts'
import { delay } from '../network/delay.ts'
import { chain, createWorld, type Element, type Packet, type Sink, type World } from '../network/element.ts'
import { readPacket } from '../network/packet.ts'
import { rate } from '../network/rate.ts'
import { segment } from '../network/segment.ts'
import type { Endpoint } from './endpoint.ts'
import { download, PACKET_OCTETS } from './transfer.ts'

export interface FlowOptions {
  readonly rttMs: number
  readonly client?: Partial<TcpConfig>
}

const FIRST_PORT = 40_000

export class SharedBottleneck {
  readonly world: World
  readonly clients: Endpoint[] = []
  readonly servers: Endpoint[] = []
  readonly #entrance: Sink
  readonly #exits = new Map<number, Sink>()
  readonly #segment = createSegment()

  /** `bottleneck` is passed by the data of all flows; by default a link with a queue. */
  constructor(seed: number, bottleneck: Element) {
    this.world = createWorld(seed)
    this.#entrance = bottleneck.attach(this.world, packet => this.#leave(packet))
  }

  start({ rttMs, client }: FlowOptions): void {
    const port = FIRST_PORT + this.clients.length
    const data: Element = {
      attach: (world, next) => {
        this.#exits.set(port, delay(rttMs / 4).attach(world, next))
        return chain([segment(PACKET_OCTETS), delay(rttMs / 4)]).attach(world, this.#entrance)
      },
    }
    const ends = download(this.world, data, delay(rttMs / 2), {
      port,
      ...(client === undefined ? {} : { client }),
    })
    this.clients.push(ends.client)
    this.servers.push(ends.server)
  }

  #leave(packet: Packet): void {
    readPacket(packet, this.#segment)
    this.#exits.get(this.#segment.dstPort)?.(packet)
  }

  /** Runs for `ms` and returns what each flow's application got in that time, in bits a second. */
  measure(ms: number): number[] {
    const before = this.clients.map(client => client.received)
    this.world.scheduler.run(this.world.scheduler.now + ms)
    return this.clients.map((client, index) => ((client.received - (before[index] ?? 0)) * 8_000) / ms)
  }
}

export function link(
  bitsPerSecond: number,
  queueMs: number,
): Element & { readonly lost: number; readonly queuedOctets: number } {
  return rate(bitsPerSecond, (bitsPerSecond * queueMs) / 8_000)
}

/** Jain's index: 1 where all get the same, 1/n where one gets all. */
export function jain(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0)
  const squares = shares.reduce((total, share) => total + share * share, 0)
  return (sum * sum) / (shares.length * squares)
}
