/** A cluster that is only simulated: as many connections as a test wants, that send, move and end at its word. */
import {
  hashOf,
  type Watched,
  type WatchedShift,
  type WatchedSocket,
  type WatchQuery,
} from '../../node/server/watch.ts'
import type { FeedSource, WatchedOwner } from './feed.ts'
import { type DemoReport, NO_DEMO } from './feed-messages.ts'

const ESTABLISHED = 3
/** Near the end of the numbers, so that they begin anew soon. */
const ISS = 2 ** 32 - 5_000

interface Simulated {
  readonly id: number
  owner: number
  octets: number
  shifts: number
}

export class TestSource implements FeedSource {
  readonly connections = new Map<number, Simulated>()
  readonly queries: [number, WatchQuery][] = []
  readonly down = new Set<number>()
  /** Changes when an owner is started again. */
  readonly pids = new Map<number, number>()
  report: DemoReport = NO_DEMO
  isEngineAway = false
  readonly #nodes: number
  readonly #log = new Map<number, WatchedShift[]>()
  readonly #counts = new Map<number, Record<string, number>>()
  readonly #told = new Map<number, Set<number>>()
  #requests = 0
  #next = 1

  constructor(nodes: number) {
    this.#nodes = nodes
  }

  open(count: number): void {
    for (let turn = 0; turn < count; turn++) {
      const id = this.#next++
      this.connections.set(id, { id, owner: 1 + (id % this.#nodes), octets: 0, shifts: 0 })
    }
  }

  /** Every connection is acknowledged so much more. */
  send(octets: number): void {
    this.#requests += this.connections.size
    for (const connection of this.connections.values()) connection.octets += octets
  }

  shift(id: number, to: number, refusal = ''): void {
    const connection = this.connections.get(id) as Simulated
    const from = connection.owner
    const log = this.#log.get(from) ?? []
    log.push([log.length + 1, id, to, 'order', refusal, 5, 2, 1, 1.5])
    this.#log.set(from, log)
    const counts = this.#counts.get(from) ?? {}
    const key = `${to} order ${refusal}`
    counts[key] = (counts[key] ?? 0) + 1
    this.#counts.set(from, counts)
    if (refusal !== '') return
    connection.owner = to
    connection.shifts++
  }

  owners(): WatchedOwner[] {
    const node = (id: number): WatchedOwner => ({
      ...{ id, name: id === 0 ? 'dispatcher' : `node${id}`, role: id === 0 ? 'dispatcher' : 'node' },
      ...{ state: this.down.has(id) ? 'down' : 'up', address: `10.78.0.${id + 2}` },
    })
    return Array.from({ length: this.#nodes + 1 }, (_, id) => node(id))
  }

  async watch(owner: number, query: WatchQuery): Promise<Watched | undefined> {
    this.queries.push([owner, query])
    if (this.down.has(owner)) return undefined
    const told = query.fresh ? new Set<number>() : (this.#told.get(owner) ?? new Set())
    this.#told.set(owner, told)
    const sockets: WatchedSocket[] = []
    let connections = 0
    for (const { id, owner: at, octets, shifts } of this.connections.values()) {
      if (at !== owner) continue
      connections++
      if (hashOf(id) >= query.below && !query.focus.includes(id)) continue
      const words = told.has(id) ? [] : [`10.79.0.2:${id % 65_536}`, 'GET /film.bin', 1_800_000_000]
      told.add(id)
      sockets.push([id, ESTABLISHED, (octets + ISS) >>> 0, 0.25, shifts, 0, 0, octets, ...words])
    }
    return this.#answer(owner, query, connections, sockets)
  }

  demo(): DemoReport {
    return this.report
  }

  engineAway(): boolean {
    return this.isEngineAway
  }

  #answer(owner: number, query: WatchQuery, connections: number, sockets: WatchedSocket[]): Watched {
    const log = this.#log.get(owner) ?? []
    const figures = {
      ...{ requests: this.#requests / this.#nodes, accepted: 0, cloned: 0, shifted: log.length, closed: 0 },
      ...{ relayed: 1, packetsIn: this.#requests, octetsOut: this.#requests * 1_000, hits: 3, misses: 1 },
      ...{ retransmitted: 0, sent: 0, resets: 0, cacheOctetsNow: 2 ** 20, cacheObjectsNow: 3 },
      ...{ rssOctetsNow: 60 * 2 ** 20, lagMsNow: 1.5 },
    }
    return {
      ...{ pid: this.pids.get(owner) ?? 100 + owner, seq: log.length, connections, draining: false },
      ...{ sockets, shifts: log.slice(query.since), counts: { ...this.#counts.get(owner) }, figures },
    }
  }
}
