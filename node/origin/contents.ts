/**
 * The bodies of responses that are in memory here, by their keys, for as long as anything refers to them: the cache, a send
 * queue, a shift under way. It keeps none alive.
 */
import type { CachedObject } from '../../cache/cached-object.ts'

export class Contents {
  readonly #all = new Map<string, WeakRef<CachedObject>>()
  readonly #gone = new FinalizationRegistry<string>(key => {
    // Another object of the same key may have come meanwhile.
    if (this.get(key) === undefined) this.#all.delete(key)
  })

  /** Of several objects of one key, which have the same octets, the last counts. */
  add(object: CachedObject): void {
    this.#all.set(object.key, new WeakRef(object))
    this.#gone.register(object, object.key)
  }

  get(key: string): CachedObject | undefined {
    return this.#all.get(key)?.deref()
  }
}
