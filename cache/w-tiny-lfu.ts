/**
 * W-TinyLFU (Einziger, Friedman, Manes, "TinyLFU: a highly efficient cache admission policy", ACM ToS 2017), with sizes:
 * what is new passes through a small window, and comes into the main part only if it was used more often lately than
 * what would have to go for it. So a scan pushes out nothing but itself. The main part keeps what was used there again
 * before what was not. Measured beside others by `npm run bench -- trace`.
 */
import { type CacheEntry, type CachePolicy, EntryQueue } from './policy.ts'

/**
 * How often what was used lately, in four rows of small counters that hashes share, four counters an item in each. All are
 * halved when ten times as many uses as items were counted, so that what was popular once is forgotten.
 */
class FrequencySketch {
  readonly #counters: Uint8Array
  readonly #mask: number
  readonly #sampleSize: number
  #additions = 0

  constructor(items: number) {
    const size = 2 ** Math.ceil(Math.log2(4 * items))
    this.#counters = new Uint8Array(4 * size)
    this.#mask = size - 1
    this.#sampleSize = 10 * items
  }

  add(hash: number): void {
    for (let row = 0; row < 4; row++) {
      const at = this.#slot(hash, row)
      const count = this.#counters[at] as number
      if (count < 15) this.#counters[at] = count + 1
    }
    if (++this.#additions < this.#sampleSize) return
    this.#additions >>= 1
    for (let at = 0; at < this.#counters.length; at++)
      this.#counters[at] = (this.#counters[at] as number) >> 1
  }

  estimate(hash: number): number {
    let least = 15
    for (let row = 0; row < 4; row++) least = Math.min(least, this.#counters[this.#slot(hash, row)] as number)
    return least
  }

  #slot(hash: number, row: number): number {
    const mixed = Math.imul(
      hash ^ (hash >>> 15),
      [0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f, 0x165667b1][row] as number,
    )
    return row * (this.#mask + 1) + ((mixed ^ (mixed >>> 13)) & this.#mask)
  }
}

/** What an object of the web is about as large as; only the length of the memory for uses depends on it. */
const MEAN_OCTETS = 16_384
const MIN_ITEMS = 1_024
/** Counters of 512 KiB, halved once in 327,680 uses. */
const MAX_ITEMS = 32_768
/** Parts of the cache, as in the paper. */
const WINDOW_SHARE = 0.01
const PROTECTED_SHARE = 0.8

const WINDOW = 0
const PROBATION = 1
const PROTECTED = 2

export class WTinyLfuPolicy implements CachePolicy {
  readonly #queues = [new EntryQueue(), new EntryQueue(), new EntryQueue()] as const
  readonly #sketch: FrequencySketch
  readonly #windowOctets: number
  readonly #mainOctets: number
  readonly #protectedOctets: number

  constructor(capacityOctets: number) {
    const items = capacityOctets / MEAN_OCTETS
    this.#sketch = new FrequencySketch(Math.min(MAX_ITEMS, Math.max(MIN_ITEMS, items)))
    this.#windowOctets = WINDOW_SHARE * capacityOctets
    this.#mainOctets = capacityOctets - this.#windowOctets
    this.#protectedOctets = PROTECTED_SHARE * this.#mainOctets
  }

  add(entry: CacheEntry): void {
    this.#sketch.add(entry.hash)
    entry.queue = WINDOW
    this.#queues[WINDOW].push(entry)
  }

  touch(entry: CacheEntry): void {
    this.#sketch.add(entry.hash)
    this.#move(entry, entry.queue === WINDOW ? WINDOW : PROTECTED)
    const guarded = this.#queues[PROTECTED]
    while (guarded.octets > this.#protectedOctets && guarded.oldest !== undefined)
      this.#move(guarded.oldest, PROBATION)
  }

  remove(entry: CacheEntry): void {
    ;(this.#queues[entry.queue] as EntryQueue).remove(entry)
  }

  victim(): CacheEntry | undefined {
    const [window, probation, guarded] = this.#queues
    for (
      let candidate = window.oldest;
      window.octets > this.#windowOctets && candidate !== undefined;
      candidate = window.oldest
    ) {
      if (probation.octets + guarded.octets + candidate.cost <= this.#mainOctets) {
        this.#move(candidate, PROBATION)
        continue
      }
      const rival = probation.oldest ?? guarded.oldest
      if (rival === undefined) break
      if (this.#sketch.estimate(candidate.hash) <= this.#sketch.estimate(rival.hash)) return candidate
      this.#move(candidate, PROBATION)
      return rival
    }
    return probation.oldest ?? guarded.oldest ?? window.oldest
  }

  #move(entry: CacheEntry, to: number): void {
    this.remove(entry)
    entry.queue = to
    ;(this.#queues[to] as EntryQueue).push(entry)
  }
}
