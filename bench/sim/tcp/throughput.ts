/**
 * The throughput table: every combination of loss, round-trip time and reordering, and a slice with changes of owner,
 * each beside what the literature says that a connection gets there. One seed gives one table, octet for octet.
 */
import { averageWindow, cubicWindow, renoWindow, timeoutThroughput } from './formula.ts'
import { PACKET_OCTETS, PAYLOAD_OCTETS, type TransferResult, transfer } from './transfer.ts'

/** Small enough for the bandwidth-delay product of 300 ms to be simulated often, large enough for CUBIC to matter. */
export const LINK_BITS_PER_SECOND = 10e6
export const LOSSES = [0, 0.0001, 0.001, 0.01, 0.03, 0.1] as const
export const RTTS_MS = [1, 10, 50, 100, 300] as const
/** Mild: within a quarter of the round-trip time, which RACK waits by itself. Strong: what it must learn by D-SACK. */
export const REORDERINGS = {
  none: { p: 0, ofRtt: 0 },
  mild: { p: 0.02, ofRtt: 0.2 },
  strong: { p: 0.1, ofRtt: 0.5 },
} as const
export type Reordering = keyof typeof REORDERINGS
/** A client whose window is fixed: 64 KiB without scaling. */
export const SMALL_WINDOW_OCTETS = 65_535

export interface Cell {
  readonly loss: number
  readonly rttMs: number
  readonly reordering: Reordering
  readonly shiftsPerSecond: number
  readonly windowOctets: number
}

export type Limit = 'link' | 'window' | 'CUBIC' | 'Reno' | 'crossing' | 'timeouts'

export interface Reference {
  readonly bitsPerSecond: number
  /** What sets it; at a crossing two are within half of each other, and each costs the other something. */
  readonly limit: Limit
}

export interface Row extends Cell {
  readonly result: TransferResult
  readonly reference: Reference
}

const NO_WINDOW = Number.POSITIVE_INFINITY

export function cells(): Cell[] {
  const all: Cell[] = []
  const plain = { reordering: 'none', shiftsPerSecond: 0, windowOctets: NO_WINDOW } as const
  for (const loss of LOSSES)
    for (const rttMs of RTTS_MS)
      for (const reordering of Object.keys(REORDERINGS) as Reordering[])
        all.push({ ...plain, loss, rttMs, reordering })
  for (const loss of [0, 0.001, 0.01])
    for (const rttMs of RTTS_MS) all.push({ ...plain, loss, rttMs, shiftsPerSecond: 20 })
  for (const rttMs of [50, 100, 300])
    all.push({ ...plain, loss: 0, rttMs, windowOctets: SMALL_WINDOW_OCTETS })
  return all
}

/** Above this loss a window is a few segments, and what it takes to learn of a loss decides: RFC 5348. */
const TIMEOUT_LOSS = 0.05
const CROSSING = 1.5

export function referenceOf(cell: Cell): Reference {
  const rtt = cell.rttMs / 1_000
  const segmentBits = PAYLOAD_OCTETS * 8
  const link = LINK_BITS_PER_SECOND * (PAYLOAD_OCTETS / PACKET_OCTETS) * (1 - cell.loss)
  const window = (cell.windowOctets * 8) / rtt
  const model = (averageWindow(cell.loss, rtt) / rtt) * segmentBits
  const cap = Math.min(link, window)
  if (cell.loss > TIMEOUT_LOSS) {
    // RTO of RFC 6298 with our floor: a smooth round-trip time and 200 ms.
    const bitsPerSecond = timeoutThroughput(cell.loss, rtt, rtt + 0.2) * segmentBits
    return { bitsPerSecond: Math.min(bitsPerSecond, cap), limit: 'timeouts' }
  }
  const bitsPerSecond = Math.min(cap, model)
  if (model > cap / CROSSING && model < cap * CROSSING) return { bitsPerSecond, limit: 'crossing' }
  if (model > cap) return { bitsPerSecond, limit: link < window ? 'link' : 'window' }
  return { bitsPerSecond, limit: cubicWindow(cell.loss, rtt) > renoWindow(cell.loss) ? 'CUBIC' : 'Reno' }
}

/** What no loss-based sender exceeds: the window that is ended by losses alone, and the caps. */
export function upperBound(cell: Cell): number {
  const rtt = cell.rttMs / 1_000
  const link = LINK_BITS_PER_SECOND * (PAYLOAD_OCTETS / PACKET_OCTETS)
  return Math.min(link, (averageWindow(cell.loss, rtt) / rtt) * PAYLOAD_OCTETS * 8)
}

export function measure(cell: Cell, seed: number): Row {
  const reference = referenceOf(cell)
  const isCapped = reference.limit === 'link' || reference.limit === 'window'
  const losses = cell.loss === 0 ? 0 : 1 / cell.loss
  const result = transfer({
    seed,
    loss: cell.loss,
    rttMs: cell.rttMs,
    bitsPerSecond: LINK_BITS_PER_SECOND,
    queueOctets: (LINK_BITS_PER_SECOND / 8_000) * cell.rttMs + 60_000,
    reordering: REORDERINGS[cell.reordering],
    shiftsPerSecond: cell.shiftsPerSecond,
    ...(cell.windowOctets === NO_WINDOW ? {} : { client: { windowScaling: false } }),
    // Slow start ends far above the average: ten losses bring the window down, where losses decide.
    warmupPackets: isCapped ? 1_000 : Math.min(30_000, 10 * losses),
    warmupMs: 40 * cell.rttMs,
    packets: isCapped ? 3_000 : Math.min(24_000, Math.max(3_000, 15 * losses)),
    limitMs: 3_600_000,
  })
  return { ...cell, result, reference }
}

const HEADER = `| loss % | RTT ms | reordering | shifts/s | Mbit/s | reference | by | ratio | sent again % | timeouts |
|---|---|---|---|---|---|---|---|---|---|`

export function render(rows: readonly Row[]): string {
  return `${[HEADER, ...rows.map(renderRow)].join('\n')}\n`
}

function renderRow(row: Row): string {
  const { result, reference } = row
  const sentAgain = (100 * result.retransmitted) / result.segments
  return `| ${[
    100 * row.loss,
    row.rttMs,
    row.reordering,
    row.shiftsPerSecond,
    (result.bitsPerSecond / 1e6).toFixed(3),
    (reference.bitsPerSecond / 1e6).toFixed(3),
    reference.limit,
    (result.bitsPerSecond / reference.bitsPerSecond).toFixed(2),
    sentAgain.toFixed(1),
    result.timeouts,
  ].join(' | ')} |`
}
