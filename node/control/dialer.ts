/**
 * The dialing side of control links: keeps one link to one address up, again and again with growing, jittered
 * pauses, until it is closed. Each link is a new one: nothing queued on the last is sent on the next.
 */
import assert from 'node:assert/strict'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { request as requestByTls } from 'node:https'
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { LinkError } from './errors.ts'
import {
  decodeHello,
  decodeRefusal,
  encodeHello,
  HELLO_HEADER,
  type Hello,
  REFUSED_HEADER,
  refusal,
  UPGRADE,
} from './hello.ts'
import { closeTransport, Link, type LinkHandlers, type LinkLimits } from './link.ts'
import { dialingTls, type LinkKeys } from './link-keys.ts'

export const DEFAULT_MIN_DELAY_MS = 50
export const DEFAULT_MAX_DELAY_MS = 2000
export const DEFAULT_CONNECT_TIMEOUT_MS = 3000

export interface DialerOptions extends LinkLimits {
  /** host:port, an IPv6 host in brackets. */
  readonly address: string
  /** Who we are. Asked at each attempt, so that addresses and capabilities may change. */
  readonly hello: () => Hello
  readonly handlers: LinkHandlers
  /** Proves who we are, and that the peer is one of ours; undefined: no TLS. */
  readonly keys?: LinkKeys | undefined
  /** In [0, 1): spreads the attempts of many dialers. */
  readonly random: () => number
  /** The owner id that must answer; any if undefined. */
  readonly expectedOwner?: number
  /** The first pause after a failure; it doubles up to the maximum. */
  readonly minDelayMs?: number
  readonly maxDelayMs?: number
  /** For TCP and the upgrade together. */
  readonly connectTimeoutMs?: number
  /** An attempt made no link; the next follows in `retryInMs`. */
  readonly onFailure?: (error: LinkError, retryInMs: number) => void
}

export class Dialer {
  private readonly options: DialerOptions
  private readonly minDelayMs: number
  private readonly maxDelayMs: number
  private readonly connectTimeoutMs: number
  private readonly linkHandlers: LinkHandlers
  private current: Link | undefined
  /** The attempt that is under way; events of any other are late and of no interest. */
  private attempt: ClientRequest | undefined
  /** For the next attempt, or the end of this one. */
  private timer: NodeJS.Timeout | undefined
  private failures: number
  private upSince: number
  private closed: boolean

  /** Starts to dial at once; nothing is called back before this returns. */
  constructor(options: DialerOptions) {
    this.options = options
    this.minDelayMs = options.minDelayMs ?? DEFAULT_MIN_DELAY_MS
    this.maxDelayMs = options.maxDelayMs ?? DEFAULT_MAX_DELAY_MS
    this.connectTimeoutMs = options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS
    assert(
      this.minDelayMs > 0 && this.maxDelayMs >= this.minDelayMs,
      'minDelayMs is positive, maxDelayMs no less',
    )
    this.linkHandlers = {
      onUp: link => options.handlers.onUp(link),
      onMessage: (link, message) => options.handlers.onMessage(link, message),
      onDown: (link, reason) => this.lost(link, reason),
    }
    this.current = undefined
    this.attempt = undefined
    this.timer = undefined
    this.failures = 0
    this.upSince = 0
    this.closed = false
    this.connect()
  }

  /** The link, while it is up. */
  get link(): Link | undefined {
    return this.current
  }

  /** Closes the link and dials no more. Idempotent. */
  close(): void {
    this.closed = true
    this.abandon()
    this.current?.close()
  }

