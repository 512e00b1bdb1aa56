/**
 * What an owner tells somebody who watches: its figures, a sample of its connections, and the shifts since the last
 * question. Made when it is asked for, several times a second, so it must not grow with the number of connections.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import type { Connection } from '../stack/connection.ts'
import type { LoggedShift } from '../stack/shift-log.ts'
import { PHASES, STATES } from '../tcp/tcb.ts'
import { clientText } from './client-text.ts'
import type { OperatorHost } from './operator.ts'

/** Connections in one answer. */
export const MAX_SAMPLED = 500
/** Shifts in one answer; the counts are of all. */
export const MAX_WATCHED_SHIFTS = 200
/** Connections that are in the sample by name. */
export const MAX_FOCUS = 8
/** With more connections than this the sample is drawn anew only once in RESCAN_MS: a look at each takes 50 ns. */
const MAX_SCANNED = 4_096
const RESCAN_MS = 1_000
const LAG_RESOLUTION_MS = 10
/** The lag of the event loop is measured while somebody asks. */
const LAG_IDLE_MS = 5_000

export interface WatchQuery {
  /** Of the last shift that is known of this run of the owner. */
  readonly since: number
  /** A connection is in the sample where the hash of its id, 0 to 65535, is below this: the same at every owner. */
  readonly below: number
  /** Ids that are in the sample whatever their hash, and a client (`host:port`). */
  readonly focus: readonly number[]
  readonly client: string
  /** Nothing that was told before is known any more. */
  readonly fresh: boolean
}

/**
 * [id, state, SND.UNA as an unsigned number, srtt in ms, shifts, retransmissions here, phase, octets acknowledged here, client?,
 * request?, since?]: SND.UNA goes on through every shift, and modulo 2^32.
 */
export type WatchedSocket = readonly (number | string)[]

/** [seq, connection, to, cause, refusal or '', ms ago that it ended, ms in all, to PREPARED, to COMMIT] */
export type WatchedShift = readonly [number, number, number, string, string, number, number, number, number]

export interface Watched {
  readonly pid: number
  readonly seq: number
  readonly connections: number
  readonly draining: boolean
  readonly sockets: readonly WatchedSocket[]
  readonly shifts: readonly WatchedShift[]
  /** `target cause refusal` and how many since the start. */
  readonly counts: Readonly<Record<string, number>>
  readonly figures: Figures
}

/** Those that end in Now are what is; the others only grow. */
export interface Figures {
  readonly requests: number
  readonly accepted: number
  readonly cloned: number
  readonly shifted: number
  readonly closed: number
  readonly relayed: number
  readonly packetsIn: number
  readonly octetsOut: number
  readonly hits: number
  readonly misses: number
  readonly retransmitted: number
  readonly sent: number
  readonly resets: number
  readonly cacheOctetsNow: number
  readonly cacheObjectsNow: number
  readonly rssOctetsNow: number
  /** The longest since the last question. */
  readonly lagMsNow: number
}

class Watch {
  /** Connections whose client and request have been told. */
  readonly #told = new Map<number, string>()
  #sample: Connection[] = []
  #scannedAt = Number.NEGATIVE_INFINITY

