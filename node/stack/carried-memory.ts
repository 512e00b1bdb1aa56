/**
 * Octets that connections brought along to be sent, by value: what others wrote for a client before the connection came
 * here. One snapshot is bounded; this bounds all together, for a peer could send any number of them. It looks again at what
 * is left only when it is full: acknowledgements cost nothing here.
 */
import type { Connection } from './connection.ts'

/** Heads of responses, which nearly every connection brings, are not counted: with `MAX_CONNECTIONS` they are 512 MiB. */
const MAX_UNCOUNTED_OCTETS = 1_024
/** It looks again no more often than this, in ms: half a million connections take some 25. */
const RECOUNT_MS = 1_000

export class CarriedMemory {
  readonly #max: number
  readonly #octets = new Map<Connection, number>()
  #recountAt = Number.NEGATIVE_INFINITY
  octets = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Whether so many octets more may come. */
  hasRoom(octets: number, now: number): boolean {
    if (this.octets + octets > this.#max && now >= this.#recountAt) this.#recount(now)
    return this.octets + octets <= this.#max
  }

  note(connection: Connection, octets: number): void {
    if (octets <= MAX_UNCOUNTED_OCTETS) return
    this.#octets.set(connection, octets)
    this.octets += octets
  }

  release(connection: Connection): void {
    const octets = this.#octets.get(connection)
    if (octets === undefined) return
    this.#octets.delete(connection)
    this.octets -= octets
  }

  #recount(now: number): void {
    this.#recountAt = now + RECOUNT_MS
    for (const [connection, before] of [...this.#octets]) {
      // What rests has nothing to send.
      const isAtRest = connection.isPutAway || connection.resting !== undefined
      const left = isAtRest ? 0 : Math.min(before, connection.tcb.sendQueue.ownedOctets)
      this.release(connection)
      this.note(connection, left)
    }
  }
}
