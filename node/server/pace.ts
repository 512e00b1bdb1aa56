/**
 * How long a client is waited for. Heads have a total time and not one an octet, bodies and readers a minimum rate
 * above a grace, so that neither silence nor a trickle holds a connection (Slowloris, slow POST, slow read). Plain
 * data without a clock: a deadline travels as time left, and holds at the dispatcher as it does at a node.
 */
import type { Tcb } from '../tcp/tcb.ts'

/** All in ms, octets and octets a second; the same on every owner of a cluster. */
export interface PaceLimits {
  /** From the first octet of a request (the first request: from the handshake) to the end of its head. */
  readonly headMs: number
  /** Between a response and the first octet of the next request. */
  readonly idleMs: number
  /** How far a body may fall behind its rate. */
  readonly bodyMs: number
  readonly bodyOctetsPerSecond: number
  /** How far the reading of responses may fall behind its rate. */
  readonly readerMs: number
  readonly readerOctetsPerSecond: number
  /** After our FIN, for the client's; what it sends meanwhile is thrown away, so that no RST overtakes the response. */
  readonly lingerMs: number
  /** Octets thrown away meanwhile. */
  readonly lingerOctets: number
}

/**
 * nginx: 60 s a head, 75 s idle, 60 s between two reads or writes, 30 s lingering. Apache: heads 20–40 s and bodies
 * 20 s at 500 octets a second. The lingering octets are two of our largest receive windows.
 */
export const DEFAULT_PACE: PaceLimits = {
  headMs: 20_000,
  idleMs: 65_000,
  bodyMs: 20_000,
  bodyOctetsPerSecond: 500,
  readerMs: 60_000,
  readerOctetsPerSecond: 500,
  lingerMs: 30_000,
  lingerOctets: 8 * 1024 * 1024,
}

/** What the client owes; 'nothing': we are at work, or all is over. */
const AWAITED = ['nothing', 'head', 'idle', 'body', 'reader', 'linger'] as const
export type Awaited = (typeof AWAITED)[number]

export interface Pace {
  awaited: Awaited
  deadline: number
  /** Octets of the body, or acknowledged ones, when last looked at; NaN: not yet, here. */
  progress: number
}

const NEVER = Number.POSITIVE_INFINITY

export function createPace(): Pace {
  return { awaited: 'nothing', deadline: NEVER, progress: Number.NaN }
}

/** Notes what is awaited now and how far it has come, and returns the deadline. For the packet path: allocates nothing. */
export function keepPace(
  pace: Pace,
  awaited: Awaited,
  progress: number,
  limits: PaceLimits,
  now: number,
): number {
  if (pace.awaited !== awaited) {
    pace.awaited = awaited
    pace.progress = progress
    pace.deadline = now + patience(awaited, limits)
  } else if (progress !== pace.progress) {
    const rate = awaited === 'body' ? limits.bodyOctetsPerSecond : limits.readerOctetsPerSecond
    if (progress > pace.progress && (awaited === 'body' || awaited === 'reader')) {
      // Octets in advance give no credit beyond the grace.
      const earned = pace.deadline + ((progress - pace.progress) * 1_000) / rate
      pace.deadline = Math.min(earned, now + patience(awaited, limits))
    }
    pace.progress = progress
  }
  return pace.deadline
}

function patience(awaited: Awaited, limits: PaceLimits): number {
  switch (awaited) {
    case 'nothing':
      return NEVER
    case 'head':
      return limits.headMs
    case 'idle':
      return limits.idleMs
    case 'body':
      return limits.bodyMs
    case 'reader':
      return limits.readerMs
    case 'linger':
      return limits.lingerMs
  }
}

/** What a client owes that has been told all it will be: its acknowledgements, then its own end. */
export function awaitedAtEnd(tcb: Tcb): Awaited {
  switch (tcb.state) {
    case 'FIN-WAIT-2':
      return 'linger'
    case 'TIME-WAIT':
    case 'CLOSED':
      return 'nothing'
    default:
      return 'reader'
  }
}

export function exportPace(pace: Pace, now: number): number[] {
  const left = pace.deadline === NEVER ? -1 : Math.max(0, Math.round(pace.deadline - now))
  return [AWAITED.indexOf(pace.awaited), left]
}

/** Fills `pace`, or returns false where `plain` is none. */
export function importPace(pace: Pace, plain: unknown, now: number): boolean {
  if (!Array.isArray(plain) || plain.length !== 2) return false
  const [index, left] = plain
  const awaited = typeof index === 'number' ? AWAITED[index] : undefined
  if (awaited === undefined || !Number.isSafeInteger(left) || left < -1) return false
  pace.awaited = awaited
  pace.deadline = left < 0 ? NEVER : now + left
  pace.progress = Number.NaN
  return true
}
