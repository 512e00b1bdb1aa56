/** A result as text: a table of medians with their spread, what was to be reached, and what forbids comparing. */
import { machineLine } from './machine.ts'
import type { Noise } from './noise.ts'
import { type Column, type Goal, isReached, type Result, type Row, summary } from './result.ts'

/** Tables can be pasted into a page: they are Markdown. */
export function tableOf(result: Result): string {
  const { columns, rows } = result
  const heads = [
    '',
    'system',
    ...columns.map(headOf),
    ...(rows.some(({ errors }) => errors > 0) ? ['errors'] : []),
  ]
  const lines = rows.map(row => {
    const cells = [row.group, row.system, ...columns.map(column => cellOf(row, column))]
    return heads.length > cells.length ? [...cells, `${row.errors}`] : cells
  })
  const widths = heads.map((head, at) =>
    Math.max(...[head, ...lines.map(line => line[at] ?? '')].map(x => x.length)),
  )
  const render = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => (at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(' | ')} |`
  const rule = `|${widths.map((width, at) => (at < 2 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [render(heads), rule, ...lines.map(render)].join('\n')
}

function headOf({ name, unit }: Column): string {
  return unit === '' ? name : `${name}, ${unit}`
}

function cellOf(row: Row, { name, digits }: Column): string {
  const { median, low, high } = summary(row.figures[name])
  if (Number.isNaN(median)) return '–'
  const text = (value: number) => value.toFixed(digits)
  const rounds = row.figures[name]?.length ?? 0
  return rounds < 2 || text(low) === text(high)
    ? text(median)
    : `${text(median)} (${text(low)}–${text(high)})`
}

export function reportOf(result: Result): string {
  const { title, began, machine, seeds, notes, noise, goals } = result
  const seedLine = seeds.length === 0 ? '' : `; seed${seeds.length > 1 ? 's' : ''} ${seeds.join(', ')}`
  const lines = [title, `${machineLine(machine)}; ${began}${seedLine}`, ...notes, '', tableOf(result), '']
  if (noise.reasons.length > 0) lines.push('The machine was too noisy to compare what follows:')
  lines.push(...noise.reasons.map(({ text }) => `- ${text}`))
  if (noise.reasons.length > 0 && goals.length > 0) lines.push('')
  lines.push(...goals.filter(({ value }) => !Number.isNaN(value)).map(goal => goalLine(goal, noise)))
  return `${lines.join('\n').trimEnd()}\n`
}

function goalLine(goal: Goal, { reasons }: Noise): string {
  const text = (value: number) => `${Number(value.toPrecision(4))}${goal.unit}`
  const bound = goal.bound === 'least' ? 'at least' : 'at most'
  const isNoisy = reasons.some(({ group }) => group === undefined || goal.groups.includes(group))
  if (isNoisy) return `noisy    ${goal.text}: not judged (goal: ${bound} ${text(goal.limit)})`
  const verdict = isReached(goal) ? 'reached ' : 'MISSED  '
  return `${verdict} ${goal.text}: ${text(goal.value)} (goal: ${bound} ${text(goal.limit)})`
}
