/**
 * Which node holds what in memory: soft state, told by the nodes in batches and wrong for a moment now and then. A wrong
 * entry costs a read from disk, never a wrong answer. It decides nothing: `placement.ts` does.
 */

/** Paths known of all nodes together; beyond it the oldest entries go, and their objects count as held by nobody. */
export const MAX_DIRECTORY_PATHS = 1_000_000

export class Directory {
  /** Path to the owner ids that hold it. */
  readonly #holders = new Map<string, number[]>()
  readonly #max: number

  constructor(max: number = MAX_DIRECTORY_PATHS) {
    this.#max = max
  }

  get size(): number {
    return this.#holders.size
  }

  holders(path: string): readonly number[] {
    return this.#holders.get(path) ?? []
  }

  add(owner: number, path: string): void {
    const holders = this.#holders.get(path)
    if (holders === undefined) {
      if (this.#holders.size >= this.#max) this.#dropOldest()
      this.#holders.set(path, [owner])
    } else if (!holders.includes(owner)) holders.push(owner)
  }

  remove(owner: number, path: string): void {
    const holders = this.#holders.get(path)
    const index = holders?.indexOf(owner) ?? -1
    if (holders === undefined || index < 0) return
    holders.splice(index, 1)
    if (holders.length === 0) this.#holders.delete(path)
  }

  /** The node is gone, or begins to tell its whole cache again. */
  forget(owner: number): void {
    for (const path of this.#holders.keys()) this.remove(owner, path)
  }

  #dropOldest(): void {
    for (const path of this.#holders.keys()) {
      this.#holders.delete(path)
      return
    }
  }
}
