/**
 * Birth records on the control link: what a node leaves with the dispatcher of a response that takes its time, and what the
 * dispatcher says when the node has died. In the form of the control link; what comes in is checked whole, but for the record
 * itself, which only the node that takes the connection up can read.
 */
import { exportFlow, type Flow, importFlow } from '../../clone/flow.ts'
import { SHIFT_REFUSALS, type ShiftRefusal } from '../../shift/messages.ts'
import { exportOwned, importOwned, type Owned } from '../stack/messages.ts'

/** First number of the envelope, beside those of `node/stack/owner.ts`. */
export const RECORD_PROTOCOL = 8

/** A packed record: what it holds by value, the keys of its contents, and some hundred octets. */
export const MAX_RECORD_OCTETS = 65_536
/** Connections named in one DISOWN. */
export const MAX_DISOWNED = 1_024
/** More would step over what the peer takes for a timestamp of the past. */
const MAX_TICKS = 2 ** 20

interface Named {
  readonly connection: number
  readonly epoch: number
}

/** Node to dispatcher: the connection is its, and this is enough to go on with it; an empty record says that nothing is. */
export interface RecordMessage {
  readonly type: 'RECORD'
  readonly owned: Owned
  readonly record: Uint8Array
}
/** Dispatcher to node: its owner died; take it up. Repeated until the node says OWNED or NOT_RECOVERED. */
export interface RecoverMessage extends Named {
  readonly type: 'RECOVER'
  readonly flow: Flow
  readonly ticks: number
  /** The dead owner. */
  readonly from: number
  readonly record: Uint8Array
}
export interface NotRecoveredMessage extends Named {
  readonly type: 'NOT_RECOVERED'
  readonly reason: ShiftRefusal
}
/** Dispatcher to a node that was taken for dead and is not: these have another owner, from that epoch on. */
export interface DisownMessage {
  readonly type: 'DISOWN'
  readonly connections: readonly Named[]
}
export type RecordsMessage = RecordMessage | RecoverMessage | NotRecoveredMessage | DisownMessage

const TYPES: readonly RecordsMessage['type'][] = ['RECORD', 'RECOVER', 'NOT_RECOVERED', 'DISOWN']

export function encodeRecordsMessage(message: RecordsMessage): unknown[] {
  const head = [RECORD_PROTOCOL, TYPES.indexOf(message.type)]
  switch (message.type) {
    case 'RECORD':
      return [...head, exportOwned(message.owned), message.record]
    case 'RECOVER': {
      const { connection, epoch, flow, ticks, from, record } = message
      return [...head, connection, epoch, exportFlow(flow), ticks, from, record]
    }
    case 'NOT_RECOVERED':
      return [...head, message.connection, message.epoch, SHIFT_REFUSALS.indexOf(message.reason)]
    case 'DISOWN':
      return [...head, message.connections.flatMap(({ connection, epoch }) => [connection, epoch])]
  }
}

/** What stands behind the first number of an envelope; undefined for anything that is not a message of this protocol. */
export function decodeRecordsMessage(plain: readonly unknown[]): RecordsMessage | undefined {
  const [tag, a, b, c, d, e, f] = plain
  const type = typeof tag === 'number' ? TYPES[tag] : undefined
  switch (type) {
    case undefined:
      return undefined
    case 'RECORD': {
      const owned = importOwned(a)
      return owned === undefined || !isRecord(b) ? undefined : { type, owned, record: b }
    }
    case 'RECOVER': {
      const flow = importFlow(c)
      if (!isCount(a) || !isCount(b) || flow === undefined || !isCount(d) || d > MAX_TICKS) return undefined
      if (!isCount(e) || !isRecord(f)) return undefined
      return { type, connection: a, epoch: b, flow, ticks: d, from: e, record: f }
    }
    case 'NOT_RECOVERED': {
      const reason = typeof c === 'number' ? SHIFT_REFUSALS[c] : undefined
      if (!isCount(a) || !isCount(b) || reason === undefined) return undefined
      return { type, connection: a, epoch: b, reason }
    }
    case 'DISOWN': {
      const connections = importNamed(a)
      return connections === undefined ? undefined : { type, connections }
    }
  }
}

function importNamed(plain: unknown): Named[] | undefined {
  if (!Array.isArray(plain) || plain.length > 2 * MAX_DISOWNED || plain.length % 2 !== 0) return undefined
  const all: Named[] = []
  for (let at = 0; at < plain.length; at += 2) {
    const [connection, epoch] = [plain[at], plain[at + 1]]
    if (!isCount(connection) || !isCount(epoch)) return undefined
    all.push({ connection, epoch })
  }
  return all
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isRecord(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length <= MAX_RECORD_OCTETS
}
