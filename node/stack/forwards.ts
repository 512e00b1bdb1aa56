/**
 * The forwards of one owner, bounded in number and in time: tombstones for a minute, birth records for as long as
 * their connection lives. When there are too many, the oldest goes: its stragglers then take the way of unknown packets,
 * through the dispatcher.
 */
import type { Connection, Forward } from './connection.ts'
import { type FlowTable, sameFlow } from './flow-table.ts'
import { dropOldest } from './oldest.ts'

/**
 * How long an old owner passes stragglers on. Segments live at most 2 MSL in the network, but what matters is the
 * client: it echoes the old owner until it hears the new one, which retransmits with back-off up to RTO's maximum.
 */
export const TOMBSTONE_MS = 60_000
/** At some 250 octets each. */
export const MAX_FORWARDS = 262_144

export class Forwards {
  readonly #table: FlowTable<Connection | Forward>
  readonly #byId: Map<number, Connection | Forward>
  /** In the order of expiry: each lives equally long, and one that is renewed moves to the end. */
  readonly #order = new Map<number, Forward>()
  readonly #max: number
  /** Told of each forward that is no more. */
  readonly #forgotten: (forward: Forward) => void
  evicted = 0

  constructor(
    table: FlowTable<Connection | Forward>,
    byId: Map<number, Connection | Forward>,
    forgotten: (forward: Forward) => void,
    max: number = MAX_FORWARDS,
  ) {
    this.#table = table
    this.#byId = byId
    this.#forgotten = forgotten
    this.#max = max
  }

  get size(): number {
    return this.#order.size
  }

  values(): IterableIterator<Forward> {
    return this.#order.values()
  }

  /**
   * Puts `forward` in the place of an earlier forward of its flow, and of its id. A connection that has the flow is another
   * one, and keeps it: then no packet follows the forward, which only remembers an epoch. A connection of that very id
   * lives here, whatever others say of it: nothing is remembered then.
   */
  add(forward: Forward): void {
    const namesake = this.#byId.get(forward.id)
    if (namesake?.kind === 'connection') return
    if (namesake !== undefined && !sameFlow(namesake, forward)) this.remove(namesake)
    this.#order.delete(forward.id)
    if (this.#order.size >= this.#max) {
      dropOldest(this.#order, this.#max, (_, oldest) => {
        this.remove(oldest)
        this.evicted++
      })
    }
    const before = this.#table.find(forward)
    if (before?.kind === 'forward' && before.id !== forward.id) this.#unlink(before)
    if (before?.kind !== 'connection') this.#table.set(forward)
    this.#byId.set(forward.id, forward)
    this.#order.set(forward.id, forward)
  }

  remove(forward: Forward): void {
    if (this.#table.find(forward) === forward) this.#table.delete(forward)
    this.#unlink(forward)
  }

  /** Forgets what is over, at most `limit` of them at a call. */
  expire(now: number, limit: number): void {
    for (const forward of this.#order.values()) {
      if (forward.expiresAt > now || limit-- <= 0) return
      this.remove(forward)
    }
  }

  #unlink(forward: Forward): void {
    if (this.#byId.get(forward.id) === forward) this.#byId.delete(forward.id)
    if (this.#order.get(forward.id) === forward) this.#order.delete(forward.id)
    this.#forgotten(forward)
  }
}
