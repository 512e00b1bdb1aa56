/**
 * What a node and the dispatcher tell each other about the cluster: who is there, who holds what, how loaded each is,
 * and the operator's questions. In the form of the control link; what comes in is checked whole.
 */

/** First number of the envelope, beside those of `node/stack/owner.ts`. */
export const CLUSTER_PROTOCOL = 3

export const MAX_ROSTER = 1_024
/** Paths in one HAVE or GONE; more follow in further messages. */
export const MAX_PATHS_PER_MESSAGE = 1_000
/** Ports that the applications of a node listen on. */
export const MAX_PORTS = 256
/** A path that the cache holds is the name of a site and a request target: 253 and 8,000 octets at most. */
export const MAX_PATH_CHARS = 8_400
const MAX_NAME_CHARS = 64

export interface Member {
  readonly id: number
  readonly name: string
  /** Where the owner's control links are accepted, `ws://host:port`. */
  readonly url: string
  /** Changes with each start of the process. */
  readonly incarnation: string
}

export type ClusterMessage =
  /** Dispatcher to nodes: every node there is, the receiver included. */
  | { readonly type: 'ROSTER'; readonly members: readonly Member[] }
  /** The same to those that have had a ROSTER: what is new since. */
  | { readonly type: 'CHANGED'; readonly came: readonly Member[]; readonly left: readonly number[] }
  /** Node to dispatcher: these objects came into the cache (`reset`: and nothing said before counts any more). */
  | { readonly type: 'HAVE'; readonly reset: boolean; readonly paths: readonly string[] }
  | { readonly type: 'GONE'; readonly paths: readonly string[] }
  /** Node to dispatcher: every connection that it owns has been named on this link. */
  | { readonly type: 'WHOLE' }
  /** Node to dispatcher: who should serve this path? */
  | { readonly type: 'PLACE'; readonly token: number; readonly path: string }
  /** The owner id, or -1 for «you». */
  | { readonly type: 'PLACED'; readonly token: number; readonly owner: number }
  /** Node to dispatcher: who holds this path? And the answer, as far as the dispatcher knows. */
  | { readonly type: 'HOLDERS'; readonly token: number; readonly path: string }
  | { readonly type: 'HELD'; readonly token: number; readonly owners: readonly number[] }
  /** Node to dispatcher, a few times a second. */
  | {
      readonly type: 'LOAD'
      readonly connections: number
      readonly draining: boolean
      /** Sent, a super-segment counting as one. */
      readonly segmentsPerSecond: number
    }
  /** Node to dispatcher: it is about to end, and its connections should live on elsewhere. */
  | { readonly type: 'LEAVE'; readonly deadlineMs: number }
  /** Dispatcher to node: give your busiest connections to that node, which has this load; so many at most. */
  | { readonly type: 'RELIEVE'; readonly to: number; readonly load: number; readonly most: number }
  /** Node to dispatcher: connections that ask for these objects are moving there. */
  | { readonly type: 'RELIEVED'; readonly to: number; readonly paths: readonly string[] }
  /** Node to dispatcher: applications listen on these ports (all of them, each time). */
  | { readonly type: 'PORTS'; readonly ports: readonly number[] }
  /** Dispatcher to node: what could be moved has been moved. */
  | { readonly type: 'LEFT' }
  /** The operator's questions and orders, passed on by the dispatcher; the answer is plain data. */
  | { readonly type: 'ASK'; readonly token: number; readonly what: string; readonly details: unknown }
  | { readonly type: 'ANSWER'; readonly token: number; readonly value: unknown }

const TYPES: readonly ClusterMessage['type'][] = [
  'ROSTER',
  'HAVE',
  'GONE',
  'PLACE',
  'PLACED',
  'LOAD',
  'ASK',
  'ANSWER',
  'LEAVE',
  'LEFT',
  'RELIEVE',
  'RELIEVED',
  'PORTS',
  'HOLDERS',
  'HELD',
  'CHANGED',
  'WHOLE',
]

