/** Where requests and connections go in a whole cluster, under the invariants: locality of design §7. */
import { COOL_MS, KEEP_COST } from '../../../dispatcher/placement/locality.ts'
import type { PolicyName } from '../../../dispatcher/placement/policy.ts'
import { encodeClusterMessage } from '../../../node/server/messages.ts'
import { FREE_MOVES, MIN_STAY_MS } from '../../../node/server/stay.ts'
import type { Client } from './client.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { exchangeOf } from './exchange.ts'

const FILES = { '/a': 2_000, '/b': 2_000, '/hot': 1_000, '/large': 3_000_000 }

function cluster(options: Partial<ClusterOptions> & { readonly seed: number }): Cluster {
  return new Cluster({ files: FILES, ...options })
}

function idsOf(sim: Cluster): number[] {
  return Array.from({ length: sim.nodeCount }, (_, index) => index + 1)
}

/** A client that fetches `paths` one after the other, so many times. */
function looping(sim: Cluster, paths: readonly string[], rounds: number, thinkMs: number): Client {
  const once = paths.map(path => exchangeOf(sim.files, path))
  const exchanges = Array.from({ length: rounds }, () => once).flat()
  return sim.client({ exchanges, thinkMs, closes: false })
}

function succeeded(client: Client): void {
  expect(client.failure).toBeUndefined()
  expect(client.resets).toBe(0)
}

/** Between nodes: the dispatcher's own are not counted. */
function moves(sim: Cluster): number {
  return idsOf(sim).reduce((sum, id) => sum + sim.node(id).owner.counters.shifted, 0)
}

/** Fetches `path` so that `node` holds it and no other does. */
function heldBy(sim: Cluster, node: number, path: string): void {
  const others = idsOf(sim).filter(id => id !== node)
  for (const id of others) (sim.dispatcher.members.get(id) as { draining: boolean }).draining = true
  const client = sim.client({ exchanges: [exchangeOf(sim.files, path)] })
  expect(sim.runUntil(() => client.done, 1_000)).toBe(true)
  sim.run(500)
  expect(sim.dispatcher.directory.holders(path)).toEqual([node])
  expect(sim.dispatcher.directory.isExpected(node, path)).toBe(false)
  // The others have told their state again meanwhile.
  expect(sim.dispatcher.members.candidates([])).toHaveLength(sim.nodeCount)
}

it('a request that its holder does not take with the connection is served where it is', () => {
  const sim = cluster({ seed: 5, nodes: 2, ownerLimits: { connections: 2, timeWait: 1 } })
  heldBy(sim, 1, '/a')
  heldBy(sim, 2, '/b')
  // Its table is full, of which the dispatcher knows nothing.
  const others = ['/a', '/b', '/b'].map(path => looping(sim, [path], 1, 0))
  expect(sim.runUntil(() => others.every(({ done }) => done), 1_000)).toBe(true)
  expect(sim.node(2).owner.full).toBe(true)
  const client = looping(sim, ['/a', '/b'], 1, 30)
  expect(sim.runUntil(() => client.octets > FILES['/a'], 1_000)).toBe(true)
  expect(sim.ownerOf(client)?.owner.config.id).toBe(1)
  // Once it was heard, a connection goes there without PREPARE.
  sim.shift(others[0] as Client, 2)
  expect(sim.runUntil(() => client.done, 1_000)).toBe(true)
  succeeded(client)
  expect(sim.node(1).owner.counters.aborted).toEqual({ NO_MEMORY: 2 })
})

const requests = (sim: Cluster) => idsOf(sim).map(id => sim.node(id).site.requests)

describe('a hot object', () => {
  it('gets other holders and its load is spread, although its clients never ask for anything else', () => {
    const sim = cluster({ seed: 1 })
    heldBy(sim, 1, '/hot')
    const clients = Array.from({ length: 16 }, () => looping(sim, ['/hot'], 20_000, 1))
    sim.run(200)
    // Each of them was placed at the holder, which alone has work, and asks nobody about it.
    expect(requests(sim).filter(count => count > 0)).toHaveLength(1)
    sim.run(2_500)
    expect(sim.dispatcher.directory.holders('/hot').length).toBeGreaterThan(1)
    const before = requests(sim)
    sim.run(200)
    const shares = requests(sim).map((count, index) => count - (before[index] as number))
    const sum = shares.reduce((a, b) => a + b, 0)
    expect(Math.max(...shares)).toBeLessThan(0.65 * sum)
    expect(sim.dispatcher.placement.decisions('/hot').map(({ reason }) => reason)).toContain('relief')
    clients.forEach(succeeded)
    // What was moved for it did not go back.
    expect(moves(sim)).toBeLessThanOrEqual(clients.length)
  })
})

