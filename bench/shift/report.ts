/** The table of `npm run bench -- shift`, and what of it was to be reached. */
import type { Column, Goal, Row } from '../report/result.ts'
import type { Figures, FullFigures, Percentiles } from './scenarios.ts'
import type { SystemName } from './systems.ts'

export type ShiftResult = { readonly system: SystemName } & (
  | { readonly figures: Figures }
  | { readonly full: FullFigures }
  /** The scenario that came to no end. */
  | { readonly failed: string }
)

export const COLUMNS: readonly Column[] = [
  { name: 'moves', unit: '', digits: 0 },
  { name: 'refused', unit: '', digits: 0 },
  ...['owned', 'told', 'client waits', 'without a move'].flatMap(name => [
    { name: `${name} p50`, unit: 'µs', digits: 0 },
    { name: `${name} p99`, unit: 'µs', digits: 0 },
  ]),
  { name: 'CPU of the source', unit: 'µs', digits: 0 },
  { name: 'CPU of the target', unit: 'µs', digits: 0 },
  { name: 'state', unit: 'octets', digits: 0 },
  { name: 'in flight', unit: 'octets', digits: 0 },
  { name: 'shifted', unit: 'MB/s', digits: 0 },
  { name: 'unshifted', unit: 'MB/s', digits: 0 },
  { name: 'stalls', unit: '', digits: 0 },
  { name: 'stalls without a move', unit: '', digits: 0 },
]

/** One round each: the moves within it are what percentiles are of. */
export function rowsOf(results: readonly ShiftResult[]): Row[] {
  return results.map(result => {
    if ('failed' in result) return { group: result.failed, system: result.system, figures: {}, errors: 1 }
    const [group, values] =
      'figures' in result
        ? [result.figures.scenario, valuesOf(result.figures)]
        : ['full speed', fullValuesOf(result.full)]
    const figures = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, [value]]))
    return { group, system: result.system, figures, errors: 0 }
  })
}

function valuesOf(figures: Figures): Record<string, number> {
  const { moves, refused, owned, told, pause, control } = figures
  return {
    moves,
    refused,
    ...pair('owned', owned),
    ...pair('told', told),
    ...pair('client waits', pause),
    ...pair('without a move', control),
    'CPU of the source': figures.sourceCpu,
    'CPU of the target': figures.targetCpu,
    state: figures.state,
    'in flight': figures.inFlight,
    stalls: figures.stalls,
    'stalls without a move': figures.controlStalls,
  }
}

function pair(name: string, { p50, p99 }: Percentiles): Record<string, number> {
  return { [`${name} p50`]: p50, [`${name} p99`]: p99 }
}

/** Of the waits of each phase the longest is known alone. */
function fullValuesOf(full: FullFigures): Record<string, number> {
  return {
    moves: full.moves,
    'client waits p99': 1_000 * full.gap,
    'without a move p99': 1_000 * full.controlGap,
    shifted: full.shifted / 1e6,
    unshifted: full.unshifted / 1e6,
    stalls: full.stalls,
    'stalls without a move': full.controlStalls,
  }
}

/** Each goal with what was measured; NaN where its scenario was not run. */
export function goalsOf(rows: readonly Row[]): Goal[] {
  const of = (system: SystemName, scenario: string, column: string): number => {
    const row = rows.find(({ group, system: whose }) => whose === system && group.startsWith(scenario))
    return row?.figures[column]?.at(-1) ?? Number.NaN
  }
  const goal = (text: string, value: number, limit: number, unit: string): Goal => {
    return { groups: [], text, value, limit, unit, bound: 'most' }
  }
  const own = rows.filter(({ system }) => system === 'gyre')
  const [idle, full] = ['idle', 'streaming, 512'].map(name => of('gyre', name, 'owned p50')) as [
    number,
    number,
  ]
  const sum = (column: string) =>
    own.reduce((total, { figures }) => total + (figures[column]?.at(-1) ?? 0), 0)
  return [
    goal(
      'owned at 512 KiB, p50, by TCP_REPAIR’s',
      full / of('TCP_REPAIR', 'streaming, 512', 'owned p50'),
      1,
      ' ×',
    ),
    goal('owned when idle, p50, by TCP_REPAIR’s', idle / of('TCP_REPAIR', 'idle', 'owned p50'), 1.5, ' ×'),
    goal('owned at 512 KiB by at 0, p50', full / of('gyre', 'streaming, 0', 'owned p50'), 1.2, ' ×'),
    ...['idle', 'streaming, 512'].map(name =>
      goal(`octets of state, ${name}`, of('gyre', name, 'state'), 512, ''),
    ),
    goal(
      'a request that arrives during a shift, p99',
      of('gyre', 'request', 'client waits p99') / 1_000,
      2,
      ' ms',
    ),
    ...own.flatMap(({ group, figures }) =>
      ['source', 'target'].map(end =>
        goal(`CPU of the ${end}, ${group}`, figures[`CPU of the ${end}`]?.at(-1) ?? Number.NaN, 150, ' µs'),
      ),
    ),
    {
      ...goal(
        'throughput with a shift each 5 ms by that without',
        of('gyre', 'full speed', 'shifted') / of('gyre', 'full speed', 'unshifted'),
        0.95,
        ' ×',
      ),
      bound: 'least',
    },
    goal(`stalls of more than 50 ms in ${sum('moves')} shifts`, sum('stalls'), 0, ''),
  ]
}
