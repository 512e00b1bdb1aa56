/**
 * A connection as a stream of Node.js: whatever takes a `net.Socket` that was accepted (an HTTP server, `ws`) takes this as
 * well. It can be moved to another node, with everything that was written and not acknowledged, and everything that was not
 * read. For that no octet may be where nobody could carry it: the stream's own read buffer stays empty (octets wait in the
 * TCP receive queue until somebody wants them), and its write buffer is emptied into the TCP send queue.
 */
import { Duplex } from 'node:stream'
import type { ShiftRefusal } from '../../shift/messages.ts'
import type { ShiftResult } from '../../shift/outgoing.ts'
import { formatAddress } from '../wire/address.ts'
import { type AppConnection, type AppUser, type Ending, MAX_MOVED_OCTETS } from './app-connection.ts'
import { ShiftError } from './errors.ts'
import { encodeState } from './state.ts'

/** Octets that `write` takes before it returns false, beside those in the send queue. */
const WRITE_BUFFER_OCTETS = 65_536
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** What a shift came to. */
export interface Shifted {
  /** The owner id of the node that has the connection now. */
  readonly owner: number
  /** Grows with each attempt to move this connection. */
  readonly epoch: number
  /** From the call to the word that the client's packets reach the new owner (`confirmed`), or might. */
  readonly ms: number
  /** False where the client was silent for so long that nobody could know. */
  readonly confirmed: boolean
}

/** Gives the state of a socket that is to move, or undefined where it cannot move at this moment. Called synchronously. */
export type Export = (socket: ShiftableSocket) => unknown

export interface SocketSettings {
  readonly shiftable: boolean
  readonly allowHalfOpen: boolean
  readonly export: Export | undefined
  readonly localAddress: (family: 4 | 6) => string
  /** The id of an owner by its name. */
  readonly ownerNamed: (name: string) => number | undefined
}

type Callback = (error?: Error | null) => void

export class ShiftableSocket extends Duplex {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly remoteFamily: 'IPv4' | 'IPv6'
  readonly localAddress: string
  readonly localPort: number
  readonly localFamily: 'IPv4' | 'IPv6'
  readonly connecting = false
  readonly pending = false
  /** ms, as last set by `setTimeout`; 0: none. */
  timeout = 0
  /** Changes of owner so far. */
  readonly shifts: number
  /** It lives on at another node: set before 'close'. */
  isShifted = false
  readonly #app: AppConnection
  readonly #settings: SocketSettings
  /** Neither reads nor writes: a state was given away that must stay true. */
  #held = false
  /** Whether the application has seen this socket. */
  #isHanded = false
  #wanted = false
  #scheduled = false
  #hasPushedEnd = false
  #resets = false
  #unwritten: Uint8Array | undefined = undefined
  #written: Callback | undefined = undefined
  #final: Callback | undefined = undefined
  readonly #pipes = new Set<unknown>()
  /** Of the shift that the application itself has asked for. */
  #exporter: (() => Uint8Array | ShiftRefusal) | undefined = undefined

  /** A socket, and what only the node may do with it. `handed`: the application has seen it. */
  static open(
    app: AppConnection,
    settings: SocketSettings,
  ): { readonly socket: ShiftableSocket; readonly user: AppUser; handed(): void } {
    const socket = new ShiftableSocket(app, settings)
    const user: AppUser = {
      changed: () => socket.#changed(),
      idle: () => process.nextTick(() => socket.emit('timeout')),
      over: ending => socket.#over(ending),
      shifted: () => socket.#leave(),
      kept: () => socket.#kept(),
      movable: () => socket.#movable(),
      exportState: () => socket.#exportState(),
    }
    return {
      socket,
      user,
      handed: () => {
        socket.#isHanded = true
      },
    }
  }

  private constructor(app: AppConnection, settings: SocketSettings) {
    super({
      allowHalfOpen: settings.allowHalfOpen,
      decodeStrings: false,
      // More is asked for only when nothing is left.
      readableHighWaterMark: 1,
      writableHighWaterMark: WRITE_BUFFER_OCTETS,
    })
    const { family, remote0, remote1, remote2, remote3, remotePort, localPort, shifts } = app.connection
    this.remoteAddress = formatAddress(remote0, remote1, remote2, remote3)
    this.remotePort = remotePort
    this.remoteFamily = family === 4 ? 'IPv4' : 'IPv6'
    this.localAddress = settings.localAddress(family)
    this.localPort = localPort
    this.localFamily = this.remoteFamily
    this.shifts = shifts
    this.timeout = app.idleMs
    this.#app = app
    this.#settings = settings
    this.on('pipe', source => this.#pipes.add(source))
    this.on('unpipe', source => this.#pipes.delete(source))
    // What the former owner has ended stays ended.
    if (app.hasEnded) this.end()
  }

  get bytesRead(): number {
    return this.#app.bytesRead
  }

  get bytesWritten(): number {
    return this.#app.bytesWritten + (this.#unwritten?.length ?? 0)
  }

  get readyState(): 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.destroyed) return 'closed'
    if (this.readable) return this.writable ? 'open' : 'readOnly'
    return this.writable ? 'writeOnly' : 'closed'
  }

