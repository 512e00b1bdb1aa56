/** What all benchmarks share: nothing of it is a matter of the machine's speed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chartOf } from './chart.ts'
import { isOwn, judge, markOwn } from './noise.ts'
import { SILENT } from './progress.ts'
import { type Measured, publish } from './publish.ts'
import { joinRows, type Row, summary } from './result.ts'
import { interleave } from './rounds.ts'
import { reportOf, tableOf } from './table.ts'

const QUIET = { steal: 0, foreign: 0.01 }
const row = (group: string, system: string, rates: (number | null)[], errors = 0): Row => ({
  ...{ group, system, errors },
  figures: { rate: rates },
})
const measured = (rows: readonly Row[]): Measured => ({
  ...{ bench: 'sample', title: 'A sample', options: { seconds: 1 }, seeds: [7], rows },
  columns: [{ name: 'rate', unit: 'req/s', digits: 0, better: 'more' }],
  charts: [{ kind: 'bars', column: 'rate', ideal: { '2 nodes': 300 } }],
  goals: () => [{ groups: ['2 nodes'], text: 'ours', value: 1.2, limit: 1.1, unit: ' ×', bound: 'least' }],
  noise: [QUIET],
})

describe('a summary', () => {
  it('is the median with its spread, and ignores rounds without a figure', () => {
    expect(summary([3, 1, 2])).toEqual({ median: 2, low: 1, high: 3, spread: 1 })
    expect(summary([4, 2, null, Number.NaN])).toEqual({ median: 3, low: 2, high: 4, spread: 2 / 3 })
    expect(summary(undefined).median).toBeNaN()
  })
})

describe('rounds', () => {
  it('take turns, and keep every sample', async () => {
    const order: string[] = []
    const measure = async (system: string, round: number) => {
      order.push(`${system}${round}`)
      return { rate: round, errors: system === 'b' ? 1 : 0 }
    }
    const common = { group: 'g', nameOf: (system: string) => system, rounds: 2, progress: SILENT, measure }
    const { rows, noise } = await interleave({ ...common, systems: ['a', 'b'] })
    expect(order).toEqual(['a1', 'b1', 'a2', 'b2'])
    expect(rows).toEqual([row('g', 'a', [1, 2]), row('g', 'b', [1, 2], 2)])
    expect(noise).toHaveLength(4)
  })

  it('of a later run stand behind those of an earlier one', () => {
    const joined = joinRows([row('g', 'a', [1], 1)], [row('g', 'a', [2], 1), row('h', 'a', [3])])
    expect(joined).toEqual([row('g', 'a', [1, 2], 2), row('h', 'a', [3])])
  })
})

describe('noise', () => {
  it('is what others use in more than a quarter of the rounds, and rounds that differ', () => {
    expect(judge([QUIET, QUIET], [{ group: 'g', system: 'a', spread: 0.29 }]).reasons).toEqual([])
    expect(judge([QUIET, QUIET, QUIET, { steal: 0.2, foreign: 0 }], []).reasons).toEqual([])
    expect(judge([QUIET, { steal: 0.2, foreign: 0 }], []).reasons).toHaveLength(1)
    expect(judge([QUIET, { steal: 0, foreign: 0.2 }], []).reasons).toHaveLength(1)
    expect(judge([QUIET], [{ group: 'g', system: 'a', spread: 0.31 }]).reasons).toMatchObject([
      { group: 'g' },
    ])
  })

  it('knows what the benchmark started, and what it did not', async () => {
    markOwn()
    const start = (env: NodeJS.ProcessEnv) => spawn('cat', [], { env, stdio: ['pipe', 'pipe', 'ignore'] })
    const end = async (child: ChildProcess) => {
      const exited = once(child, 'exit')
      child.stdin?.end()
      await exited
    }
    const { GYRE_BENCH: _, ...others } = process.env
    const [own, foreign] = [start(process.env), start(others)]
    for (const child of [own, foreign]) {
      // It has its environment when it answers.
      child.stdin.write('x')
      await once(child.stdout, 'data')
    }
    expect([isOwn(own.pid as number), isOwn(foreign.pid as number)]).toEqual([true, false])
    await Promise.all([end(own), end(foreign)])
  })
})

describe('a result', () => {
  let folder = ''
  beforeEach(async () => {
    for (const stream of [process.stdout, process.stderr]) jest.spyOn(stream, 'write').mockReturnValue(true)
    folder = await mkdtemp(join(tmpdir(), 'gyre-report-'))
  })
  afterEach(async () => {
    jest.restoreAllMocks()
    await rm(folder, { recursive: true, force: true })
  })
  const options = () => ({ out: folder, add: true, json: false })

  it('is a table, JSON and a chart, to which a later run adds its rounds', async () => {
    await publish(measured([row('2 nodes', 'a & b', [100])]), options())
    const result = await publish(measured([row('2 nodes', 'a & b', [110])]), options())
    const kept = JSON.parse(await readFile(join(folder, 'sample.json'), 'utf8'))
    expect(kept).toEqual(JSON.parse(JSON.stringify(result)))
    expect(kept.rows).toEqual([row('2 nodes', 'a & b', [100, 110])])
    expect(kept).toMatchObject({ format: 1, seeds: [7], machine: { cores: expect.any(Number) } })
    expect(tableOf(result)).toContain('| 2 nodes | a & b  | 105 (100–110) |')
    expect(reportOf(result)).toContain('reached  ours: 1.2 × (goal: at least 1.1 ×)')
    const chart = await readFile(join(folder, 'sample.svg'), 'utf8')
    expect(chart).toMatch(/^<svg xmlns/)
    expect(chart).toContain('a &amp; b')
  })

  it('of a noisy machine judges nothing', async () => {
    const result = await publish(measured([row('2 nodes', 'a', [100, 200])]), options())
    expect(reportOf(result)).toContain('rounds of a differ by 67 % of their median')
    expect(reportOf(result)).toContain('noisy    ours: not judged')
  })

  it('of another machine is not added to', async () => {
    const { machine, ...result } = await publish(measured([row('2 nodes', 'a', [1])]), options())
    const other = { ...result, machine: { ...machine, cores: machine.cores + 1 } }
    await writeFile(join(folder, 'sample.json'), JSON.stringify(other))
    await expect(publish(measured([]), options())).rejects.toThrow('of another machine')
  })

  it('of other options is not added to, but one of other rows is', async () => {
    await publish(measured([row('2 nodes', 'a', [1])]), options())
    const other = (extra: Record<string, unknown>) => ({ ...measured([]), options: { seconds: 1, ...extra } })
    expect((await publish(other({ only: 'b', nodes: [2] }), options())).rows).toHaveLength(1)
    await expect(publish(other({ seconds: 2 }), options())).rejects.toThrow('with other options')
  })

  it.each(['bars', 'lines'] as const)('is drawn as %s within its frame', async kind => {
    const rows = ['1 node', '2 nodes'].flatMap(group => [row(group, 'a', [10, 30]), row(group, 'b', [400])])
    const result = await publish({ ...measured(rows), charts: [{ kind, column: 'rate' }] }, options())
    const text = chartOf(result) ?? ''
    const [, height] = (/viewBox="0 0 960 (\d+)"/.exec(text) ?? []).map(Number)
    const ys = [...text.matchAll(/c?y="(-?[\d.]+)"/g)].map(match => Number(match[1]))
    expect(ys.length).toBeGreaterThan(8)
    expect(Math.min(...ys)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...ys)).toBeLessThanOrEqual(height ?? 0)
    expect(text).not.toMatch(/NaN|undefined|Infinity/)
  })
})
