/**
 * One connection of an application's port, without streams and without IO: octets in and out, ends, idle time, and what
 * moving it takes. `ShiftableSocket` is the stream on it.
 */
import type { ShiftRefusal } from '../../shift/messages.ts'
import type { ShiftResult } from '../../shift/outgoing.ts'
import type { Connection } from '../stack/connection.ts'
import {
  abort,
  close,
  consume,
  hasPeerFinished,
  send,
  setHalfOpen,
  setKeepalive,
  setNagle,
  unread,
  unreadOctets,
} from '../tcp/user.ts'

/** Octets that wait for their acknowledgement before the application is told to pause. */
export const MAX_QUEUED_OCTETS = 256 * 1024
/** Octets written and not acknowledged that a shift carries; with more it is refused, and can be asked for again. */
export const MAX_MOVED_OCTETS = 1024 * 1024
/** Octets given to the application at once. */
const MAX_READ_OCTETS = 65_536
/** Octets that are thrown away after the application has ended and destroyed its socket; then the client is reset. */
const MAX_LINGER_OCTETS = 1024 * 1024
/** How long such a connection may go without the client taking an octet: nobody else would ever give it up. */
export const LINGER_MS = 60_000

/** How a connection was over: both ends have said so, or one of them could not. */
export type Ending = 'ended' | 'reset' | 'timed-out'

/** What the stream does when the connection has news. */
export interface AppUser {
  /** Octets, the client's end, or room to send may have come. */
  changed(): void
  /** Nothing was sent or received for `idleMs`. */
  idle(): void
  over(ending: Ending): void
  /** The connection lives on at another owner. */
  shifted(): void
  /** A shift has not happened. */
  kept(): void
  /** Whether it could be asked for its state at all. */
  movable(): ShiftRefusal | undefined
  /** The application's state, packed; from here on until `kept` nothing is read or written any more. */
  exportState(): Uint8Array | ShiftRefusal
}

export interface AppHost {
  owns(connection: Connection): boolean
  /** Something was queued outside of a callback. */
  touched(connection: Connection): void
  shift(connection: Connection, to: number, done: (result: ShiftResult) => void): void
  now(): number
}

export class AppConnection {
  readonly connection: Connection
  readonly #host: AppHost
  /** Undefined before it is established, and when its socket was destroyed. */
  user: AppUser | undefined = undefined
  isDetached = false
  /** The application's state, packed, between the last question and the snapshot; on arrival until it is handed over. */
  state: Uint8Array | undefined = undefined
  ending: Ending = 'ended'
  bytesRead = 0
  bytesWritten = 0
  /** ms without an octet after which the user is told; 0: never. */
  idleMs = 0
  lastActiveAt: number
  #lingerOctets = 0
  /** Octets that the client had taken when it was last looked at. */
  #taken = 0
  /** What was unread when the connection ended. */
  #rest: Uint8Array[] = []

  constructor(connection: Connection, host: AppHost) {
    this.connection = connection
    this.#host = host
    this.lastActiveAt = host.now()
  }

  /** Whether this owner may read and send. */
  get isLive(): boolean {
    return !this.connection.frozen && this.#host.owns(this.connection)
  }

  /** Octets that were sent, or are to be sent, and not acknowledged. */
  get queuedOctets(): number {
    return this.isLive ? this.connection.tcb.sendQueue.octets : 0
  }

