/**
 * The accepting side of control links: an HTTP server that upgrades peers with a valid hello and refuses all
 * others by code. It keeps at most one link for each peer, the newest; what the links carry is not its
 * business.
 */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { LinkError, type LinkErrorCode, statusOf } from './errors.ts'
import {
  decodeHello,
  encodeHello,
  encodeRefusal,
  HELLO_HEADER,
  type Hello,
  MAX_HELLO_OCTETS,
  peerKey,
  REFUSED_HEADER,
  refusal,
  UPGRADE,
} from './hello.ts'
import { Link, type LinkHandlers, type LinkLimits } from './link.ts'
import { acceptingTls, type LinkKeys } from './link-keys.ts'

/** One for each owner id, and as many again for gateways and tools. */
export const MAX_LINKS = 2048
/** Connections that have not finished their upgrade, and links that are closing. */
const MAX_PENDING = 128
/** From a connection's beginning to the end of its upgrade request. */
export const DEFAULT_UPGRADE_TIMEOUT_MS = 3000

export interface ListenerOptions extends LinkLimits {
  /** Who we are. Asked at each link, so that addresses and capabilities may change. */
  readonly hello: () => Hello
  readonly handlers: LinkHandlers
  /** Who may come; undefined: everybody, without TLS. */
  readonly keys?: LinkKeys | undefined
  /** 1 to MAX_LINKS. */
  readonly maxLinks?: number
  /** A connection that has not asked for its link by then is cut. */
  readonly upgradeTimeoutMs?: number
}

export interface ListenerCounters {
  accepted: number
  /** Refused upgrades by code. */
  readonly refused: Partial<Record<LinkErrorCode, number>>
}

export class Listener {
  readonly counters: ListenerCounters
  private readonly options: ListenerOptions
  private readonly maxLinks: number
  private readonly links: Map<string, Link>
  private readonly linkHandlers: LinkHandlers
  private readonly server: Server
  /** Connections that are no links yet. */
  private readonly pending: Set<Duplex>

  constructor(options: ListenerOptions) {
    this.counters = { accepted: 0, refused: {} }
    this.options = options
    this.maxLinks = options.maxLinks ?? MAX_LINKS
    assert(this.maxLinks >= 1 && this.maxLinks <= MAX_LINKS, `maxLinks is 1 to ${MAX_LINKS}`)
    this.links = new Map()
    this.linkHandlers = {
      onUp: link => options.handlers.onUp(link),
      onMessage: (link, message) => options.handlers.onMessage(link, message),
      onDown: (link, reason) => this.forget(link, reason),
    }
    const upgradeTimeoutMs = options.upgradeTimeoutMs ?? DEFAULT_UPGRADE_TIMEOUT_MS
    const { keys } = options
    const http = {
      headersTimeout: upgradeTimeoutMs,
      requestTimeout: upgradeTimeoutMs,
      connectionsCheckingInterval: upgradeTimeoutMs / 3,
      maxHeaderSize: 2 * MAX_HELLO_OCTETS,
    }
    this.server =
      keys === undefined
        ? createServer(http)
        : createTlsServer({ ...http, ...acceptingTls(keys, upgradeTimeoutMs) })
    this.server.maxConnections = this.maxLinks + MAX_PENDING
    this.pending = new Set()
    // Below a TLS connection stands the one that it is made on, which ends with it, or by the time-out of the handshake.
    this.server.on(keys === undefined ? 'connection' : 'secureConnection', (socket: Socket) =>
      this.track(socket),
    )
    // A connection that the system could not accept (ENFILE, ENOMEM) costs only itself.
    this.server.on('error', () => {})
    this.server.on('tlsClientError', () => this.count('UNAUTHENTICATED'))
    this.server.on('request', (_request, response) => {
      response.writeHead(426, { Upgrade: UPGRADE, Connection: 'close' }).end()
    })
    this.server.on('upgrade', (request, _socket, head) => this.upgrade(request, head))
  }

