/**
 * What each client address has of this owner: connections, and requests a second. For limits that hold where they are
 * seen, without a word to other owners; the dispatcher sees every connection until it is placed.
 */
import type { Flow } from '../../clone/flow.ts'

export interface ClientLimits {
  /** Connections of one client address at one owner; 0: no limit. */
  readonly connections: number
  /** Requests a second of one client address at one owner, in the long run; 0: no limit. */
  readonly requestsPerSecond: number
  /** Requests that may come at once above that. */
  readonly requestBurst: number
}

/** None by default, as in nginx, Apache and Caddy: behind one address there may be a thousand people. */
export const NO_CLIENT_LIMITS: ClientLimits = { connections: 0, requestsPerSecond: 0, requestBurst: 0 }

/** About 10 MB. Clients beyond are not limited: the table is no means to lock others out. */
export const MAX_CLIENTS = 65_536
/** Entries looked at, the oldest first, to find one that can be forgotten. */
const MAX_SEARCHED = 8

/** An IPv4 address, or the /64 of an IPv6 one: that is what one subscriber has. */
type ClientKey = number | string

interface Client {
  connections: number
  /** Requests that it may still make at `at`. */
  allowance: number
  at: number
}

export class ClientTable {
  readonly #limits: ClientLimits
  readonly #clients = new Map<ClientKey, Client>()

  constructor(limits: ClientLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#clients.size
  }

  /** A connection came; false where it is one too many. Counted all the same: `closed` follows. */
  opened(flow: Flow, now: number): boolean {
    if (this.#limits.connections === 0) return true
    const client = this.#client(flow, now)
    if (client === undefined) return true
    return ++client.connections <= this.#limits.connections
  }

  closed(flow: Flow): void {
    if (this.#limits.connections === 0) return
    const key = keyOf(flow)
    const client = this.#clients.get(key)
    if (client === undefined) return
    client.connections = Math.max(0, client.connections - 1)
    if (client.connections === 0 && this.#limits.requestsPerSecond === 0) this.#clients.delete(key)
  }

  /** A request came; false where it is one too many. A token bucket: what is refused costs no allowance. */
  requested(flow: Flow, now: number): boolean {
    const { requestsPerSecond, requestBurst } = this.#limits
    if (requestsPerSecond === 0) return true
    const client = this.#client(flow, now)
    if (client === undefined) return true
    const earned = client.allowance + (Math.max(0, now - client.at) * requestsPerSecond) / 1_000
    client.allowance = Math.min(earned, 1 + requestBurst)
    client.at = Math.max(client.at, now)
    if (client.allowance < 1) return false
    client.allowance--
    return true
  }

  #client(flow: Flow, now: number): Client | undefined {
    const key = keyOf(flow)
    const known = this.#clients.get(key)
    if (known !== undefined) return known
    if (this.#clients.size >= MAX_CLIENTS && !this.#forgetOne()) return undefined
    const client = { connections: 0, allowance: 1 + this.#limits.requestBurst, at: now }
    this.#clients.set(key, client)
    return client
  }

  /** Whoever has connections is remembered; of the others the oldest goes. */
  #forgetOne(): boolean {
    let searched = 0
    for (const [key, client] of this.#clients) {
      if (client.connections === 0) return this.#clients.delete(key)
      if (++searched === MAX_SEARCHED) return false
      // It becomes the youngest, so that the next search looks at others.
      this.#clients.delete(key)
      this.#clients.set(key, client)
    }
    return false
  }
}

function keyOf(flow: Flow): ClientKey {
  return flow.family === 4 ? flow.remote3 : `${flow.remote0}:${flow.remote1}`
}
