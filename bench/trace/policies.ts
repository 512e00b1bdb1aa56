/**
 * The policies that the cache's own is measured against: least recently used, and S3-FIFO (Yang et al., "FIFO queues are all
 * you need for cache eviction", SOSP 2023): what is new passes through a small queue, only what is used there again
 * comes into the main one, and what left is remembered by its name for a while.
 */
import { type CacheEntry, type CachePolicy, EntryQueue } from '../../cache/policy.ts'

export class LruPolicy implements CachePolicy {
  readonly #queue = new EntryQueue()

  add(entry: CacheEntry): void {
    this.#queue.push(entry)
  }

  touch(entry: CacheEntry): void {
    this.#queue.remove(entry)
    this.#queue.push(entry)
  }

  remove(entry: CacheEntry): void {
    this.#queue.remove(entry)
  }

  victim(): CacheEntry | undefined {
    return this.#queue.oldest
  }
}

/** The small queue's part of the cache, as in the paper. */
const SMALL_SHARE = 0.1
/** Uses are counted so far: one more round of the main queue each. */
const MAX_USES = 3
/** Names remembered: about 5 MB. The paper's number of them is that of the objects in the main queue. */
const MAX_GHOSTS = 65_536

const SMALL = 0
const MAIN = 1

export class S3FifoPolicy implements CachePolicy {
  readonly #smallOctets: number
  readonly #mainOctets: number
  readonly #small = new EntryQueue()
  readonly #main = new EntryQueue()
  /** Cost by path, the oldest first. */
  readonly #ghosts = new Map<string, number>()
  #ghostOctets = 0

  constructor(capacityOctets: number) {
    this.#smallOctets = SMALL_SHARE * capacityOctets
    this.#mainOctets = capacityOctets - this.#smallOctets
  }

  add(entry: CacheEntry): void {
    entry.uses = 0
    entry.queue = this.#forget(entry.path) ? MAIN : SMALL
    this.#queueOf(entry).push(entry)
  }

  touch(entry: CacheEntry): void {
    if (entry.uses < MAX_USES) entry.uses++
  }

  remove(entry: CacheEntry): void {
    this.#queueOf(entry).remove(entry)
  }

  victim(): CacheEntry | undefined {
    for (;;) {
      const isSmall = this.#small.octets > this.#smallOctets || this.#main.oldest === undefined
      const victim = isSmall ? this.#smallVictim() : this.#mainVictim()
      if (victim !== undefined || (this.#small.oldest === undefined && this.#main.oldest === undefined))
        return victim
    }
  }

  /** The oldest that was not used again; those that were move to the main queue. */
  #smallVictim(): CacheEntry | undefined {
    for (let entry = this.#small.oldest; entry !== undefined; entry = this.#small.oldest) {
      if (entry.uses === 0) {
        this.#remember(entry)
        return entry
      }
      this.#small.remove(entry)
      entry.uses = 0
      entry.queue = MAIN
      this.#main.push(entry)
    }
    return undefined
  }

  /** The oldest that was not used since its last round; each use is worth a round. */
  #mainVictim(): CacheEntry | undefined {
    for (let entry = this.#main.oldest; entry !== undefined; entry = this.#main.oldest) {
      if (entry.uses === 0) return entry
      entry.uses--
      this.#main.remove(entry)
      this.#main.push(entry)
    }
    return undefined
  }

  #queueOf(entry: CacheEntry): EntryQueue {
    return entry.queue === SMALL ? this.#small : this.#main
  }

  #remember(entry: CacheEntry): void {
    this.#forget(entry.path)
    this.#ghosts.set(entry.path, entry.cost)
    this.#ghostOctets += entry.cost
    for (const oldest of this.#ghosts.keys()) {
      if (this.#ghosts.size <= MAX_GHOSTS && this.#ghostOctets <= this.#mainOctets) return
      this.#forget(oldest)
    }
  }

  /** Whether the path was remembered. */
  #forget(path: string): boolean {
    const cost = this.#ghosts.get(path)
    if (cost === undefined) return false
    this.#ghosts.delete(path)
    this.#ghostOctets -= cost
    return true
  }
}
