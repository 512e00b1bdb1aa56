/** Clients that are slow on purpose, hundreds of them, and what the others notice: nothing. */
import { DEFAULT_PACE } from '../../../node/server/pace.ts'
import { delay } from '../network/delay.ts'
import { chain } from '../network/element.ts'
import { segment } from '../network/segment.ts'
import type { Client } from './client.ts'
import { Cluster } from './cluster.ts'
import { exchangeOf } from './exchange.ts'

const FILES = { '/index.html': 3_000, '/file.bin': 120_000 }
/** Connections begun in one ms. */
const AT_ONCE = 50

function cluster(): Cluster {
  return new Cluster({ seed: 1, files: FILES, wan: () => chain([segment(1_500), delay(5)]) })
}

/** How long one client after the other takes for a page and a file, on fresh connections. */
function served(sim: Cluster): number[] {
  return Array.from({ length: 5 }, () => {
    const begin = sim.now
    const exchanges = ['/index.html', '/file.bin'].map(path => exchangeOf(sim.files, path))
    const client = sim.client({ exchanges })
    expect(sim.runUntil(() => client.done, 10_000)).toBe(true)
    expect(client.failure).toBeUndefined()
    return sim.now - begin
  })
}

const KINDS: readonly (readonly [number, string, (client: Client) => void])[] = [
  [1_000, 'send half a head (Slowloris)', client => client.write('GET / HTTP/1.1\r\nHost: a\r\nX: ')],
  [
    300,
    'send half a body',
    client => client.write('POST /index.html HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nab'),
  ],
  [
    300,
    'read nothing',
    client => {
      client.reading = false
      client.write('GET /file.bin HTTP/1.1\r\nHost: a\r\n\r\n')
    },
  ],
]

describe.each(KINDS)('%i clients that %s', (many, _name, begin) => {
  it('slow nobody, and are gone after their time', () => {
    const calm = cluster()
    const expected = served(calm)
    const sim = cluster()
    served(sim)
    const slow: Client[] = []
    while (slow.length < many) {
      for (let index = 0; index < AT_ONCE; index++) {
        const client = sim.client({
          raw: true,
          tcp: { receiveInitialOctets: 4_096, receiveMaxOctets: 4_096 },
        })
        begin(client)
        slow.push(client)
      }
      sim.run(1)
    }
    sim.run(100)
    expect(slow.filter(client => client.ended || client.finished)).toEqual([])
    // The same, but for what the calm cluster had not in memory at first.
    const times = served(sim)
    expect(Math.max(...times)).toBeLessThan(Math.max(...expected) + 1)
    sim.run(Math.max(DEFAULT_PACE.headMs, DEFAULT_PACE.bodyMs, DEFAULT_PACE.readerMs) + 20_000)
    expect(slow.filter(client => !client.ended && !client.finished)).toEqual([])
  })
})
