import type { Connection } from '../../../node/stack/connection.ts'
import { asSeq } from '../../../node/tcp/seq.ts'
import { isnAfter } from '../../../node/tcp/time-wait.ts'
import { duplicate } from '../network/damage.ts'
import { delay, reorder } from '../network/delay.ts'
import { chain } from '../network/element.ts'
import { drop } from '../network/loss.ts'
import { segment } from '../network/segment.ts'
import type { Client } from './client.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { exchangeOf } from './exchange.ts'

const FILES = { '/index.html': 3_000, '/a.css': 20_000, '/large.bin': 400_000 }

function cluster(options: Partial<ClusterOptions> & { readonly seed: number }): Cluster {
  return new Cluster({ files: FILES, ...options })
}

function succeeded(client: Client): void {
  expect(client.failure).toBeUndefined()
  expect(client.resets).toBe(0)
  expect(client.done).toBe(true)
}

describe('a cluster at rest', () => {
  it.each([
    ['IPv4', 4, true],
    ['IPv6', 6, true],
    ['IPv4 without timestamps', 4, false],
    ['IPv6 without timestamps', 6, false],
  ] as const)(
    'serves a file over %s and then touches the dispatcher no more',
    (_name, family, timestamps) => {
      const sim = cluster({ seed: 1 })
      const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')], family, timestamps })
      expect(sim.runUntil(() => client.done, 10_000)).toBe(true)
      succeeded(client)
      expect(sim.dispatcher.owner.counters.accepted).toBe(1)
      expect(sim.dispatcher.owner.counters.shifted).toBe(1)
      expect(sim.runUntil(() => client.ended, 120_000)).toBe(true)
      sim.run(120_000)
      expect(sim.owners().map(owner => owner.connections)).toEqual([0, 0, 0, 0])
      expect(sim.owners().map(owner => owner.byId.size)).toEqual([0, 0, 0, 0])
      expect(sim.steering.table.size).toBe(0)
    },
  )

  it('answers what is missing, and goes on with the connection', () => {
    const sim = cluster({ seed: 2 })
    const exchanges = ['/none', '/index.html', '/none', '/a.css'].map(path => exchangeOf(sim.files, path))
    const client = sim.client({ exchanges, thinkMs: 10 })
    expect(sim.runUntil(() => client.done, 10_000)).toBe(true)
    succeeded(client)
  })

  it('keeps pipelined responses in order', () => {
    const sim = cluster({ seed: 3 })
    const paths = ['/a.css', '/index.html', '/large.bin', '/none', '/index.html', '/a.css']
    const exchanges = paths.map(path => exchangeOf(sim.files, path))
    const client = sim.client({ exchanges, pipelined: true })
    expect(sim.runUntil(() => client.done, 10_000)).toBe(true)
    succeeded(client)
  })

  it('leaves a pipelined request unread behind more than can be sent at once, and its response is not the later for it', () => {
    const took = [true, false].map(pipelined => {
      const sim = cluster({ seed: 3, files: { '/huge.bin': 4_000_000, '/a.css': 20_000 } })
      const exchanges = ['/huge.bin', '/huge.bin', '/a.css'].map(path => exchangeOf(sim.files, path))
      const client = sim.client({ exchanges, pipelined })
      let most = 0
      const isDone = () => {
        most = Math.max(most, sim.ownerOf(client)?.connection.tcb.sendQueue.octets ?? 0)
        return client.done
      }
      expect(sim.runUntil(isDone, 60_000)).toBe(true)
      succeeded(client)
      // One response, and a second behind what is left of it.
      expect(most).toBeGreaterThan(3_900_000)
      expect(most).toBeLessThan(5_200_000)
      return sim.now
    })
    expect(took[0]).toBeLessThanOrEqual(took[1] as number)
  })

  it('shifts a kept-alive connection to the node that holds the next file', () => {
    const sim = cluster({ seed: 4 })
    const warm = sim.client({ exchanges: [exchangeOf(sim.files, '/a.css')] })
    const first = sim.client({ exchanges: [exchangeOf(sim.files, '/index.html')] })
    expect(sim.runUntil(() => warm.done && first.done, 10_000)).toBe(true)
    sim.run(1_000)
    const paths = ['/index.html', '/a.css', '/index.html', '/a.css']
    const client = sim.client({ exchanges: paths.map(path => exchangeOf(sim.files, path)), thinkMs: 5 })
    expect(sim.runUntil(() => client.done, 10_000)).toBe(true)
    succeeded(client)
    const shifted = [1, 2, 3].reduce((sum, id) => sum + sim.node(id).owner.counters.shifted, 0)
    expect(shifted).toBeGreaterThanOrEqual(1)
  })

  it.each([true, false])(
    'takes a port over whose last connection waits on a node (timestamps: %s)',
    timestamps => {
      const sim = cluster({ seed: 6 })
      const exchanges = [exchangeOf(sim.files, '/large.bin', { fields: 'Connection: close\r\n' })]
      const first = sim.client({ exchanges, timestamps })
      expect(sim.runUntil(() => first.ended, 10_000)).toBe(true)
      const { tcb } = (sim.ownerOf(first) as { connection: Connection }).connection
      expect(tcb.state).toBe('TIME-WAIT')
      // As after hours at full speed: more octets than the clock of RFC 6528 would count.
      tcb.snd.nxt = asSeq(tcb.snd.nxt + 2 ** 30)
      const second = sim.client({ exchanges: [exchangeOf(sim.files, '/a.css')], timestamps, after: first })
      expect(sim.runUntil(() => sim.ownerOf(second)?.owner === sim.dispatcher.owner, 10)).toBe(true)
      expect(sim.ownerOf(second)?.connection.tcb.snd.iss).toBe(isnAfter(tcb))
      expect(sim.runUntil(() => second.done, 10_000)).toBe(true)
      succeeded(second)
    },
  )

  it.each([
    ['with timestamps', true],
    ['without', false],
  ])(
    'puts an idle connection to rest, and serves and shifts it when it is used again (%s)',
    (_name, timestamps) => {
      const sim = cluster({ seed: 6 })
      const exchanges = ['/index.html', '/a.css', '/large.bin'].map(path => exchangeOf(sim.files, path))
      const client = sim.client({ exchanges, thinkMs: 10_000, timestamps, closes: false })
      sim.run(8_000)
      const resting = sim.ownerOf(client)
      expect(resting?.connection.isPutAway).toBe(true)
      const to = resting?.owner.config.id === 1 ? 2 : 1
      // A shift wakes it, and it rests again where it came to.
      expect(sim.shift(client, to)).toBe(true)
      sim.run(8_000)
      expect(sim.ownerOf(client)?.owner.config.id).toBe(to)
      expect(sim.runUntil(() => client.done, 60_000)).toBe(true)
      succeeded(client)
      sim.run(8_000)
      expect(sim.ownerOf(client)?.connection.isPutAway).toBe(true)
      // Nobody asks for more: the server ends it after its idle time, and then it is gone.
      sim.run(200_000)
      expect(sim.ownerOf(client)).toBeUndefined()
    },
  )

  it('resets what nobody owns, and refuses ports that are not served', () => {
    const sim = cluster({ seed: 5 })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/index.html')], closes: false })
    expect(sim.runUntil(() => client.done, 10_000)).toBe(true)
    const { owner } = sim.ownerOf(client) as { owner: { config: { id: number } } }
    const id = owner.config.id
    sim.kill(id)
    sim.restart(id)
    sim.run(2_000)
    expect(sim.ownerOf(client)).toBeUndefined()
  })
})

describe('a cluster over a bad network', () => {
  it.each(Array.from({ length: 12 }, (_, index) => 100 + index))(
    'serves every file whole (SEED=%i)',
    seed => {
      const wan = () => chain([segment(1_500), drop(0.02), duplicate(0.01), reorder(0.05, 15), delay(10, 1)])
      const sim = cluster({ seed, wan })
      const clients = Object.keys(FILES).flatMap(path =>
        [true, false].map(timestamps =>
          sim.client({
            exchanges: [exchangeOf(sim.files, path), exchangeOf(sim.files, '/a.css')],
            timestamps,
          }),
        ),
      )
      expect(sim.runUntil(() => clients.every(client => client.done), 120_000)).toBe(true)
      clients.forEach(succeeded)
    },
  )
})
