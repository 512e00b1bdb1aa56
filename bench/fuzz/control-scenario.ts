/**
 * A whole cluster in virtual time, one member of which is not what it should be: beside its honest messages it sends forged
 * ones (`message-forger.ts`) to the dispatcher and to the other nodes, while clients are served and connections shift. It may
 * cost the connections that it speaks of; nobody may throw, stop or grow because of it, and once it is gone the others
 * serve on. As a second role the dispatcher is the hostile one, whom nodes obey: there no more than that they stand.
 */
import { CONTENT_PROTOCOL } from '../../node/origin/peer-contents.ts'
import { APP_PROTOCOL } from '../../node/server/core.ts'
import { CLUSTER_PROTOCOL } from '../../node/server/messages.ts'
import { VARIANT_PROTOCOL } from '../../node/server/variant-messages.ts'
import type { Connection, Forward } from '../../node/stack/connection.ts'
import { TOMBSTONE_MS } from '../../node/stack/forwards.ts'
import { OWNER_PROTOCOL, SHIFT_PROTOCOL } from '../../node/stack/owner.ts'
import type { Client } from '../sim/cluster/client.ts'
import { Cluster } from '../sim/cluster/cluster.ts'
import { exchangeOf } from '../sim/cluster/exchange.ts'
import { delay } from '../sim/network/delay.ts'
import { Random } from '../sim/network/random.ts'
import { checkOwner } from './bounds.ts'
import { echoOn } from './echo-app.ts'
import { type Envelope, forge } from './message-forger.ts'

const NODES = 3
const DISPATCHER = 0
const HISTORY = 300
const ROUNDS = 60
const MAX_BURST = 24
const MAX_CLIENTS = 16
/** Small enough to be reached. */
const LIMITS = { connections: 40, halfOpen: 12, timeWait: 12, forwards: 48 }
const APP_PORT = 9_000
/** An order to a node to end itself, which here would end the campaign. */
const END_ORDER = 'end'
/** Whatever it said of connections that are to come is forgotten then: the longest is a tombstone. */
const FORGOTTEN_MS = TOMBSTONE_MS + 10_000
/** Clients that come afterwards until one is served, one after the other. */
const MAX_VISITS = 4
/** Virtual ms for each. */
const SERVED_MS = 20_000

const PROTOCOLS: ReadonlyMap<unknown, string> = new Map([
  [SHIFT_PROTOCOL, 'shift'],
  [OWNER_PROTOCOL, 'owner'],
  [CLUSTER_PROTOCOL, 'cluster'],
  [VARIANT_PROTOCOL, 'variant'],
  [APP_PROTOCOL, 'app'],
  [CONTENT_PROTOCOL, 'content'],
])

export interface ControlCoverage {
  forged: number
  /** By protocol. */
  readonly kinds: Map<string, number>
  /** Connections that forged COMMITs made, in all. */
  adopted: number
}

export function createControlCoverage(): ControlCoverage {
  return { forged: 0, kinds: new Map(), adopted: 0 }
}

export class ControlScenario {
  readonly seed: number
  readonly #random: Random
  readonly #coverage: ControlCoverage
  readonly #history: Envelope[] = []
  readonly #cluster: Cluster
  readonly #clients: Client[] = []
  readonly #hostile: number

