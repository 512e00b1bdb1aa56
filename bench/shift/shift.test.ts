/** The benchmark's own machinery: both systems move connections in every scenario, and the client gets every octet. No timing. */
import { whyNoCompiler } from '../kernel/program.ts'
import { measure } from './command.ts'
import { figuresOf, fullFiguresOf, scenarios } from './scenarios.ts'

const MOVES = 3
const lacking = process.getuid?.() === 0 ? whyNoCompiler() : 'needs root'
const where = lacking === undefined ? describe : describe.skip

where(`shifts beside TCP_REPAIR${lacking === undefined ? '' : ` (skipped: ${lacking})`}`, () => {
  it('happen in every scenario, and each octet arrives', async () => {
    const results = await measure(scenarios(MOVES, 1, MOVES))
    const moved = results.map(result => [
      result.system,
      'figures' in result ? result.figures.scenario : 'full speed',
      'figures' in result ? result.figures.moves : Math.min(MOVES, result.full.moves),
    ])
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
})
