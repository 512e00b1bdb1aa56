/**
 * A part of the cells in which every pair of values that occurs at all occurs once: most faults need one or two things to
 * come together (Kuhn, Wallace, Gallo, IEEE TSE 30(6), 2004).
 */
import { Random } from '../network/random.ts'

/** Cells that are looked at for each that is taken. */
const CANDIDATES = 60

/** `values` gives a cell's value in every dimension, in the same order; cells without a new pair are left out. */
export function pairwise<Cell>(
  cells: readonly Cell[],
  values: (cell: Cell) => readonly unknown[],
  seed: number,
): Cell[] {
  const random = new Random(seed)
  const left = cells.map(cell => ({ cell, pairs: pairsOf(values(cell)) }))
  const covered = new Set<string>()
  const taken: Cell[] = []
  while (left.length > 0) {
    let best = -1
    let most = 0
    for (let tries = 0; tries < CANDIDATES && left.length > 0; tries++) {
      const index = random.int(left.length)
      const fresh = (left[index]?.pairs ?? []).filter(pair => !covered.has(pair)).length
      if (fresh > most) {
        most = fresh
        best = index
      } else if (fresh === 0) {
        // It stays without: what is covered stays so.
        left[index] = left[left.length - 1] as (typeof left)[number]
        left.pop()
        if (best === left.length) best = index
      }
    }
    const chosen = left[best]
    if (chosen === undefined || most === 0) continue
    for (const pair of chosen.pairs) covered.add(pair)
    taken.push(chosen.cell)
  }
  return taken
}

function pairsOf(values: readonly unknown[]): string[] {
  return values.flatMap((a, first) =>
    values.slice(first + 1).map((b, offset) => `${first}=${a} ${first + 1 + offset}=${b}`),
  )
}
