/**
 * What runs on the connections of applications' ports: hands each to whoever listens on its port, here or, after a shift,
 * elsewhere. It reads and writes no octet itself.
 */
import type { Prepare, ShiftRefusal } from '../../shift/messages.ts'
import type { Application } from '../stack/application.ts'
import type { Connection } from '../stack/connection.ts'
import type { Content } from '../tcp/content.ts'
import { ACKED, ESTABLISHED, PEER_FIN, READABLE, RESET, TIMED_OUT } from '../tcp/events.ts'
import { AppConnection, type AppHost, type AppUser, type Ending } from './app-connection.ts'
import { decode, MAX_STATE_OCTETS } from './state.ts'

const STATE_VERSION = 1
/** ms; as `setTimeout` of Node.js. */
const MAX_IDLE_MS = 2 ** 31 - 1

export interface AppListener {
  readonly port: number
  /** A new connection, or (`moved`) one that another owner gave us, with its application's state. */
  open(app: AppConnection, moved: { readonly value: unknown } | undefined): AppUser
  /** Whether anybody takes connections that other owners give. */
  takesShifts(): boolean
  /** A message from the same port of another node. */
  told(from: number, octets: Uint8Array): void
}

export class AppConnections implements Application {
  readonly #host: AppHost
  readonly #listeners = new Map<number, AppListener>()
  draining = false

  constructor(host: AppHost) {
    this.#host = host
  }

  get ports(): number[] {
    return [...this.#listeners.keys()]
  }

  /** False where somebody listens on the port. */
  open(listener: AppListener): boolean {
    if (this.#listeners.has(listener.port)) return false
    this.#listeners.set(listener.port, listener)
    return true
  }

  close(listener: AppListener): void {
    if (this.#listeners.get(listener.port) === listener) this.#listeners.delete(listener.port)
  }

  listens(port: number): boolean {
    return this.#listeners.has(port)
  }

  told(from: number, port: number, octets: Uint8Array): void {
    this.#listeners.get(port)?.told(from, octets)
  }

  accepted(connection: Connection): void {
    connection.state = new AppConnection(connection, this.#host)
  }

  advanced(connection: Connection, events: number, now: number): void {
    const app = appOf(connection)
    if ((events & RESET) !== 0) app.ending = 'reset'
    if ((events & TIMED_OUT) !== 0) app.ending = 'timed-out'
    if ((events & (READABLE | ACKED | PEER_FIN)) !== 0 && app.idleMs > 0) {
      app.lastActiveAt = now
      if (connection.applicationDeadline === Number.POSITIVE_INFINITY) app.watch()
    }
    if ((events & ESTABLISHED) !== 0 && app.user === undefined && !app.isDetached) this.#hand(app, undefined)
    if (app.isDetached) app.discard()
    else app.user?.changed()
  }

  expired(connection: Connection, now: number): void {
    const app = appOf(connection)
    if (app.isDetached) return app.lingered(now)
    if (app.idleMs === 0) return
    if (app.lastActiveAt + app.idleMs > now) app.watch()
    else app.user?.idle()
  }

  released(connection: Connection): void {
    const app = appOf(connection)
    const { user } = app
    if (connection.frozen) {
      app.user = undefined
      user?.shifted()
      return
    }
    app.ending = endingOf(app)
    app.salvage()
    user?.over(app.ending)
  }

  movable(connection: Connection, final: boolean): ShiftRefusal | undefined {
    const app = appOf(connection)
    if (app.isDetached) return undefined
    const { user } = app
    // Not established: only the handshake knows it.
    if (user === undefined) return 'NOT_NOW'
    if (!final) return user.movable()
    const state = user.exportState()
    if (typeof state === 'string') return state
    app.state = state
    return undefined
  }

  kept(connection: Connection): void {
    const app = appOf(connection)
    // A second shift that was refused leaves the first as it is.
    if (app.state === undefined) return
    app.state = undefined
    app.user?.kept()
  }

  exportState(connection: Connection): unknown {
    const { state, bytesRead, bytesWritten, idleMs } = appOf(connection)
    return [STATE_VERSION, state ?? null, bytesRead, bytesWritten, idleMs]
  }

  importState(connection: Connection, plain: unknown): boolean {
    if (!this.#listeners.has(connection.localPort)) return false
    const app = new AppConnection(connection, this.#host)
    connection.state = app
    // The dispatcher gives connections away before anything was read.
    if (plain === null) return true
    if (!Array.isArray(plain) || plain.length !== 5) return false
    const [version, state, bytesRead, bytesWritten, idleMs] = plain
    if (version !== STATE_VERSION || !isCount(bytesRead) || !isCount(bytesWritten)) return false
    if (!isCount(idleMs) || idleMs > MAX_IDLE_MS) return false
    app.bytesRead = bytesRead
    app.bytesWritten = bytesWritten
    app.idleMs = idleMs
    // Its socket was destroyed: it only has to come to its end.
    app.isDetached = state === null
    if (state === null) return true
    if (!(state instanceof Uint8Array) || state.length > MAX_STATE_OCTETS) return false
    if (!this.#listeners.get(connection.localPort)?.takesShifts()) return false
    app.state = new Uint8Array(state)
    return decode(app.state) !== undefined
  }

  resumed(connection: Connection): void {
    const app = appOf(connection)
    // Its socket may have been destroyed while nobody here could end it.
    if (app.isDetached) return app.detach(false)
    // Back from a refused shift: `kept` follows.
    if (app.user !== undefined) return
    const moved = app.state === undefined ? undefined : decode(app.state)
    app.state = undefined
    this.#hand(app, moved)
  }

  admits(prepare: Prepare): ShiftRefusal | undefined {
    if (!this.#listeners.has(prepare.flow.localPort)) return 'NO_APPLICATION'
    return this.draining ? 'DRAINING' : undefined
  }

  fetch(keys: readonly string[], done: (refusal: ShiftRefusal | undefined) => void): void {
    done(keys.length === 0 ? undefined : 'NO_OBJECT')
  }

  resolve(): Content | undefined {
    return undefined
  }

  #hand(app: AppConnection, moved: { readonly value: unknown } | undefined): void {
    const listener = this.#listeners.get(app.connection.localPort)
    if (listener === undefined) return app.detach(true)
    app.user = listener.open(app, moved)
    if (app.idleMs > 0) app.watch()
    app.user.changed()
  }
}

/** What is forgotten in any other state was cut from outside. */
function endingOf({ ending, connection }: AppConnection): Ending {
  if (ending !== 'ended') return ending
  const { state } = connection.peek()
  return state === 'CLOSED' || state === 'TIME-WAIT' ? 'ended' : 'reset'
}

function appOf(connection: Connection): AppConnection {
  return connection.state as AppConnection
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
