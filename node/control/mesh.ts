/**
 * The links of one process to all others: it accepts, it dials those it is told to, and it finds the link to an owner by
 * its id. Between two nodes the one with the lower id dials, so that a pair has one link and its messages one order.
 */
import type { AddressInfo } from 'node:net'
import { Dialer } from './dialer.ts'
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
  readonly #dialers = new Map<number, { readonly dialer: Dialer; readonly address: string }>()
  /** By owner id; processes that own nothing (gateways) are only met by `onUp`. */
  readonly #links = new Map<number, Link>()
  readonly #incarnations = new Map<number, string>()

  constructor(options: MeshOptions) {
    this.#options = options
    const { hello, keys, limits } = options
    this.#listener = new Listener({ ...limits, hello, keys, handlers: this.#handlers() })
  }

  listen(port: number, host: string): Promise<AddressInfo> {
    return this.#listener.listen(port, host)
  }

  /** Keeps a link to `peer` up from now on. */
  dial(peer: Peer): void {
    const present = this.#dialers.get(peer.id)
    if (present?.address === peer.address) return
    present?.dialer.close()
    const { hello, random, keys, limits } = this.#options
    const dialer = new Dialer({
      ...limits,
      address: peer.address,
      expectedOwner: peer.id,
      hello,
      keys,
      random,
      handlers: this.#handlers(),
      onFailure: error => this.#options.onFailure?.(peer.address, error),
    })
    this.#dialers.set(peer.id, { dialer, address: peer.address })
  }

  /** The nodes there are: those above us in id are dialed, those that left are not any more. `except` stays as it is. */
  setPeers(peers: readonly Peer[], except: number): void {
    const own = this.#options.hello().ownerId
    const wanted = new Set(peers.map(peer => peer.id))
    for (const [id, { dialer }] of this.#dialers) {
      if (id === except || wanted.has(id)) continue
      dialer.close()
      this.#dialers.delete(id)
    }
    for (const peer of peers) if (peer.id > own && peer.id !== except) this.dial(peer)
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
