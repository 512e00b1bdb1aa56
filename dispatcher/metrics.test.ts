import { Cluster } from '../bench/sim/cluster/cluster.ts'
import { exchangeOf } from '../bench/sim/cluster/exchange.ts'
import type { Metric } from '../node/server/metric.ts'
import type { OperatorHost } from '../node/server/operator.ts'
import { ownerMetrics } from '../node/server/owner-metrics.ts'
import { countDuration, createOwnerCounters } from '../node/stack/counters.ts'
import { renderMetrics } from './metrics.ts'

/** As the program of a node has it, of a node in the simulator. */
function hostOf(sim: Cluster, id: number): OperatorHost {
  const { owner, site } = sim.node(id)
  return {
    owner,
    store: undefined,
    requests: () => site.requests,
    draining: () => false,
    drain: () => false,
    device: () => ({}),
    origin: () => undefined,
    watching: () => ({ directories: 4, events: 9, noticed: 7, rounds: 2, failed: 1 }),
    links: () => [],
    reloader: undefined,
    reopen: () => {},
    served: () => ({ responses: site.responses, octets: site.responseOctets }),
    logged: () => ({ written: 1, dropped: 2, errors: 3 }),
    now: () => sim.now,
  }
}

/** Values by name and labels, each line checked against the text-based exposition format. */
function parse(text: string): Map<string, number> {
  const values = new Map<string, number>()
  const families = new Set<string>()
  let family = ''
  let type = ''
  expect(text.endsWith('\n')).toBe(true)
  for (const line of text.split('\n').filter(one => one !== '')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line)
    if (comment?.[1] === 'HELP') {
      family = comment[2] as string
      expect(families.has(family)).toBe(false)
      families.add(family)
    }
    if (comment?.[1] === 'TYPE') type = comment[3] as string
    if (comment !== null) {
      expect(comment[2]).toBe(family)
      continue
    }
    const sample =
      /^([a-zA-Z_:][\w:]*)((?:\{[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*"(?:,[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*")*\})?) (\S+)$/.exec(
        line,
      )
    expect([line, sample !== null]).toEqual([line, true])
    const [, name = '', labels = '', value] = sample as RegExpExecArray
    expect(name.startsWith(family)).toBe(true)
    expect(values.has(name + labels)).toBe(false)
    if (name.endsWith('_total')) expect(type).toBe('counter')
    values.set(name + labels, value === 'Nan' || value === 'NaN' ? Number.NaN : Number(value))
  }
  return values
}

it('tells of all owners what they did, each name once', async () => {
  const sim = new Cluster({ seed: 1, files: { '/a.bin': 200_000 } })
  const exchanges = ['/a.bin', '/none'].map(path => exchangeOf(sim.files, path))
  const client = sim.client({ exchanges, closes: false })
  sim.run(1)
  expect(sim.runUntil(() => client.octets > 50_000, 10_000)).toBe(true)
  const from = sim.ownerOf(client)?.owner.config.id as number
  sim.shift(client, 1 + (from % 3))
  expect(sim.runUntil(() => client.done, 10_000)).toBe(true)
  const all = await Promise.all(
    [1, 2, 3].map(async id => ({ owner: `node${id}`, metrics: await ownerMetrics(hostOf(sim, id)) })),
  )
  const values = parse(await renderMetrics(all))
  const sum = (start: string) =>
    [...values].filter(([name]) => name.startsWith(start)).reduce((total, [, value]) => total + value, 0)
  const of = (name: string, id: number, more: string) => values.get(`${name}{owner="node${id}",${more}}`)
  expect(sum('gyre_http_responses_total{')).toBe(2)
  expect(sum('gyre_http_response_octets_total{')).toBe(
    exchanges.reduce((total, { response }) => total + response.length, 0),
  )
  expect(of('gyre_shifts_total', from, 'result="shifted"')).toBeGreaterThanOrEqual(1)
  expect(sum('gyre_shift_duration_seconds_count{')).toBe(sum('gyre_shifts_total{'))
  expect(sum('gyre_connections{')).toBe(1)
  expect(of('gyre_tcp_total', 1, 'name="OutSegs"')).toEqual(expect.any(Number))
  expect(sum('gyre_access_log_dropped_total{')).toBe(6)
  expect(values.get('gyre_watched_directories{owner="node1"}')).toBe(4)
  expect(['events', 'noticed', 'rounds', 'failures'].map(name => sum(`gyre_watch_${name}_total{`))).toEqual([
    27, 21, 6, 3,
  ])
  expect(sum('process_cpu_seconds_total{')).toBeGreaterThan(0)
})

it('has buckets that hold all below them', async () => {
  const { shiftMs } = createOwnerCounters()
  for (const ms of [0.05, 0.1, 0.3, 7_000]) countDuration(shiftMs, ms)
  const { histogram } = await import('../node/server/metric.ts')
  const metric = histogram('x_seconds', 'X.', [0.0001, 0.001], [2, 1, 1], 1)
  expect(shiftMs.counts.slice(0, 3)).toEqual([2, 0, 1])
  expect(shiftMs.counts.at(-1)).toBe(1)
  const values = parse(await renderMetrics([{ owner: 'a', metrics: [metric] }]))
  expect(Object.fromEntries(values)).toEqual({
    'x_seconds_bucket{owner="a",le="0.0001"}': 2,
    'x_seconds_bucket{owner="a",le="0.001"}': 3,
    'x_seconds_bucket{owner="a",le="+Inf"}': 4,
    'x_seconds_sum{owner="a"}': 1,
    'x_seconds_count{owner="a"}': 4,
  })
})

it('escapes what owners are called', async () => {
  const metric: Metric = {
    name: 'x',
    help: 'a\nb\\',
    type: 'gauge',
    values: [{ value: 1, labels: { a: '"\\\n' } }],
  }
  expect(await renderMetrics([{ owner: 'n', metrics: [metric] }])).toBe(
    '# HELP x a\\nb\\\\\n# TYPE x gauge\nx{owner="n",a="\\"\\\\\\n"} 1\n',
  )
})