export function encodeClusterMessage(message: ClusterMessage): unknown[] {
  const head = [CLUSTER_PROTOCOL, TYPES.indexOf(message.type)]
  switch (message.type) {
    case 'ROSTER':
      return [...head, message.members.map(exportMember)]
    case 'CHANGED':
      return [...head, message.came.map(exportMember), message.left]
    case 'HAVE':
      return [...head, message.paths, message.reset]
    case 'GONE':
      return [...head, message.paths]
    case 'PLACE':
      return [...head, message.token, message.path]
    case 'HOLDERS':
      return [...head, message.token, message.path]
    case 'HELD':
      return [...head, message.token, message.owners]
    case 'PLACED':
      return [...head, message.token, message.owner]
    case 'LOAD':
      return [...head, message.connections, message.draining, message.segmentsPerSecond]
    case 'ASK':
      return [...head, message.token, message.what, message.details]
    case 'ANSWER':
      return [...head, message.token, message.value]
    case 'LEAVE':
      return [...head, message.deadlineMs]
    case 'PORTS':
      return [...head, message.ports]
    case 'LEFT':
    case 'WHOLE':
      return head
    case 'RELIEVE':
      return [...head, message.to, message.load, message.most]
    case 'RELIEVED':
      return [...head, message.to, message.paths]
  }
}

/** Undefined for anything that is not a message of this protocol. `plain` begins behind the protocol's number. */
export function decodeClusterMessage(plain: readonly unknown[]): ClusterMessage | undefined {
  const [tag, a, b, c] = plain
  const type = typeof tag === 'number' ? TYPES[tag] : undefined
  switch (type) {
    case undefined:
      return undefined
    case 'ROSTER': {
      const members = importMembers(a)
      return members === undefined ? undefined : { type, members }
    }
    case 'CHANGED': {
      const came = importMembers(a)
      return came !== undefined && isOwners(b) ? { type, came, left: b } : undefined
    }
    case 'HAVE':
      return isPaths(a) && typeof b === 'boolean' ? { type, paths: a, reset: b } : undefined
    case 'GONE':
      return isPaths(a) ? { type, paths: a } : undefined
    case 'PLACE':
      return isCount(a) && isText(b, MAX_PATH_CHARS) ? { type, token: a, path: b } : undefined
    case 'HOLDERS':
      return isCount(a) && isText(b, MAX_PATH_CHARS) ? { type, token: a, path: b } : undefined
    case 'HELD':
      return isCount(a) && isOwners(b) ? { type, token: a, owners: b } : undefined
    case 'PLACED':
      return isCount(a) && Number.isInteger(b) ? { type, token: a, owner: b as number } : undefined
    case 'LOAD':
      if (!isCount(a) || typeof b !== 'boolean' || !isCount(c)) return undefined
      return { type, connections: a, draining: b, segmentsPerSecond: c }
    case 'ASK':
      return isCount(a) && isText(b, MAX_NAME_CHARS) ? { type, token: a, what: b, details: c } : undefined
    case 'ANSWER':
      return isCount(a) ? { type, token: a, value: b } : undefined
    case 'LEAVE':
      return isCount(a) ? { type, deadlineMs: a } : undefined
    case 'PORTS':
      return isPorts(a) ? { type, ports: a } : undefined
    case 'LEFT':
    case 'WHOLE':
      return { type }
    case 'RELIEVE':
      return isCount(a) && isCount(b) && isCount(c) ? { type, to: a, load: b, most: c } : undefined
    case 'RELIEVED':
      return isCount(a) && isPaths(b) ? { type, to: a, paths: b } : undefined
  }
}

function exportMember({ id, name, url, incarnation }: Member): unknown[] {
  return [id, name, url, incarnation]
}

function importMembers(plain: unknown): Member[] | undefined {
  if (!Array.isArray(plain) || plain.length > MAX_ROSTER) return undefined
  const members: Member[] = []
  for (const item of plain) {
    if (!Array.isArray(item)) return undefined
    const [id, name, url, incarnation] = item
    if (!isCount(id) || !isText(name, MAX_NAME_CHARS) || !isText(url, 256)) return undefined
    if (!isText(incarnation, MAX_NAME_CHARS)) return undefined
    members.push({ id, name, url, incarnation })
  }
  return members
}

function isOwners(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= MAX_ROSTER && value.every(isCount)
}

function isPaths(value: unknown): value is string[] {
  return (
    Array.isArray(value) &&
    value.length <= MAX_PATHS_PER_MESSAGE &&
    value.every(path => isText(path, MAX_PATH_CHARS))
  )
}

function isPorts(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= MAX_PORTS && value.every(isPort)
}

export function isPort(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) < 65_536
}

export function isText(value: unknown, max: number): value is string {
  return typeof value === 'string' && value.length <= max
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