  private connect(): void {
    const { address, keys, hello } = this.options
    const headers = { Connection: 'Upgrade', Upgrade: UPGRADE, [HELLO_HEADER]: encodeHello(hello()) }
    if (!URL.canParse(`http://${address}/`)) {
      // Others told us of it. Not at once, as nothing is called back before the constructor returns.
      const error = new LinkError('CONNECT_FAILED', `${address} is no address`)
      this.timer = setTimeout(() => this.retry(error), 0)
      return
    }
    const attempt =
      keys === undefined
        ? request(`http://${address}/`, { agent: false, headers })
        : requestByTls(`https://${address}/`, { agent: false, headers, ...dialingTls(keys) })
    this.attempt = attempt
    attempt.on('upgrade', (response, socket, head) => this.open(attempt, response, socket, head))
    attempt.on('response', response => {
      this.fail(attempt, decodeRefusal(response.headers[REFUSED_HEADER], response.statusCode ?? 0))
      attempt.destroy()
    })
    attempt.on('error', error => {
      this.fail(attempt, this.failureOf(error))
    })
    attempt.end()
    this.timer = setTimeout(() => {
      const message = `${this.options.address} did not answer in ${this.connectTimeoutMs} ms`
      this.fail(attempt, new LinkError('CONNECT_TIMEOUT', message))
    }, this.connectTimeoutMs)
  }

  private failureOf(error: NodeJS.ErrnoException): LinkError {
    const { address, keys } = this.options
    const isOfTls = error.code === 'EPROTO' || error.code?.startsWith('ERR_SSL') === true
    if (keys !== undefined && isOfTls) {
      const message = `${address} has another key, or none: give both sides the same key file (\`gyre key\`)`
      return new LinkError('UNAUTHENTICATED', message, error)
    }
    const isCut = keys === undefined && error.code === 'ECONNRESET'
    const hint = isCut ? '; where it has a key, this side needs the same (`--key`)' : ''
    return new LinkError('CONNECT_FAILED', `${address}: ${error.message}${hint}`, error)
  }

  private check(response: IncomingMessage): Hello | LinkError {
    if (response.headers.upgrade?.toLowerCase() !== UPGRADE) return decodeRefusal(undefined, 101)
    const peer = decodeHello(response.headers[HELLO_HEADER])
    if (peer instanceof LinkError) return peer
    const { expectedOwner } = this.options
    if (expectedOwner !== undefined && peer.ownerId !== expectedOwner) {
      const message = `${this.options.address} is owner ${peer.ownerId}, not ${expectedOwner}`
      return new LinkError('OWNER_UNEXPECTED', message)
    }
    return refusal(this.options.hello(), peer) ?? peer
  }

  private open(attempt: ClientRequest, response: IncomingMessage, socket: Socket, head: Buffer): void {
    if (attempt !== this.attempt) {
      socket.destroy()
      return
    }
    clearTimeout(this.timer)
    this.attempt = undefined
    const peer = this.check(response)
    if (peer instanceof LinkError) {
      socket.on('error', () => socket.destroy())
      closeTransport(socket, peer)
      this.retry(peer)
      return
    }
    this.upSince = performance.now()
    socket.setNoDelay(true)
    if (head.length > 0) socket.unshift(head)
    this.current = new Link(socket, peer, this.linkHandlers, this.options)
    this.linkHandlers.onUp(this.current)
  }

  private fail(attempt: ClientRequest, error: LinkError): void {
    if (attempt !== this.attempt) return
    this.abandon()
    this.retry(error)
  }

  private lost(link: Link, reason: LinkError): void {
    this.current = undefined
    // A link that fell at once is a failure too, or two sides that disagree would meet without pause.
    if (performance.now() - this.upSince >= this.maxDelayMs) this.failures = 0
    this.options.handlers.onDown(link, reason)
    if (!this.closed) this.retry(undefined)
  }

  private retry(error: LinkError | undefined): void {
    const longest = Math.min(this.maxDelayMs, this.minDelayMs * 2 ** Math.min(this.failures, 30))
    const delayMs = longest * (0.5 + this.options.random() / 2)
    this.failures++
    this.timer = setTimeout(() => this.connect(), delayMs)
    if (error !== undefined) this.options.onFailure?.(error, delayMs)
  }

  /** Drops the attempt under way, or the wait for the next. */
  private abandon(): void {
    clearTimeout(this.timer)
    const attempt = this.attempt
    this.attempt = undefined
    attempt?.destroy()
  }
}
