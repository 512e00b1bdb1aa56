/**
 * Every state of a connection × how its client speaks × where it goes × what goes wrong. A part is played in which each
 * pair of values occurs, with CI in the environment three such parts; MATRIX=all plays each cell, which takes half an hour, and CELL
 * those whose name contains it.
 */
import { allCells, type Cell, nameOf, play, type Run, TARGETS } from './cell.ts'
import { check } from './check.ts'
import { FAULTS, NO_FAULT } from './faults.ts'
import { pairwise } from './pairs.ts'
import { MATRIX_STATES } from './states.ts'

/** Cells that have failed once, whatever else is played. */
const FAILED_ONCE = [
  'SYN just accepted; IPv4, with timestamps, shift; another machine; source dies when COMMIT is delivered',
  'loss recovery with a SACK scoreboard; IPv6, with timestamps, shift; another instance; source dies when COMMIT is delivered',
  'half-closed by the server; IPv4, with timestamps, shift; A→B→C→A, 100 a second; target dies when SHIFTED is sent',
]
const SEED = 5
const CI_SEEDS = [5, 6, 7]

function valuesOf({ state, family, timestamps, mode, target, fault }: Cell): readonly unknown[] {
  return [state.name, family, timestamps, mode, target.name, fault.name]
}

function chosen(): Cell[] {
  const all = allCells()
  const only = process.env.CELL
  if (only !== undefined) return all.filter(cell => nameOf(cell).includes(only))
  if (process.env.MATRIX === 'all') return all
  const seeds = process.env.CI === undefined ? [SEED] : CI_SEEDS
  const failedOnce = all.filter(cell => FAILED_ONCE.includes(nameOf(cell)))
  return [...new Set([...failedOnce, ...seeds.flatMap(seed => pairwise(all, valuesOf, seed))])]
}

/** Control runs, which the cells of a state share: what happens to a shift cannot matter where there is none. */
const controls = new Map<string, Run>()

function controlOf(cell: Cell): Run {
  const { state, family, timestamps, mode, target } = cell
  const key = [state.name, family, timestamps, mode, target.linkMs].join()
  const known = controls.get(key) ?? play({ ...cell, fault: NO_FAULT }, false)
  controls.set(key, known)
  return known
}

function failureOf(cell: Cell): string | undefined {
  try {
    check(cell, play(cell, true), controlOf(cell))
    return undefined
  } catch (error) {
    return `${nameOf(cell)}: ${error instanceof Error ? error.message : error}`
  }
}

describe('a shift', () => {
  const cells = chosen()

  it(`has ${MATRIX_STATES.length} states, ${TARGETS.length} targets and ${FAULTS.length} faults, in ${cells.length} of ${allCells().length} cells`, () => {
    expect(cells.length).toBeGreaterThan(0)
  })

  it.each(MATRIX_STATES.map(({ name }) => name))('%s', name => {
    const failures = cells
      .filter(({ state }) => state.name === name)
      .map(failureOf)
      .filter(failure => failure !== undefined)
    controls.clear()
    expect(failures).toEqual([])
  })
})
