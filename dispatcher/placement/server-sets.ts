/** What policies remember of paths. Bounded: the path that was remembered longest ago is forgotten, as if nobody had asked for it. */
import type { ServerSet } from './policy.ts'

/** Some 20 MB; those that change are the hot ones, which come back into it at once. */
export const MAX_SERVER_SETS = 65_536

export class ServerSets {
  readonly #sets = new Map<string, ServerSet>()

  of(path: string): ServerSet | undefined {
    return this.#sets.get(path)
  }

  note(path: string, set: ServerSet): void {
    this.#sets.delete(path)
    this.#sets.set(path, set)
    if (this.#sets.size <= MAX_SERVER_SETS) return
    for (const oldest of this.#sets.keys()) {
      this.#sets.delete(oldest)
      return
    }
  }

  clear(): void {
    this.#sets.clear()
  }
}
