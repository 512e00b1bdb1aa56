/** The benchmarks' own machinery: every system serves over connections that are counted, and a small storm is survived. No timing. */
import { spawnSync } from 'node:child_process'
import { goalsOf, measure, sampleOf } from './command.ts'
import { measure as measureStorm } from './storm.ts'

const TOOLS = ['nginx', 'haproxy', 'cc']
const missing = TOOLS.filter(tool => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0)
const lacking = process.getuid?.() !== 0 ? 'needs root' : missing.length > 0 ? `no ${missing}` : undefined
const where = lacking === undefined ? describe : describe.skip

where(`connections${lacking === undefined ? '' : ` (skipped: ${lacking})`}`, () => {
  it('of every system are answered, each by a connection of its own, at whatever rate', async () => {
    const run = { nodes: 2, connections: 8, rate: 50, seconds: 0.4, warm: 0.1, rounds: 1, only: '' }
    const { rows } = await measure(run)
    const systems = ['gyre shift', 'gyre clone', 'HAProxy TCP', 'HAProxy HTTP', 'nginx proxy']
    const groups = ['as many as are served', '50 a second']
    expect(rows.map(({ group, system, errors }) => [group, system, errors])).toEqual(
      groups.flatMap(group => systems.map(system => [group, system, 0])),
    )
    expect(rows.filter(({ figures }) => !((figures.connections?.[0] as number) > 0))).toEqual([])
  }, 300_000)

  it('that are idle all move at once, and answer afterwards', async () => {
    const { rows } = await measureStorm({ connections: 300, nodes: 3, rate: 300, rest: 0.2, rounds: 1 })
    expect(rows).toMatchObject([{ errors: 0, figures: { moved: [300], 'answered afterwards': [300] } }])
  }, 300_000)
})

describe('figures of connections', () => {
  it('are by the connections of the window', () => {
    const load = { answered: 1_000, perSecond: 500, failed: 2, shed: 0, p50: 1, p99: 2 }
    const cpu = (front: number, nodes: number, machine: number) => ({ front, nodes, machine })
    const sample = sampleOf({ ...load, firstP50: 1_500, firstP99: 9_000 }, cpu(1, 2, 3), cpu(1.5, 2.25, 5))
    expect(sample).toMatchObject({ connections: 500, front: 500, nodes: 250, 'front and nodes': 750 })
    expect(sample).toMatchObject({ machine: 2_000, 'first octet p50': 1.5, 'first octet p99': 9, errors: 2 })
  })

  it('are compared with every proxy', () => {
    const row = (system: string, front: number) => ({
      ...{ group: '9 a second', system, errors: 0 },
      figures: { front: [front], 'front and nodes': [2 * front] },
    })
    const goals = goalsOf([row('gyre shift', 30), row('HAProxy TCP', 60)], '9 a second')
    expect(goals.map(({ value }) => value)).toEqual([0.5, NaN, NaN, 0.5, NaN, NaN])
  })
})
