/** The benchmark's own machinery: both systems move connections in every scenario, and the client gets every octet. No timing. */
import { whyNoCompiler } from '../kernel/program.ts'
import { measure } from './command.ts'
import { goalsOf, rowsOf, type ShiftResult } from './report.ts'
import { figuresOf, fullFiguresOf, scenarios } from './scenarios.ts'

const MOVES = 3
const lacking = process.getuid?.() === 0 ? whyNoCompiler() : 'needs root'
const where = lacking === undefined ? describe : describe.skip

where(`shifts beside TCP_REPAIR${lacking === undefined ? '' : ` (skipped: ${lacking})`}`, () => {
  it('happen in every scenario, and each octet arrives', async () => {
    const { results } = await measure(scenarios(MOVES, 1, MOVES))
    const moved = results.map(result => {
      if ('failed' in result) return [result.system, result.failed, 0]
      if ('full' in result) return [result.system, 'full speed', Math.min(MOVES, result.full.moves)]
      return [result.system, result.figures.scenario, result.figures.moves]
    })
    const names = scenarios(MOVES, 1, MOVES).map(({ name }) => name)
    expect(moved).toEqual(names.flatMap(name => ['gyre', 'TCP_REPAIR'].map(system => [system, name, MOVES])))
    for (const result of results) {
      if (!('figures' in result)) continue
      const { state, inFlight, scenario } = result.figures
      // What is carried by value grows with what is queued; what is referred to does not.
      if (result.system === 'gyre') expect(state).toBeLessThan(1_024)
      else if (scenario.includes('512 KiB')) expect(state).toBeGreaterThan(inFlight)
      if (scenario.includes('512 KiB')) expect(inFlight).toBeGreaterThan(100_000)
    }
  }, 60_000)
})

describe('figures', () => {
  it('are percentiles of the moves, and CPU beyond that of the windows without', () => {
    const line = (ns: number) => [1, ns, 2 * ns, 1_000, 60_000_000, 10_000, 20_000, 30_000, 70_000, 300, 0]
    const refused = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    const figures = figuresOf('idle', [line(3_000), refused, line(1_000), line(2_000)])
    expect(figures).toMatchObject({ moves: 3, refused: 1, sourceCpu: 20, targetCpu: 50, state: 300 })
    expect(figures).toMatchObject({ owned: { p50: 2 }, told: { p50: 4 }, stalls: 3, controlStalls: 0 })
  })

  it('at full speed are those of phases that take turns', () => {
    const full = fullFiguresOf([
      [0, 1_000, 1e9, 1e6],
      [100, 900, 1e9, 60e6],
    ])
    expect(full).toMatchObject({
      moves: 100,
      shifted: 900,
      unshifted: 1_000,
      gap: 60,
      controlGap: 1,
      stalls: 1,
    })
  })

  it('are none where a scenario came to no end, and the other rows stay', () => {
    const rows = rowsOf([{ system: 'TCP_REPAIR', failed: 'upload' }])
    expect(rows).toEqual([{ group: 'upload', system: 'TCP_REPAIR', figures: {}, errors: 1 }])
    expect(goalsOf(rows).every(({ value }) => !(value > 0))).toBe(true)
  })

  it('are rows by scenario and system, from which it follows what was reached', () => {
    const line = (ns: number) => [1, ns, 2 * ns, 1_000, 60_000_000, 10_000, 20_000, 30_000, 70_000, 300, 0]
    const one = (system: ShiftResult['system'], ns: number): ShiftResult => {
      return { system, figures: figuresOf('idle', [line(ns)]) }
    }
    const full: ShiftResult = {
      system: 'gyre',
      full: fullFiguresOf([
        [0, 1_000, 1e9, 1e6],
        [9, 900, 1e9, 1e6],
      ]),
    }
    const rows = rowsOf([one('gyre', 3_000), one('TCP_REPAIR', 2_000), full])
    expect(rows.map(({ group, system }) => `${group}, ${system}`)).toEqual([
      'idle, gyre',
      'idle, TCP_REPAIR',
      'full speed, gyre',
    ])
    const values = new Map(goalsOf(rows).map(({ text, value }) => [text, value]))
    expect(values.get('owned when idle, p50, by TCP_REPAIR’s')).toBe(1.5)
    expect(values.get('throughput with a shift each 5 ms by that without')).toBeCloseTo(0.9)
    expect(values.get('owned at 512 KiB by at 0, p50')).toBeNaN()
    expect(values.get('stalls of more than 50 ms in 10 shifts')).toBe(1)
  })
})