  sockets(host: OperatorHost, query: WatchQuery): WatchedSocket[] {
    const now = host.now()
    if (query.fresh) this.#told.clear()
    if (query.fresh || host.owner.connections <= MAX_SCANNED || now - this.#scannedAt >= RESCAN_MS) {
      this.#scannedAt = now
      this.#sample = sampleOf(host, query)
    }
    const rows: WatchedSocket[] = []
    const told = new Set<number>()
    for (const connection of this.#sample) {
      if (host.owner.byId.get(connection.id) !== connection) continue
      told.add(connection.id)
      rows.push(this.#row(connection))
    }
    for (const id of this.#told.keys()) if (!told.has(id)) this.#told.delete(id)
    return rows
  }

  /** The words of a connection only when they are new. */
  #row(connection: Connection): WatchedSocket {
    const { id, shifts, request, since, retransmissions } = connection
    const tcb = connection.peek()
    const row: (number | string)[] = [
      id,
      STATES.indexOf(tcb.state),
      tcb.snd.una >>> 0,
      roundMs(tcb.rtt.srttMs),
      shifts,
      retransmissions,
      PHASES.indexOf(tcb.recovery.phase),
      tcb.sendQueue.released,
    ]
    if (this.#told.get(id) === request) return row
    this.#told.set(id, request)
    row.push(clientText(connection), request, since)
    return row
  }
}

const watches = new WeakMap<OperatorHost, Watch>()

export function watch(host: OperatorHost, details: unknown): Watched | undefined {
  const query = importQuery(details)
  if (query === undefined) return undefined
  let watching = watches.get(host)
  if (watching === undefined) {
    watching = new Watch()
    watches.set(host, watching)
  }
  const { owner } = host
  const now = host.now()
  return {
    pid: process.pid,
    seq: owner.shiftLog.seq,
    connections: owner.connections,
    draining: host.draining(),
    sockets: watching.sockets(host, query),
    shifts: owner.shiftLog.since(query.since, MAX_WATCHED_SHIFTS).map(shift => exportShift(shift, now)),
    counts: Object.fromEntries(owner.shiftLog.counts()),
    figures: figures(host),
  }
}

export function exportShift(shift: LoggedShift, now: number): WatchedShift {
  const { seq, connection, to, cause, refusal, startedAt, endedAt, preparedMs, committedMs } = shift
  return [
    ...([seq, connection, to, cause, refusal ?? ''] as const),
    ...([roundMs(now - endedAt), roundMs(endedAt - startedAt)] as const),
    ...([roundMs(preparedMs), roundMs(committedMs)] as const),
  ]
}

/** To the microsecond. */
export function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000
}

function sampleOf(host: OperatorHost, { below, focus, client }: WatchQuery): Connection[] {
  const sample: Connection[] = []
  const port = Number(client.slice(client.lastIndexOf(':') + 1))
  for (const entry of host.owner.byId.values()) {
    if (entry.kind !== 'connection') continue
    const named =
      focus.includes(entry.id) || (entry.remotePort === port && client !== '' && clientText(entry) === client)
    if (named) sample.unshift(entry)
    else if (sample.length < MAX_SAMPLED && hashOf(entry.id) < below) sample.push(entry)
  }
  return sample.slice(0, MAX_SAMPLED)
}

/** 0 to 65535, spread evenly over ids that follow each other. */
export function hashOf(id: number): number {
  return Math.imul(id | 0, 0x9e3779b1) >>> 16
}

function figures(host: OperatorHost): Figures {
  const { owner, store } = host
  const { counters, config } = owner
  const device = host.device()
  return {
    requests: host.requests(),
    accepted: counters.accepted,
    cloned: counters.cloned,
    shifted: counters.shifted,
    closed: counters.closed,
    relayed: counters.forwardedPackets,
    packetsIn: device.packetsIn ?? 0,
    octetsOut: device.octetsOut ?? 0,
    hits: store?.counters.hits ?? 0,
    misses: store?.counters.misses ?? 0,
    retransmitted: config.tcp.counters.RetransSegs,
    sent: config.tcp.counters.OutSegs,
    resets: counters.resetsSent + config.tcp.counters.OutRsts,
    cacheOctetsNow: store?.usedOctets ?? 0,
    cacheObjectsNow: store?.count ?? 0,
    rssOctetsNow: process.memoryUsage.rss(),
    lagMsNow: lagMs(),
  }
}

let lag: IntervalHistogram | undefined
let lagTimer: NodeJS.Timeout | undefined

/** Beyond the interval of its own timer, as it is measured. */
function lagMs(): number {
  if (lag === undefined) {
    lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS })
    lag.enable()
  }
  clearTimeout(lagTimer)
  lagTimer = setTimeout(() => {
    lag?.disable()
    lag = undefined
  }, LAG_IDLE_MS)
  lagTimer.unref()
  const longest = lag.count === 0 ? 0 : lag.max / 1e6 - LAG_RESOLUTION_MS
  lag.reset()
  return Math.max(0, Math.round(longest * 10) / 10)
}

function importQuery(plain: unknown): WatchQuery | undefined {
  if (typeof plain !== 'object' || plain === null) return undefined
  const { since, below, focus, client, fresh } = plain as Partial<WatchQuery>
  if (!Number.isSafeInteger(since) || !Number.isSafeInteger(below) || typeof fresh !== 'boolean')
    return undefined
  if (!Array.isArray(focus) || focus.length > MAX_FOCUS || typeof client !== 'string') return undefined
  return { since: since as number, below: below as number, focus, client, fresh }
}
