/** What every benchmark does with what it measured: prints it, and leaves JSON and a chart in a folder. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { chartOf } from './chart.ts'
import { describeMachine } from './machine.ts'
import { judge, type RoundNoise, type Spread } from './noise.ts'
import {
  type Chart,
  type Column,
  type Goal,
  joinRows,
  RESULT_FORMAT,
  type Result,
  type Row,
  summary,
} from './result.ts'
import { reportOf } from './table.ts'

/** Options that choose rows; by all others a run that is added must be like the earlier one. */
const CHOICE = ['only', 'nodes', 'rounds']
export const DEFAULT_OUT = join('bench', 'results')

/** Options that every benchmark of this form has. */
export interface PublishOptions {
  /** The folder that results are left in. */
  readonly out: string
  /** Whether this run's rounds are added to those of the result that is there. */
  readonly add: boolean
  /** JSON on standard output instead of a table. */
  readonly json: boolean
}

/** All others: what a run was told, as its result says it. */
export function toldOf<Options extends PublishOptions>({
  out: _out,
  add: _add,
  json: _json,
  ...told
}: Options) {
  return told
}

export interface Measured {
  readonly bench: string
  readonly title: string
  readonly seeds?: readonly number[]
  readonly options: Readonly<Record<string, unknown>>
  readonly notes?: readonly string[]
  readonly columns: readonly Column[]
  readonly rows: readonly Row[]
  readonly charts: readonly Chart[]
  readonly goals?: (rows: readonly Row[]) => readonly Goal[]
  readonly noise: readonly RoundNoise[]
}

/** Prints and writes. */
export async function publish(measured: Measured, options: PublishOptions): Promise<Result> {
  const file = join(options.out, `${measured.bench}.json`)
  const result = await resultOf(measured, options.add ? await readResult(file, measured.bench) : undefined)
  await mkdir(options.out, { recursive: true })
  await writeFile(file, `${JSON.stringify(result, null, 2)}\n`)
  const chart = chartOf(result)
  if (chart !== undefined) await writeFile(join(options.out, `${measured.bench}.svg`), chart)
  process.stdout.write(options.json ? `${JSON.stringify(result, null, 2)}\n` : reportOf(result))
  process.stderr.write(`written: ${file}${chart === undefined ? '' : `, ${measured.bench}.svg`}\n`)
  return result
}

async function resultOf(measured: Measured, earlier: Result | undefined): Promise<Result> {
  const { bench, title, seeds = [], options, notes = [], columns, charts, goals } = measured
  const machine = await describeMachine()
  if (earlier !== undefined && JSON.stringify(earlier.machine) !== JSON.stringify(machine))
    throw new Error(`the earlier result of ${bench} is of another machine, or of other versions`)
  if (earlier !== undefined && comparedOf(earlier.options) !== comparedOf(options))
    throw new Error(`the earlier result of ${bench} was measured with other options`)
  const rows = joinRows(earlier?.rows ?? [], measured.rows)
  const noise = judge([...(earlier?.noise.rounds ?? []), ...measured.noise], spreadsOf(rows, columns))
  return {
    format: RESULT_FORMAT,
    bench,
    title,
    began: earlier?.began ?? new Date().toISOString(),
    machine,
    seeds: [...new Set([...(earlier?.seeds ?? []), ...seeds])],
    options,
    notes,
    columns,
    rows,
    charts,
    goals: goals?.(rows) ?? [],
    noise,
  }
}

function comparedOf(options: Measured['options']): string {
  return JSON.stringify(Object.entries(options).filter(([name]) => !CHOICE.includes(name)))
}

/** Systems are compared by the first column that says what is better. */
function spreadsOf(rows: readonly Row[], columns: readonly Column[]): Spread[] {
  const compared = columns.find(({ better }) => better !== undefined)?.name ?? ''
  return rows.map(({ group, system, figures }) => ({
    group,
    system,
    spread: summary(figures[compared]).spread,
  }))
}

async function readResult(file: string, bench: string): Promise<Result | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch {
    return undefined
  }
  const result = JSON.parse(text) as Result
  if (result.format !== RESULT_FORMAT || result.bench !== bench)
    throw new Error(`${file} is no result of ${bench} that this version can add to`)
  return result
}
