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
  it.each([true, false])('loses no download, timestamps %s', timestamps => {
    const sim = cluster({ seed: 11 })
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
  it.each(seedBlocks(9_000, 60))('lose no download (SEED=%i and on)', (...seeds) => {
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
