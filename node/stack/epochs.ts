/**
 * The last epochs of connections that this owner has forgotten: ended here, or their tombstone gone. A COMMIT that is
 * repeated over a new link may come after all of that, and must not bring an old state back to life.
 */

/** Longer than any COMMIT is repeated (`COMMIT_GIVE_UP_MS`), and than a message can wait in a link. */
export const EPOCH_MS = 20_000
/** At some 60 octets each; beyond it the oldest goes. */
export const MAX_EPOCHS = 262_144

interface Remembered {
  readonly epoch: number
  readonly until: number
}

export class Epochs {
  readonly #epochs = new Map<number, Remembered>()
  readonly #max: number

  constructor(max: number = MAX_EPOCHS) {
    this.#max = max
  }

  get size(): number {
    return this.#epochs.size
  }

  note(connection: number, epoch: number, now: number): void {
    const known = this.#epochs.get(connection)
    if (known !== undefined && known.epoch > epoch) return
    this.#epochs.delete(connection)
    this.#epochs.set(connection, { epoch, until: now + EPOCH_MS })
    // They stand in the order of their ends, so that what is over goes without a timer.
    for (const [oldest, { until }] of this.#epochs) {
      if (until > now && this.#epochs.size <= this.#max) return
      this.#epochs.delete(oldest)
    }
  }

  /** -1 where unknown; with `now` also where it is no longer of any account. */
  get(connection: number, now = Number.NEGATIVE_INFINITY): number {
    const known = this.#epochs.get(connection)
    return known === undefined || known.until <= now ? -1 : known.epoch
  }
}
