/**
 * What a node tells the dispatchers unasked: which connections it owns and which ended, what its cache holds, how loaded
 * it is. Collected for a moment and sent in batches, never on the packet path. With each new link everything is told again,
 * so that a dispatcher that was restarted, or missed something, knows what is true; the others hear it once more.
 */
import type { CachedObject } from '../../cache/cached-object.ts'
import type { CacheStore } from '../../cache/store.ts'
import { exportFlow, importFlow } from '../../clone/flow.ts'
import { VARIANT_MARK } from '../origin/variants.ts'
import type { Connection, Forward } from '../stack/connection.ts'
import { encodeOwnerMessage, MAX_OWNED_PER_MESSAGE, type Owned } from '../stack/messages.ts'
import { OWNER_PROTOCOL } from '../stack/owner.ts'
import { type ClusterMessage, encodeClusterMessage, MAX_PATHS_PER_MESSAGE } from './messages.ts'

/** How long news is collected: short, because an RST without a timestamp finds its way only by it. */
const REPORT_MS = 5
/** How often the load is told although nothing else happened. */
const LOAD_MS = 250
/** Over how long the rate of segments is a mean: shorter than what an operator notices, longer than a download's pauses. */
const RATE_MS = 1_000
/** News not yet sent (the dispatcher is away); beyond it, everything is told again instead. */
const MAX_NEWS = 65_536

export interface ReporterHost {
  /** To every dispatcher; false where there is none, or the queue of one is full. */
  send(envelope: unknown[]): boolean
  /** Every connection that we own. */
  connections(): Iterable<Connection | Forward>
  count(): number
  draining(): boolean
  /** Segments sent so far, a super-segment counting as one. */
  segments(): number
}

export class Reporter {
  readonly #host: ReporterHost
  readonly #store: CacheStore
  readonly #owned = new Map<number, Owned>()
  readonly #closed = new Map<number, Owned>()
  #everything = true
  #linked = false
  #dueAt = Number.POSITIVE_INFINITY
  #segments = 0
  #segmentsAt = Number.NaN
  #segmentsPerSecond = 0

  constructor(host: ReporterHost, store: CacheStore) {
    this.#host = host
    this.#store = store
  }

  owned(connection: Connection, now: number): void {
    if (!this.#linked) return
    this.#closed.delete(connection.id)
    this.#owned.set(connection.id, ownedOf(connection))
    this.#soon(now)
  }

  /** What ends while there is no link is told behind everything else to the next: nobody else can tell of it. */
  closed(connection: Connection, now: number): void {
    this.#owned.delete(connection.id)
    this.#closed.set(connection.id, ownedOf(connection))
    if (this.#linked) this.#soon(now)
    else if (this.#closed.size > MAX_NEWS) this.#closed.clear()
  }

  /** The load that is told is another now. */
  changed(now: number): void {
    if (this.#linked) this.#soon(now)
  }

  linkUp(now: number): void {
    this.#linked = true
    this.#everything = true
    this.#soon(now)
  }

  linkDown(): void {
    this.#linked = false
    this.#owned.clear()
    this.#dueAt = Number.POSITIVE_INFINITY
  }

  pollAt(): number {
    return this.#dueAt
  }

  poll(now: number): void {
    if (now < this.#dueAt) return
    this.#dueAt = now + LOAD_MS
    this.#report(now)
  }

  #soon(now: number): void {
    if (this.#owned.size + this.#closed.size > MAX_NEWS) {
      this.#owned.clear()
      this.#closed.clear()
      this.#everything = true
    }
    this.#dueAt = Math.min(this.#dueAt, now + REPORT_MS)
  }

  #report(now: number): void {
    if (!this.#linked) return
    if (this.#everything && !this.#reportEverything()) return
    this.#everything = false
    const told = this.#tell('OWNED', this.#owned) && this.#tell('CLOSED', this.#closed) && this.#tellChanges()
    if (!told) this.#everything = true
    const segmentsPerSecond = Math.round(this.#rate(now))
    const connections = this.#host.count()
    this.#cluster({ type: 'LOAD', connections, draining: this.#host.draining(), segmentsPerSecond })
  }

  /** An exponential mean, so that it can be asked for at any time. */
  #rate(now: number): number {
    const segments = this.#host.segments()
    const ms = now - this.#segmentsAt
    if (ms > 0) {
      const share = 1 - Math.exp(-ms / RATE_MS)
      this.#segmentsPerSecond +=
        share * (((segments - this.#segments) * 1_000) / ms - this.#segmentsPerSecond)
    }
    if (ms === 0) return this.#segmentsPerSecond
    this.#segments = segments
    this.#segmentsAt = now
    return this.#segmentsPerSecond
  }

  #reportEverything(): boolean {
    const all = new Map<number, Owned>()
    for (const entry of this.#host.connections()) {
      if (entry.kind === 'connection') all.set(entry.id, ownedOf(entry))
    }
    this.#owned.clear()
    this.#store.takeChanges()
    return this.#tell('OWNED', all) && this.#cluster({ type: 'WHOLE' }) && this.#tellCache()
  }

  #tell(type: 'OWNED' | 'CLOSED', news: Map<number, Owned>): boolean {
    const all = [...news.values()]
    news.clear()
    for (let from = 0; from < all.length; from += MAX_OWNED_PER_MESSAGE) {
      const connections = all.slice(from, from + MAX_OWNED_PER_MESSAGE)
      if (!this.#host.send([OWNER_PROTOCOL, ...encodeOwnerMessage({ type, connections })])) return false
    }
    return true
  }

  #tellCache(): boolean {
    return this.#tellPaths('HAVE', placed([...this.#store.all()]), true)
  }

  #tellChanges(): boolean {
    const { complete, have, evicted } = this.#store.takeChanges()
    if (!complete) return this.#tellCache()
    return this.#tellPaths('HAVE', placed(have), false) && this.#tellPaths('GONE', [...evicted], false)
  }

  #tellPaths(type: 'HAVE' | 'GONE', paths: readonly string[], reset: boolean): boolean {
    if (paths.length === 0) return !reset || this.#cluster({ type: 'HAVE', reset, paths })
    for (let from = 0; from < paths.length; from += MAX_PATHS_PER_MESSAGE) {
      const some = paths.slice(from, from + MAX_PATHS_PER_MESSAGE)
      const first = reset && from === 0
      const sent = this.#cluster(
        type === 'HAVE' ? { type, reset: first, paths: some } : { type, paths: some },
      )
      if (!sent) return false
    }
    return true
  }

  #cluster(message: ClusterMessage): boolean {
    return this.#host.send(encodeClusterMessage(message))
  }
}

/** The paths by which requests are placed: not those of further variants of an origin's response. */
function placed(objects: readonly CachedObject[]): string[] {
  return objects.map(({ path }) => path).filter(path => !path.includes(VARIANT_MARK))
}

export function ownedOf(connection: Connection): Owned {
  const { id, epoch, request, timestamps } = connection
  // A copy of the flow: the connection, and all it refers to, must not be kept alive by news about its end.
  const flow = importFlow(exportFlow(connection)) ?? connection
  return { connection: id, epoch, flow, timestamps, request }
}
