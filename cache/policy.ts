/**
 * Which object goes when room is needed: the interface of the store to its policy, and the queues that policies are
 * made of. The policy orders entries and decides nothing else; room is counted by the store.
 */
import { type CachedObject, OBJECT_OVERHEAD_OCTETS } from './cached-object.ts'

/** A path of the store. Indexes may hold an entry after its object is gone, so it never holds more than it must. */
export class CacheEntry {
  readonly path: string
  /** Of the path. */
  readonly hash: number
  /** Octets that the entry takes of the cache. */
  readonly cost: number
  /** The current version; undefined once the entry was evicted or removed, and then for ever. */
  object: CachedObject | undefined
  /** When the source was last asked whether this version is current, in ms of the monotonic clock. */
  checkedAt: number
  /** The policy's: neighbours in its queue, which of its queues, and how often used. */
  newer: CacheEntry | undefined
  older: CacheEntry | undefined
  queue: number
  uses: number
  /** Uses since it came: for the operator. */
  hits: number

  constructor(path: string, object: CachedObject, now: number) {
    this.path = path
    this.hash = hashOf(path)
    this.cost = object.memoryOctets + OBJECT_OVERHEAD_OCTETS
    this.object = object
    this.checkedAt = now
    this.newer = undefined
    this.older = undefined
    this.queue = 0
    this.uses = 0
    this.hits = 0
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

/** Entries in one order, as a list through them: nothing is allocated. */
export class EntryQueue {
  octets = 0
  oldest: CacheEntry | undefined
  #newest: CacheEntry | undefined

  push(entry: CacheEntry): void {
    entry.newer = undefined
    entry.older = this.#newest
    if (this.#newest === undefined) this.oldest = entry
    else this.#newest.newer = entry
    this.#newest = entry
    this.octets += entry.cost
  }

  remove(entry: CacheEntry): void {
    if (entry.newer === undefined) this.#newest = entry.older
    else entry.newer.older = entry.older
    if (entry.older === undefined) this.oldest = entry.newer
    else entry.older.newer = entry.newer
    entry.newer = undefined
    entry.older = undefined
    this.octets -= entry.cost
  }
}

/** FNV-1a. */
function hashOf(path: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < path.length; at++) hash = Math.imul(hash ^ path.charCodeAt(at), 0x01000193)
  return hash
}
