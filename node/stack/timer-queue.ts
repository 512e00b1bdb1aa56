/**
 * Deadlines of many connections, of which most move later before they come due (every acknowledgement moves the
 * retransmission timer). A heap entry is therefore only added when a deadline moves earlier than the one queued;
 * one that moved later is found out when its old entry comes up, and queued again. Holds no clock.
 */

/** What can be queued: it remembers for which time it stands in the heap. */
export interface Timed {
  /** Time of the valid heap entry, or Infinity when there is none. Only the queue writes it. */
  queuedAt: number
  /** The deadline that holds now, Infinity for none. */
  deadline(): number
}

/**
 * Entries for each item at most: every delayed acknowledgement leaves a stale one behind, which would stay until its time
 * comes. When there are more the stale ones are taken out; that costs less than adding them did.
 */
export const MAX_ENTRIES_PER_ITEM = 4
/** Below this nobody need care. */
const MIN_COMPACTED = 1_024

export class TimerQueue<Item extends Timed> {
  #times: number[] = []
  #items: Item[] = []
  /** Items that stand in the heap with a valid entry. */
  #live = 0

  /** Heap entries, stale ones included. */
  get length(): number {
    return this.#items.length
  }

  /** To be called whenever the deadline of `item` may have moved earlier. */
  update(item: Item): void {
    const deadline = item.deadline()
    if (deadline < item.queuedAt) {
      if (item.queuedAt === Number.POSITIVE_INFINITY) this.#live++
      item.queuedAt = deadline
      this.#push(deadline, item)
      this.#bound()
    }
  }

  /** `item` is no more. Where many are no more, none of them is kept until a time that nobody waits for. */
  forget(item: Item): void {
    if (item.queuedAt !== Number.POSITIVE_INFINITY) {
      item.queuedAt = Number.POSITIVE_INFINITY
      this.#live--
    }
    this.#bound()
  }

  /** When `next` should be asked again; early is possible, late is not. */
  earliest(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY
  }

  /** Takes one item whose deadline is due, or undefined. The caller acts on it and calls `update` again. */
  next(now: number): Item | undefined {
    while (this.earliest() <= now) {
      const time = this.#times[0] as number
      const item = this.#pop()
      if (item.queuedAt !== time) continue
      item.queuedAt = Number.POSITIVE_INFINITY
      this.#live--
      if (item.deadline() <= now) return item
      this.update(item)
    }
    return undefined
  }

  #bound(): void {
    const { length } = this.#items
    if (length > MIN_COMPACTED && length > MAX_ENTRIES_PER_ITEM * this.#live) this.#compact()
  }

  #compact(): void {
    const times = this.#times
    const items = this.#items
    this.#times = []
    this.#items = []
    for (let at = 0; at < items.length; at++) {
      const item = items[at] as Item
      if (item.queuedAt === times[at]) this.#push(item.queuedAt, item)
    }
  }

  #push(time: number, item: Item): void {
    const times = this.#times
    const items = this.#items
    let at = times.push(time) - 1
    items.push(item)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const parentTime = times[parent] as number
      if (parentTime <= time) break
      times[at] = parentTime
      items[at] = items[parent] as Item
      at = parent
    }
    times[at] = time
    items[at] = item
  }

  #pop(): Item {
    const times = this.#times
    const items = this.#items
    const top = items[0] as Item
    const time = times.pop() as number
    const item = items.pop() as Item
    const length = times.length
    if (length === 0) return top
    let at = 0
    for (let child = 1; child < length; child = 2 * at + 1) {
      if (child + 1 < length && (times[child + 1] as number) < (times[child] as number)) child++
      if ((times[child] as number) >= time) break
      times[at] = times[child] as number
      items[at] = items[child] as Item
      at = child
    }
    times[at] = time
    items[at] = item
    return top
  }
}
