/**
 * Which object goes when room is needed: the interface of the store to its policy, and least recently used. The
 * policy orders entries and decides nothing else; room is counted by the store.
 */
import type { CachedObject } from './cached-object.ts'

/** A path of the store. Indexes may hold an entry after its object is gone, so it never holds more than it must. */
export class CacheEntry {
  readonly path: string
  /** The current version; undefined once the entry was evicted or removed, and then for ever. */
  object: CachedObject | undefined
  /** When the source was last asked whether this version is current, in ms of the monotonic clock. */
  checkedAt: number
  /** The policy's: neighbours in its queue, which of its queues, and how often used. */
  newer: CacheEntry | undefined
  older: CacheEntry | undefined
  queue: number
  uses: number

  constructor(path: string, object: CachedObject, now: number) {
    this.path = path
    this.object = object
    this.checkedAt = now
    this.newer = undefined
    this.older = undefined
    this.queue = 0
    this.uses = 0
  }
}

export interface CachePolicy {
  add(entry: CacheEntry): void
  /** A use of an entry that was added: on the packet path. */
  touch(entry: CacheEntry): void
  remove(entry: CacheEntry): void
  /** The entry to evict next; a policy that admits by merit may name the one just added. Undefined when empty. */
  victim(): CacheEntry | undefined
}

/** Least recently used, as a list through the entries: a touch is a few stores and allocates nothing. */
export class LruPolicy implements CachePolicy {
  #newest: CacheEntry | undefined
  #oldest: CacheEntry | undefined

  add(entry: CacheEntry): void {
    entry.newer = undefined
    entry.older = this.#newest
    if (this.#newest === undefined) this.#oldest = entry
    else this.#newest.newer = entry
    this.#newest = entry
  }

  touch(entry: CacheEntry): void {
    if (entry === this.#newest) return
    this.remove(entry)
    this.add(entry)
  }

  remove(entry: CacheEntry): void {
    if (entry.newer === undefined) this.#newest = entry.older
    else entry.newer.older = entry.older
    if (entry.older === undefined) this.#oldest = entry.newer
    else entry.older.newer = entry.newer
    entry.newer = undefined
    entry.older = undefined
  }

  victim(): CacheEntry | undefined {
    return this.#oldest
  }
}
