/**
 * Connections of an owner that are in a state which is bounded of its own, oldest first: half-open ones and those in
 * TIME-WAIT. It also says which connection makes room for another.
 */
import type { Connection } from './connection.ts'

export class Population {
  /** Sets keep the order in which their members came. */
  readonly #halfOpen = new Set<Connection>()
  readonly #timeWait = new Set<Connection>()

  get halfOpen(): number {
    return this.#halfOpen.size
  }

  get timeWait(): number {
    return this.#timeWait.size
  }

  /** The connection is new here, or its state may have changed. */
  note(connection: Connection): void {
    const { state } = connection.tcb
    if (state === 'SYN-RECEIVED') this.#halfOpen.add(connection)
    else {
      this.#halfOpen.delete(connection)
      if (state === 'TIME-WAIT') this.#timeWait.add(connection)
    }
  }

  remove(connection: Connection): void {
    this.#halfOpen.delete(connection)
    this.#timeWait.delete(connection)
  }

  oldestTimeWait(): Connection | undefined {
    return first(this.#timeWait)
  }

  oldestHalfOpen(): Connection | undefined {
    return first(this.#halfOpen)
  }
}

function first(connections: Set<Connection>): Connection | undefined {
  for (const connection of connections) return connection
  return undefined
}