describe('the hottest connection', () => {
  const relieve = (sim: Cluster, most: number, load = 0) => {
    const order = { type: 'RELIEVE', to: 2, load, most } as const
    sim.node(1).receiveMessage(0, encodeClusterMessage(order), sim.now)
  }

  it('is the first to move, a download or a client with many requests', () => {
    for (const kind of ['/large', '/a']) {
      const sim = cluster({ seed: 2, nodes: 2 })
      heldBy(sim, 1, '/a')
      heldBy(sim, 1, '/large')
      const mild = Array.from({ length: 5 }, () => looping(sim, ['/a'], 100, 60))
      sim.run(100)
      const hot = kind === '/large' ? looping(sim, ['/large'], 100, 1) : looping(sim, ['/a'], 5_000, 1)
      sim.run(100)
      expect([hot, ...mild].map(client => sim.ownerOf(client)?.owner.config.id)).toEqual(Array(6).fill(1))
      relieve(sim, 1)
      sim.run(1_000)
      expect(sim.ownerOf(hot)?.owner.config.id).toBe(2)
      expect(mild.map(client => sim.ownerOf(client)?.owner.config.id)).toEqual(Array(5).fill(1))
      // Its object came after it.
      expect(sim.dispatcher.directory.holders(kind)).toEqual([1, 2])
      ;[hot, ...mild].forEach(succeeded)
    }
  })

  it('leaves its object at two nodes, of which new clients use one again when it has cooled', () => {
    const sim = cluster({ seed: 8, nodes: 2 })
    heldBy(sim, 1, '/a')
    const hot = looping(sim, ['/a'], 500, 1)
    const mild = looping(sim, ['/a'], 10, 60)
    sim.run(100)
    relieve(sim, 1)
    expect(sim.runUntil(() => hot.done && mild.done, 5_000)).toBe(true)
    const { directory, placement } = sim.dispatcher
    expect(directory.holders('/a')).toEqual([1, 2])
    const costs = () => {
      const nodes = sim.dispatcher.members.candidates([])
      return placement.costs({ path: '/a', from: undefined }, nodes, sim.now).map(({ read }) => read)
    }
    expect(costs()).toEqual([0, 0])
    sim.run(COOL_MS)
    for (let turn = 0; turn < 2; turn++) {
      const later = sim.client({ exchanges: [exchangeOf(sim.files, '/a')] })
      expect(sim.runUntil(() => later.done, 1_000)).toBe(true)
    }
    // Its copy is still there, and may grow old.
    expect(costs()?.sort()).toEqual([0, KEEP_COST])
    expect(directory.holders('/a')).toEqual([1, 2])
  })

  it('does not move where it would only take the load with it', () => {
    const sim = cluster({ seed: 3, nodes: 2 })
    heldBy(sim, 1, '/a')
    const hot = looping(sim, ['/a'], 5_000, 0.2)
    const idle = looping(sim, ['/a'], 2, 100_000)
    sim.run(300)
    relieve(sim, 10, 3)
    sim.run(1_000)
    expect([hot, idle].map(client => sim.ownerOf(client)?.owner.config.id)).toEqual([1, 1])
  })

  it('is let go, by a node whose clients or whose target are gone', () => {
    const sim = cluster({ seed: 4, nodes: 2 })
    heldBy(sim, 1, '/a')
    const hot = looping(sim, ['/a'], 5_000, 1)
    sim.run(300)
    relieve(sim, 10)
    sim.kill(2)
    sim.run(1_000)
    expect(sim.ownerOf(hot)?.owner.config.id).toBe(1)
    succeeded(hot)
  })
})

describe('a client whose files are at two nodes', () => {
  it('goes to and fro a few times at most, and then its node has both', () => {
    const sim = cluster({ seed: 5, nodes: 2 })
    heldBy(sim, 1, '/a')
    heldBy(sim, 2, '/b')
    const clients = Array.from({ length: 4 }, () => looping(sim, ['/a', '/b'], 1_000, 5))
    sim.run(10_000)
    clients.forEach(succeeded)
    for (const client of clients) {
      const { connection } = sim.ownerOf(client) as { connection: { shifts: number } }
      expect(connection.shifts).toBeGreaterThan(1)
      expect(connection.shifts).toBeLessThanOrEqual(1 + FREE_MOVES + 10_000 / MIN_STAY_MS)
    }
    for (const client of clients) {
      const id = sim.ownerOf(client)?.owner.config.id as number
      for (const path of ['/a', '/b']) expect(sim.dispatcher.directory.holders(path)).toContain(id)
    }
    const before = moves(sim)
    sim.run(1_000)
    expect(moves(sim)).toBe(before)
  })
})

describe('a storm', () => {
  it('does not start: of many clients that all want the same elsewhere, few move in a second, and all are served', () => {
    const sim = cluster({ seed: 6, nodes: 2, placement: { policy: 'locality', shiftsPerSecond: 5 } })
    heldBy(sim, 1, '/a')
    const clients = Array.from({ length: 60 }, () => {
      const exchanges = ['/a', '/b'].map(path => exchangeOf(sim.files, path))
      return sim.client({ exchanges, thinkMs: 2_000, closes: false })
    })
    sim.run(1_000)
    heldBy(sim, 2, '/b')
    const before = moves(sim)
    expect(sim.runUntil(() => clients.every(({ done }) => done), 3_000)).toBe(true)
    clients.forEach(succeeded)
    expect(moves(sim) - before).toBeGreaterThan(0)
    expect(moves(sim) - before).toBeLessThanOrEqual(5 + 5)
  })
})

describe.each<PolicyName>(['locality', 'lard-r', 'round-robin', 'least-loaded', 'hash'])(
  'policy %s',
  policy => {
    it('serves every client whole, also after another policy took over', () => {
      const sim = cluster({ seed: 7, placement: { policy, shiftsPerSecond: 1_000 } })
      const paths = ['/a', '/b', '/hot']
      const clients = Array.from({ length: 12 }, (_, index) =>
        looping(sim, [paths[index % 3], paths[(index + 1) % 3]] as string[], 20, 10),
      )
      sim.run(150)
      sim.dispatcher.placement.policy = policy === 'hash' ? 'locality' : 'hash'
      expect(sim.runUntil(() => clients.every(({ done }) => done), 10_000)).toBe(true)
      clients.forEach(succeeded)
    })
  },
)
