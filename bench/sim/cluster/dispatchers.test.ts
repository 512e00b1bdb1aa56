/** Several dispatchers: each accepts what the gateway's hash gives it, all know where connections live, and one may die. */
import { delay } from '../network/delay.ts'
import { chain } from '../network/element.ts'
import { rate } from '../network/rate.ts'
import { segment } from '../network/segment.ts'
import type { Client } from './client.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { exchangeOf } from './exchange.ts'
import { eachSeed, seedBlocks } from './seeds.ts'

const FILES = { '/index.html': 3_000, '/file.bin': 150_000 }
const SECOND = 201
const wan = () => chain([segment(1_500), rate(50e6, 500_000), delay(2)])

function cluster(options: Partial<ClusterOptions> & { readonly seed: number }): Cluster {
  return new Cluster({ files: FILES, wan, dispatchers: 2, ...options })
}

function clients(sim: Cluster, count: number, paths: readonly string[], thinkMs = 20): Client[] {
  const exchanges = paths.map(path => exchangeOf(sim.files, path))
  return Array.from({ length: count }, (_, index) =>
    sim.client({ exchanges, thinkMs, timestamps: index % 3 !== 2 }),
  )
}

/** The dispatcher that a client's connection is at; undefined: it lives at a node, or nowhere. */
function accepterOf(sim: Cluster, client: Client): number | undefined {
  const owner = sim.ownerOf(client)?.owner
  return owner?.isDispatcher === true ? owner.config.id : undefined
}

function isShifted(sim: Cluster, client: Client): boolean {
  const owner = sim.ownerOf(client)?.owner
  return owner !== undefined && !owner.isDispatcher
}

function expectUnharmed(client: Client): void {
  expect([client.failure, client.resets]).toEqual([undefined, 0])
}

/** A client that has sent all of a request but its last octets. */
function halfway(sim: Cluster, timestamps: boolean): Client {
  const client = sim.client({ raw: true, timestamps })
  sim.runUntil(() => client.tcb.state === 'ESTABLISHED', 1_000)
  client.write('GET /index.html HTTP/1.1\r\nHost: gyre.test\r\n')
  sim.run(20)
  return client
}

describe('two dispatchers', () => {
  it('both accept, and each has a record of every connection, whoever accepted it', () => {
    const sim = cluster({ seed: 1 })
    const all = clients(sim, 24, ['/file.bin', '/index.html'], 300)
    sim.run(200)
    for (const id of sim.dispatcherIds) {
      const { owner } = sim.dispatcherOf(id)
      expect(owner.counters.accepted).toBeGreaterThan(4)
      for (const client of all) {
        const found = sim.ownerOf(client)
        const record = found && owner.byId.get(found.connection.id)
        expect(record).toMatchObject({ kind: 'forward', to: found?.owner.config.id })
      }
    }
    expect(sim.runUntil(() => all.every(client => client.done), 20_000)).toBe(true)
    all.forEach(expectUnharmed)
  })

  it('keep no record of what has ended', () => {
    const sim = cluster({ seed: 2 })
    const exchanges = [exchangeOf(sim.files, '/index.html')]
    const all = Array.from({ length: 8 }, () => sim.client({ exchanges, closes: true }))
    expect(sim.runUntil(() => all.every(client => client.done), 20_000)).toBe(true)
    sim.run(90_000)
    for (const id of sim.dispatcherIds) expect(sim.dispatcherOf(id).owner.forwards.size).toBe(0)
  })

  it('share one run of ids and never give one twice', () => {
    const sim = cluster({ seed: 3 })
    const all = clients(sim, 24, ['/file.bin', '/index.html'], 1_000)
    sim.run(500)
    const ids = all.map(client => sim.ownerOf(client)?.connection.id)
    expect(new Set(ids).size).toBe(all.length)
  })
})

