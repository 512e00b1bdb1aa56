import { StandaloneCore } from '../../../node/server/standalone.ts'
import { DEFAULT_LIMITS } from '../../../node/stack/limits.ts'
import { Vips } from '../../../node/stack/vips.ts'
import { tcpConfig } from '../../../node/tcp/config.ts'
import { PacketBatch } from '../../../node/tun/packet-batch.ts'
import { createSegment } from '../../../node/wire/segment.ts'
import type { ScheduledEvent } from '../network/clock/scheduler.ts'
import { delay } from '../network/delay.ts'
import { chain, createWorld, type Packet } from '../network/element.ts'
import { drop } from '../network/loss.ts'
import { readPacket } from '../network/packet.ts'
import { Client } from './client.ts'
import { EPOCH_SECOND } from './cluster.ts'
import { exchangeOf } from './exchange.ts'
import { ONE_SITE, SimulatedResources, simulatedFiles } from './files.ts'

const FILES = { '/index.html': 3_000, '/a.css': 20_000, '/large.bin': 400_000 }
const VIPS = Vips.parse('10.9.0.1', undefined, 80)

/** One server and clients of it, over a wire that loses some packets. */
class Alone {
  readonly world = createWorld(7)
  readonly files = simulatedFiles(7, FILES)
  readonly core: StandaloneCore
  readonly #clients = new Map<number, Client>()
  readonly #wire = chain([delay(5), drop(0.02)])
  readonly #toClients = this.#wire.attach(this.world, packet => this.#atClient(packet))
  readonly #toServer = this.#wire.attach(this.world, packet => this.#atServer(packet))
  #timer: ScheduledEvent | undefined = undefined

  constructor() {
    const { scheduler, random } = this.world
    const limits = { ...DEFAULT_LIMITS, connections: 16 }
    const secret = new Uint8Array(16)
    const config = { id: 0, vips: VIPS, tcp: tcpConfig({ ownerId: 0 }), limits, idBase: 0, secret }
    this.core = new StandaloneCore(
      config,
      {
        transmit: batch => this.#transmit(batch),
        random: () => random.int32(),
        now: () => scheduler.now,
        nowSecond: () => EPOCH_SECOND,
        wallMs: () => EPOCH_SECOND * 1000 + scheduler.now,
        wake: () => this.#wake(),
      },
      new SimulatedResources(this.files, scheduler, ONE_SITE),
    )
  }

  client(port: number, paths: readonly string[], fields = ''): Client {
    const flow = {
      family: 4 as const,
      local0: 0,
      local1: 0,
      local2: 0xffff,
      local3: 0x0a090002,
      localPort: port,
      remote0: 0,
      remote1: 0,
      remote2: 0xffff,
      remote3: VIPS.v4.word3,
      remotePort: 80,
    }
    const exchanges = paths.map(path => exchangeOf(this.files, path, { fields }))
    const client = new Client({ world: this.world, flow, out: this.#toServer, exchanges })
    this.#clients.set(port, client)
    return client
  }

  #transmit(batch: PacketBatch): void {
    for (let index = 0; index < batch.count; index++) this.#toClients(batch.copyOf(index))
  }

  #atServer(packet: Packet): void {
    const batch = new PacketBatch(packet.length)
    batch.push(packet)
    this.core.receiveBatch(batch, this.world.scheduler.now)
    this.#wake()
  }

  #atClient(packet: Packet): void {
    const segment = createSegment()
    if (readPacket(packet, segment) === 'tcp') this.#clients.get(segment.dstPort)?.receive(packet)
  }

  #wake(): void {
    const { scheduler } = this.world
    if (this.#timer !== undefined) scheduler.cancel(this.#timer)
    const at = this.core.pollAt()
    if (at === Number.POSITIVE_INFINITY) return
    this.#timer = scheduler.at(Math.max(at, scheduler.now), () => {
      this.core.poll(scheduler.now)
      this.#wake()
    })
  }
}

describe('a server without a cluster', () => {
  it('accepts, serves and forgets connections by itself', () => {
    const alone = new Alone()
    const paths = ['/index.html', '/none', '/large.bin', '/a.css']
    const clients = [1, 2, 3].map(n => alone.client(40_000 + n, paths))
    const closing = alone.client(41_000, ['/a.css'], 'Connection: close\r\n')
    alone.world.scheduler.run(120_000)
    for (const client of [...clients, closing]) {
      expect(client.failure).toBeUndefined()
      expect(client.resets).toBe(0)
      expect(client.done).toBe(true)
    }
    expect(alone.core.owner.counters.accepted).toBe(4)
    expect(alone.core.owner.counters.closed).toBe(4)
    expect(alone.core.owner.byId.size).toBe(0)
    expect(alone.core.site.requests).toBe(13)
  })

  it('refuses what it has no room for and goes on', () => {
    const alone = new Alone()
    const clients = Array.from({ length: 20 }, (_, n) => alone.client(42_000 + n, ['/index.html']))
    alone.world.scheduler.run(1_000)
    expect(alone.core.owner.connections).toBeLessThanOrEqual(16)
    expect(alone.core.owner.counters.listen.ListenOverflows).toBeGreaterThan(0)
    expect(clients.some(client => client.done)).toBe(true)
  })
})
