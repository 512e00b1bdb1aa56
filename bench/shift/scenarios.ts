/** What connections do while they move, and the figures of a run. */

export interface Scenario {
  readonly name: string
  /** The client's word for it (`kernel/watch.c`). */
  readonly kind: 'idle' | 'request' | 'stream' | 'paused' | 'upload' | 'full'
  /** Moves that count, and before them others that do not. */
  readonly count: number
  readonly warm: number
  /** The client's SO_RCVBUF, which bounds what can be in flight; 0: as the kernel has it. */
  readonly receiveBuffer: number
  /** Length of the window of each move, and of the one without; of `full`, from one move to the next. */
  readonly windowUs: number
  /** Octets that the server on the kernel's TCP keeps queued beyond what is in flight. */
  readonly ahead: number
  /** Of the wire to the client: behind a queue there is something in flight. */
  readonly rate: string | undefined
  /** Of `full`: moves a phase. */
  readonly phase: number
}

const KIB = 1024
/** On 400 Mbit/s 512 KiB are 10 ms. */
const RATE = '400mbit'

/** The scenarios of the report, with `count` moves in each, and `shifts` at full speed. */
export function scenarios(count: number, warm: number, shifts: number): Scenario[] {
  const common = { count, warm, receiveBuffer: 0, ahead: 64 * KIB, rate: undefined, phase: 0 }
  return [
    { ...common, name: 'idle', kind: 'idle', windowUs: 16_000 },
    { ...common, name: 'request during it', kind: 'request', windowUs: 6_000 },
    {
      ...common,
      name: 'streaming, 0 in flight',
      kind: 'paused',
      windowUs: 6_000,
      receiveBuffer: 64 * KIB,
      ahead: 4 * KIB,
    },
    {
      ...common,
      name: 'streaming, 64 KiB',
      kind: 'stream',
      windowUs: 12_000,
      receiveBuffer: 64 * KIB,
      rate: RATE,
    },
    {
      ...common,
      name: 'streaming, 512 KiB',
      kind: 'stream',
      windowUs: 25_000,
      receiveBuffer: 512 * KIB,
      rate: RATE,
    },
    { ...common, name: 'upload', kind: 'upload', windowUs: 6_000 },
    {
      ...common,
      name: 'full speed',
      kind: 'full',
      windowUs: 5_000,
      count: shifts,
      phase: Math.min(PHASE_MOVES, shifts),
    },
  ]
}

/** At full speed, half a second with moves and half a second without take turns. */
const PHASE_MOVES = 100
/** What the client must never see. */
export const STALL_MS = 50

export interface Percentiles {
  readonly p50: number
  readonly p99: number
}

export interface Figures {
  readonly scenario: string
  readonly moves: number
  readonly refused: number
  /** µs from the source's first step until the target owns the connection, and until the source knows. */
  readonly owned: Percentiles
  readonly told: Percentiles
  /** µs that the client waited, and in a window without a move. */
  readonly pause: Percentiles
  readonly control: Percentiles
  /** µs of CPU a move, beyond those of a window without one. */
  readonly sourceCpu: number
  readonly targetCpu: number
  /** Octets of state, and in flight or queued, p50. */
  readonly state: number
  readonly inFlight: number
  /** Waits of more than STALL_MS with a move, and without. */
  readonly stalls: number
  readonly controlStalls: number
}

export function figuresOf(scenario: string, lines: readonly (readonly number[])[]): Figures {
  const moves = lines.filter(line => line[0] === 1)
  const column = (index: number) => moves.map(line => line[index] as number)
  const us = (index: number) => percentiles(column(index).map(ns => ns / 1000))
  // Without what the same window took before: a collection of garbage in one of them must count for what it is, so the mean.
  const cpu = (index: number) => (mean(column(index + 2)) - mean(column(index))) / 1000
  const stalls = (index: number) => column(index).filter(ns => ns > STALL_MS * 1e6).length
  return {
    scenario,
    moves: moves.length,
    refused: lines.length - moves.length,
    owned: us(1),
    told: us(2),
    control: us(3),
    pause: us(4),
    sourceCpu: cpu(5),
    targetCpu: cpu(6),
    state: percentiles(column(9)).p50,
    inFlight: percentiles(column(10)).p50,
    stalls: stalls(4),
    controlStalls: stalls(3),
  }
}

export interface FullFigures {
  readonly moves: number
  /** Octets a second with a move every 5 ms, and without. */
  readonly shifted: number
  readonly unshifted: number
  /** ms; the longest wait of each phase. */
  readonly gap: number
  readonly controlGap: number
  /** Phases with a wait of more than STALL_MS. */
  readonly stalls: number
  readonly controlStalls: number
}

/** Phases without and with moves take turns. */
export function fullFiguresOf(lines: readonly (readonly number[])[]): FullFigures {
  const rows = lines.map(([moves = 0, octets = 0, ns = 0, gap = 0]) => ({
    moves,
    octets,
    ns,
    gapMs: gap / 1e6,
  }))
  const rate = (some: typeof rows) => (1e9 * sum(some.map(row => row.octets))) / sum(some.map(row => row.ns))
  const longest = (some: typeof rows) => Math.max(0, ...some.map(row => row.gapMs))
  const stalls = (some: typeof rows) => some.filter(row => row.gapMs > STALL_MS).length
  const shifted = rows.filter((_, index) => index % 2 === 1)
  const unshifted = rows.filter((_, index) => index % 2 === 0)
  return {
    moves: sum(shifted.map(row => row.moves)),
    shifted: rate(shifted),
    unshifted: rate(unshifted),
    gap: longest(shifted),
    controlGap: longest(unshifted),
    stalls: stalls(shifted),
    controlStalls: stalls(unshifted),
  }
}

function percentiles(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99) }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : sum(values) / values.length
}
