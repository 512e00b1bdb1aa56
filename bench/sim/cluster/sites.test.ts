import { DEFAULT_HTTP_SETTINGS } from '../../../node/http/http-settings.ts'
import type { ServingSettings } from '../../../node/server/settings.ts'
import { delay, reorder } from '../network/delay.ts'
import { chain } from '../network/element.ts'
import { drop } from '../network/loss.ts'
import { Cluster } from './cluster.ts'
import { exchangeOf } from './exchange.ts'

const SERVING: ServingSettings = {
  sites: [
    { name: '', hosts: [], root: '/', http: DEFAULT_HTTP_SETTINGS },
    { name: 'a.example', hosts: ['a.example', 'www.a.example'], root: '/', http: DEFAULT_HTTP_SETTINGS },
    { name: '*.b.example', hosts: ['*.b.example'], root: '/', http: DEFAULT_HTTP_SETTINGS },
  ],
  unknownHost: 'default',
  digest: '',
}

/** One path of three sites has three contents. */
const FILES = {
  '/x.bin': 150_000,
  'a.example/x.bin': 120_000,
  '*.b.example/x.bin': 90_000,
  'a.example/only.bin': 5_000,
}

const SITE_OF: Readonly<Record<string, string>> = {
  'gyre.test': '',
  'a.example': 'a.example',
  'WWW.A.example:8080': 'a.example',
  'c.b.example': '*.b.example',
}

describe('requests for several hosts on one connection', () => {
  it.each(Array.from({ length: 8 }, (_, index) => 700 + index))(
    'get the octets of their sites, with shifts at any moment (SEED=%i)',
    seed => {
      const wan = () => chain([drop(0.01), reorder(0.03, 10), delay(8, 1)])
      const sim = new Cluster({ seed, files: FILES, serving: SERVING, wan })
      const { random } = sim.world
      const clients = [true, false].flatMap(pipelined =>
        [0, 1].map(() => {
          const exchanges = Array.from({ length: 12 }, () => {
            const hosts = Object.keys(SITE_OF)
            const host = hosts[random.int(hosts.length)] as string
            const path = random.int(4) === 0 ? '/only.bin' : '/x.bin'
            return exchangeOf(sim.files, path, { host, site: SITE_OF[host] as string })
          })
          return sim.client({ exchanges, pipelined, thinkMs: 3, timestamps: random.int(2) === 0 })
        }),
      )
      let shifts = 0
      for (let turn = 0; turn < 400 && !clients.every(client => client.done); turn++) {
        sim.run(random.int(60))
        for (const client of clients) if (sim.shift(client, 1 + random.int(3))) shifts++
      }
      expect(sim.runUntil(() => clients.every(client => client.done), 60_000)).toBe(true)
      for (const client of clients) {
        expect(client.failure).toBeUndefined()
        expect(client.resets).toBe(0)
      }
      expect(shifts).toBeGreaterThan(20)
      const adopted = [1, 2, 3].reduce((sum, id) => sum + sim.node(id).owner.counters.adopted, 0)
      expect(adopted).toBeGreaterThan(clients.length)
    },
  )

  it('are placed by site and path: a holder of one site is none of another', () => {
    const sim = new Cluster({ seed: 1, files: FILES, serving: SERVING })
    const get = (host: string) => {
      const client = sim.client({
        exchanges: [exchangeOf(sim.files, '/x.bin', { host, site: SITE_OF[host] as string })],
      })
      expect(sim.runUntil(() => client.done, 10_000)).toBe(true)
      expect(client.failure).toBeUndefined()
      sim.run(1_000)
    }
    get('a.example')
    const { directory } = sim.dispatcher
    const holders = directory.holders('a.example/x.bin')
    expect(holders).toHaveLength(1)
    expect(directory.holders('/x.bin')).toEqual([])
    get('WWW.A.example:8080')
    expect(directory.holders('a.example/x.bin')).toEqual(holders)
    get('c.b.example')
    expect(directory.holders('*.b.example/x.bin')).toHaveLength(1)
  })
})
