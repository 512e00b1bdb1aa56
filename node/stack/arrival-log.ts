/**
 * What an owner remembers of the connections that it took over: how long the client's first packet was in coming here, on
 * this owner's own clock, as the owner that gave the connection away can only tell when it heard of that. For who watches.
 */

/** As many as an owner remembers shifts that it began. */
const MAX_ARRIVALS = 4_096

export interface Arrival {
  readonly connection: number
  readonly epoch: number
  /** From COMMIT's coming to the first packet that names this owner. */
  readonly ms: number
}

export class ArrivalLog {
  readonly #ring: Arrival[] = []
  #next = 0

  add(arrival: Arrival): void {
    this.#ring[this.#next] = arrival
    this.#next = (this.#next + 1) % MAX_ARRIVALS
  }

  of(connection: number): Arrival[] {
    return this.#ring.filter(arrival => arrival.connection === connection)
  }
}
