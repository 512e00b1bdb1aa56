/**
 * Who a process says it is when a link is made, and whether the other side may speak to it. The hello rides
 * in the headers of an HTTP upgrade (RFC 9110 §7.8), so that a stranger is refused before there is a link, at the cost
 * of no extra round trip. It proves nothing: that is for the transport below.
 */
import { isLinkErrorCode, LinkError } from './errors.ts'

/** Raised with every change that an older peer would misread. */
export const PROTOCOL_VERSION = 2
/** What the connection is upgraded to. */
export const UPGRADE = 'gyre'
export const HELLO_HEADER = 'gyre-hello'
/** On a refused upgrade: the code, a space, and why. */
export const REFUSED_HEADER = 'gyre-refused'
/** The owner id of a process that owns no connections: a gateway, a tool. */
export const NO_OWNER = -1
/** Owner ids have at most 10 bits (they travel in the TCP timestamp). */
export const MAX_OWNER_ID = 1023
export const MAX_HELLO_OCTETS = 4096

const MAX_NAME_OCTETS = 64
const MAX_LIST_ENTRIES = 32
const MAX_REASON_OCTETS = 200
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/
const INCARNATION = /^[0-9a-f]{16}$/
/** Addresses, host:port, capability names: visible ASCII. */
const WORD = /^[\x21-\x7e]+$/

const ROLES = ['dispatcher', 'node', 'gateway'] as const
export type Role = (typeof ROLES)[number]

export interface Hello {
  readonly protocol: number
  readonly cluster: string
  /** 0 to MAX_OWNER_ID, or NO_OWNER. */
  readonly ownerId: number
  readonly role: Role
  /** The instance's name, unique in its role. */
  readonly name: string
  /** Names this run of the process; a later run compares greater as a string. See `createIncarnation`. */
  readonly incarnation: string
  /** Where packets for this owner go, IPv4 and IPv6; at most 32. */
  readonly addresses: readonly string[]
  readonly capabilities: readonly string[]
}

/**
 * 64 bits in 16 hexadecimal digits: 42 bits of wall-clock milliseconds, which order the runs of one owner,
 * and 22 random ones, which tell two runs of the same millisecond apart. `random` is in [0, 1).
 */
export function createIncarnation(wallClockMs: number, random: () => number): string {
  const high = BigInt.asUintN(42, BigInt(Math.floor(wallClockMs)))
  const low = BigInt(Math.floor(random() * 0x40_0000))
  return ((high << 22n) | low).toString(16).padStart(16, '0')
}

/** One link at a time for each key: owners by their id, the others by role and name. */
export function peerKey(hello: Hello): string {
  return hello.ownerId === NO_OWNER ? `${hello.role} ${hello.name}` : `owner ${hello.ownerId}`
}

export function encodeHello(hello: Hello): string {
  return Buffer.from(JSON.stringify(hello)).toString('base64url')
}

/** The peer's hello, or why it is not one that we can speak to. */
export function decodeHello(header: string | string[] | undefined): Hello | LinkError {
  if (typeof header !== 'string') return new LinkError('HELLO_INVALID', 'the peer sent no hello')
  if (header.length > MAX_HELLO_OCTETS) return new LinkError('HELLO_INVALID', 'the hello is too long')
  let hello: unknown
  try {
    hello = JSON.parse(Buffer.from(header, 'base64url').toString())
  } catch (cause) {
    return new LinkError('HELLO_INVALID', 'the hello is not JSON', cause)
  }
  if (typeof hello !== 'object' || hello === null) {
    return new LinkError('HELLO_INVALID', 'the hello is not an object')
  }
  const fields = hello as Record<string, unknown>
  // First, because nothing else of another version's hello is sure to be readable.
  if (fields.protocol !== PROTOCOL_VERSION) {
    const version = Number.isSafeInteger(fields.protocol) ? fields.protocol : 'unknown'
    const message = `the peer speaks version ${version} of the control protocol, we speak ${PROTOCOL_VERSION}`
    return new LinkError('PROTOCOL_MISMATCH', message)
  }
  return readFields(fields)
}

function readFields(fields: Record<string, unknown>): Hello | LinkError {
  const { cluster, ownerId, role, name, incarnation, addresses, capabilities } = fields
  if (!isName(cluster)) return invalid('cluster')
  if (!isOwnerId(ownerId)) return invalid('ownerId')
  if (!isRole(role)) return invalid('role')
  if (!isName(name)) return invalid('name')
  if (typeof incarnation !== 'string' || !INCARNATION.test(incarnation)) return invalid('incarnation')
  if (!isWordList(addresses)) return invalid('addresses')
  if (!isWordList(capabilities)) return invalid('capabilities')
  return { protocol: PROTOCOL_VERSION, cluster, ownerId, role, name, incarnation, addresses, capabilities }
}

/** Why these two may not be linked; undefined if they may. */
export function refusal(local: Hello, peer: Hello): LinkError | undefined {
  if (peer.cluster !== local.cluster) {
    const message = `the peer belongs to cluster "${peer.cluster}", we to "${local.cluster}"`
    return new LinkError('CLUSTER_MISMATCH', message)
  }
  if (peer.incarnation === local.incarnation) {
    return new LinkError('SELF_CONNECTION', 'the link leads back to this process')
  }
  if (peer.ownerId !== NO_OWNER && peer.ownerId === local.ownerId) {
    return new LinkError('OWNER_CONFLICT', `the peer has our own owner id ${peer.ownerId}`)
  }
  return undefined
}

export function encodeRefusal(error: LinkError): string {
  const reason = error.message.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_REASON_OCTETS)
  return `${error.code} ${reason}`
}

export function decodeRefusal(header: string | string[] | undefined, status: number): LinkError {
  if (typeof header === 'string') {
    const space = header.indexOf(' ')
    const code = header.slice(0, space)
    if (isLinkErrorCode(code)) {
      return new LinkError(code, `refused: ${header.slice(space + 1, space + 1 + MAX_REASON_OCTETS)}`)
    }
  }
  return new LinkError('REFUSED', `refused with HTTP status ${status}`)
}

function invalid(field: string): LinkError {
  return new LinkError('HELLO_INVALID', `the hello has no valid ${field}`)
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_NAME_OCTETS && NAME.test(value)
}

function isOwnerId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= NO_OWNER && (value as number) <= MAX_OWNER_ID
}

function isRole(value: unknown): value is Role {
  return ROLES.includes(value as Role)
}

function isWordList(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length > MAX_LIST_ENTRIES) return false
  return value.every(word => typeof word === 'string' && word.length <= MAX_NAME_OCTETS && WORD.test(word))
}
