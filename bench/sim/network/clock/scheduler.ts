/**
 * Virtual time: a queue of events that are run one after the other, each at its own instant, with no real
 * waiting between. Events of the same instant run in the order in which they were scheduled, so that a run is
 * the same every time.
 */

/** An event in the queue; keep it to cancel it. */
export interface ScheduledEvent {
  readonly at: number
  readonly order: number
  readonly run: () => void
  /** Position in the heap; -1 once run or cancelled. */
  index: number
}

/** More events waiting than this is a simulation that has lost its bounds. */
export const MAX_PENDING_EVENTS = 1_000_000
/** More events in one instant than this is a simulation that stands still. */
export const MAX_EVENTS_PER_INSTANT = 1_000_000

export class Scheduler {
  /** Milliseconds since the simulation began. */
  now: number
  readonly #heap: ScheduledEvent[] = []
  #order = 0
  #inThisInstant = 0

  constructor(now = 0) {
    this.now = now
  }

  get pending(): number {
    return this.#heap.length
  }

  /** When the next event is due; Infinity where none is. */
  get nextAt(): number {
    return this.#heap[0]?.at ?? Infinity
  }

  /** Runs `run` at `time`, or as soon as everything due before has run where that is past. */
  at(time: number, run: () => void): ScheduledEvent {
    if (Number.isNaN(time)) throw new Error('an event needs a time')
    if (this.#heap.length === MAX_PENDING_EVENTS) throw new Error('too many events are pending')
    const event = { at: Math.max(time, this.now), order: this.#order++, run, index: this.#heap.length }
    this.#heap.push(event)
    this.#up(event)
    return event
  }

  after(ms: number, run: () => void): ScheduledEvent {
    return this.at(this.now + ms, run)
  }

  /** Returns whether the event was still to run. */
  cancel(event: ScheduledEvent): boolean {
    if (event.index < 0) return false
    this.#remove(event)
    return true
  }

  /** Runs the next event, whenever it is due; false where there is none. */
  step(): boolean {
    const event = this.#heap[0]
    if (event === undefined || event.at === Infinity) return false
    if (event.at > this.now) this.#inThisInstant = 0
    else if (++this.#inThisInstant > MAX_EVENTS_PER_INSTANT) {
      throw new Error(`time stands still at ${this.now} ms`)
    }
    this.#remove(event)
    this.now = event.at
    event.run()
    return true
  }

  /** Runs everything due up to `until`, which it is afterwards. Returns how many events ran. */
  run(until: number): number {
    let count = 0
    while (this.nextAt <= until && this.step()) count++
    if (until > this.now && until !== Infinity) this.now = until
    return count
  }

  /** Runs until `done()` holds, checked after each event, or `until` has come; returns whether it holds. */
  runUntil(done: () => boolean, until: number): boolean {
    while (!done()) {
      if (this.nextAt > until || !this.step()) {
        if (until > this.now && until !== Infinity) this.now = until
        return done()
      }
    }
    return true
  }

  #remove(event: ScheduledEvent): void {
    const last = this.#heap.pop() as ScheduledEvent
    if (last !== event) {
      this.#place(last, event.index)
      this.#up(last)
      this.#down(last)
    }
    event.index = -1
  }

  #place(event: ScheduledEvent, index: number): void {
    this.#heap[index] = event
    event.index = index
  }

  #up(event: ScheduledEvent): void {
    while (event.index > 0) {
      const index = event.index
      const parent = this.#heap[(index - 1) >> 1] as ScheduledEvent
      if (!isBefore(event, parent)) return
      this.#place(event, parent.index)
      this.#place(parent, index)
    }
  }

  #down(event: ScheduledEvent): void {
    for (;;) {
      const index = event.index
      const left = this.#heap[2 * index + 1]
      const right = this.#heap[2 * index + 2]
      if (left === undefined) return
      const least = right !== undefined && isBefore(right, left) ? right : left
      if (!isBefore(least, event)) return
      this.#place(event, least.index)
      this.#place(least, index)
    }
  }
}

function isBefore(one: ScheduledEvent, other: ScheduledEvent): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}
