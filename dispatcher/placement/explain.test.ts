import { Cluster } from '../../bench/sim/cluster/cluster.ts'
import { exchangeOf } from '../../bench/sim/cluster/exchange.ts'
import { ONE_SITE } from '../../bench/sim/cluster/files.ts'
import { explain } from './explain.ts'
import { READ_COST, SHIFT_COST } from './locality.ts'

const SITES = {
  ...ONE_SITE,
  sites: [
    ONE_SITE.sites[0],
    { ...ONE_SITE.sites[0], name: 'docs.example', hosts: ['docs.example'], root: '/docs' },
  ] as const,
}

it('says of a file what happens then, and of a node what is known of it', () => {
  const sim = new Cluster({ seed: 1, files: { '/index.html': 3_000 } })
  const ask = () => explain(sim.dispatcher, '/', undefined, sim.now)
  expect(ask()).toMatchObject({ path: '/index.html', policy: 'locality', reason: 'first', replicas: 0 })
  const { to } = ask()
  const client = sim.client({ exchanges: [exchangeOf(sim.files, '/index.html')], closes: false })
  expect(sim.runUntil(() => sim.ownerOf(client)?.owner.config.id === to, 1_000)).toBe(true)
  const soon = ask().nodes.find(({ id }) => id === to)
  expect(soon).toMatchObject({ holds: 'soon', connections: 1 })
  expect(sim.runUntil(() => client.done, 1_000)).toBe(true)
  sim.run(500)
  const told = ask()
  expect(told).toMatchObject({ to, reason: 'holder', replicas: 1 })
  expect(told.nodes.map(({ id, holds }) => [id, holds])).toEqual(
    [1, 2, 3].map(id => [id, id === to ? 'yes' : 'no']),
  )
  expect(told.decisions).toMatchObject([{ from: null, to, reason: 'first', policy: 'locality' }])
  for (const { cost } of told.nodes) expect(cost).not.toBeNull()
})

it('weighs the shift of a connection that a node has', () => {
  const sim = new Cluster({ seed: 4, nodes: 2 })
  sim.dispatcher.directory.add(2, '/index.html')
  const told = explain(sim.dispatcher, '/index.html', 1, sim.now)
  expect(told).toMatchObject({ from: 1, to: 2, reason: 'holder' })
  expect(told.nodes.map(({ cost }) => cost)).toEqual([
    { wait: 0, read: READ_COST, shift: 0, total: READ_COST },
    { wait: 0, read: 0, shift: SHIFT_COST, total: SHIFT_COST },
  ])
})

it('knows what drains, and what to say where nobody serves', () => {
  const sim = new Cluster({ seed: 2, nodes: 1 })
  sim.dispatcher.place('/index.html', [])
  ;(sim.dispatcher.members.get(1) as { draining: boolean }).draining = true
  expect(explain(sim.dispatcher, '/index.html', undefined, sim.now)).toMatchObject({
    ...{ to: null, reason: null },
    nodes: [{ id: 1, state: 'draining', cost: null }],
  })
})

it('places by the host of a URL as requests are placed', () => {
  const sim = new Cluster({ seed: 3, serving: { ...SITES, unknownHost: 421 } })
  const ask = (target: string) => explain(sim.dispatcher, target, undefined, sim.now)
  expect(ask('http://DOCS.example:8080/a/../b%7E?x=1').path).toBe('docs.example/b~')
  expect(ask('/a.css').path).toBe('/a.css')
  expect(() => ask('http://else.example/')).toThrow(expect.objectContaining({ code: 'UNKNOWN_HOST' }))
  expect(() => ask('/%00')).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }))
})
