/**
 * The messages of the shift protocol, and their form on the control link: arrays that begin with a number, because
 * they are sent for every connection and must be small. What comes in is checked here whole; behind `decode`
 * nothing needs to be doubted but the snapshot, which `clone/` checks. A change of a form, or of the order of two tags, raises the
 * version of the control protocol, by which a link between different versions is refused in its hello.
 */
import { exportFlow, type Flow, importFlow } from '../clone/flow.ts'

/** Content keys that one connection may refer to at a time; more pipelined objects than this are refused. */
export const MAX_NEEDS = 64
/** A path of the longest allowed request target and its validator. */
export const MAX_NEED_CHARS = 8_400

/**
 * Why a shift did not happen: the target's words (NO_OBJECT, NO_MEMORY, NO_APPLICATION, DRAINING, STALE, BAD_SNAPSHOT), or the source's.
 * After any of them the source owns the connection as before, but where that is over: CLOSED, and TARGET_DOWN where the target
 * had been sent COMMIT and died with it.
 */
export const SHIFT_REFUSALS = [
  'NO_OBJECT',
  'NO_MEMORY',
  'DRAINING',
  'STALE',
  'BAD_SNAPSHOT',
  'TIMEOUT',
  'TARGET_DOWN',
  'UNKNOWN_TARGET',
  'ALREADY_SHIFTING',
  'NOT_SHIFTABLE',
  'CLOSED',
  'CHANGED',
  'BUSY',
  'STEERING',
  'PINNED',
  'NO_EXPORT',
  'NOT_NOW',
  'BAD_STATE',
  'STATE_TOO_LARGE',
  'UNREAD',
  'UNWRITTEN',
  'PIPED',
  'NO_APPLICATION',
] as const
export type ShiftRefusal = (typeof SHIFT_REFUSALS)[number]

/** Names one change of owner: the connection, and the epoch that it begins. */
interface Named {
  readonly connection: number
  readonly epoch: number
}

export interface Prepare extends Named {
  readonly type: 'PREPARE'
  /** Counts what is asked for within one epoch: another object may be needed before the first is there. */
  readonly round: number
  readonly flow: Flow
  /** Keys of the contents that unsent or unacknowledged octets refer to. */
  readonly needs: readonly string[]
  /** Octets that will travel by value: a bound for the target's memory. */
  readonly octets: number
}
export interface Prepared extends Named {
  readonly type: 'PREPARED'
  /** What it answers. */
  readonly round: number
}
export interface Refused extends Named {
  readonly type: 'REFUSED'
  readonly reason: ShiftRefusal
  /** What is refused: a late refusal of a doubled PREPARE must not be taken for one of its COMMIT. */
  readonly stage: 'PREPARE' | 'COMMIT'
}
export interface Abort extends Named {
  readonly type: 'ABORT'
}
export interface Commit extends Named {
  readonly type: 'COMMIT'
  readonly flow: Flow
  readonly snapshot: unknown
}
export interface Shifted extends Named {
  readonly type: 'SHIFTED'
  /** Whether the target has seen its own id echoed; false in the answer to a repeated COMMIT. */
  readonly confirmed: boolean
}
export type ShiftMessage = Prepare | Prepared | Refused | Abort | Commit | Shifted

const TYPES: readonly ShiftMessage['type'][] = [
  'PREPARE',
  'PREPARED',
  'REFUSED',
  'ABORT',
  'COMMIT',
  'SHIFTED',
]

export function encodeShiftMessage(message: ShiftMessage): unknown[] {
  const head = [TYPES.indexOf(message.type), message.connection, message.epoch]
  switch (message.type) {
    case 'PREPARE':
      return [...head, exportFlow(message.flow), message.needs, message.octets, message.round]
    case 'REFUSED':
      return [...head, SHIFT_REFUSALS.indexOf(message.reason), message.stage === 'COMMIT']
    case 'COMMIT':
      return [...head, exportFlow(message.flow), message.snapshot]
    case 'SHIFTED':
      return [...head, message.confirmed]
    case 'PREPARED':
      return [...head, message.round]
    case 'ABORT':
      return head
  }
}

/** Undefined for anything that is not a message of this protocol. */
export function decodeShiftMessage(plain: readonly unknown[]): ShiftMessage | undefined {
  const [tag, connection, epoch, a, b, c, d] = plain
  const type = typeof tag === 'number' ? TYPES[tag] : undefined
  if (type === undefined || !isCount(connection) || !isCount(epoch)) return undefined
  switch (type) {
    case 'PREPARE': {
      const flow = importFlow(a)
      if (flow === undefined || !isNeeds(b) || !isCount(c) || !isCount(d)) return undefined
      return { type, connection, epoch, flow, needs: b, octets: c, round: d }
    }
    case 'REFUSED': {
      const reason = typeof a === 'number' ? SHIFT_REFUSALS[a] : undefined
      if (reason === undefined || typeof b !== 'boolean') return undefined
      return { type, connection, epoch, reason, stage: b ? 'COMMIT' : 'PREPARE' }
    }
    case 'COMMIT': {
      const flow = importFlow(a)
      return flow === undefined ? undefined : { type, connection, epoch, flow, snapshot: b }
    }
    case 'SHIFTED':
      return typeof a === 'boolean' ? { type, connection, epoch, confirmed: a } : undefined
    case 'PREPARED':
      return isCount(a) ? { type, connection, epoch, round: a } : undefined
    case 'ABORT':
      return { type, connection, epoch }
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** What a target is asked to have, as it came over the network. */
export function isNeeds(value: unknown): value is string[] {
  return (
    Array.isArray(value) &&
    value.length <= MAX_NEEDS &&
    value.every(need => typeof need === 'string' && need.length <= MAX_NEED_CHARS)
  )
}