describe('a dispatcher that ends at once under load', () => {
  it.each(seedBlocks(4_000, 60))('breaks no shifted connection (SEED=%i and on)', (...seeds) => {
    eachSeed(seeds, seed => {
      const sim = cluster({ seed })
      const { random } = sim.world
      const dead = random.pick([0, SECOND])
      const before = clients(sim, 9, ['/file.bin', '/index.html', '/file.bin'])
      sim.run(10 + random.int(40))
      const late = clients(sim, 6, ['/file.bin', '/index.html'])
      sim.run(random.int(12))
      const shifted = [...before, ...late].filter(client => isShifted(sim, client))
      sim.kill(dead)
      const after = clients(sim, 6, ['/file.bin', '/index.html'])
      for (let round = 0; round < 20; round++) {
        sim.run(random.int(20))
        sim.shift(random.pick(before), 1 + random.int(3))
      }
      sim.run(30_000)
      expect(shifted.length).toBeGreaterThan(6)
      for (const client of [...shifted, ...after]) {
        expectUnharmed(client)
        expect(client.done).toBe(true)
      }
    })
  })

  it.each([true, false])('ends only what it had not handed over: timestamps %s', timestamps => {
    const sim = cluster({ seed: 5 })
    const open = Array.from({ length: 12 }, () => halfway(sim, timestamps))
    const isLost = open.map(client => accepterOf(sim, client) === SECOND)
    expect(new Set(isLost).size).toBe(2)
    sim.kill(SECOND)
    sim.run(2_000)
    for (const client of open) client.write('\r\n')
    sim.run(5_000)
    open.forEach((client, index) => {
      expect(client.resets > 0).toBe(isLost[index])
      expect(client.transcript.startsWith('HTTP/1.1 200')).toBe(!isLost[index])
    })
  })

  it('comes back, knows every connection again, and accepts its part', () => {
    const sim = cluster({ seed: 6 })
    const all = clients(sim, 12, ['/file.bin', '/index.html', '/file.bin'], 4_000)
    sim.run(1_000)
    sim.kill(SECOND)
    sim.run(1_000)
    sim.restart(SECOND)
    sim.run(1_000)
    const { owner } = sim.dispatcherOf(SECOND)
    for (const client of all) {
      const found = sim.ownerOf(client)
      expect(found && owner.byId.get(found.connection.id)).toMatchObject({ to: found?.owner.config.id })
    }
    const more = clients(sim, 12, ['/index.html'])
    expect(sim.runUntil(() => [...all, ...more].every(client => client.done), 60_000)).toBe(true)
    for (const client of [...all, ...more]) expectUnharmed(client)
    expect(owner.counters.accepted).toBeGreaterThan(2)
  })

  it('has its drain taken over: a node that leaves asks the other one', () => {
    const sim = cluster({ seed: 7 })
    const asked: number[] = []
    sim.watch = {
      sent: (from, to, envelope) => {
        // LEAVE of the protocol between nodes and dispatchers.
        if (from === 1 && envelope[0] === 3 && envelope[1] === 8) asked.push(to)
        return true
      },
      delivered: () => {},
    }
    sim.node(1).leave(10_000, sim.now, () => {})
    sim.run(10)
    sim.kill(0)
    sim.run(10)
    expect(asked).toEqual([0, SECOND])
  })
})

describe('a node that ends at once', () => {
  it.each(seedBlocks(4_200, 20))(
    'loses no download, and one dispatcher sees to that (SEED=%i and on)',
    (...seeds) => {
      eachSeed(seeds, seed => {
        const sim = cluster({ seed, nodes: 4 })
        const all = clients(sim, 9, ['/file.bin'])
        sim.run(60 + sim.world.random.int(30))
        const doomed = sim.ownerOf(all[0] as Client)?.owner.config.id as number
        sim.kill(doomed)
        // Whose turn it would be ends as well, now or in the middle of it.
        if (seed % 2 === 0) {
          sim.run(sim.world.random.int(600))
          sim.kill(0)
        }
        expect(sim.runUntil(() => all.every(client => client.done), 60_000)).toBe(true)
        all.forEach(expectUnharmed)
      })
    },
  )
})

