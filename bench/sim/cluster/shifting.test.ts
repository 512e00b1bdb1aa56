import type { ShiftResult } from '../../../shift/outgoing.ts'
import { duplicate } from '../network/damage.ts'
import { delay, reorder } from '../network/delay.ts'
import { chain } from '../network/element.ts'
import { drop } from '../network/loss.ts'
import { rate } from '../network/rate.ts'
import { segment } from '../network/segment.ts'
import type { Client } from './client.ts'
import { Cluster, type ClusterOptions, type Found } from './cluster.ts'
import { exchangeOf } from './exchange.ts'
import { eachSeed, seedBlocks } from './seeds.ts'

const FILES = { '/index.html': 3_000, '/file.bin': 120_000, '/large.bin': 1_000_000 }

const badWan = () => chain([segment(1_500), drop(0.02), duplicate(0.01), reorder(0.05, 12), delay(10, 1)])
const goodWan = () => chain([segment(1_500), rate(50e6, 500_000), delay(1)])

function cluster(options: Partial<ClusterOptions> & { readonly seed: number }): Cluster {
  return new Cluster({ files: FILES, ...options })
}

function succeeded(client: Client): void {
  expect(client.failure).toBeUndefined()
  expect(client.resets).toBe(0)
  expect(client.done).toBe(true)
}

/** Another node than the one that owns the client's connection. */
function elsewhere(sim: Cluster, client: Client): number {
  const own = sim.ownerOf(client)?.owner.config.id ?? 0
  return (own % sim.nodeCount) + 1
}

function shiftsOf(sim: Cluster): number {
  return Array.from(
    { length: sim.nodeCount },
    (_, index) => sim.node(index + 1).owner.counters.adopted,
  ).reduce((sum, adopted) => sum + adopted, 0)
}

describe('a shift at every packet boundary of a transfer', () => {
  const transfer = (
    timestamps: boolean,
    stepsBefore: number,
  ): { sim: Cluster; client: Client; shifted: boolean } => {
    const sim = cluster({ seed: 7, wan: goodWan })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/file.bin')], timestamps })
    let packets = 0
    const { receive } = client
    let shifted = false
    client.receive = packet => {
      receive.call(client, packet)
      if (packets++ === stepsBefore) shifted = sim.shift(client, elsewhere(sim, client))
    }
    expect(sim.runUntil(() => client.done, 30_000)).toBe(true)
    succeeded(client)
    return { sim, client, shifted }
  }

  it.each([
    ['with timestamps', true],
    ['without timestamps', false],
  ])('%s: the octets are right at each of them', (_name, timestamps) => {
    let boundaries = 0
    for (let packets = 0; packets < 100; packets++) if (transfer(timestamps, packets).shifted) boundaries++
    // 120,000 octets are 83 packets of 1,448.
    expect(boundaries).toBeGreaterThan(70)
  })
})

it('the new owner remembers how long the first packet of the client was in coming to it', () => {
  const sim = cluster({ seed: 12, wan: goodWan, linkMs: 3 })
  const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')] })
  sim.runUntil(() => client.octets > 100_000, 10_000)
  const { owner: before, connection } = sim.ownerOf(client) as Found
  const results: ShiftResult[] = []
  expect(sim.shift(client, elsewhere(sim, client), result => results.push(result))).toBe(true)
  expect(sim.runUntil(() => results.length > 0, 5_000)).toBe(true)
  const after = sim.ownerOf(client)?.owner
  const shift = before.shiftLog.of(connection.id).at(-1)
  const arrival = after?.shiftLog.arrivals.of(connection.id).at(-1)
  expect(arrival?.epoch).toBe(shift?.epoch)
  // A round trip to the client is 2 ms; COMMIT was 3 ms on its way, and SHIFTED 3 ms.
  const pauseMs = (shift?.endedAt as number) - (shift?.startedAt as number) - (shift?.committedMs as number)
  expect(arrival?.ms).toBeGreaterThanOrEqual(2)
  expect(arrival?.ms).toBeCloseTo(pauseMs - 6, 1)
})

