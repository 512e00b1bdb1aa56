/**
 * What owners tell each other beside the shift protocol: packets that belong to another owner, and where each
 * connection lives. In the form of the control link: arrays that begin with a number. What comes in is checked whole.
 */
import { exportFlow, type Flow, importFlow } from '../../clone/flow.ts'
import { MAX_PACKET_OCTETS, VNET_HEADER_OCTETS } from '../tun/packet-batch.ts'

/** Owners that forward to each other in a circle are cut here; real chains are bounded by the shifts of one round trip. */
export const MAX_HOPS = 16
/** A request line as shown to the operator; longer ones are cut. */
export const MAX_SHOWN_REQUEST_CHARS = 200

/** A packet, virtio header first, of a flow that the receiver owns or knows the owner of. */
export interface PacketMessage {
  readonly type: 'PACKET'
  readonly hops: number
  readonly octets: Uint8Array
}
/** To a dispatcher: a packet came to us that belongs to no flow we know. */
export interface ReturnedMessage {
  readonly type: 'RETURNED'
  readonly hops: number
  readonly octets: Uint8Array
  /** Of a SYN that took over a connection in TIME-WAIT here: what its ISN must not be below (RFC 6191). */
  readonly leastIsn: number | undefined
}
/** Between dispatchers: a packet of a flow that none of `asked` knows; the last to be asked answers it. */
export interface StrayMessage {
  readonly type: 'STRAY'
  readonly hops: number
  readonly octets: Uint8Array
  /** The node that returned it, or -1. */
  readonly returnedBy: number
  readonly asked: readonly number[]
}
/** To the dispatchers, after the fact: the sender owns these connections now. */
export interface OwnedMessage {
  readonly type: 'OWNED'
  readonly connections: readonly Owned[]
}
/** To the dispatchers: these connections ended at the sender. */
export interface ClosedMessage {
  readonly type: 'CLOSED'
  readonly connections: readonly Owned[]
}
/** To a dispatcher: point the kernel's fallback element of this flow at `to` (a client without timestamps). */
export interface SteerMessage {
  readonly type: 'STEER'
  readonly connection: number
  readonly epoch: number
  readonly flow: Flow
  readonly to: number
}
export interface SteeredMessage {
  readonly type: 'STEERED'
  readonly connection: number
  readonly epoch: number
  readonly ok: boolean
}
export type OwnerMessage =
  | PacketMessage
  | ReturnedMessage
  | OwnedMessage
  | ClosedMessage
  | SteerMessage
  | SteeredMessage
  | StrayMessage

export interface Owned {
  readonly connection: number
  readonly epoch: number
  readonly flow: Flow
  readonly timestamps: boolean
  readonly request: string
}

/** Connections named in one message; more are sent in several. */
export const MAX_OWNED_PER_MESSAGE = 1_024

/** Dispatchers of a cluster. */
export const MAX_ASKED = 16

const TYPES: readonly OwnerMessage['type'][] = [
  'PACKET',
  'RETURNED',
  'OWNED',
  'CLOSED',
  'STEER',
  'STEERED',
  'STRAY',
]

export function encodeOwnerMessage(message: OwnerMessage): unknown[] {
  const tag = TYPES.indexOf(message.type)
  switch (message.type) {
    case 'PACKET':
      return [tag, message.hops, message.octets]
    case 'RETURNED':
      return [tag, message.hops, message.octets, message.leastIsn ?? null]
    case 'STRAY':
      return [tag, message.hops, message.octets, message.returnedBy, message.asked]
    case 'OWNED':
    case 'CLOSED':
      return [tag, message.connections.map(exportOwned)]
    case 'STEER':
      return [tag, message.connection, message.epoch, exportFlow(message.flow), message.to]
    case 'STEERED':
      return [tag, message.connection, message.epoch, message.ok]
  }
}

/** Undefined for anything that is not a message of this protocol. */
export function decodeOwnerMessage(plain: readonly unknown[]): OwnerMessage | undefined {
  const [tag, a, b, c, d] = plain
  const type = typeof tag === 'number' ? TYPES[tag] : undefined
  switch (type) {
    case undefined:
      return undefined
    case 'PACKET':
      return isCount(a) && isPacket(b) ? { type, hops: a, octets: b } : undefined
    case 'RETURNED':
      if (!isCount(a) || !isPacket(b) || !(c === null || isInt32(c))) return undefined
      return { type, hops: a, octets: b, leastIsn: c ?? undefined }
    case 'STRAY': {
      const isReturned = c === -1 || isCount(c)
      if (!isCount(a) || !isPacket(b) || !isReturned || !isAsked(d)) return undefined
      return { type, hops: a, octets: b, returnedBy: c, asked: d }
    }
    case 'OWNED':
    case 'CLOSED': {
      const connections = importAllOwned(a)
      return connections === undefined ? undefined : { type, connections }
    }
    case 'STEER': {
      const flow = importFlow(c)
      if (!isCount(a) || !isCount(b) || flow === undefined || !isCount(d)) return undefined
      return { type, connection: a, epoch: b, flow, to: d }
    }
    case 'STEERED':
      return isCount(a) && isCount(b) && typeof c === 'boolean'
        ? { type, connection: a, epoch: b, ok: c }
        : undefined
  }
}

export function exportOwned(owned: Owned): unknown[] {
  return [owned.connection, owned.epoch, exportFlow(owned.flow), owned.timestamps, owned.request]
}

function importAllOwned(plain: unknown): Owned[] | undefined {
  if (!Array.isArray(plain) || plain.length > MAX_OWNED_PER_MESSAGE) return undefined
  const all: Owned[] = []
  for (const item of plain) {
    const owned = importOwned(item)
    if (owned === undefined) return undefined
    all.push(owned)
  }
  return all
}

export function importOwned(plain: unknown): Owned | undefined {
  if (!Array.isArray(plain)) return undefined
  const [connection, epoch, exported, timestamps, request] = plain
  const flow = importFlow(exported)
  if (flow === undefined || !isCount(connection) || !isCount(epoch)) return undefined
  if (typeof timestamps !== 'boolean' || typeof request !== 'string') return undefined
  if (request.length > MAX_SHOWN_REQUEST_CHARS) return undefined
  return { connection, epoch, flow, timestamps, request }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isAsked(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= MAX_ASKED && value.every(isCount)
}

function isInt32(value: unknown): value is number {
  return typeof value === 'number' && (value | 0) === value
}

function isPacket(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length <= MAX_PACKET_OCTETS + VNET_HEADER_OCTETS
}
