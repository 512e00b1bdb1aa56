/**
 * The admin API, version 1: what is asked and what is answered, for the server, the command line and the
 * dashboard alike. JSON over HTTP; a field may be added within a version, none changes its meaning.
 *
 *   GET  /api/v1/status                                        StatusReport
 *   GET  /api/v1/connections?limit&offset&filter&sort          ConnectionsPage
 *   POST /api/v1/shift  { connection: number | 'all', to }     ShiftReport
 *   POST /api/v1/reload {}                                     ReloadReport
 *   POST /api/v1/reopen {}                                     ReopenReport
 *   GET  /api/v1/healthz, /api/v1/readyz                       { status }, also without /api/v1
 *   GET  /metrics                                              the text format of Prometheus
 *   POST /api/v1/drain  { node, deadlineMs }                   DrainReport, at once
 *   GET  /api/v1/drains?node                                   DrainReport
 *   POST /api/v1/undrain { node }                              DrainReport, state `cancelled`
 *   POST /api/v1/token  {}                                     { status: 'ok' } where the token is right
 *   GET  /api/v1/policies                                      PolicyReport
 *   POST /api/v1/policy { policy }                             PolicyReport
 *   GET  /api/v1/explain?target&from                           ExplainReport
 *   GET  /api/v1/connection?id                                 ConnectionDetail
 *   GET  /api/v1/objects                                       ObjectsReport
 *   POST /api/v1/forget { path }                               ForgetReport
 *   POST /api/v1/end    { node, how: 'SIGTERM' | 'SIGKILL' }   EndReport
 *   POST /api/v1/demo   {}                                     DemoReport
 *   GET  /api/v1/feed                                          a WebSocket, see feed-messages.ts
 *
 * Reading is free; acts (POST) need `Authorization: Bearer TOKEN`. Errors are `{ code, message }` with the status of errors.ts.
 */

import type { PolicyName, Reason } from '../placement/policy.ts'
import type { FeedShift } from './feed-messages.ts'

export const API_PATH = '/api/v1'
export const DEFAULT_PAGE = 100
export const MAX_PAGE = 1000
export const MAX_FILTER_CHARACTERS = 256
/** Results listed in one ShiftReport; the counts are always of all. */
export const MAX_SHIFT_RESULTS = 1000
/** Links listed for one owner. */
export const MAX_REPORTED_LINKS = 1024

export interface StatusReport {
  readonly cluster: string
  readonly mode: 'shift' | 'clone'
  readonly steering: 'nft' | 'relay'
  /** IPv4 and IPv6. */
  readonly vips: readonly string[]
  /** The TCP port served at the VIPs. */
  readonly port: number
  /** Of the dispatcher that answers. */
  readonly uptimeMs: number
  /** Dispatchers and nodes, by id. */
  readonly owners: readonly OwnerReport[]
  /** The sum over all owners that are up. */
  readonly counters: CounterReport
  readonly crashes: CrashReport
  readonly coordination: CoordinationReport
}

/** Who gives owner ids and knows the dispatchers. */
export interface CoordinationReport {
  /** `embedded`: nobody, each process was told. */
  readonly engine: 'embedded' | 'nats'
  /** For how long the engine has not answered the dispatcher that answers here; null: it does. */
  readonly awayMs: number | null
}

/** What became of the connections of nodes that died, since the dispatcher began. */
export interface CrashReport {
  /** Others went on with them. */
  readonly recovered: number
  /** They ended with their node, by why. */
  readonly lost: Readonly<Record<string, number>>
  /** Responses under way that another node could go on with. */
  readonly records: number
  /** Connections for which another node is being found right now. */
  readonly recovering: number
}

export type OwnerState = 'up' | 'draining' | 'down'

export interface OwnerReport {
  readonly id: number
  readonly name: string
  readonly role: 'dispatcher' | 'node'
  /** On the owner's own machine; null while it is down. */
  readonly pid: number | null
  readonly state: OwnerState
  readonly address: string | null
  readonly address6: string | null
  readonly connections: number
  readonly cacheOctets: number
  readonly cacheObjects: number
  readonly links: readonly LinkReport[]
  /** Digest of the configuration that it runs; null where it does not say. */
  readonly config: string | null
  readonly counters: CounterReport
  /** What the owner's tables hold now and at most, by name; empty while it is down, as are the two below. */
  readonly limits: Readonly<Record<string, LimitReport>>
  /** Groups of counters under the names of `nstat` (RFC 4022, RFC 4293), those of this owner alone. */
  readonly nstat: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** What the owner's TUN device counts. */
  readonly device: Readonly<Record<string, number>>
  /** What the owner's cache in front of origin servers has done; empty where no site has an origin. */
  readonly origin: Readonly<Record<string, number>>
}