describe('many shifts of one download', () => {
  it.each([
    ['a good network', goodWan, 4],
    ['a bad network', badWan, 10],
  ] as const)('over %s: the octets are right and the throughput stays', (_name, wan, everyMs) => {
    const control = cluster({ seed: 11, wan })
    const unmoved = control.client({ exchanges: [exchangeOf(control.files, '/large.bin')] })
    expect(control.runUntil(() => unmoved.done, 120_000)).toBe(true)
    const controlMs = control.now

    const sim = cluster({ seed: 11, wan })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')] })
    const results: ShiftResult[] = []
    while (!client.done && sim.now < 200_000) {
      sim.run(everyMs)
      sim.shift(client, elsewhere(sim, client), result => results.push(result))
    }
    succeeded(client)
    expect(results.filter(result => result.ok).length).toBeGreaterThan(5)
    expect(sim.now).toBeLessThan(Math.max(2 * controlMs, controlMs + 2_000))
    expect(client.longestGapMs).toBeLessThan(Math.max(3 * unmoved.longestGapMs, 300))
  })

  it.each(seedBlocks(200, 1_000))('any mixture of clients (SEED=%i and on)', (...seeds) => {
    eachSeed(seeds, seed => {
      const sim = cluster({ seed, wan: badWan, linkMs: 0.3 })
      const clients = [4, 6].flatMap(family =>
        [true, false].map(timestamps =>
          sim.client({
            family: family as 4 | 6,
            timestamps,
            exchanges: ['/file.bin', '/index.html', '/file.bin'].map(path => exchangeOf(sim.files, path)),
            thinkMs: 30,
          }),
        ),
      )
      const { random } = sim.world
      const until = sim.now + 120_000
      while (clients.some(client => !client.done) && sim.now < until) {
        sim.run(random.int(20))
        sim.shift(random.pick(clients), 1 + random.int(3))
      }
      clients.forEach(succeeded)
      expect(shiftsOf(sim)).toBeGreaterThan(10)
    })
  })
})

describe('an idle connection', () => {
  it('is confirmed by the probe, and the next request goes straight to the new owner', () => {
    const sim = cluster({ seed: 31, wan: goodWan })
    const exchanges = [exchangeOf(sim.files, '/index.html'), exchangeOf(sim.files, '/file.bin')]
    const client = sim.client({ exchanges, thinkMs: 3_000 })
    sim.run(1_000)
    let result: ShiftResult | undefined
    const to = elsewhere(sim, client)
    sim.shift(client, to, shifted => {
      result = shifted
    })
    sim.run(500)
    expect(result).toMatchObject({ ok: true, confirmed: true })
    expect(sim.ownerOf(client)?.owner.config.id).toBe(to)
    expect(sim.runUntil(() => client.done, 10_000)).toBe(true)
    succeeded(client)
  })

  it('can go round in circles a hundred times', () => {
    const sim = cluster({ seed: 32, wan: goodWan })
    const exchanges = [exchangeOf(sim.files, '/index.html'), exchangeOf(sim.files, '/file.bin')]
    const client = sim.client({ exchanges, thinkMs: 3_000 })
    sim.run(1_000)
    for (let round = 0; round < 100; round++) {
      sim.shift(client, elsewhere(sim, client))
      sim.run(10)
    }
    // Whoever owns it counts it, and nobody else (RFC 4022 tcpCurrEstab).
    const open = [sim.dispatcher, ...Array.from({ length: sim.nodeCount }, (_, index) => sim.node(index + 1))]
    const counted = () => open.map(({ owner }) => owner.config.tcp.counters.CurrEstab).sort()
    expect(counted()).toEqual([0, 0, 0, 1])
    expect(sim.runUntil(() => client.done, 20_000)).toBe(true)
    succeeded(client)
    expect(shiftsOf(sim)).toBeGreaterThan(90)
    sim.run(1_000)
    expect(counted()).toEqual([0, 0, 0, 0])
  })
})

