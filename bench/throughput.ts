/**
 * `npm run bench -- throughput`: the table of `bench/sim/tcp/throughput.md` for many seeds, with the mean and its 95 %
 * confidence interval; or, with `--write`, that table itself.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cells, measure, type Row, render } from './sim/tcp/throughput.ts'

export interface ThroughputOptions {
  readonly seeds: number
  readonly only: string
  readonly write: boolean
}

/** The committed table has this seed; others follow it. */
const FIRST_SEED = 1
const TABLE = join('bench', 'sim', 'tcp', 'throughput.md')

export function throughput(options: ThroughputOptions): void {
  if (options.write) {
    writeFileSync(TABLE, render(cells().map(cell => measure(cell, FIRST_SEED))))
    process.stdout.write(`${TABLE} is written\n`)
    return
  }
  process.stdout.write('loss % | RTT ms | reordering | shifts/s | by | Mbit/s | ± 95 % | reference | ratio\n')
  for (const cell of cells()) {
    const name = `${100 * cell.loss} | ${cell.rttMs} | ${cell.reordering} | ${cell.shiftsPerSecond}`
    if (!name.includes(options.only)) continue
    const rows: Row[] = []
    for (let seed = FIRST_SEED; seed < FIRST_SEED + options.seeds; seed++) rows.push(measure(cell, seed))
    process.stdout.write(`${name} | ${summary(rows)}\n`)
  }
}

function summary(rows: readonly Row[]): string {
  const rates = rows.map(row => row.result.bitsPerSecond / 1e6)
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / Math.max(1, rates.length - 1)
  const { limit, bitsPerSecond } = (rows[0] as Row).reference
  const reference = bitsPerSecond / 1e6
  const interval = 1.96 * Math.sqrt(variance / rates.length)
  return [
    limit,
    mean.toFixed(3),
    interval.toFixed(3),
    reference.toFixed(3),
    (mean / reference).toFixed(2),
  ].join(' | ')
}