describe('a packet that reaches another dispatcher than the one that accepted', () => {
  it.each([true, false])('finds its connection: timestamps %s', timestamps => {
    const sim = cluster({ seed: 8 })
    const open = Array.from({ length: 12 }, () => halfway(sim, timestamps))
    // From here on the gateway gives all of them to the first.
    const moved = open.filter(client => accepterOf(sim, client) === SECOND)
    expect(moved.length).toBeGreaterThan(1)
    const { owners } = sim.steering.table
    void sim.steering.setOwners(
      [...owners.values()].filter(({ owner }) => owner !== SECOND),
      [0],
    )
    for (const client of open) client.write('\r\n')
    sim.run(5_000)
    for (const client of open) {
      expectUnharmed(client)
      expect(client.transcript).toMatch(/^HTTP\/1\.1 200/)
    }
  })

  it('is reset when none of them knows it', () => {
    const sim = cluster({ seed: 9 })
    const client = halfway(sim, true)
    const accepter = accepterOf(sim, client) as number
    sim.kill(accepter)
    sim.restart(accepter)
    sim.run(6_000)
    client.write('\r\n')
    expect(sim.runUntil(() => client.resets > 0, 5_000)).toBe(true)
  })

  it('is not reset while the news of a dispatcher that has just ended is under way', () => {
    const sim = cluster({ seed: 10, linkMs: 200 })
    const all = clients(sim, 12, ['/file.bin'])
    sim.runUntil(() => all.some(client => isShifted(sim, client)), 1_000)
    // The survivor has heard of none of them yet.
    const shifted = all.filter(client => isShifted(sim, client))
    const ids = shifted.map(client => sim.ownerOf(client)?.connection.id as number)
    const survivor =
      [0, SECOND].find(id => ids.some(known => !sim.dispatcherOf(id).owner.byId.has(known))) ?? 0
    sim.kill(survivor === 0 ? SECOND : 0)
    sim.run(20_000)
    for (const client of shifted) {
      expectUnharmed(client)
      expect(client.done).toBe(true)
    }
  })
})

describe('control messages that are lost, doubled, late and out of order', () => {
  it.each(seedBlocks(4_500, 60))(
    'make no two owners, also of two dispatchers (SEED=%i and on)',
    (...seeds) => {
      eachSeed(seeds, seed => {
        const adversary = { drop: 0.1, duplicate: 0.2, reorder: 0.2, delay: 0.2, stale: 0.5, maxExtraMs: 400 }
        const sim = cluster({ seed, adversary })
        const all = clients(sim, 4, ['/file.bin', '/index.html', '/file.bin'])
        const { random } = sim.world
        for (let round = 0; round < 60; round++) {
          sim.run(random.int(40))
          sim.shift(random.pick(all), 1 + random.int(3))
          if (round === 30) sim.kill(SECOND)
          if (round === 45) sim.restart(SECOND)
        }
        // The invariants were checked after every event.
        sim.run(30_000)
        for (const client of all) {
          expect([undefined, 'reset by the server', 'octet 9 of response 0 is wrong']).toContain(
            client.failure,
          )
        }
      })
    },
  )
})

describe('a link between a node and a dispatcher that breaks', () => {
  it.each([
    ['of one dispatcher', 1, 0],
    ['of the first of two', 2, 0],
    ['of the second of two', 2, SECOND],
  ] as const)(
    '%s leaves no record of what ends meanwhile, nor of what was about to be told',
    (_name, dispatchers, id) => {
      const sim = cluster({ seed: 6, dispatchers })
      const all = Array.from({ length: 24 }, () => sim.client({ raw: true }))
      sim.run(20)
      for (const client of all) client.write('GET /index.html HTTP/1.1\r\nHost: gyre.test\r\n\r\n')
      sim.run(500)
      for (const [index, client] of all.entries()) {
        if (index === 8) for (const node of [1, 2, 3]) sim.link(node, id).cut(1_000)
        client.finish()
        sim.run(1)
      }
      sim.run(90_000)
      for (const one of sim.dispatcherIds)
        expect([one, sim.dispatcherOf(one).owner.forwards.size]).toEqual([one, 0])
    },
  )

  it('keeps the record of a connection that has moved to a node that is cut off for longer', () => {
    const sim = cluster({ seed: 7 })
    const client = sim.client({ raw: true, timestamps: false })
    sim.run(20)
    client.write('GET /index.html HTTP/1.1\r\nHost: gyre.test\r\n\r\n')
    sim.run(500)
    const from = sim.ownerOf(client)?.owner.config.id ?? 0
    const to = (from % 3) + 1
    sim.link(to, SECOND).cut(2_000)
    sim.link(from, SECOND).cut(100)
    sim.shift(client, to)
    sim.run(30_000)
    const found = sim.ownerOf(client)
    expect(found?.owner.config.id).toBe(to)
    const record = sim.dispatcherOf(SECOND).owner.byId.get(found?.connection.id ?? 0)
    expect(record).toMatchObject({ kind: 'forward', to })
    expectUnharmed(client)
  })
})
