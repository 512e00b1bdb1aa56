/**
 * Servers that accept for themselves behind a gateway that steers by a hash of the flow over the servers that are there: the
 * same TCP and the same site, without anybody who could move a connection.
 */

import { StandaloneCore } from '../../node/server/standalone.ts'
import { DEFAULT_LIMITS } from '../../node/stack/limits.ts'
import { Vips } from '../../node/stack/vips.ts'
import { tcpConfig } from '../../node/tcp/config.ts'
import type { PacketBatch } from '../../node/tun/packet-batch.ts'
import { ONE_SITE, SimulatedResources } from '../sim/cluster/files.ts'
import type { ScheduledEvent } from '../sim/network/clock/scheduler.ts'
import { createWorld, type World } from '../sim/network/element.ts'
import { HandMadeClients } from '../soak/hand-made-clients.ts'
import type { ChurnSystem } from './churn.ts'

export const HASHES = ['hash', 'consistent hash'] as const
export type HashName = (typeof HASHES)[number]

/** Points of each server on the circle of consistent hashing: as many as libketama's. */
const POINTS = 160
const EPOCH_SECOND = 1_800_000_000
const WAN_MS = 5

interface Server {
  readonly core: StandaloneCore
  timer: ScheduledEvent | undefined
}

export class HashedServers implements ChurnSystem {
  readonly world: World
  readonly clients: HandMadeClients
  readonly #vips = Vips.parse('10.77.0.1', undefined, 80)
  readonly #hash: HashName
  readonly #servers: Server[]
  readonly #present: Set<number>
  #table: readonly number[] = []
  #circle: readonly (readonly [point: number, server: number])[] = []

  constructor(
    hash: HashName,
    servers: number,
    clients: number,
    files: ReadonlyMap<string, Uint8Array>,
    seed: number,
  ) {
    this.#hash = hash
    this.world = createWorld(seed)
    this.clients = new HandMadeClients(clients, this.#vips, {
      deliver: (batch, _tsEcr, client) => this.#steer(batch, client),
      now: () => this.world.scheduler.now,
    })
    this.clients.heard = client => {
      this.world.scheduler.after(2 * WAN_MS, () => this.clients.acknowledge(client))
    }
    this.#servers = Array.from({ length: servers }, (_, id) => ({
      core: this.#create(id, files),
      timer: undefined,
    }))
    this.#present = new Set(this.#servers.keys())
    this.#changed()
  }

  run(ms: number): Promise<void> {
    this.world.scheduler.run(this.world.scheduler.now + ms)
    return Promise.resolve()
  }

  /** It is steered nothing more to; it keeps its connections, but hears of them no more. */
  leave(id: number): void {
    this.#present.delete(id - 1)
    this.#changed()
  }

  enter(id: number): void {
    this.#present.add(id - 1)
    this.#changed()
  }

  close(): void {}

  #create(id: number, files: ReadonlyMap<string, Uint8Array>): StandaloneCore {
    const { scheduler, random } = this.world
    return new StandaloneCore(
      {
        id,
        vips: this.#vips,
        tcp: tcpConfig({}),
        limits: DEFAULT_LIMITS,
        idBase: id * 2 ** 32,
        secret: random.octets(32),
      },
      {
        transmit: batch => this.clients.take(batch),
        random: () => random.int32(),
        now: () => scheduler.now,
        nowSecond: () => EPOCH_SECOND,
        wallMs: () => EPOCH_SECOND * 1_000 + scheduler.now,
        wake: () => this.#wake(id),
      },
      new SimulatedResources(files, scheduler, ONE_SITE),
    )
  }

  #steer(batch: PacketBatch, client: number): void {
    const id = this.#hash === 'hash' ? this.#byModulo(client) : this.#onCircle(client)
    this.#servers[id]?.core.receiveBatch(batch, this.world.scheduler.now)
    this.#wake(id)
  }

  #byModulo(client: number): number {
    return this.#table[scattered(client) % this.#table.length] as number
  }

  #onCircle(client: number): number {
    const point = scattered(client)
    let [low, high] = [0, this.#circle.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#circle[middle]?.[0] ?? 0) < point) low = middle + 1
      else high = middle
    }
    return (this.#circle[low % this.#circle.length] as readonly [number, number])[1]
  }

  #changed(): void {
    this.#table = [...this.#present].sort((a, b) => a - b)
    this.#circle = this.#table
      .flatMap(id =>
        Array.from({ length: POINTS }, (_, point) => [scattered(~(id * POINTS + point)), id] as const),
      )
      .sort((a, b) => a[0] - b[0])
  }

  #wake(id: number): void {
    const server = this.#servers[id]
    if (server === undefined) return
    const { scheduler } = this.world
    const at = Math.max(server.core.pollAt(), scheduler.now)
    if (server.timer?.at === at) return
    if (server.timer !== undefined) scheduler.cancel(server.timer)
    server.timer = undefined
    if (at === Number.POSITIVE_INFINITY) return
    server.timer = scheduler.at(at, () => {
      server.timer = undefined
      server.core.poll(scheduler.now)
      this.#wake(id)
    })
  }
}

/** The finaliser of MurmurHash3: every bit of a client's address and port, here its number, reaches every bit. */
function scattered(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
