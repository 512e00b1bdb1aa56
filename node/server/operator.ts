/**
 * What an owner answers when the dispatcher asks on the operator's behalf: its state, its connections, and orders to
 * shift. Plain data on both sides; the dispatcher puts the answers of all owners together.
 */

import type { CacheStore } from '../../cache/store.ts'
import type { ShiftResult } from '../../shift/outgoing.ts'
import type { OriginCounters } from '../origin/counters.ts'
import type { Connection } from '../stack/connection.ts'
import type { OwnerCounters } from '../stack/counters.ts'
import type { Usage } from '../stack/limits.ts'
import { type Nstat, nstat } from '../stack/nstat.ts'
import type { Owner } from '../stack/owner.ts'
import type { ShiftCause } from '../stack/shift-log.ts'
import type { AccessLogCounters } from './access-log.ts'
import { clientText } from './client-text.ts'
import type { Watching } from './file-changes.ts'
import type { MadeCounters } from './made-variants.ts'
import type { Reloader } from './reloader.ts'

/** Connections in one answer, for about 2 MB of JSON; the operator hears of no more. */
export const MAX_LISTED = 10_000
/** Connections moved in one round of a drain, so that its progress can be told. */
const MAX_SPREAD = 2_000
/** Connections moved by one order; those beyond stay, and the order can be repeated. */
const MAX_ORDERED = 100_000
/** For the answer to an order to end. */
const END_AFTER_MS = 20

export interface OwnerStatus {
  readonly pid: number
  readonly connections: number
  readonly forwards: number
  readonly shifting: number
  readonly draining: boolean
  readonly cacheOctets: number
  readonly cacheObjects: number
  readonly cacheHits: number
  readonly cacheMisses: number
  readonly requests: number
  readonly rssOctets: number
  readonly counters: OwnerCounters
  readonly nstat: Nstat
  readonly limits: Readonly<Record<string, Usage>>
  readonly device: Record<string, number>
  /** What the cache in front of origins has done; empty where there is no such site. */
  readonly origin: Readonly<Record<string, number>>
  readonly links: readonly ReportedLink[]
  /** Digest of the configuration in force; '' where there is none. */
  readonly config: string
}

export interface ListedConnection {
  readonly id: number
  readonly client: string
  readonly state: string
  readonly srttMs: number
  readonly cwndOctets: number
  /** Acknowledged since the connection came to this owner. */
  readonly octetsSent: number
  readonly shifts: number
  readonly request: string
  /** Seconds since 1970. */
  readonly since: number
}

export interface ReportedLink {
  readonly peer: number
  readonly up: boolean
  readonly roundTripMs: number | null
  readonly queuedOctets: number
}

export interface ShiftOrder {
  /** Undefined for all. */
  readonly connection: number | undefined
  readonly to: number
}

export interface ShiftOutcome {
  readonly connection: number
  readonly ok: boolean
  readonly reason: string
  /** Of the whole hand-over, to the target's SHIFTED. */
  readonly ms: number
}

/** What one round of a drain came to. */
export interface Spread {
  /** Connections that are still here. */
  readonly left: number
  readonly shifted: number
  /** Connections that were to move and did not, each with its reason. */
  readonly stayed: readonly (readonly [connection: number, reason: string])[]
}

export interface OperatorHost {
  readonly owner: Owner
  readonly store: CacheStore | undefined
  requests(): number
  draining(): boolean
  /** Whether the owner takes no connections of others any more; false where it never does. */
  drain(on: boolean): boolean
  device(): Record<string, number>
  /** Undefined where no site has an origin. */
  origin(): OriginCounters | undefined
  links(): readonly ReportedLink[]
  /** Undefined in a simulation. */
  readonly reloader: Reloader | undefined
  reopen(): void
  /** Responses begun, by status, and their octets. */
  served(): { readonly responses: Readonly<Record<number, number>>; readonly octets: number }
  /** Of variants that are made in the background; undefined where none are. */
  readonly made?: MadeCounters | undefined
  /** Of files that are watched; undefined where none are. */
  watching?(): Watching | undefined
  /** Of the access log; undefined where there is none. */
  logged(): AccessLogCounters | undefined
  now(): number
}

/** The answer to one question as JSON, or undefined for one that is none. */
export async function answer(
  host: OperatorHost,
  what: string,
  details: unknown,
): Promise<string | undefined> {
  switch (what) {
    case 'status':
      return JSON.stringify(status(host))
    case 'connections':
      return JSON.stringify(listConnections(host.owner))
    case 'shift':
      return JSON.stringify(await shiftOrdered(host, details))
    case 'reload-check':
      return JSON.stringify(await host.reloader?.check())
    case 'reload-apply':
      return JSON.stringify(host.reloader?.apply(String(details)))
    case 'metrics': {
      // Here, because it takes its time to load, and who is not scraped has no need of it.
      const { ownerMetrics } = await import('./owner-metrics.ts')
      return JSON.stringify(await ownerMetrics(host))
    }
    case 'watch':
      return JSON.stringify((await import('./watch.ts')).watch(host, details))
    case 'inspect':
      return JSON.stringify((await import('./inspect.ts')).inspect(host, details))
    case 'hottest':
      return JSON.stringify((await import('./inspect.ts')).hottest(host))
    case 'forget':
      return JSON.stringify(typeof details === 'string' && host.store?.remove(details) === true)
    case 'end':
      return JSON.stringify(end(details))
    case 'reopen':
      host.reopen()
      return 'true'
    case 'drain':
      return JSON.stringify(typeof details === 'boolean' && host.drain(details))
    case 'spread':
      return JSON.stringify(await spread(host, details))
    default:
      return undefined
  }
}

