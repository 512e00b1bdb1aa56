/**
 * The one form in which benchmarks give what they measured, printed as a table, written as JSON and drawn as a chart. A row is one
 * system in one group (a workload, a number of nodes); its figures keep every round, and the median is what is compared.
 */
import type { Machine } from './machine.ts'
import type { Noise } from './noise.ts'

/** Of the form; a reader refuses others. */
export const RESULT_FORMAT = 1

export interface Column {
  readonly name: string
  /** Written behind each value in charts, beside the name in tables; empty for a plain number. */
  readonly unit: string
  readonly digits: number
  /** What is better, where systems may be compared by it. */
  readonly better?: 'more' | 'less'
}

/** By the column's name, one value a round; NaN, in JSON null, where a round has none. */
export type Figures = Readonly<Record<string, readonly (number | null)[]>>

export interface Row {
  readonly group: string
  readonly system: string
  readonly figures: Figures
  /** Requests or connections that failed, in all rounds. */
  readonly errors: number
}

export interface Chart {
  readonly kind: 'bars' | 'lines'
  /** The column that is drawn: groups along the axis, systems side by side. */
  readonly column: string
  /** A line across, e.g. what would be ideal, by group. */
  readonly ideal?: Readonly<Record<string, number>>
}

/** Something that was to be reached, and what was. */
export interface Goal {
  /** Of the rows that it compares: noise of other groups says nothing against it. */
  readonly groups: readonly string[]
  readonly text: string
  readonly value: number
  readonly limit: number
  readonly unit: string
  /** Whether `limit` is the least or the most. */
  readonly bound: 'least' | 'most'
}

export interface Result {
  readonly format: typeof RESULT_FORMAT
  readonly bench: string
  readonly title: string
  /** ISO 8601. */
  readonly began: string
  readonly machine: Machine
  readonly seeds: readonly number[]
  readonly options: Readonly<Record<string, unknown>>
  /** What a reader must know of the model behind the figures, a sentence each. */
  readonly notes: readonly string[]
  readonly columns: readonly Column[]
  readonly rows: readonly Row[]
  readonly charts: readonly Chart[]
  readonly goals: readonly Goal[]
  readonly noise: Noise
}

export interface Summary {
  readonly median: number
  readonly low: number
  readonly high: number
  /** From the lowest to the highest round, by the median. */
  readonly spread: number
}

const NOTHING: Summary = { median: Number.NaN, low: Number.NaN, high: Number.NaN, spread: 0 }

export function summary(values: readonly (number | null)[] | undefined): Summary {
  const sorted = (values ?? []).filter(isFigure).sort((a, b) => a - b)
  const [low, high] = [sorted[0], sorted.at(-1)]
  if (low === undefined || high === undefined) return NOTHING
  const half = sorted.length >> 1
  const upper = sorted[half] as number
  const median = sorted.length % 2 === 1 ? upper : ((sorted[half - 1] as number) + upper) / 2
  return { median, low, high, spread: median === 0 ? 0 : (high - low) / Math.abs(median) }
}

function isFigure(value: number | null): value is number {
  return value !== null && Number.isFinite(value)
}

export function medianOf(rows: readonly Row[], group: string, system: string, column: string): number {
  const row = rows.find(one => one.group === group && one.system === system)
  return summary(row?.figures[column]).median
}

export function isReached({ value, limit, bound }: Goal): boolean {
  return bound === 'least' ? value >= limit : value <= limit
}

/**
 * One more run of a benchmark joined to an earlier one: rounds of the same group and system stand behind each other. Throws where
 * they were not the same benchmark on the same machine.
 */
export function joinRows(earlier: readonly Row[], later: readonly Row[]): Row[] {
  const joined = new Map(earlier.map(row => [keyOf(row), row]))
  for (const row of later) {
    const before = joined.get(keyOf(row))
    joined.set(keyOf(row), before === undefined ? row : joinRow(before, row))
  }
  return [...joined.values()]
}

function keyOf({ group, system }: Row): string {
  return JSON.stringify([group, system])
}

function joinRow(before: Row, after: Row): Row {
  const names = new Set([...Object.keys(before.figures), ...Object.keys(after.figures)])
  const figures = Object.fromEntries(
    [...names].map(name => [name, [...(before.figures[name] ?? []), ...(after.figures[name] ?? [])]]),
  )
  return { ...before, figures, errors: before.errors + after.errors }
}
