/**
 * Which contents other owners are known to hold, because they took a connection that needed them, or gave one away. It may
 * be wrong: what has left a cache is found out when it is refused.
 */

/** Some 300 octets each; beyond it what was noted first is forgotten, and asked for again. */
const MAX_HELD = 8_192

export class Holders {
  /** By owner and key. */
  readonly #held = new Set<string>()
  readonly #max: number

  constructor(max: number = MAX_HELD) {
    this.#max = max
  }

  /** Whether `owner` holds all of these. */
  hold(owner: number, keys: readonly string[]): boolean {
    return keys.every(key => this.#held.has(`${owner} ${key}`))
  }

  note(owner: number, keys: readonly string[]): void {
    for (const key of keys) {
      this.#held.add(`${owner} ${key}`)
      if (this.#held.size <= this.#max) continue
      for (const oldest of this.#held) {
        this.#held.delete(oldest)
        break
      }
    }
  }

  forget(owner: number, keys: readonly string[]): void {
    for (const key of keys) this.#held.delete(`${owner} ${key}`)
  }
}
