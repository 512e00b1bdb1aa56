/**
 * The dispatchers that a node is linked with, and the nodes there are by what they say. Each says what it knows itself: one
 * that has just started knows few, so the words of all that are here are put together.
 */
import { MAX_ROSTER, type Member } from './messages.ts'

export class Dispatchers {
  #linked: readonly number[] = []
  /** By dispatcher; bounded by the links there are. */
  readonly #rosters = new Map<number, readonly Member[]>()

  /** By id, the lowest first. */
  get linked(): readonly number[] {
    return this.#linked
  }

  /** Who is asked for what one alone should decide; undefined where none is linked. */
  get first(): number | undefined {
    return this.#linked[0]
  }

  has(id: number): boolean {
    return this.#linked.includes(id)
  }

  up(id: number): void {
    if (!this.has(id)) this.#linked = [...this.#linked, id].sort((a, b) => a - b)
  }

  /** What the last one said goes on to hold. */
  down(id: number): void {
    this.#linked = this.#linked.filter(other => other !== id)
    if (this.#linked.length > 0) this.#rosters.delete(id)
  }

  told(id: number, members: readonly Member[]): void {
    for (const other of this.#rosters.keys()) if (!this.has(other)) this.#rosters.delete(other)
    this.#rosters.delete(id)
    this.#rosters.set(id, members)
  }

  /** The same with some more, or in the place of others, and without those that left. */
  changed(id: number, came: readonly Member[], left: readonly number[]): void {
    const gone = new Set([...left, ...came.map(member => member.id)])
    const before = this.#rosters.get(id) ?? []
    this.told(id, [...before.filter(member => !gone.has(member.id)), ...came].slice(0, MAX_ROSTER))
  }

  /** Every node there is, by id; of two words about one the later counts. */
  roster(): Member[] {
    const members = new Map([...this.#rosters.values()].flat().map(member => [member.id, member]))
    return [...members.values()].sort((a, b) => a.id - b.id)
  }
}