  /** Starts to accept; port 0 takes a free one. Rejects with the system's error. */
  listen(port: number, host: string): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(port, host, () => {
        this.server.off('error', reject)
        const address = this.server.address()
        assert(typeof address === 'object' && address !== null)
        resolve(address)
      })
    })
  }

  /** Every link that is up. */
  get all(): Iterable<Link> {
    return this.links.values()
  }

  get size(): number {
    return this.links.size
  }

  /** The link to an owner, if it is up. */
  owner(ownerId: number): Link | undefined {
    return this.links.get(`owner ${ownerId}`)
  }

  /** Closes every link, then the port. Idempotent. */
  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => {
      this.server.close(() => resolve())
    })
    for (const link of [...this.links.values()]) link.close()
    // What is not a link would hold the server open until its time-out; links end by themselves.
    for (const socket of this.pending) socket.destroy()
    await closed
  }

  private track(socket: Socket): void {
    this.pending.add(socket)
    socket.once('close', () => this.pending.delete(socket))
  }

  private upgrade(request: IncomingMessage, head: Buffer): void {
    const { headers, socket } = request
    const peer = decodeHello(headers[HELLO_HEADER])
    const error = peer instanceof LinkError ? peer : this.refusal(peer, headers.upgrade)
    if (error !== undefined || peer instanceof LinkError) {
      this.refuse(socket, error ?? (peer as LinkError))
      return
    }
    this.pending.delete(socket)
    socket.setTimeout(0)
    socket.setNoDelay(true)
    socket.write(
      `HTTP/1.1 101 ${STATUS_CODES[101]}\r\nUpgrade: ${UPGRADE}\r\nConnection: Upgrade\r\n` +
        `${HELLO_HEADER}: ${encodeHello(this.options.hello())}\r\n\r\n`,
    )
    if (head.length > 0) socket.unshift(head)
    this.accept(socket, peer)
  }

  private refusal(peer: Hello, protocol: string | undefined): LinkError | undefined {
    const error = refusal(this.options.hello(), peer)
    if (error !== undefined) return error
    if (protocol?.toLowerCase() !== UPGRADE) {
      return new LinkError('PROTOCOL_MISMATCH', `an upgrade to "${protocol}", not to "${UPGRADE}"`)
    }
    const present = this.links.get(peerKey(peer))
    if (present !== undefined && present.peer.incarnation > peer.incarnation) {
      return new LinkError('OWNER_CONFLICT', `${peerKey(peer)} is linked already, by a newer process`)
    }
    if (present === undefined && this.links.size >= this.maxLinks) {
      return new LinkError('TOO_MANY_LINKS', `there are ${this.maxLinks} links already`)
    }
    return undefined
  }

  private accept(transport: Socket, peer: Hello): void {
    const key = peerKey(peer)
    // The same process on a new connection, or its next run: either way the older link is of no use any more.
    this.links.get(key)?.close(new LinkError('REPLACED', `${key} has a newer link`))
    const link = new Link(transport, peer, this.linkHandlers, this.options)
    this.links.set(key, link)
    this.counters.accepted++
    this.linkHandlers.onUp(link)
  }

  private forget(link: Link, reason: LinkError): void {
    const key = peerKey(link.peer)
    if (this.links.get(key) === link) this.links.delete(key)
    this.options.handlers.onDown(link, reason)
  }

  private count(code: LinkErrorCode): void {
    this.counters.refused[code] = (this.counters.refused[code] ?? 0) + 1
  }

  private refuse(socket: Duplex, error: LinkError): void {
    this.count(error.code)
    const status = statusOf(error.code)
    socket.on('error', () => socket.destroy())
    socket.once('finish', () => socket.destroy())
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${REFUSED_HEADER}: ${encodeRefusal(error)}\r\n` +
        'Content-Length: 0\r\nConnection: close\r\n\r\n',
    )
  }
}
