import { delay } from '../network/delay.ts'
import { chain } from '../network/element.ts'
import { drop } from '../network/loss.ts'
import { rate } from '../network/rate.ts'
import { segment } from '../network/segment.ts'
import type { Client } from './client.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { exchangeOf } from './exchange.ts'
import { eachSeed, seedBlocks } from './seeds.ts'

const FILES = { '/index.html': 3_000, '/file.bin': 400_000, '/large.bin': 1_200_000 }
const lossy = (share: number) => () => chain([segment(1_500), rate(20e6, 200_000), delay(4), drop(share)])

function cluster(options: Partial<ClusterOptions> & { readonly seed: number }): Cluster {
  return new Cluster({ files: FILES, wan: lossy(0), ...options })
}

function ownerOf(sim: Cluster, client: Client): number {
  return sim.ownerOf(client)?.owner.config.id ?? 0
}

/** Clients of every kind, of which the nodes die and come back at random. */
function plague(seed: number) {
  const sim = cluster({ seed, wan: lossy((seed % 3) * 0.01), nodes: 3 })
  const { random } = sim.world
  const range = { fields: 'Range: bytes=1000-1100000\r\n' }
  const shapes = [
    [exchangeOf(sim.files, '/large.bin')],
    [exchangeOf(sim.files, '/large.bin', range)],
    [exchangeOf(sim.files, '/large.bin', { fields: 'Range: bytes=0-99999,500000-899999\r\n' })],
    ['/file.bin', '/large.bin', '/file.bin'].map(path => exchangeOf(sim.files, path)),
    [exchangeOf(sim.files, '/large.bin', { fields: 'Connection: close\r\n' })],
  ]
  const clients = Array.from({ length: 4 }, () =>
    sim.client({
      exchanges: random.pick(shapes),
      family: random.chance(0.5) ? 4 : 6,
      timestamps: random.chance(0.7),
      pipelined: random.chance(0.3),
      tcp: { sack: random.chance(0.8) },
    }),
  )
  sim.run(60)
  for (let round = 0; round < 3; round++) {
    sim.run(random.int(300))
    const victim = 1 + random.int(3)
    sim.kill(victim)
    sim.run(random.int(1_500))
    sim.restart(victim)
  }
  sim.runUntil(() => clients.every(client => client.done || client.ended), 90_000)
  return { sim, clients }
}

describe('the death of a node', () => {
  it.each([
    [true, 'shift'],
    [false, 'shift'],
    [true, 'clone'],
    [false, 'clone'],
  ] as const)('loses no download, timestamps %s, mode %s', (timestamps, mode) => {
    const sim = cluster({ seed: 11, mode })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')], timestamps })
    sim.run(200)
    const owner = ownerOf(sim, client)
    expect(owner).toBeGreaterThan(0)
    sim.kill(owner)
    expect(sim.runUntil(() => client.done, 60_000)).toBe(true)
    expect([client.failure, client.resets]).toEqual([undefined, 0])
    expect(client.longestGapMs).toBeLessThan(1_000)
    expect(sim.dispatcher.recovery.counters).toEqual({ recovered: 1, lost: {}, dropped: 0 })
    sim.run(120_000)
    expect(sim.dispatcher.recovery.size).toEqual({ records: 0, octets: 0, orphans: 0 })
  })
})

describe('nodes that die and come back at random', () => {
  it.each(seedBlocks(9_000, 20))('lose no download (SEED=%i and on)', (...seeds) => {
    let recovered = 0
    eachSeed(seeds, seed => {
      const { sim, clients } = plague(seed)
      recovered += sim.dispatcher.recovery.counters.recovered
      const wrong = clients.map(({ done, failure, resets }) => ({ done, failure, resets }))
      expect(wrong).toEqual(clients.map(() => ({ done: true, failure: undefined, resets: 0 })))
      expect(sim.dispatcher.recovery.counters.lost).toEqual({})
    })
    expect(recovered).toBeGreaterThan(seeds.length)
  })
})

describe('a node whose control links are cut, and that lives', () => {
  it.each([
    [true, 400],
    [true, 5_000],
    [true, 15_000],
    [false, 400],
    [false, 5_000],
  ])('harms no download that others have taken up, timestamps %s, for %i ms', (timestamps, forMs) => {
    const sim = cluster({ seed: 21, wan: lossy(0.01) })
    const exchanges = ['/large.bin', '/file.bin'].map(path => exchangeOf(sim.files, path))
    const clients = [1, 2, 3].map(() => sim.client({ exchanges, timestamps, thinkMs: 10, pipelined: true }))
    sim.run(150)
    const owner = ownerOf(sim, clients[0] as Client)
    sim.cutOff(owner, forMs)
    expect(sim.runUntil(() => clients.every(({ done }) => done), 60_000)).toBe(true)
    expect(clients.map(({ failure, resets }) => [failure, resets])).toEqual(clients.map(() => [undefined, 0]))
    expect(sim.dispatcher.recovery.counters.recovered).toBeGreaterThan(0)
    sim.run(150_000)
    // Nobody is left behind with a connection that lives elsewhere, or has ended.
    expect(sim.owners().map(({ connections }) => connections)).toEqual([0, 0, 0, 0])
  })

  it('for less than it takes to dial again keeps what it has', () => {
    const sim = cluster({ seed: 22 })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')] })
    sim.run(150)
    const owner = ownerOf(sim, client)
    sim.cutOff(owner, 100)
    sim.run(250)
    expect(ownerOf(sim, client)).toBe(owner)
    expect(sim.runUntil(() => client.done, 60_000)).toBe(true)
    expect([client.failure, sim.dispatcher.recovery.counters.recovered]).toEqual([undefined, 0])
  })

  it('and is linked again before it is given up tells of what has ended meanwhile', () => {
    const sim = cluster({ seed: 23 })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/file.bin')] })
    sim.run(100)
    sim.cutOff(ownerOf(sim, client), 200)
    sim.run(190)
    expect([client.done, sim.owners().map(({ connections }) => connections)]).toEqual([true, [0, 0, 0, 0]])
    expect(sim.dispatcher.owner.forwards.size).toBe(1)
    sim.run(200)
    expect(sim.dispatcher.owner.forwards.size).toBe(0)
  })
})