  constructor(seed: number, coverage: ControlCoverage) {
    this.seed = seed
    this.#random = new Random(seed)
    this.#coverage = coverage
    this.#hostile = this.#random.chance(0.8) ? NODES : DISPATCHER
    this.#cluster = new Cluster({
      seed,
      nodes: NODES,
      files: { '/a': 30_000, '/b': 200, '/c.txt': 8_000 },
      compressing: id => ({ quality: id, codeMs: 5 }),
      isBetrayed: true,
      ownerLimits: LIMITS,
      wan: () => delay(this.#random.between(0.1, 20)),
    })
    for (let id = 1; id <= NODES; id++) echoOn(this.#cluster.node(id), APP_PORT)
    this.#cluster.watch = {
      sent: (_from, _to, envelope) => {
        this.#keep(envelope)
        return true
      },
      delivered: () => {},
    }
  }

  run(): void {
    const random = this.#random
    for (let round = 0; round < ROUNDS; round++) {
      if (this.#clients.length < MAX_CLIENTS && random.chance(0.3)) this.#connect()
      if (this.#clients.length > 0 && random.chance(0.3))
        this.#cluster.shift(random.pick(this.#clients), 1 + random.int(NODES))
      this.#attack()
      this.#cluster.run(random.chance(0.02) ? random.between(0, 70_000) : random.between(0, 30))
      for (const owner of this.#cluster.owners()) checkOwner(owner)
    }
    for (const owner of this.#cluster.owners()) this.#coverage.adopted += owner.counters.adopted
    if (this.#hostile !== DISPATCHER) this.#outlive()
  }

  #keep(envelope: Envelope): void {
    // Loads are told all the time.
    if (envelope[0] === CLUSTER_PROTOCOL && envelope[1] === 5 && this.#random.chance(0.9)) return
    if (this.#history.length < HISTORY) this.#history.push(envelope)
    else this.#history[this.#random.int(HISTORY)] = envelope
  }

  #connect(): void {
    const random = this.#random
    const { files } = this.#cluster
    const options = {
      family: random.chance(0.7) ? 4 : 6,
      timestamps: random.chance(0.7),
      closes: random.chance(0.5),
    } as const
    if (random.chance(0.2)) {
      const client = this.#cluster.client({ ...options, raw: true, service: APP_PORT })
      client.write('x'.repeat(1 + random.int(5_000)))
      this.#clients.push(client)
      return
    }
    const exchanges = Array.from({ length: 1 + random.int(4) }, () =>
      exchangeOf(files, random.pick(['/a', '/b', '/none']), {
        fields: random.chance(0.3) ? 'Accept-Encoding: br\r\n' : '',
      }),
    )
    this.#clients.push(this.#cluster.client({ ...options, exchanges, thinkMs: random.between(0, 500) }))
  }

  #attack(): void {
    const random = this.#random
    for (let left = 1 + random.int(MAX_BURST); left > 0; left--) {
      const others = [DISPATCHER, 1, 2, 3].filter(id => id !== this.#hostile)
      const to = random.pick(others)
      const base =
        this.#history.length > 0 && random.chance(0.7) ? random.pick(this.#history) : invented(random)
      for (const message of forge(base, this.#known(), random)) {
        if (!Array.isArray(message) || message[3] === END_ORDER) continue
        this.#tell(to, message)
      }
    }
  }

  #tell(to: number, message: Envelope): void {
    const { kinds } = this.#coverage
    const kind = PROTOCOLS.get(message[0]) ?? 'none'
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    this.#coverage.forged++
    this.#cluster.tell(this.#hostile, to, message)
  }

  #known(): (Connection | Forward)[] {
    return this.#cluster.owners().flatMap(owner => [...owner.byId.values()].slice(0, 12))
  }

  /**
   * The hostile member is gone: whoever comes now is served by the others. The names that it took for connections to come
   * stay taken while what it made of them lives; who gets one of those is told 503, and served when he comes again.
   */
  #outlive(): void {
    const { files } = this.#cluster
    this.#cluster.kill(this.#hostile)
    this.#cluster.run(FORGOTTEN_MS)
    for (let visit = 0; visit < MAX_VISITS; visit++) {
      const client = this.#cluster.client({ exchanges: [exchangeOf(files, '/a')], closes: true })
      this.#cluster.runUntil(() => client.done || client.ended, SERVED_MS)
      if (client.done && client.failure === undefined) return
    }
    throw new Error(`SEED=${this.seed}: nobody serves when the hostile member is gone`)
  }
}

const FLOW = [4, 0x0a090001, 4_000, 80]

/** A message of a kind that is seldom said. */
function invented(random: Random): Envelope {
  const token = random.int(50)
  const path = random.pick(['/a', '/b', '/c.txt', '/none', '/../x', '', 'x'.repeat(8_400)])
  const etag = random.pick(['"30000-1"', '""', ''])
  return random.pick<Envelope>([
    [SHIFT_PROTOCOL, 0, token, 3, FLOW, [`${path}\0${etag}`], 100, 1],
    [SHIFT_PROTOCOL, 1, token, 3, 1],
    [SHIFT_PROTOCOL, 2, token, 3, 1, true],
    [SHIFT_PROTOCOL, 3, token, 3],
    [SHIFT_PROTOCOL, 5, token, 3, true],
    [OWNER_PROTOCOL, 0, 1, new Uint8Array(60)],
    [OWNER_PROTOCOL, 2, [[token, 3, FLOW, true, 'GET / HTTP/1.1']]],
    [OWNER_PROTOCOL, 3, [[token, 3, FLOW, true, 'GET / HTTP/1.1']]],
    [OWNER_PROTOCOL, 4, token, 3, FLOW, random.int(5)],
    [OWNER_PROTOCOL, 5, token, 3, random.chance(0.5)],
    [CLUSTER_PROTOCOL, 0, [[1, 'a', 'ws://10.0.0.1:1', 'x']]],
    [CLUSTER_PROTOCOL, 1, Array.from({ length: random.int(1_000) }, (_, index) => `/${index}`), false],
    [CLUSTER_PROTOCOL, 2, [path]],
    [CLUSTER_PROTOCOL, 3, token, path],
    [CLUSTER_PROTOCOL, 4, token, random.int(5)],
    [CLUSTER_PROTOCOL, 6, token, random.pick(['status', 'connections', 'shift', 'watch', 'inspect']), token],
    [CLUSTER_PROTOCOL, 6, token, 'shift', [null, random.int(5)]],
    [CLUSTER_PROTOCOL, 6, token, 'drain', random.chance(0.3)],
    [CLUSTER_PROTOCOL, 6, token, 'spread', [random.int(5)]],
    [CLUSTER_PROTOCOL, 7, token, '{}'],
    [CLUSTER_PROTOCOL, 8, 1_000],
    [CLUSTER_PROTOCOL, 9],
    [CLUSTER_PROTOCOL, 10, random.int(5), 1, 5],
    [CLUSTER_PROTOCOL, 11, random.int(5), [path]],
    [CLUSTER_PROTOCOL, 12, [9_000, 80, 1]],
    [CLUSTER_PROTOCOL, 13, token, path],
    [CLUSTER_PROTOCOL, 14, token, [1, 2, 3]],
    [VARIANT_PROTOCOL, 0, token, path, 'br', etag, '', token],
    [VARIANT_PROTOCOL, 1, token, etag, etag, 2 ** 40, new Uint8Array(9)],
    [VARIANT_PROTOCOL, 2, token, false],
    [APP_PROTOCOL, APP_PORT, new Uint8Array(30)],
    [CONTENT_PROTOCOL, 0, token, `${path}\0${etag}`, 0],
    [CONTENT_PROTOCOL, 1, token, 2 ** 50, new Uint8Array(9)],
    [CONTENT_PROTOCOL, 2, token, path, path, [['host', 'a']]],
    [CONTENT_PROTOCOL, 3, token, `${path}\0${etag}`, [200, [], [], '', [0, 1, 0, 0, false]]],
  ])
}