  address(): { readonly address: string; readonly family: string; readonly port: number } {
    return { address: this.localAddress, family: this.localFamily, port: this.localPort }
  }

  /** Small segments are sent at once, which is the default here. */
  setNoDelay(on = true): this {
    this.#app.setNoDelay(on)
    return this
  }

  /** `initialDelay` ms of silence before the first probe; 0: two hours. */
  setKeepAlive(on = false, initialDelay = 0): this {
    this.#app.setKeepAlive(on ? initialDelay || 7_200_000 : Number.POSITIVE_INFINITY)
    return this
  }

  /** Emits 'timeout' after `ms` without an octet in either direction; 0: never. It travels with the connection. */
  setTimeout(ms: number, listener?: () => void): this {
    this.timeout = Math.min(Math.max(0, Math.trunc(ms) || 0), MAX_TIMEOUT_MS)
    this.#app.setIdle(this.timeout)
    if (listener === undefined) return this
    if (this.timeout === 0) this.off('timeout', listener)
    else this.once('timeout', listener)
    return this
  }

  /** A node does not end for want of sockets. */
  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  /** Ends the writing side, then destroys. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  /** Resets the connection. */
  resetAndDestroy(): this {
    this.#resets = true
    return this.destroy()
  }

  /**
   * Moves the connection to another owner: its id, or its name. `state` is what 'shift' gets there: structured data, at
   * most MAX_STATE_OCTETS when packed; or a function that gives it at the instant at which the connection moves. From the
   * call (with a function: from that instant) on nothing is read, and what is written is sent only if the shift fails. Once
   * it has succeeded the socket here closes without an error, and what was written late is lost.
   *
   * Rejects with a ShiftError: nothing has happened, and the socket goes on.
   */
  async shift(owner: number | string, state?: unknown): Promise<Shifted> {
    const to = typeof owner === 'number' ? owner : this.#settings.ownerNamed(owner)
    const refusal = to === undefined ? 'UNKNOWN_TARGET' : this.#prepareShift(state)
    if (refusal !== undefined) throw new ShiftError(refusal, owner)
    const result = await new Promise<ShiftResult>(done => this.#app.shift(to as number, done))
    this.#exporter = undefined
    if (!result.ok) {
      this.#kept()
      throw new ShiftError(result.reason, owner)
    }
    const { ms, confirmed } = result
    return { owner: to as number, epoch: this.#app.connection.triedEpoch, ms, confirmed }
  }

  #prepareShift(state: unknown): ShiftRefusal | undefined {
    if (!this.#settings.shiftable) return 'PINNED'
    if (this.destroyed) return 'CLOSED'
    if (this.#held || this.#exporter !== undefined) return 'ALREADY_SHIFTING'
    if (typeof state === 'function') {
      this.#exporter = () => exported(() => state(this))
      return undefined
    }
    const packed = encodeState(state)
    if (typeof packed === 'string') return packed
    const refusal = this.#hold()
    if (refusal === undefined) this.#exporter = () => packed
    return refusal
  }

  // What the connection tells.

  #changed(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    // The application runs after the packet path, so that an exception of its own is only its own.
    process.nextTick(() => {
      this.#scheduled = false
      this.#flush(undefined)
      this.#pump()
    })
  }

  #over(ending: Ending): void {
    if (ending === 'ended') return this.#changed()
    const [code, words] =
      ending === 'reset' ? ['ECONNRESET', 'reset by the peer'] : ['ETIMEDOUT', 'timed out']
    const error = Object.assign(new Error(`the connection ${words}`), { code, syscall: 'read' })
    process.nextTick(() => this.destroy(error))
  }

  #leave(): void {
    this.isShifted = true
    process.nextTick(() => this.destroy())
  }

  #kept(): void {
    if (!this.#held) return
    this.#held = false
    this.#changed()
  }

