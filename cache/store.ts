/**
 * The objects that a node holds in memory, bounded in octets, by path: one current version each. It tells the
 * directory in batches what came and went. Reading files and noticing that they changed is the loader's.
 */
import { type CachedObject, OBJECT_OVERHEAD_OCTETS } from './cached-object.ts'
import { CacheEntry, type CachePolicy } from './policy.ts'
import { WTinyLfuPolicy } from './w-tiny-lfu.ts'

/** Changes not yet taken; beyond them the taker is told to send the whole list instead. */
export const MAX_PENDING_CHANGES = 4_096
/**
 * Objects out of the store may still be sent, to as many slow readers as there are. Past this many times the
 * capacity, together with those in the store, nothing new is loaded until some of them are released.
 */
export const MAX_OVERCOMMIT = 2
/** A small store may overcommit by this much: the collector notices what was released only now and then. */
export const MIN_OVERCOMMIT_OCTETS = 268_435_456

export interface CacheCounters {
  hits: number
  misses: number
  inserted: number
  evicted: number
  /** Replaced by a newer version, or gone from the source. */
  removed: number
  refused: number
}

/** What changed since the last call, a path at most once. `complete` false: too much to tell, take `all()` instead. */
export interface CacheChanges {
  readonly complete: boolean
  readonly have: readonly CachedObject[]
  readonly evicted: readonly string[]
}

export class CacheStore {
  readonly capacityOctets: number
  readonly counters: CacheCounters = { hits: 0, misses: 0, inserted: 0, evicted: 0, removed: 0, refused: 0 }
  readonly #policy: CachePolicy
  readonly #entries = new Map<string, CacheEntry>()
  /** Out of the store, but referred to by a send queue, as far as the garbage collector has noticed. */
  readonly #outside: FinalizationRegistry<number>
  #usedOctets = 0
  #outsideOctets = 0
  #changes = new Map<string, CachedObject | undefined>()
  #changesComplete = true

  constructor(capacityOctets: number, policy: CachePolicy = new WTinyLfuPolicy(capacityOctets)) {
    this.capacityOctets = capacityOctets
    this.#policy = policy
    this.#outside = new FinalizationRegistry(octets => {
      this.#outsideOctets -= octets
    })
  }

  /** Octets in the store, with what the records cost. */
  get usedOctets(): number {
    return this.#usedOctets
  }

  /** Octets of objects that left the store and that responses under way, as far as known, still refer to. */
  get outsideOctets(): number {
    return this.#outsideOctets
  }

  get count(): number {
    return this.#entries.size
  }

  /** The entry of a path. A request's lookup goes on with `use`, or counts a miss. */
  peek(path: string): CacheEntry | undefined {
    return this.#entries.get(path)
  }

  /** Counts a hit; the object of the entry must still be there. On the packet path. */
  use(entry: CacheEntry): void {
    this.counters.hits++
    entry.hits++
    this.#policy.touch(entry)
  }

  /** Whether an object of so many octets could ever be held. */
  #admits(octets: number): boolean {
    return octets + OBJECT_OVERHEAD_OCTETS <= this.capacityOctets
  }

  /** Whether memory allows to load so many octets now, while `loading` others are on their way. */
  room(octets: number, loading = 0): boolean {
    const limit = Math.max(MAX_OVERCOMMIT * this.capacityOctets, this.capacityOctets + MIN_OVERCOMMIT_OCTETS)
    return this.#usedOctets + this.#outsideOctets + loading + octets <= limit
  }

  /**
   * Makes `object` the current version of its path and evicts until all fits. An object larger than the whole cache
   * is refused; the version that it would have replaced is gone all the same, for it is no longer current.
   */
  put(object: CachedObject, now: number): 'stored' | 'too-large' {
    const before = this.#entries.get(object.path)
    if (before !== undefined && before.object === object) {
      before.checkedAt = now
      return 'stored'
    }
    if (before !== undefined) {
      this.#drop(before)
      this.counters.removed++
    }
    if (!this.#admits(object.memoryOctets)) {
      if (before !== undefined) this.#note(object.path, undefined)
      this.counters.refused++
      return 'too-large'
    }
    const entry = new CacheEntry(object.path, object, now)
    this.#entries.set(object.path, entry)
    this.#usedOctets += entry.cost
    this.#policy.add(entry)
    this.counters.inserted++
    this.#note(object.path, object)
    this.#evict()
    return 'stored'
  }

  /** Counts an object that is to be sent and never was in the store. */
  outside(object: CachedObject): void {
    if (object.memoryOctets === 0) return
    this.#outsideOctets += object.memoryOctets
    this.#outside.register(object, object.memoryOctets)
  }

  /** The path has no current version any more. Returns whether it had one. */
  remove(path: string): boolean {
    const entry = this.#entries.get(path)
    if (entry === undefined) return false
    this.#drop(entry)
    this.counters.removed++
    this.#note(path, undefined)
    return true
  }

  /** The changes since the last call. */
  takeChanges(): CacheChanges {
    const have: CachedObject[] = []
    const evicted: string[] = []
    for (const [path, object] of this.#changes) {
      if (object === undefined) evicted.push(path)
      else have.push(object)
    }
    const complete = this.#changesComplete
    this.#changes = new Map()
    this.#changesComplete = true
    return { complete, have, evicted }
  }

  /** Every object held, in no order. */
  *all(): Generator<CachedObject> {
    for (const entry of this.#entries.values()) if (entry.object !== undefined) yield entry.object
  }

  /** The entries that were used most since they came, at most `max` of them. */
  hottest(max: number): CacheEntry[] {
    return [...this.#entries.values()].sort((a, b) => b.hits - a.hits).slice(0, max)
  }

  #evict(): void {
    while (this.#usedOctets > this.capacityOctets) {
      const victim = this.#policy.victim()
      if (victim === undefined) return
      this.#drop(victim)
      this.counters.evicted++
      this.#note(victim.path, undefined)
    }
  }

  #drop(entry: CacheEntry): void {
    const object = entry.object as CachedObject
    this.#policy.remove(entry)
    this.#entries.delete(entry.path)
    entry.object = undefined
    this.#usedOctets -= entry.cost
    this.outside(object)
  }

  #note(path: string, object: CachedObject | undefined): void {
    if (!this.#changesComplete) return
    this.#changes.set(path, object)
    if (this.#changes.size <= MAX_PENDING_CHANGES) return
    this.#changes = new Map()
    this.#changesComplete = false
  }
}
