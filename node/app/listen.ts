/**
 * The API of applications, `import { listen } from 'gyre'`: a program that a node runs (`gyre node --app FILE`) takes the
 * connections to a port of the virtual addresses, and moves them between nodes.
 */
import { EventEmitter } from 'node:events'
import type { AppConnection, AppUser } from './app-connection.ts'
import type { AppListener } from './app-connections.ts'
import { GyreError } from './errors.ts'
import { currentRuntime, type OwnerName, type Runtime } from './runtime.ts'
import { type Export, ShiftableSocket } from './shiftable-socket.ts'
import { decode, encode, MAX_TOLD_OCTETS } from './state.ts'

export { betweenRequests } from './between-requests.ts'
export { GyreError, type GyreErrorCode, ShiftError } from './errors.ts'
export type { OwnerName, Runtime } from './runtime.ts'
export { type Export, ShiftableSocket, type Shifted } from './shiftable-socket.ts'
export { MAX_STATE_OCTETS, MAX_TOLD_OCTETS } from './state.ts'

export interface ListenOptions {
  /** One of the cluster's virtual addresses; all of them where it is absent. */
  readonly vip?: string
  /** 1 to 65535. The port of the site may be taken, which is not served on this node then. */
  readonly port: number
  /** False: its sockets never move, and a drain names them PINNED. Default true. */
  readonly shiftable?: boolean
  /** As of `net.createServer`; HTTP servers want true. Default false: the end of the client ends the writing side. */
  readonly allowHalfOpen?: boolean
  /**
   * Gives the state of a socket when others want it moved: a drain, an operator, the end of this node. Undefined: not at
   * this moment; whoever asked hears NOT_NOW, and a drain asks again. Without it such sockets stay, as NO_EXPORT.
   */
  readonly export?: Export
}

export interface ListenEvents {
  /** A new connection. */
  connection: [socket: ShiftableSocket]
  /** A connection that came from another node, with the state that it was given there. */
  shift: [socket: ShiftableSocket, state: unknown]
  /** What `tell` was given on the node `from`. */
  message: [value: unknown, from: number]
}

/** Takes the connections to a port. Throws a GyreError where there is no node, or the port is not to be had. */
export function listen(
  options: ListenOptions,
  onConnection?: (socket: ShiftableSocket) => void,
): ShiftServer {
  const runtime = currentRuntime()
  if (runtime === undefined) {
    throw new GyreError(
      'ERR_GYRE_NO_NODE',
      'there is no node in this process; run it by `gyre node --app FILE`',
    )
  }
  return listenOn(runtime, options, onConnection)
}

/** The same on a node that is named. */
export function listenOn(
  runtime: Runtime,
  options: ListenOptions,
  onConnection?: (socket: ShiftableSocket) => void,
): ShiftServer {
  const { vip, port } = options
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new GyreError('ERR_GYRE_BAD_ARGUMENT', `port is 1 to 65535, not ${port}`)
  }
  if (vip !== undefined && vip !== runtime.vip && vip !== runtime.vip6) {
    const own = runtime.vip6 === undefined ? runtime.vip : `${runtime.vip} or ${runtime.vip6}`
    throw new GyreError('ERR_GYRE_BAD_ARGUMENT', `the virtual address is ${own}, not ${vip}`)
  }
  const server = ShiftServer.open(runtime, options)
  if (server === undefined) {
    throw new GyreError('ERR_GYRE_PORT_IN_USE', `port ${port} is listened on already`)
  }
  if (onConnection !== undefined) server.on('connection', onConnection)
  return server
}

/** A port of this node. Others of the cluster run the same application, or its connections could not move there. */
export class ShiftServer extends EventEmitter<ListenEvents> {
  readonly port: number
  readonly #runtime: Runtime
  readonly #options: ListenOptions
  readonly #listener: AppListener
  readonly #sockets = new Set<ShiftableSocket>()

  /** Of the node; applications call `listen`. Undefined where the port is taken. */
  static open(runtime: Runtime, options: ListenOptions): ShiftServer | undefined {
    const server = new ShiftServer(runtime, options)
    return runtime.open(server.#listener) ? server : undefined
  }

  private constructor(runtime: Runtime, options: ListenOptions) {
    super()
    this.port = options.port
    this.#runtime = runtime
    this.#options = options
    this.#listener = {
      port: options.port,
      takesShifts: () => this.listenerCount('shift') > 0,
      open: (app, moved) => this.#open(app, moved),
      told: (from, octets) => this.#told(from, octets),
    }
  }

  /** Owner id of the node that this is. */
  get id(): number {
    return this.#runtime.id
  }

  /** Sockets that are open here. */
  get sockets(): ReadonlySet<ShiftableSocket> {
    return this.#sockets
  }

  /** The other nodes of the cluster. */
  get others(): readonly OwnerName[] {
    return this.#runtime.owners().filter(({ id }) => id !== this.id)
  }

  /**
   * Emits 'message' on the node `to` where it listens on this port: structured data of at most MAX_TOLD_OCTETS when packed.
   * In order with shifts to it, and not repeated: false when it was surely not sent. Throws for what is no such data.
   */
  tell(to: number, value: unknown): boolean {
    const octets = encode(value)
    if (octets === undefined || octets.length > MAX_TOLD_OCTETS) {
      throw new GyreError('ERR_GYRE_BAD_ARGUMENT', 'a message is structured data of at most 1 MiB')
    }
    return this.#runtime.tell(this.port, to, octets)
  }

  /** New connections go to other nodes, or are refused; those that are open go on. */
  close(): void {
    this.#runtime.close(this.#listener)
  }

  #open(app: AppConnection, moved: { readonly value: unknown } | undefined): AppUser {
    const { shiftable = true, allowHalfOpen = false } = this.#options
    const { vip, vip6 } = this.#runtime
    const { socket, user, handed } = ShiftableSocket.open(app, {
      shiftable,
      allowHalfOpen,
      export: this.#options.export,
      localAddress: family => (family === 4 ? vip : (vip6 ?? '')),
      ownerNamed: name => this.#runtime.owners().find(owner => owner.name === name)?.id,
    })
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    process.nextTick(() => {
      if (socket.destroyed) return
      handed()
      const taken =
        moved === undefined ? this.emit('connection', socket) : this.emit('shift', socket, moved.value)
      // Nobody is there who knew what to do with it.
      if (!taken) socket.resetAndDestroy()
    })
    return user
  }

  #told(from: number, octets: Uint8Array): void {
    // What it holds may be views into the octets, which are the link's.
    const message = decode(new Uint8Array(octets))
    if (message !== undefined) process.nextTick(() => this.emit('message', message.value, from))
  }
}