describe('a node without a dispatcher', () => {
  it('keeps a client without timestamps, for whom nobody can be told', () => {
    const sim = cluster({ seed: 24 })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')], timestamps: false })
    sim.run(100)
    const owner = ownerOf(sim, client)
    sim.link(0, owner).cut(200)
    sim.run(10)
    let refusal: unknown
    sim.shift(client, (owner % 3) + 1, result => {
      refusal = result
    })
    sim.run(50)
    expect(refusal).toEqual({ ok: false, reason: 'STEERING' })
    expect(sim.runUntil(() => client.done, 60_000)).toBe(true)
    expect([client.failure, client.resets]).toEqual([undefined, 0])
  })
})

describe('what cannot go on', () => {
  it('with a file that has changed is tried at each node, and counted', () => {
    const sim = cluster({ seed: 31 })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')] })
    sim.run(150)
    const owner = ownerOf(sim, client)
    sim.files.set('/large.bin', new Uint8Array(1_200_000).fill(1))
    for (const [id, resources] of sim.resources) if (id !== owner) resources.store.remove('/large.bin')
    sim.kill(owner)
    sim.run(5_000)
    expect(`${client.failure}`).not.toMatch(/octet/)
    expect(sim.dispatcher.recovery.counters).toMatchObject({ recovered: 0, lost: { NO_OBJECT: 1 } })
    expect(sim.dispatcher.recovery.size).toEqual({ records: 0, octets: 0, orphans: 0 })
  })

  it('for want of a node waits for one to come', () => {
    const sim = cluster({ seed: 32, nodes: 1 })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')] })
    sim.run(150)
    sim.kill(1)
    sim.run(3_000)
    sim.restart(1)
    expect(sim.runUntil(() => client.done, 60_000)).toBe(true)
    expect([client.failure, client.resets]).toEqual([undefined, 0])
    expect(sim.dispatcher.recovery.counters.recovered).toBe(1)
  })

  it('a dispatcher that began anew has heard of what runs when a node dies after that', () => {
    const sim = cluster({ seed: 33 })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')] })
    sim.run(150)
    sim.kill(0)
    sim.run(50)
    sim.restart(0)
    sim.run(50)
    sim.kill(ownerOf(sim, client))
    expect(sim.runUntil(() => client.done, 60_000)).toBe(true)
    expect([client.failure, client.resets]).toEqual([undefined, 0])
  })
})

describe('a cluster in which everything goes wrong', () => {
  it.each(seedBlocks(9_500, 15))(
    'serves nothing wrong, and forgets all of it (SEED=%i and on)',
    (...seeds) => {
      eachSeed(seeds, seed => {
        const adversary = { duplicate: 0.1, delay: 0.02, maxExtraMs: 3_000 }
        const sim = cluster({ seed, adversary, wan: lossy(0.01) })
        const { random } = sim.world
        const exchanges = ['/file.bin', '/index.html', '/large.bin'].map(path => exchangeOf(sim.files, path))
        const clients = Array.from({ length: 4 }, () =>
          sim.client({
            ...{ exchanges, timestamps: random.chance(0.7), thinkMs: random.int(300) },
            // Who waits for the rest of a response that ended with its node asks, and hears so.
            tcp: { keepaliveIdleMs: 10_000 },
          }),
        )
        for (let round = 0; round < 6; round++) {
          sim.run(random.int(300))
          const victim = random.int(4)
          if (victim > 0 && random.chance(0.3)) sim.cutOff(victim, random.int(4_000))
          else {
            sim.kill(victim)
            sim.run(random.int(1_000))
            sim.restart(victim)
          }
          for (const client of clients) if (random.chance(0.3)) sim.shift(client, 1 + random.int(3))
        }
        // Longer than any time-out: whoever is not done has been told so.
        sim.run(400_000)
        for (const { failure } of clients) expect(`${failure}`).not.toMatch(/octet (?!9 of response 0)/)
        expect(clients.map(({ done, ended, failure }) => done || ended || failure)).not.toContain(undefined)
        expect(sim.owners().map(({ connections }) => connections)).toEqual([0, 0, 0, 0])
        expect(sim.dispatcher.recovery.size).toEqual({ records: 0, octets: 0, orphans: 0 })
      })
    },
  )
})