describe('clone mode', () => {
  it('leaves the client echoing the dispatcher, which relays every packet', () => {
    const sim = cluster({ seed: 41, wan: goodWan, mode: 'clone' })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')] })
    expect(sim.runUntil(() => client.done, 20_000)).toBe(true)
    succeeded(client)
    expect(sim.dispatcher.owner.counters.forwardedPackets).toBeGreaterThan(100)
  })

  it('moves a clone on to another node all the same', () => {
    const sim = cluster({ seed: 42, wan: badWan, mode: 'clone' })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')] })
    while (!client.done && sim.now < 200_000) {
      sim.run(25)
      sim.shift(client, elsewhere(sim, client))
    }
    succeeded(client)
    expect(shiftsOf(sim)).toBeGreaterThan(10)
  })
})

describe('refusals', () => {
  it.each([
    ['the target is itself', (own: number) => own, 'UNKNOWN_TARGET'],
    ['there is no such owner', () => 99, 'UNKNOWN_TARGET'],
    ['the dispatcher holds no files', () => 0, 'NOT_SHIFTABLE'],
  ])('%s: nothing changes', (_name, target, reason) => {
    const sim = cluster({ seed: 51, wan: goodWan })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')] })
    sim.run(30)
    const own = sim.ownerOf(client)?.owner.config.id ?? 0
    let result: ShiftResult | undefined
    sim.shift(client, target(own), shifted => {
      result = shifted
    })
    sim.run(30)
    expect(result).toEqual({ ok: false, reason })
    expect(sim.ownerOf(client)?.owner.config.id).toBe(own)
    expect(sim.runUntil(() => client.done, 20_000)).toBe(true)
    succeeded(client)
  })

  it('a draining target takes nothing', () => {
    const sim = cluster({ seed: 52, wan: goodWan })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')] })
    sim.run(30)
    const to = elsewhere(sim, client)
    sim.node(to).site.draining = true
    let result: ShiftResult | undefined
    sim.shift(client, to, shifted => {
      result = shifted
    })
    expect(sim.runUntil(() => client.done, 20_000)).toBe(true)
    expect(result).toEqual({ ok: false, reason: 'DRAINING' })
    succeeded(client)
  })

  it('answers a request that waits for the disk once, where its connection came back from a refused COMMIT', () => {
    const files = { '/1': 3_000, '/2': 3_000, '/3': 3_000 }
    const sim = cluster({ seed: 6, files, nodes: 2, disk: { cacheOctets: 1_000_000, readMs: 40 } })
    const exchanges = Object.keys(files).map(path => exchangeOf(sim.files, path))
    const client = sim.client({ exchanges })
    expect(sim.runUntil(() => (sim.ownerOf(client)?.owner.config.id ?? 0) > 0, 1_000)).toBe(true)
    const to = elsewhere(sim, client)
    sim.node(to).site.draining = true
    // The second goes without PREPARE, for the target has just been heard.
    for (let attempt = 0; attempt < 2; attempt++) {
      let result: ShiftResult | undefined
      sim.shift(client, to, refused => {
        result = refused
      })
      expect(sim.runUntil(() => result !== undefined, 15)).toBe(true)
      expect(result).toEqual({ ok: false, reason: 'DRAINING' })
    }
    expect(sim.runUntil(() => client.done, 20_000)).toBe(true)
    succeeded(client)
  })

  it('a dispatcher whose COMMIT is refused gives the connection to another node', () => {
    const sim = cluster({ seed: 7, nodes: 2 })
    const first = sim.client({ exchanges: [exchangeOf(sim.files, '/file.bin')] })
    expect(sim.runUntil(() => first.done, 1_000)).toBe(true)
    for (const id of [1, 2]) {
      sim.node(id).site.draining = true
      for (let count = 0; count < 4; count++) {
        const client = sim.client({ exchanges: [exchangeOf(sim.files, '/index.html')] })
        expect(sim.runUntil(() => client.done, 1_000)).toBe(true)
        succeeded(client)
      }
      sim.node(id).site.draining = false
    }
  })
})
