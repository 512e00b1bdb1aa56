/** What policies remember of paths. Bounded: the path that was remembered longest ago is forgotten, as if nobody had asked for it. */
import type { ServerSet } from './policy.ts'

/** Some 20 MB; those that change are the hot ones, which come back into it at once. */
export const MAX_SERVER_SETS = 65_536
/** Of their paths together, which clients choose. */
export const MAX_SERVER_SET_CHARS = 16 * 1024 * 1024

export class ServerSets {
  readonly #sets = new Map<string, ServerSet>()
  #chars = 0

  of(path: string): ServerSet | undefined {
    return this.#sets.get(path)
  }

  note(path: string, set: ServerSet): void {
    if (!this.#sets.delete(path)) this.#chars += path.length
    this.#sets.set(path, set)
    for (const oldest of this.#sets.keys()) {
      if (this.#sets.size <= MAX_SERVER_SETS && this.#chars <= MAX_SERVER_SET_CHARS) return
      this.#sets.delete(oldest)
      this.#chars -= oldest.length
    }
  }

  clear(): void {
    this.#sets.clear()
    this.#chars = 0
  }
}
