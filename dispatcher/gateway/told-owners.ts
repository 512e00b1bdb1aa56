/**
 * The owners to steer to, by what several dispatchers say: each names those that it knows itself, and one that has just started
 * knows few, so the words of all that are linked are put together. Without any the last words hold.
 */
import type { NextHop } from '../steering/steering.ts'

export class ToldOwners {
  /** By dispatcher, in the order in which they spoke; bounded by the dispatchers there are. */
  readonly #told = new Map<number, readonly NextHop[]>()
  /** Of those in `#told`, whose links are down. */
  readonly #lost = new Set<number>()

  /** The dispatcher `by` has named all owners that it knows, itself among them. */
  told(by: number, owners: readonly NextHop[]): void {
    this.#lost.delete(by)
    this.#told.delete(by)
    this.#told.set(by, owners)
    this.#forgetLost()
  }

  down(by: number): void {
    if (this.#told.has(by)) this.#lost.add(by)
    this.#forgetLost()
  }

  /** Of two words about one owner the later counts. */
  get owners(): NextHop[] {
    const owners = new Map([...this.#told.values()].flat().map(hop => [hop.owner, hop]))
    return [...owners.values()].sort((a, b) => a.owner - b.owner)
  }

  /** Those that may be given new connections: that know a node to hand them to, where any does. */
  get dispatchers(): number[] {
    const all = [...this.#told.keys()].sort((a, b) => a - b)
    const able = all.filter(id => this.#told.get(id)?.some(({ owner }) => !this.#told.has(owner)))
    return able.length > 0 ? able : all
  }

  #forgetLost(): void {
    if (this.#lost.size === this.#told.size) return
    for (const id of this.#lost) this.#told.delete(id)
    this.#lost.clear()
  }
}
