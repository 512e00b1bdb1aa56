/**
 * The links of one process to all others: it accepts, it dials those it is told to, and it finds the link to an owner by
 * its id. Between two nodes the one with the lower id dials, so that a pair has one link and its messages one order.
 */
import type { AddressInfo } from 'node:net'
import { Dialer } from './dialer.ts'
import { Dialers } from './dialers.ts'
import type { LinkError } from './errors.ts'
import { type Hello, NO_OWNER } from './hello.ts'
import type { Link, LinkLimits } from './link.ts'
import type { LinkKeys } from './link-keys.ts'
import { Listener } from './listener.ts'

export interface Peer {
  readonly id: number
  /** host:port, an IPv6 host in brackets. */
  readonly address: string
}

export interface MeshOptions {
  readonly hello: () => Hello
  /** In [0, 1). */
  readonly random: () => number
  readonly limits?: LinkLimits
  /** Of the cluster; undefined: links without TLS. */
  readonly keys?: LinkKeys | undefined
  onMessage(link: Link, message: unknown): void
  /** `restarted`: the peer is another run of the process than the one we knew. */
  onUp(link: Link, restarted: boolean): void
  onDown(link: Link, reason: LinkError): void
  /** An attempt to dial made no link. */
  onFailure?(address: string, error: LinkError): void
}

export class Mesh {
  readonly #options: MeshOptions
  readonly #listener: Listener
  /** By owner id. */
  readonly #dialers = new Map<number, { readonly dialer: Dialer; readonly address: string }>()
  /** Of those that are known by their address alone. */
  readonly #byAddress: Dialers
  /** By owner id; processes that own nothing (gateways) are only met by `onUp`. */
  readonly #links = new Map<number, Link>()
  readonly #incarnations = new Map<number, string>()

  constructor(options: MeshOptions) {
    this.#options = options
    const { hello, keys, limits } = options
    this.#listener = new Listener({ ...limits, hello, keys, handlers: this.#handlers() })
    this.#byAddress = new Dialers((address, down) => this.#dialer(address, {}, down))
  }

  listen(port: number, host: string): Promise<AddressInfo> {
    return this.#listener.listen(port, host)
  }

  /** Keeps links up from now on to whoever answers at these addresses, host:port, and no other but the peers. */
  dial(addresses: readonly string[]): void {
    this.#byAddress.name(addresses)
  }

  /** Whether whoever answers at `address` is dialed for it. */
  dials(address: string): boolean {
    return this.#byAddress.has(address)
  }

  #dialPeer({ id, address }: Peer): void {
    const present = this.#dialers.get(id)
    if (present?.address === address) return
    present?.dialer.close()
    this.#dialers.set(id, { dialer: this.#dialer(address, { expectedOwner: id }), address })
  }

  #dialer(
    address: string,
    expected: { readonly expectedOwner?: number },
    down: () => void = () => {},
  ): Dialer {
    const { hello, keys, random, limits, onFailure } = this.#options
    const handlers = this.#handlers()
    return new Dialer({
      ...limits,
      ...expected,
      ...{ address, hello, keys, random },
      handlers: {
        ...handlers,
        onDown: (link, reason) => {
          handlers.onDown(link, reason)
          down()
        },
      },
      onFailure: error => onFailure?.(address, error),
    })
  }

  /** The nodes there are: those above us in id are dialed, those that left are not any more. */
  setPeers(peers: readonly Peer[]): void {
    const own = this.#options.hello().ownerId
    const wanted = new Set(peers.map(peer => peer.id))
    for (const [id, { dialer }] of this.#dialers) {
      if (wanted.has(id)) continue
      dialer.close()
      this.#dialers.delete(id)
    }
    for (const peer of peers) if (peer.id > own) this.#dialPeer(peer)
  }

  link(owner: number): Link | undefined {
    return this.#links.get(owner)
  }

  isUp(owner: number): boolean {
    return this.#links.get(owner)?.isUp === true
  }

  send(owner: number, message: unknown): boolean {
    return this.#links.get(owner)?.send(message) ?? false
  }

  sendDroppable(owner: number, message: unknown): boolean {
    return this.#links.get(owner)?.sendDroppable(message) ?? false
  }

  /** Every link to an owner, for the operator. */
  report(): { peer: number; up: boolean; roundTripMs: number | null; queuedOctets: number }[] {
    return [...this.#links].map(([peer, link]) => ({
      peer,
      up: link.isUp,
      roundTripMs: Number.isNaN(link.roundTripMs) ? null : link.roundTripMs,
      queuedOctets: link.queuedOctets,
    }))
  }

  async close(): Promise<void> {
    for (const { dialer } of this.#dialers.values()) dialer.close()
    this.#byAddress.close()
    this.#dialers.clear()
    await this.#listener.close()
  }

  #handlers() {
    return {
      onUp: (link: Link) => this.#up(link),
      onMessage: (link: Link, message: unknown) => this.#options.onMessage(link, message),
      onDown: (link: Link, reason: LinkError) => this.#down(link, reason),
    }
  }

  #up(link: Link): void {
    const { ownerId, incarnation } = link.peer
    if (ownerId === NO_OWNER) return this.#options.onUp(link, false)
    const before = this.#incarnations.get(ownerId)
    this.#incarnations.set(ownerId, incarnation)
    this.#links.set(ownerId, link)
    this.#options.onUp(link, before !== undefined && before !== incarnation)
  }

  #down(link: Link, reason: LinkError): void {
    // A link that was replaced goes down after its successor is up.
    if (this.#links.get(link.peer.ownerId) === link) this.#links.delete(link.peer.ownerId)
    this.#options.onDown(link, reason)
  }
}
