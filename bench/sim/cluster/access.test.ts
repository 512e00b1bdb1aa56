import type { Access } from '../../../node/server/access-trail.ts'
import { delay, reorder } from '../network/delay.ts'
import { chain } from '../network/element.ts'
import { drop } from '../network/loss.ts'
import { Cluster } from './cluster.ts'
import { exchangeOf } from './exchange.ts'

const FILES = { '/a.bin': 120_000, '/b.bin': 3_000, '/c.bin': 40_000 }

describe('the access log of a cluster', () => {
  it.each(Array.from({ length: 8 }, (_, index) => 800 + index))(
    'tells of every request once, whoever finished it (SEED=%i)',
    seed => {
      const told: { by: number; access: Access }[] = []
      const log = (by: number) => (access: Access) => void told.push({ by, access })
      const wan = () => chain([drop(0.01), reorder(0.03, 10), delay(8, 1)])
      const sim = new Cluster({ seed, files: FILES, wan, log })
      const { random } = sim.world
      const clients = [true, false, true].map(pipelined => {
        const paths = Array.from({ length: 10 }, () => Object.keys(FILES)[random.int(3)] as string)
        const exchanges = paths.map(path => exchangeOf(sim.files, path))
        const client = sim.client({ exchanges, pipelined, thinkMs: 2 })
        return { client, paths, exchanges }
      })
      for (let turn = 0; turn < 400 && !clients.every(({ client }) => client.ended); turn++) {
        sim.run(random.int(60))
        for (const { client } of clients) sim.shift(client, 1 + random.int(3))
      }
      sim.run(120_000)
      for (const { client, paths, exchanges } of clients) {
        expect(client.failure).toBeUndefined()
        const port = client.tcb.flow.localPort
        const own = told.filter(({ access }) => access.flow.remotePort === port)
        expect(own.map(({ access }) => access.entry.line)).toEqual(paths.map(path => `GET ${path} HTTP/1.1`))
        own.forEach(({ by, access }, index) => {
          expect(access.sentOctets).toBe(exchanges[index]?.response.length)
          expect(access.entry.octets).toBe(access.sentOctets)
          expect(access.owners.at(-1)).toBe(by)
          expect(access.shifts).toBe(access.owners.length)
          expect(access.durationMs).toBeGreaterThanOrEqual(0)
        })
      }
      const owners = new Set(told.map(({ by }) => by))
      expect(owners.size).toBeGreaterThan(1)
    },
  )

  it('tells of a response that a client gave up', () => {
    const told: Access[] = []
    const sim = new Cluster({
      seed: 1,
      files: FILES,
      wan: () => delay(20),
      log: () => access => void told.push(access),
    })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/a.bin')] })
    expect(sim.runUntil(() => client.octets > 20_000, 10_000)).toBe(true)
    // Its machine is gone: it says nothing, and hears nothing.
    client.ended = true
    sim.run(3_600_000)
    expect(told).toHaveLength(1)
    const [access] = told as [Access]
    expect(access.sentOctets).toBeGreaterThan(0)
    expect(access.sentOctets).toBeLessThan(access.entry.octets)
  })
})
