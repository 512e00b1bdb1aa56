/** The tables of `npm run bench -- shift`, and what of it was to be reached. */
import type { Figures, FullFigures, Percentiles } from './scenarios.ts'
import type { SystemName } from './systems.ts'

export type Result = { readonly system: SystemName } & (
  | { readonly figures: Figures }
  | { readonly full: FullFigures }
)

const COLUMNS = [
  ['scenario', 24],
  ['', 11],
  ['moves', 6],
  ['owned µs', 14],
  ['told µs', 14],
  ['client waits µs', 16],
  ['without a move', 16],
  ['CPU µs', 10],
  ['state', 8],
  ['in flight', 10],
  ['stalls', 7],
] as const

export function report(results: readonly Result[]): string {
  const lines = [COLUMNS.map(([name, width]) => name.padStart(width)).join(' ')]
  for (const result of results) if ('figures' in result) lines.push(row(result.system, result.figures))
  for (const result of results) if ('full' in result) lines.push('', fullRow(result.system, result.full))
  return `${lines.join('\n')}\n\n${goals(results)}`
}

function row(system: SystemName, figures: Figures): string {
  const { scenario, moves, refused, owned, told, pause, control, sourceCpu, targetCpu } = figures
  const cells = [
    scenario,
    system,
    refused > 0 ? `${moves}-${refused}` : `${moves}`,
    pair(owned),
    pair(told),
    pair(pause),
    pair(control),
    `${sourceCpu.toFixed(0)} / ${targetCpu.toFixed(0)}`,
    `${figures.state}`,
    `${figures.inFlight}`,
    `${figures.stalls}/${figures.controlStalls}`,
  ]
  return cells.map((cell, index) => cell.padStart(COLUMNS[index]?.[1] ?? 0)).join(' ')
}

function pair({ p50, p99 }: Percentiles): string {
  return `${p50.toFixed(0)} / ${p99.toFixed(0)}`
}

function fullRow(system: SystemName, full: FullFigures): string {
  const { moves, shifted, unshifted, gap, controlGap, stalls, controlStalls } = full
  const rate = (octets: number) => `${(octets / 1e6).toFixed(0)} MB/s`
  return (
    `full speed, ${system}: ${rate(shifted)} with ${moves} moves, one each 5 ms, ${rate(unshifted)} without: ` +
    `${unshifted > 0 ? (shifted / unshifted).toFixed(3) : '–'} ×; longest wait ${gap.toFixed(1)} ms, without ${controlGap.toFixed(1)} ms; ` +
    `halves of a second with a stall ${stalls}, without ${controlStalls}`
  )
}

/** Each goal with what was measured; those whose scenario was not run are left out. */
function goals(results: readonly Result[]): string {
  const find = (system: SystemName, name: string) => {
    for (const result of results) {
      if (result.system === system && 'figures' in result && result.figures.scenario.startsWith(name))
        return result.figures
    }
    return undefined
  }
  const ours = (name: string) => find('gyre', name)
  const lines: string[] = []
  const goal = (what: string, value: number | undefined, limit: number, unit: string, least = false) => {
    if (value === undefined || Number.isNaN(value)) return
    const isReached = least ? value >= limit : value <= limit
    lines.push(
      `${isReached ? 'reached' : 'MISSED '}  ${what}: ${round(value)}${unit} (goal ${round(limit)}${unit})`,
    )
  }
  const ratio = (a: number | undefined, b: number | undefined) =>
    a === undefined || b === undefined ? undefined : a / b
  const own = results.flatMap(result =>
    result.system === 'gyre' && 'figures' in result ? [result.figures] : [],
  )
  const full = results.flatMap(result =>
    result.system === 'gyre' && 'full' in result ? [result.full] : [],
  )[0]
  goal(
    'owned at 512 KiB, p50, by TCP_REPAIR’s',
    ratio(ours('streaming, 512')?.owned.p50, find('TCP_REPAIR', 'streaming, 512')?.owned.p50),
    1,
    ' ×',
  )
  goal(
    'owned when idle, p50, by TCP_REPAIR’s',
    ratio(ours('idle')?.owned.p50, find('TCP_REPAIR', 'idle')?.owned.p50),
    1.5,
    ' ×',
  )
  goal(
    'owned at 512 KiB by at 0, p50',
    ratio(ours('streaming, 512')?.owned.p50, ours('streaming, 0')?.owned.p50),
    1.2,
    ' ×',
  )
  for (const name of ['idle', 'streaming, 512']) goal(`octets of state, ${name}`, ours(name)?.state, 512, '')
  goal('a request that arrives during a shift, p99', thousandth(ours('request')?.pause.p99), 2, ' ms')
  for (const { scenario, sourceCpu, targetCpu } of own) {
    goal(`CPU of the source, ${scenario}`, sourceCpu, 150, ' µs')
    goal(`CPU of the target, ${scenario}`, targetCpu, 150, ' µs')
  }
  goal(
    'throughput with a shift each 5 ms by that without',
    ratio(full?.shifted, full?.unshifted),
    0.95,
    ' ×',
    true,
  )
  const moves = own.reduce((sum, figures) => sum + figures.moves, full?.moves ?? 0)
  const stalls = own.reduce((sum, figures) => sum + figures.stalls, full?.stalls ?? 0)
  goal(`stalls of more than 50 ms in ${moves} shifts`, stalls, 0, '')
  return `${lines.join('\n')}\n`
}

function thousandth(value: number | undefined): number | undefined {
  return value === undefined ? undefined : value / 1000
}

function round(value: number): string {
  return Number.isInteger(value) ? `${value}` : value.toFixed(value < 10 ? 2 : 0)
}
