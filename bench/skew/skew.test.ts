/** The benchmark's own machinery: few that want most are served by every system, and counted. No timing. */
import { spawnSync } from 'node:child_process'
import { type Counters, goalsOf, measure, SYSTEMS, sampleOf } from './command.ts'
import { hottestShare } from './experiments.ts'

const hasCompiler = spawnSync('sh', ['-c', 'command -v cc']).status === 0
const lacking = process.getuid?.() !== 0 ? 'needs root' : hasCompiler ? undefined : 'no cc'
const where = lacking === undefined ? describe : describe.skip

where(`few that want most${lacking === undefined ? '' : ` (skipped: ${lacking})`}`, () => {
  it('are answered by every system, over links that are counted', async () => {
    const machines = { nodes: 2, rate: 10, connections: 8, objects: 8 }
    const run = { ...machines, seconds: 0.4, warm: 0.4, rounds: 1, only: '' }
    const groupOf = (kib: number, step: number) => `${kib} KiB, ${step} %`
    const experiment = { name: 'small', hot: 'object' as const, groupOf }
    const { rows } = await measure(run, [{ ...experiment, ladders: [{ kib: 1, steps: [20, 50] }] }])
    expect(rows.map(({ group, system, errors }) => [group, system, errors])).toEqual(
      ['1 KiB, 20 %', '1 KiB, 50 %'].flatMap(group => SYSTEMS.map(({ name }) => [group, name, 0])),
    )
    for (const column of ['answered', 'busiest link'])
      expect(rows.filter(({ figures }) => !((figures[column]?.[0] as number) > 0))).toEqual([])
  }, 300_000)
})

describe('figures of skew', () => {
  it('are of the window, by what the links carry and by the ideal', () => {
    const load = { answered: 300, perSecond: 150, failed: 0, shed: 5, p50: 1_000, p99: 2_000 }
    const counters = (at: number, octets: number[], shifted: number): Counters => ({
      ...{ at, shifted, idle: 0 },
      links: octets.map(one => ({ at, octets: one })),
    })
    const [before, after] = [counters(0, [0, 0], 4), counters(2_000, [1_000_000, 500_000], 10)]
    const sample = sampleOf({ ...load, firstP50: 0, firstP99: 0 }, 200, 300, before, after, 8)
    expect(sample).toMatchObject({ asked: 200, answered: 150, 'of the ideal': 50, shifts: 3 })
    expect(sample).toMatchObject({ 'busiest link': 50, 'mean link': 37.5, p50: 1, p99: 2 })
  })

  it('say what was reached, of all sizes', () => {
    const rows = [
      { group: 'hot object, 8 KiB', system: 'by load', figures: { 'of the ideal': [91] }, errors: 0 },
    ]
    const goals = goalsOf(rows)
    expect(goals).toHaveLength(10)
    expect(goals.filter(({ value }) => value === 91).map(({ groups }) => groups)).toEqual([
      rows.map(r => r.group),
    ])
  })

  it('know how hot the hottest is', () => {
    expect(hottestShare(1)).toBe(1)
    expect(hottestShare(128)).toBeCloseTo(0.27, 2)
  })
})
