/** Files that are streamed: windows of them are resident, on each node others, and go at any time. */
import { BLOCK_OCTETS } from '../../../cache/block-pool.ts'
import { delay, reorder } from '../network/delay.ts'
import { chain } from '../network/element.ts'
import { drop } from '../network/loss.ts'
import { rate } from '../network/rate.ts'
import { segment } from '../network/segment.ts'
import type { Client } from './client.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { exchangeOf } from './exchange.ts'
import { eachSeed, seedBlocks } from './seeds.ts'

const FILES = { '/index.html': 3_000, '/large.bin': 1_000_000, '/other.bin': 300_000 }
const STREAMING = { aboveOctets: 100_000, blocks: 4, readMs: 3 }

const badWan = () => chain([segment(1_500), drop(0.02), reorder(0.05, 12), delay(10, 1)])
const goodWan = () => chain([segment(1_500), rate(50e6, 500_000), delay(1)])

function cluster(options: Partial<ClusterOptions> & { readonly seed: number }): Cluster {
  return new Cluster({ files: FILES, streaming: STREAMING, ...options })
}

function succeeded(client: Client): void {
  expect(client.failure).toBeUndefined()
  expect(client.resets).toBe(0)
  expect(client.done).toBe(true)
}

const readsOf = (sim: Cluster) => [...sim.resources.values()].map(resources => resources.reads)

it.each([
  ['a good network', goodWan],
  ['a bad network', badWan],
] as const)('a file three times the pool over %s, shifted all the while', (_, wan) => {
  const sim = cluster({ seed: 3, wan })
  const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')] })
  let shifts = 0
  let to = 1
  while (!client.done && sim.now < 200_000) {
    sim.run(12)
    to = (to % sim.nodeCount) + 1
    sim.shift(client, to, result => {
      if (result.ok) shifts++
    })
  }
  succeeded(client)
  expect(shifts).toBeGreaterThan(5)
  expect(Math.min(...readsOf(sim))).toBeGreaterThan(0)
  for (const { streams } of sim.resources.values()) {
    expect(streams.pool.octets).toBeLessThanOrEqual(STREAMING.blocks * BLOCK_OCTETS)
  }
})

it('readers that stop hold no memory, and the others go on', () => {
  const sim = cluster({ seed: 5, wan: goodWan, nodes: 1 })
  const slow = Array.from({ length: 20 }, () =>
    sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')] }),
  )
  sim.run(20)
  for (const client of slow) client.reading = false
  const fast = sim.client({ exchanges: [exchangeOf(sim.files, '/other.bin')] })
  expect(sim.runUntil(() => fast.done, 20_000)).toBe(true)
  succeeded(fast)
  expect(sim.resources.get(1)?.streams.pool.octets).toBe(STREAMING.blocks * BLOCK_OCTETS)
})

it('a file that changes while it is sent ends its connections, and pads nothing', () => {
  const sim = cluster({ seed: 7, wan: goodWan })
  const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')] })
  sim.runUntil(() => client.octets > 400_000, 10_000)
  for (const resources of sim.resources.values()) resources.changed = true
  sim.run(5_000)
  expect(client.done).toBe(false)
  expect(client.failure).toBe('reset by the server')
  expect(client.octets).toBeLessThan(FILES['/large.bin'])
})

it('a range of a streamed file, and several on one connection', () => {
  const sim = cluster({ seed: 9, wan: badWan })
  const exchanges = ['bytes=65530-65545', 'bytes=900000-', 'bytes=300000-500000'].map(range =>
    exchangeOf(sim.files, '/large.bin', { fields: `Range: ${range}\r\n` }),
  )
  const client = sim.client({ exchanges })
  expect(sim.runUntil(() => client.done, 60_000)).toBe(true)
  succeeded(client)
})

it.each(seedBlocks(7_000, 5))('any mixture of clients, streams and shifts (SEED=%i and on)', (...seeds) => {
  eachSeed(seeds, seed => {
    const sim = cluster({
      seed,
      wan: badWan,
      linkMs: 0.3,
      streaming: { ...STREAMING, blocks: 1 + (seed % 5) },
    })
    const clients = [true, false, true].map(timestamps =>
      sim.client({
        timestamps,
        exchanges: ['/other.bin', '/index.html', '/large.bin'].map(path => exchangeOf(sim.files, path)),
        thinkMs: 30,
      }),
    )
    const { random } = sim.world
    const until = sim.now + 120_000
    while (clients.some(client => !client.done) && sim.now < until) {
      sim.run(5 + random.int(60))
      for (const client of clients) {
        if (!client.done && random.int(3) === 0) sim.shift(client, 1 + random.int(sim.nodeCount))
      }
    }
    for (const client of clients) succeeded(client)
  })
})