export function status(host: OperatorHost): OwnerStatus {
  const { owner, store } = host
  return {
    pid: process.pid,
    connections: owner.connections,
    forwards: owner.forwards.size,
    shifting: owner.shifting.size,
    draining: host.draining(),
    cacheOctets: store?.usedOctets ?? 0,
    cacheObjects: store?.count ?? 0,
    cacheHits: store?.counters.hits ?? 0,
    cacheMisses: store?.counters.misses ?? 0,
    requests: host.requests(),
    rssOctets: process.memoryUsage.rss(),
    counters: owner.counters,
    nstat: nstat(owner),
    limits: owner.usage(),
    device: host.device(),
    origin: { ...host.origin() },
    links: host.links(),
    config: host.reloader?.digest ?? '',
  }
}

/** Ends this process, by its own hand because only its machine can: as an operator would, or as a fault would. */
function end(how: unknown): boolean {
  if (how !== 'SIGTERM' && how !== 'SIGKILL') return false
  // After the answer.
  setTimeout(() => process.kill(process.pid, how), END_AFTER_MS)
  return true
}

export function listConnections(owner: Owner): ListedConnection[] {
  const listed: ListedConnection[] = []
  for (const entry of owner.byId.values()) {
    if (entry.kind !== 'connection') continue
    if (listed.length === MAX_LISTED) break
    listed.push(describe(entry))
  }
  return listed
}

function describe(connection: Connection): ListedConnection {
  const { id, shifts, request, since } = connection
  const tcb = connection.peek()
  return {
    id,
    client: clientText(connection),
    state: tcb.state,
    srttMs: Math.round(tcb.rtt.srttMs * 1000) / 1000,
    cwndOctets: tcb.congestion.cwnd,
    octetsSent: tcb.sendQueue.released,
    shifts,
    request,
    since,
  }
}

/** Begins every shift at once; the protocol bounds how many are under way. */
async function shiftOrdered(host: OperatorHost, details: unknown): Promise<ShiftOutcome[] | undefined> {
  const order = importOrder(details)
  if (order === undefined) return undefined
  const chosen: Connection[] = []
  for (const entry of host.owner.byId.values()) {
    if (entry.kind !== 'connection') continue
    // Whoever moves all does not mean those that are over.
    if (order.connection === undefined ? entry.isInTimeWait : entry.id !== order.connection) continue
    if (chosen.push(entry) === MAX_ORDERED) break
  }
  return shiftEach(host, chosen, 'order', () => order.to)
}

/** Gives connections to `targets` in turn; those that do not move stay, and the next round tries them again. */
async function spread(host: OperatorHost, details: unknown): Promise<Spread | undefined> {
  if (!Array.isArray(details) || !details.every(Number.isSafeInteger)) return undefined
  const targets = details as number[]
  // TIME-WAIT ends with the node (RFC 9293 §3.4.2 has the clock of initial sequence numbers for that, which is the cluster's).
  const left = () => host.owner.connections - host.owner.timeWait
  const chosen: Connection[] = []
  for (const entry of host.owner.byId.values()) {
    if (entry.kind === 'connection' && !entry.isInTimeWait && chosen.push(entry) === MAX_SPREAD) break
  }
  if (targets.length === 0) {
    return {
      left: left(),
      shifted: 0,
      stayed: chosen.map(({ id }) => [id, 'NO_TARGET'] as const),
    }
  }
  const outcomes = await shiftEach(host, chosen, 'drain', turn => targets[turn % targets.length] as number)
  const stayed = outcomes
    .filter(({ ok }) => !ok)
    .map(({ connection, reason }) => [connection, reason] as const)
  return { left: left(), shifted: outcomes.length - stayed.length, stayed }
}

function shiftEach(
  host: OperatorHost,
  connections: readonly Connection[],
  cause: ShiftCause,
  target: (turn: number) => number,
): Promise<ShiftOutcome[]> {
  const now = host.now()
  return Promise.all(
    connections.map(
      (connection, turn) =>
        new Promise<ShiftOutcome>(resolve => {
          host.owner.shift(connection, target(turn), now, cause, result =>
            resolve(outcomeOf(connection.id, result)),
          )
        }),
    ),
  )
}

function outcomeOf(connection: number, result: ShiftResult): ShiftOutcome {
  return result.ok
    ? { connection, ok: true, reason: '', ms: result.ms }
    : { connection, ok: false, reason: result.reason, ms: 0 }
}

function importOrder(plain: unknown): ShiftOrder | undefined {
  if (!Array.isArray(plain) || plain.length !== 2) return undefined
  const [connection, to] = plain
  if (connection !== null && !Number.isSafeInteger(connection)) return undefined
  if (!Number.isSafeInteger(to)) return undefined
  return { connection: connection ?? undefined, to }
}
