import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cells, measure, type Row, render, upperBound } from './throughput.ts'

/** The seed of the committed table; `npm run bench -- throughput` runs others, with confidence. */
const SEED = 1

/**
 * Between which parts of the reference a figure must lie, and why not nearer:
 * - link: the bottleneck is full. What waited behind a hole when counting began is counted when the hole is filled: a
 *   whole window, of which 300 ms make a fifth of the count. Strong
 *   reordering over 300 ms: RACK's window grows by a quarter of a round trip with each round in which a D-SACK came (RFC
 *   8985 §6.2 step 4), so the first seconds pay for what is learnt late.
 * - window: acknowledgements of every second segment open it in steps of two.
 * - CUBIC, Reno: the formulas let a loss come every 1/p packets, and know no recovery, in which the window does not grow:
 *   one round trip in each cycle, which counts where a cycle has few. Strong reordering makes each a round trip longer.
 * - crossing: the sawtooth does not fill the link in its valley, nor reach the formula's peak above it.
 * - timeouts: RFC 5348 is about a Reno that waits for a timeout whenever three duplicates do not come. RACK and TLP need
 *   one only where the repetition is lost as well, so it is the lower bound; the upper one is a sender without timeouts.
 */
function bounds(row: Row): readonly [number, number] {
  const isReordered = row.reordering !== 'none'
  switch (row.reference.limit) {
    case 'link':
      return [row.reordering === 'strong' && row.rttMs === 300 ? 0.6 : 0.97, row.rttMs === 300 ? 1.2 : 1.12]
    case 'window':
      return [0.93, 1]
    case 'crossing':
      return [isReordered ? 0.65 : 0.72, 1.2]
    case 'CUBIC':
    case 'Reno':
      return [isReordered ? 0.7 : 0.8, 1.3]
    case 'timeouts':
      return [1, upperBound(row) / row.reference.bitsPerSecond]
  }
}

const rows = cells().map(cell => measure(cell, SEED))

describe('throughput in simulated time', () => {
  it('is exactly what the committed table says; `npm run bench -- throughput --write` writes it anew', () => {
    const committed = readFileSync(join(__dirname, 'throughput.md'), 'utf8')
    expect(render(rows)).toBe(committed)
  })

  it.each(rows.map(row => [describeRow(row), row] as const))(
    '%s: within bounds of its reference',
    (_, row) => {
      const ratio = row.result.bitsPerSecond / row.reference.bitsPerSecond
      const [least, most] = bounds(row)
      expect(ratio).toBeGreaterThanOrEqual(least)
      expect(ratio).toBeLessThanOrEqual(most)
    },
  )

  it('does not suffer from 20 changes of owner a second: within 2 % where the link is full, else within 15 %', () => {
    const moved = rows.filter(row => row.shiftsPerSecond > 0)
    for (const row of moved) {
      const still = rows.find(
        other => other.loss === row.loss && other.rttMs === row.rttMs && other.reordering === 'none',
      ) as Row
      expect(row.result.moves).toBeGreaterThan(20)
      const least = row.reference.limit === 'link' ? 0.98 : 0.85
      expect(row.result.bitsPerSecond / still.result.bitsPerSecond).toBeGreaterThan(least)
    }
    expect(moved).toHaveLength(15)
  })

  it('sends again what was lost and little more', () => {
    for (const { result, loss, reordering } of rows) {
      const spurious = result.retransmitted / result.segments - loss
      expect(spurious).toBeLessThan(reordering === 'strong' ? 0.06 : 0.02)
    }
  })
})

function describeRow(row: Row): string {
  const { loss, rttMs, reordering, shiftsPerSecond, reference } = row
  return `${100 * loss} % loss, ${rttMs} ms, reordering ${reordering}, ${shiftsPerSecond} shifts/s, by ${reference.limit}`
}
