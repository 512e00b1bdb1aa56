/**
 * What a dispatcher tells a gateway and hears from it: owners, fallback elements, counters. In the form of the control
 * link, arrays that begin with two numbers: whose protocol, and its version. What comes in is checked for its form; that
 * addresses and ids are in range is checked by steering, which everything goes through.
 */
import {
  type FlowKey,
  MAX_OWNERS,
  type NextHop,
  type SteeredFlow,
  type SteeringCounters,
} from '../steering/steering.ts'

/** First number of the envelope, beside those of `node/stack/owner.ts` and `node/server/messages.ts`. */
export const GATEWAY_PROTOCOL = 4
/** Raised when a form changes. A gateway that hears another one keeps its rules as they are and says so. */
export const GATEWAY_PROTOCOL_VERSION = 1
/** Elements set and removed in one message; more are sent in several. */
export const MAX_FLOWS_PER_MESSAGE = 1_000
const MAX_ERROR_CHARS = 1_000
const MAX_ADDRESS_CHARS = 45

/** To a gateway: these are all owners there are. */
export interface OwnersMessage {
  readonly type: 'owners'
  readonly seq: number
  readonly owners: readonly NextHop[]
}
/** To a gateway: changes of fallback elements; with `reset`, those that are set here are all there are. */
export interface FlowsMessage {
  readonly type: 'flows'
  readonly seq: number
  readonly reset: boolean
  readonly set: readonly SteeredFlow[]
  readonly remove: readonly FlowKey[]
}
/** From a gateway: packets follow what the message `seq` asked for. */
export interface AppliedMessage {
  readonly type: 'owners-applied' | 'flows-applied'
  readonly seq: number
}
/** From a gateway: nothing of the message `seq` holds; `code` is a SteeringErrorCode. */
export interface FailedMessage {
  readonly type: 'owners-failed' | 'flows-failed'
  readonly seq: number
  readonly code: string
  readonly error: string
}
/** From a gateway, every few seconds while packets pass. */
export interface CountersMessage {
  readonly type: 'counters'
  readonly counters: SteeringCounters
}

export type ToGateway = OwnersMessage | FlowsMessage
export type FromGateway = AppliedMessage | FailedMessage | CountersMessage
export type GatewayMessage = ToGateway | FromGateway

const TYPES: readonly GatewayMessage['type'][] = [
  'owners',
  'flows',
  'owners-applied',
  'flows-applied',
  'owners-failed',
  'flows-failed',
  'counters',
]

export function encodeGatewayMessage(message: GatewayMessage): unknown[] {
  const head = [GATEWAY_PROTOCOL, GATEWAY_PROTOCOL_VERSION, TYPES.indexOf(message.type)]
  switch (message.type) {
    case 'owners': {
      const owners = message.owners.map(({ owner, address, address6 }) => [
        owner,
        address ?? null,
        address6 ?? null,
      ])
      return [...head, message.seq, owners]
    }
    case 'flows': {
      const set = message.set.map(flow => [flow.family, flow.address, flow.port, flow.owner, flow.timeoutMs])
      const remove = message.remove.map(flow => [flow.family, flow.address, flow.port])
      return [...head, message.seq, message.reset, set, remove]
    }
    case 'owners-applied':
    case 'flows-applied':
      return [...head, message.seq]
    case 'owners-failed':
    case 'flows-failed':
      return [...head, message.seq, message.code, message.error.slice(0, MAX_ERROR_CHARS)]
    case 'counters': {
      const { packets, octets, byOwner, byFlow, unsteered, owners } = message.counters
      const each = owners.map(owner => [owner.owner, owner.packets, owner.octets])
      return [...head, packets, octets, byOwner, byFlow, unsteered, each]
    }
  }
}

/** Undefined for anything that is not a message of this protocol and version. */
export function decodeGatewayMessage(envelope: unknown): GatewayMessage | undefined {
  if (!Array.isArray(envelope)) return undefined
  const [protocol, version, tag, ...plain] = envelope as unknown[]
  if (protocol !== GATEWAY_PROTOCOL || version !== GATEWAY_PROTOCOL_VERSION) return undefined
  const type = typeof tag === 'number' ? TYPES[tag] : undefined
  if (type === 'counters') return decodeCounters(plain)
  const [seq, a, b, c] = plain
  if (!isCount(seq)) return undefined
  switch (type) {
    case undefined:
      return undefined
    case 'owners': {
      const owners = listOf(a, MAX_OWNERS, nextHop)
      return owners === undefined ? undefined : { type, seq, owners }
    }
    case 'flows': {
      const set = listOf(b, MAX_FLOWS_PER_MESSAGE, steeredFlow)
      const remove = listOf(c, MAX_FLOWS_PER_MESSAGE, flowKey)
      if (typeof a !== 'boolean' || set === undefined || remove === undefined) return undefined
      return { type, seq, reset: a, set, remove }
    }
    case 'owners-applied':
    case 'flows-applied':
      return { type, seq }
    case 'owners-failed':
    case 'flows-failed':
      return isText(a) && isText(b) ? { type, seq, code: a, error: b } : undefined
  }
}

function decodeCounters(plain: readonly unknown[]): CountersMessage | undefined {
  const [packets, octets, byOwner, byFlow, unsteered, each] = plain
  const owners = listOf(each, MAX_OWNERS, ownerCount)
  if (!isCount(packets) || !isCount(octets) || !isCount(byOwner) || !isCount(byFlow)) return undefined
  if (!isCount(unsteered) || owners === undefined) return undefined
  return { type: 'counters', counters: { packets, octets, byOwner, byFlow, unsteered, owners } }
}

function ownerCount(plain: readonly unknown[]): SteeringCounters['owners'][number] | undefined {
  const [owner, packets, octets] = plain
  return isCount(owner) && isCount(packets) && isCount(octets) ? { owner, packets, octets } : undefined
}

function nextHop(plain: readonly unknown[]): NextHop | undefined {
  const [owner, address, address6] = plain
  if (!isCount(owner) || !(address === null || isAddress(address))) return undefined
  if (!(address6 === null || isAddress(address6))) return undefined
  return { owner, address: address ?? undefined, address6: address6 ?? undefined }
}

function flowKey(plain: readonly unknown[]): FlowKey | undefined {
  const [family, address, port] = plain
  return (family === 4 || family === 6) && isAddress(address) && isCount(port)
    ? { family, address, port }
    : undefined
}

function steeredFlow(plain: readonly unknown[]): SteeredFlow | undefined {
  const key = flowKey(plain)
  const owner = plain[3]
  const timeoutMs = plain[4]
  if (key === undefined || !isCount(owner) || typeof timeoutMs !== 'number') return undefined
  return { ...key, owner, timeoutMs }
}

function listOf<T>(
  plain: unknown,
  max: number,
  item: (plain: readonly unknown[]) => T | undefined,
): readonly T[] | undefined {
  if (!Array.isArray(plain) || plain.length > max) return undefined
  const items: T[] = []
  for (const one of plain as unknown[]) {
    const read = Array.isArray(one) ? item(one) : undefined
    if (read === undefined) return undefined
    items.push(read)
  }
  return items
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_ADDRESS_CHARS
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_ERROR_CHARS
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