  /** Whether everything that the client will ever send has been read. */
  get isFinished(): boolean {
    if (this.#rest.length > 0 || this.connection.frozen) return false
    if (!this.#host.owns(this.connection)) return this.ending === 'ended'
    const { tcb } = this.connection
    return unreadOctets(tcb) === 0 && hasPeerFinished(tcb)
  }

  /** Whether our FIN is queued, or sent. */
  get hasEnded(): boolean {
    return this.connection.peek().snd.finQueued
  }

  /** The next octets, the caller's to keep. `settled` is to be called when enough were read. */
  read(): Uint8Array | undefined {
    const octets = this.#rest.shift() ?? this.#read()
    if (octets !== undefined) this.bytesRead += octets.length
    return octets
  }

  #read(): Uint8Array | undefined {
    if (!this.isLive) return undefined
    const { tcb } = this.connection
    const run = unread(tcb)
    if (run.length === 0) return undefined
    const octets = run.octets.slice(run.start, run.start + Math.min(run.length, MAX_READ_OCTETS))
    consume(tcb, octets.length, this.#host.now())
    return octets
  }

  /** After reading: the window may be open again. */
  settled(): void {
    if (this.isLive) this.#host.touched(this.connection)
  }

  /** How many of these octets were taken, which never change from now on; `limit` is that of all that are kept. */
  write(octets: Uint8Array, limit = MAX_QUEUED_OCTETS): number {
    if (!this.isLive) return 0
    const { tcb } = this.connection
    const room = limit - tcb.sendQueue.octets
    if (room <= 0) return 0
    const taken = send(tcb, octets.length <= room ? octets : octets.subarray(0, room))
    if (taken === 0) return 0
    this.bytesWritten += taken
    this.#active()
    this.#host.touched(this.connection)
    return taken
  }

  end(): void {
    if (!this.isLive) return
    const { tcb } = this.connection
    setHalfOpen(tcb, true, this.#host.now())
    close(tcb)
    this.#host.touched(this.connection)
  }

  /** The socket is gone: what was written is still sent, and the connection ends by itself. */
  detach(reset: boolean): void {
    this.user = undefined
    this.isDetached = true
    this.connection.applicationDeadline = Number.POSITIVE_INFINITY
    if (!this.isLive) return
    const { tcb } = this.connection
    setHalfOpen(tcb, false, this.#host.now())
    // RFC 9293 §3.10.4: nobody will read what comes, and the client must not believe otherwise (RFC 2525 §2.17).
    if (reset || (!tcb.snd.finQueued && unreadOctets(tcb) > 0)) abort(tcb)
    else close(tcb)
    this.discard()
    this.#linger(this.#host.now())
    this.#host.touched(this.connection)
  }

  /** Throws away what comes after the socket was destroyed, for a while. */
  discard(): void {
    const { tcb } = this.connection
    const octets = unreadOctets(tcb)
    if (octets === 0) return
    this.#lingerOctets += octets
    consume(tcb, octets, this.#host.now())
    if (this.#lingerOctets > MAX_LINGER_OCTETS) abort(tcb)
  }

  /** `LINGER_MS` after the last look at a connection whose socket was destroyed. */
  lingered(now: number): void {
    const { state, sendQueue } = this.connection.peek()
    if (state === 'TIME-WAIT' || state === 'CLOSED') return
    if (sendQueue.released > this.#taken) this.#linger(now)
    else abort(this.connection.tcb)
  }

  #linger(now: number): void {
    this.#taken = this.connection.peek().sendQueue.released
    this.connection.applicationDeadline = now + LINGER_MS
  }

  /** The connection is about to be forgotten: what the application has not read is kept for it. */
  salvage(): void {
    if (this.isDetached || this.ending !== 'ended') return
    const { tcb } = this.connection
    const { first, more } = tcb.receiveQueue
    for (const run of [first, ...more]) {
      if (run.length > 0) this.#rest.push(run.octets.slice(run.start, run.start + run.length))
    }
    consume(tcb, unreadOctets(tcb), this.#host.now())
  }

  shift(to: number, done: (result: ShiftResult) => void): void {
    if (this.isLive) this.#host.shift(this.connection, to, done)
    else done({ ok: false, reason: 'CLOSED' })
  }

  setNoDelay(on: boolean): void {
    if (this.isLive) setNagle(this.connection.tcb, !on)
  }

  /** ms of silence before the first keepalive; Infinity turns them off. */
  setKeepAlive(idleMs: number): void {
    if (!this.isLive) return
    setKeepalive(this.connection.tcb, this.#host.now(), idleMs)
    this.#host.touched(this.connection)
  }

  setIdle(idleMs: number): void {
    this.idleMs = idleMs
    this.lastActiveAt = this.#host.now()
    this.watch()
    if (this.isLive) this.#host.touched(this.connection)
  }

  /** Sets the deadline of idleness anew. */
  watch(): void {
    if (this.isDetached) return
    const { idleMs, lastActiveAt } = this
    this.connection.applicationDeadline = idleMs > 0 ? lastActiveAt + idleMs : Number.POSITIVE_INFINITY
  }

  #active(): void {
    this.lastActiveAt = this.#host.now()
    if (this.idleMs > 0) this.watch()
  }
}
