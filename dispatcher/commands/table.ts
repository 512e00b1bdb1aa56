/**
 * Aligned plain-text tables for the terminal, and values in the units people read. Nothing here knows what
 * the rows are about.
 */

export type Column = {
  readonly title: string
  readonly align?: 'left' | 'right'
}

/** Longest shown text of a cell; what is longer ends in an ellipsis. */
const MAX_CELL_CHARACTERS = 80
const GAP = '  '

/** A line for the titles and one for each row, each with its end; no trailing blanks. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map(row => columns.map((_, i) => printable(row[i] ?? '')))
  const titles = columns.map(column => column.title)
  const widths = columns.map((_, i) => Math.max(...[titles, ...cells].map(row => row[i]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    columns
      .map(({ align }, i) => {
        const text = row[i] ?? ''
        const width = widths[i] ?? 0
        return align === 'right' ? text.padStart(width) : text.padEnd(width)
      })
      .join(GAP)
      .trimEnd()
  return [titles, ...cells].map(row => `${line(row)}\n`).join('')
}

/** A client chose some of this text: it must not reach the terminal's control sequences. */
export function printable(text: string): string {
  const clean = text.replace(/[^\x20-\x7e]/g, '?')
  return clean.length <= MAX_CELL_CHARACTERS ? clean : `${clean.slice(0, MAX_CELL_CHARACTERS - 3)}...`
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

export function formatOctets(octets: number): string {
  let value = octets
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

export function formatDuration(ms: number): string {
  if (ms < 1) return `${Math.round(ms * 1000)} us`
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
  const seconds = Math.floor(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`
}

/** `TIMEOUT 3, NO_OBJECT 1`, the most frequent first; empty for none. */
export function formatCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}