export interface LimitReport {
  readonly used: number
  readonly max: number
}

/** A control link as seen by the owner that reports it. */
export interface LinkReport {
  /** Owner id of the peer. */
  readonly peer: number
  readonly up: boolean
  /** Of the last ping; null until one was answered. */
  readonly roundTripMs: number | null
  readonly queuedOctets: number
}

/** Every field only grows while its owner runs, but for `tombstones`, which is how many there are now. */
export interface CounterReport {
  /** Connections accepted by a handshake. */
  readonly accepted: number
  readonly requests: number
  /** Dormant clones made here. */
  readonly cloned: number
  /** Connections taken over from another owner. */
  readonly adopted: number
  /** Connections given away for good. */
  readonly shifted: number
  /** Shifts that did not happen, by reason. */
  readonly aborted: Readonly<Record<string, number>>
  /** Packets of clients that went through this owner to another one. */
  readonly relayedPackets: number
  readonly tombstones: number
  readonly resetsSent: number
}

export interface ConnectionReport {
  readonly id: number
  /** host:port, an IPv6 host in brackets. */
  readonly client: string
  /** Owner id. */
  readonly owner: number
  readonly ownerName: string
  /** RFC 9293 §3.3.2. */
  readonly state: string
  /** Null before the first measurement. */
  readonly srttMs: number | null
  /** Acknowledged since the connection came to its present owner. */
  readonly octetsSent: number
  readonly shifts: number
  /** The request line last read; empty before the first. What a client sent: not safe to print as it is. */
  readonly request: string
  /** When it was accepted, in ms since 1970; null where that is not known. */
  readonly since: number | null
}

export interface ConnectionsPage {
  /** That the filter lets through. */
  readonly total: number
  readonly offset: number
  readonly limit: number
  readonly connections: readonly ConnectionReport[]
}

export interface ShiftReport {
  /** Owner id of the target. */
  readonly to: number
  readonly toName: string
  /** Connections that were to move: not those that the target has already. */
  readonly requested: number
  readonly shifted: number
  /** Connections that stayed where they were, by code. */
  readonly failed: Readonly<Record<string, number>>
  /** From the request to the last result. */
  readonly totalMs: number
  /** The first MAX_SHIFT_RESULTS. */
  readonly results: readonly ShiftResult[]
}

export interface ShiftResult {
  readonly connection: number
  readonly from: number
  /** Null when it was shifted. */
  readonly code: string | null
  /** Of this hand-over. */
  readonly ms: number
}

/** The configuration was put in force; owners that are down read theirs when they start. */
export interface ReloadReport {
  readonly owners: readonly {
    readonly id: number
    readonly name: string
    /** Of the configuration that it runs now; null where it did not take it over: `fault` says why. */
    readonly config: string | null
    readonly fault: string | null
  }[]
}

/** Every owner that is up has opened its logs anew. */
export interface ReopenReport {
  readonly owners: number
}

/** `drained`: no connection is left; `expired`: the time is over; `cancelled`: the node takes connections again. */
export type DrainState = 'draining' | 'drained' | 'expired' | 'cancelled'

export interface DrainReport {
  /** Owner id. */
  readonly node: number
  readonly state: DrainState
  /** Connections that were to move, as far as known. */
  readonly total: number
  readonly left: number
  readonly shifted: number
  readonly elapsedMs: number
  /** Connections that did not move in the last round, by reason; the first MAX_SHIFT_RESULTS. */
  readonly remaining: readonly { readonly connection: number; readonly code: string }[]
}

export interface DrainRequest {
  /** The node's id in digits, or its name. */
  readonly node: string
  /** 0 to MAX_DRAIN_MS. */
  readonly deadlineMs: number
}

/** A day: longer than any download that is worth waiting for. */
export const MAX_DRAIN_MS = 24 * 60 * 60 * 1000
export const DEFAULT_DRAIN_MS = 30_000

/** By what requests are placed. */
export interface PolicyReport {
  readonly policy: PolicyName
  /** Those that there are. */
  readonly policies: readonly PolicyName[]
  /** Since the dispatcher started, by reason, whatever policy was in force. */
  readonly decisions: Readonly<Partial<Record<Reason, number>>>
}

/** Where a request would go now, and why. Nothing changes by asking. */
export interface ExplainReport {
  /** As it was asked for. */
  readonly target: string
  /** The object's name in the cluster: the site, which is empty for the default one, and the path in it. */
  readonly path: string
  /** Owner id of the node that has the connection; null: it is a new one. */
  readonly from: number | null
  readonly policy: PolicyName
  /** Owner id; null where no node takes connections. */
  readonly to: number | null
  readonly reason: Reason | null
  /** Nodes that hold it, or will in a moment. */
  readonly replicas: number
  /** Every node, by id. */
  readonly nodes: readonly ExplainedNode[]
  /** The last decisions about it, the last first: about requests that came to the dispatcher, and that nodes asked about. */
  readonly decisions: readonly ExplainedDecision[]
}