  #movable(): ShiftRefusal | undefined {
    if (!this.#settings.shiftable) return 'PINNED'
    if (!this.#isHanded) return 'NOT_NOW'
    return this.#exporter === undefined && this.#settings.export === undefined ? 'NO_EXPORT' : undefined
  }

  /** Runs the application within the packet path: what it throws there, as a write completes, ends its socket alone. */
  #exportState(): Uint8Array | ShiftRefusal {
    const wasHeld = this.#held
    let refusal: ShiftRefusal | undefined
    try {
      refusal = this.#movable() ?? (wasHeld ? undefined : this.#hold())
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)))
    }
    if (this.destroyed) return 'CLOSED'
    if (refusal !== undefined) return refusal
    const { export: ask } = this.#settings
    const state = this.#exporter?.() ?? exported(() => ask?.(this))
    if (this.destroyed) return 'CLOSED'
    if (typeof state === 'string' && !wasHeld) this.#kept()
    return state
  }

  /** Stops reading and writing, with nothing left in the stream itself; or says why it cannot. */
  #hold(): ShiftRefusal | undefined {
    if (this.#pipes.size > 0) return 'PIPED'
    if (this.readableLength > 0 || this.readableEncoding !== null) return 'UNREAD'
    if (this.#app.queuedOctets + this.writableLength > MAX_MOVED_OCTETS) return 'UNWRITTEN'
    this.#flush(2 * MAX_MOVED_OCTETS)
    const isEnding = this.writableEnded && !this.writableFinished
    if (this.writableLength > 0 || isEnding) return 'UNWRITTEN'
    this.#held = true
    return undefined
  }

  // Reading.

  override _read(): void {
    this.#wanted = true
    this.#changed()
  }

  override resume(): this {
    super.resume()
    this.#changed()
    return this
  }

  override pipe<Destination extends NodeJS.WritableStream>(
    destination: Destination,
    options?: { end?: boolean },
  ): Destination {
    this.#pipes.add(destination)
    const unpiped = (source: unknown) => {
      if (source !== this) return
      this.#pipes.delete(destination)
      destination.off('unpipe', unpiped)
    }
    destination.on('unpipe', unpiped)
    return super.pipe(destination, options)
  }

  /** Whether octets would be taken at once, so that they do not have to wait in the stream. */
  get #wants(): boolean {
    if (this.#held || this.destroyed || this.readableLength > 0) return false
    if (this.readableFlowing === true) return true
    return this.#wanted && (this.readableFlowing === null || this.listenerCount('readable') > 0)
  }

  #pump(): void {
    if (this.#hasPushedEnd) return
    let hasRead = false
    while (this.#wants) {
      const octets = this.#app.read()
      if (octets === undefined) break
      hasRead = true
      this.#wanted = false
      this.push(octets)
    }
    if (hasRead) this.#app.settled()
    if (this.#held || this.destroyed || !this.#app.isFinished) return
    this.#hasPushedEnd = true
    this.push(null)
  }

  // Writing.

  override _write(chunk: Uint8Array | string, encoding: BufferEncoding, callback: Callback): void {
    this.#take(ownOctets(chunk, encoding), callback)
  }

  override _writev(
    chunks: { chunk: Uint8Array | string; encoding: BufferEncoding }[],
    callback: Callback,
  ): void {
    this.#take(Buffer.concat(chunks.map(({ chunk, encoding }) => octetsOf(chunk, encoding))), callback)
  }

  #take(octets: Uint8Array, callback: Callback): void {
    this.#unwritten = octets
    this.#written = callback
    this.#flush(undefined)
  }

  /** Puts what is to be written into the send queue, up to its `limit`; the next chunk comes from within the callback. */
  #flush(limit: number | undefined): void {
    while (this.#unwritten !== undefined && !this.#held) {
      const taken = this.#app.write(this.#unwritten, limit)
      if (taken < this.#unwritten.length) {
        this.#unwritten = this.#unwritten.subarray(taken)
        return
      }
      const written = this.#written
      this.#unwritten = undefined
      this.#written = undefined
      written?.()
    }
    if (this.#final === undefined || this.#held) return
    const done = this.#final
    this.#final = undefined
    this.#app.end()
    done()
  }

  override _final(callback: Callback): void {
    this.#final = callback
    this.#flush(undefined)
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const [written, final] = [this.#written, this.#final]
    this.#unwritten = undefined
    this.#written = undefined
    this.#final = undefined
    if (!this.isShifted) this.#app.detach(this.#resets)
    callback(error)
    // Whoever waits for the last write, or for the end, waits for nothing more.
    if (written === undefined && final === undefined) return
    const destroyed = Object.assign(new Error('the socket was destroyed'), { code: 'ERR_STREAM_DESTROYED' })
    process.nextTick(() => {
      written?.(destroyed)
      final?.(destroyed)
    })
  }
}

/** The state of the application, or why it has none. */
function exported(ask: () => unknown): Uint8Array | ShiftRefusal {
  try {
    const state = ask()
    return state === undefined ? 'NOT_NOW' : encodeState(state)
  } catch {
    return 'BAD_STATE'
  }
}

function octetsOf(chunk: Uint8Array | string, encoding: BufferEncoding): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk
}

/** A copy of what is the application's: the send queue keeps it until it is acknowledged. */
function ownOctets(chunk: Uint8Array | string, encoding: BufferEncoding): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : new Uint8Array(chunk)
}
