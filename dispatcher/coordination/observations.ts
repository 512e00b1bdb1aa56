/**
 * For how long registers have not been written, as far as somebody knows who reads them again and again. Only the time between two
 * answers in a row counts, from the first one's arrival to the second one's question: an engine that was away or did not run, or a
 * reader that did not, is no reason to take a holder for dead who could not renew meanwhile. No clock but the reader's own is used.
 */

interface Observation {
  readonly revision: number
  readonly unmovedMs: number
  /** When the last answer came. */
  readonly at: number
  /** Writes that were seen. */
  readonly moves: number
}

export class Observations {
  /** By key: at most one for each owner id. */
  readonly #seen = new Map<string, Observation>()
  readonly #maxGapMs: number

  /** `maxGapMs`: two answers further apart are not taken to be in a row. */
  constructor(maxGapMs: number) {
    this.#maxGapMs = maxGapMs
  }

  /** Takes an answer (revision 0: not there), asked for at `askedAt`; the ms for which the register has not been written, at least. */
  note(key: string, revision: number, askedAt: number, now: number): number {
    const before = this.#seen.get(key)
    const isSame = before?.revision === revision
    const gapMs = before === undefined ? 0 : askedAt - before.at
    const unmovedMs = isSame ? before.unmovedMs + (gapMs <= this.#maxGapMs ? Math.max(0, gapMs) : 0) : 0
    const moves = before === undefined ? 0 : before.moves + (isSame ? 0 : 1)
    this.#seen.set(key, { revision, unmovedMs, at: now, moves })
    return unmovedMs
  }

  /** How often it was written since it was first looked at, at least. */
  moves(key: string): number {
    return this.#seen.get(key)?.moves ?? 0
  }

  /**
   * A question was not answered: the time up to the next answer does not count. What is not there now may not be there in another
   * storage than before.
   */
  interrupted(): void {
    for (const [key, seen] of this.#seen) {
      if (seen.revision === 0) this.#seen.delete(key)
      else this.#seen.set(key, { ...seen, at: Number.NEGATIVE_INFINITY })
    }
  }
}