export interface ExplainedNode {
  readonly id: number
  readonly name: string
  readonly state: OwnerState
  readonly connections: number
  /** Connections, and one for every 250 segments that it sends a second. */
  readonly load: number
  /** `soon`: it was given a request for it, and has not said yet that it has it. */
  readonly holds: 'yes' | 'soon' | 'no'
  /** In units of load; null where the policy weighs no costs, or the node takes no connections. */
  readonly cost: {
    readonly wait: number
    readonly read: number
    readonly shift: number
    readonly total: number
  } | null
}

export interface ExplainedDecision {
  readonly agoMs: number
  /** The node that had the connection; null: it was a new one. */
  readonly from: number | null
  readonly to: number
  readonly policy: PolicyName
  readonly reason: Reason
}

export interface ExplainQuery {
  /** A path of the default site, or a URL. */
  readonly target: string
  /** The node that has the connection, by id in digits or name; undefined: it is a new one. */
  readonly from?: string | undefined
}

/** Of the target of an explanation: as long as a request's may be. */
export const MAX_TARGET_CHARACTERS = 8_192

/** The life of a connection, as far as the owners that run now know it. */
export interface ConnectionDetail {
  readonly id: number
  /** Empty where it is over. */
  readonly client: string
  readonly request: string
  /** When it was accepted, in ms since 1970; null where that is not known. */
  readonly since: number | null
  /** Owner id; null where it is over. */
  readonly owner: number | null
  readonly shifts: number
  /** As `ss -i` names it: times in ms, windows in segments, the rest in octets. Null where it is over. */
  readonly tcp: Readonly<Record<string, string | number>> | null
  /** The oldest first. */
  readonly log: readonly LoggedMove[]
}

/**
 * As the feed tells it, and how long the client's first packet took to come to the new owner after COMMIT had, on that owner's
 * clock: null where it did not tell. The times before are on the clock of the owner that gave it away.
 */
export type LoggedMove = readonly [...FeedShift, firstPacketMs: number | null]

/** Objects in memory by how often they were found there, the hottest first; at most MAX_OBJECTS. */
export interface ObjectsReport {
  readonly objects: readonly ObjectReport[]
}

export interface ObjectReport {
  readonly path: string
  readonly octets: number
  /** Since it came into memory, of all its holders. */
  readonly hits: number
  /** Owner ids. */
  readonly holders: readonly number[]
}

export const MAX_OBJECTS = 100

export interface ForgetReport {
  readonly path: string
  /** Owner ids of the nodes that had it in memory. */
  readonly nodes: readonly number[]
}

export interface ForgetRequest {
  readonly path: string
}

/** The process was told to end: whoever supervises it starts it again. */
export interface EndReport {
  readonly node: number
  readonly how: EndHow
}

/** SIGTERM: it gives its connections away first. SIGKILL: as a fault would end it, and others take its downloads up. */
export type EndHow = 'SIGTERM' | 'SIGKILL'

export interface EndRequest {
  readonly node: string
  readonly how: EndHow
}

export interface ErrorReport {
  readonly code: string
  readonly message: string
}

export const SORTS = ['id', 'client', 'owner', 'state', 'srttMs', 'octetsSent', 'shifts', 'since'] as const
export type ConnectionSort = (typeof SORTS)[number]

export interface ConnectionsQuery {
  /** 1 to MAX_PAGE. */
  readonly limit: number
  readonly offset: number
  /** A part of the client, the request, the state or the owner's name, in any case; empty for all. */
  readonly filter: string
  readonly sort: ConnectionSort
  readonly descending: boolean
}

export interface ShiftRequest {
  readonly connection: number | 'all'
  /** The target's id in digits, or its name. */
  readonly to: string
}

/** The sum of the counters of several owners. */
export function sumCounters(all: Iterable<CounterReport>): CounterReport {
  const sum = {
    accepted: 0,
    requests: 0,
    cloned: 0,
    adopted: 0,
    shifted: 0,
    aborted: {} as Record<string, number>,
    relayedPackets: 0,
    tombstones: 0,
    resetsSent: 0,
  }
  for (const counters of all) {
    sum.accepted += counters.accepted
    sum.requests += counters.requests
    sum.cloned += counters.cloned
    sum.adopted += counters.adopted
    sum.shifted += counters.shifted
    sum.relayedPackets += counters.relayedPackets
    sum.tombstones += counters.tombstones
    sum.resetsSent += counters.resetsSent
    for (const [reason, count] of Object.entries(counters.aborted)) {
      sum.aborted[reason] = (sum.aborted[reason] ?? 0) + count
    }
  }
  return sum
}
