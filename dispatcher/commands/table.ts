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

/** `TIMEOUT 3, NO_OBJECT 1`, the most frequent first; empty for none. */
export function formatCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}
