/**
 * The requests of a connection that are answered but not yet taken by the client, for the access log: plain data that
 * travels with the connection, so that the owner on which the last octet is acknowledged tells of each exactly once.
 * How a line looks, and where it goes, is in `access-log.ts`.
 */
import type { Flow } from '../../clone/flow.ts'
import { HOST } from '../http/known-field.ts'
import { authorityText, field, header, type RequestHead, requestLine } from '../http/request-head.ts'
import type { Connection } from '../stack/connection.ts'
import { isCount } from './messages.ts'

/** Answers under way before the next request is read: bounds what a connection carries along. */
export const MAX_PENDING = 32
export const MAX_LINE_CHARS = 2_048
export const MAX_FIELD_CHARS = 512
/** The last owners of a connection that are told. */
export const MAX_OWNERS = 16

/** What a client wrote of a request: mostly the same as of its request before. */
const TEXTS = ['line', 'host', 'referer', 'agent'] as const
type TextName = (typeof TEXTS)[number]

export interface AccessEntry {
  /** Seconds since 1970 when the request was read. */
  readonly second: number
  /** `GET /path HTTP/1.1`; '' where it was no request. As the client wrote it: not safe to print. */
  readonly line: string
  readonly host: string
  readonly referer: string
  readonly agent: string
  readonly status: number
  readonly headOctets: number
  /** Octets of the response, head and body. */
  readonly octets: number
  /** When the request was read, by the clock of this owner, in ms. */
  startedAt: number
  /** Where in the connection's stream the response ends, as its send queue counts here. */
  end: number
}

export interface AccessTrail {
  readonly pending: AccessEntry[]
  readonly owners: number[]
}

/** What is told of a request that is over. */
export interface Access {
  readonly entry: AccessEntry
  /** Octets of the response that the client has acknowledged. */
  readonly sentOctets: number
  readonly durationMs: number
  readonly shifts: number
  /** Owners of the connection so far, the last of them ours. */
  readonly owners: readonly number[]
  /** Whose address and port the client has. */
  readonly flow: Flow
}

export function createTrail(owner: number): AccessTrail {
  return { pending: [], owners: [owner] }
}

/** `head` undefined: what came was no request. Reads the head's octets, so before they are consumed. */
export function entryOf(
  head: RequestHead | undefined,
  second: number,
  now: number,
): Omit<AccessEntry, 'status' | 'headOctets' | 'octets' | 'end'> {
  if (head === undefined) return { second, line: '', host: '', referer: '', agent: '', startedAt: now }
  return {
    second,
    line: requestLine(head).slice(0, MAX_LINE_CHARS),
    host:
      (head.present & HOST) === 0 ? '' : (field(head, HOST) ?? authorityText(head)).slice(0, MAX_FIELD_CHARS),
    referer: (header(head, 'referer') ?? '').slice(0, MAX_FIELD_CHARS),
    agent: (header(head, 'user-agent') ?? '').slice(0, MAX_FIELD_CHARS),
    startedAt: now,
  }
}

/** Octets of an entry's response that are acknowledged, when the send queue has released so many in all. */
export function sentOctets({ end, octets }: AccessEntry, released: number): number {
  return Math.min(octets, Math.max(0, octets - (end - released)))
}

/** Tells of the responses that the client has taken, or, at the end, of all. */
export function tellAccess(
  trail: AccessTrail | undefined,
  connection: Connection,
  ended: boolean,
  now: number,
  log: ((access: Access) => void) | undefined,
): void {
  if (trail === undefined) return
  const { released } = connection.tcb.sendQueue
  for (let entry = trail.pending[0]; entry !== undefined; entry = trail.pending[0]) {
    if (!ended && entry.end > released) return
    trail.pending.shift()
    log?.({
      entry,
      sentOctets: sentOctets(entry, released),
      durationMs: now - entry.startedAt,
      shifts: connection.shifts,
      owners: [...trail.owners],
      flow: connection,
    })
  }
}

/** Times travel as ages in µs, places as distances from what is acknowledged; a text only where it is not that of the request before. */
export function exportTrail(trail: AccessTrail, released: number, now: number): unknown {
  const pending = trail.pending.map((entry, index) => {
    const { second, status, headOctets, octets, startedAt, end } = entry
    const before = trail.pending[index - 1]
    const texts = TEXTS.map(name => (entry[name] === before?.[name] ? null : entry[name]))
    const age = Math.round((now - startedAt) * 1000)
    return [second, ...texts, status, headOctets, octets, age, end - released]
  })
  return [trail.owners, pending]
}

/** Undefined where it is none; `null` is the trail of a connection whose owner before wrote no log. */
export function importTrail(
  plain: unknown,
  owner: number,
  released: number,
  now: number,
): AccessTrail | undefined {
  const trail = createTrail(owner)
  if (plain === null) return trail
  if (!Array.isArray(plain) || plain.length !== 2) return undefined
  const [owners, pending] = plain
  if (!Array.isArray(owners) || !owners.every(isCount) || !Array.isArray(pending)) return undefined
  if (owners.length > MAX_OWNERS || pending.length > MAX_PENDING) return undefined
  // An owner that only put the connection away, or took it back, is no further one.
  if (owners.at(-1) === owner) trail.owners.pop()
  trail.owners.unshift(...owners)
  if (trail.owners.length > MAX_OWNERS) trail.owners.shift()
  for (const item of pending) {
    const entry = importEntry(item, trail.pending.at(-1), released, now)
    if (entry === undefined) return undefined
    trail.pending.push(entry)
  }
  return trail
}

function importEntry(
  plain: unknown,
  before: AccessEntry | undefined,
  released: number,
  now: number,
): AccessEntry | undefined {
  if (!Array.isArray(plain) || plain.length !== 10) return undefined
  const [second, line, host, referer, agent, status, headOctets, octets, age, left] = plain
  const texts = [line, host, referer, agent].map((text, index) => text ?? before?.[TEXTS[index] as TextName])
  if (!texts.every((text, index) => isText(text, index === 0 ? MAX_LINE_CHARS : MAX_FIELD_CHARS)))
    return undefined
  if (![second, status, headOctets, octets, age, left].every(isCount)) return undefined
  return {
    ...{ second, line: texts[0], host: texts[1], referer: texts[2], agent: texts[3] },
    ...{ status, headOctets, octets },
    startedAt: now - age / 1000,
    end: released + left,
  }
}

function isText(value: unknown, max: number): boolean {
  return typeof value === 'string' && value.length <= max
}
