/**
 * The way from the namespaces of a cluster to origin servers: the nodes have no route out, so the supervisor, which has,
 * connects for them and passes the octets on, both ways and unread. Its Unix socket is the supervisor's user's alone.
 */

import { chmodSync, rmSync } from 'node:fs'
import { createServer, connect as dial, type Server, type Socket } from 'node:net'
import { RELAY_READY } from '../../node/origin/relay.ts'

/** Of all nodes and origins together; further ones wait in the kernel's queue until the nodes give up. */
const MAX_RELAYED = 4_096
/** A host name of 253 octets and a port. */
const MAX_LINE_OCTETS = 300
const CONNECT_MS = 60_000

export class OriginRelay {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor() {
    this.#server = createServer({ allowHalfOpen: true }, socket => this.#accept(socket))
    this.#server.maxConnections = MAX_RELAYED
  }

  /** Rejects with the system's error where the socket cannot be made. */
  static async open(path: string): Promise<OriginRelay> {
    const relay = new OriginRelay()
    rmSync(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      relay.#server.once('error', reject)
      relay.#server.listen(path, resolve)
    })
    chmodSync(path, 0o600)
    return relay
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise<void>(resolve => this.#server.close(() => resolve()))
  }

  #accept(node: Socket): void {
    this.#keep(node)
    let line = ''
    const read = (chunk: Buffer) => {
      line += chunk.toString('latin1')
      const end = line.indexOf('\n')
      if (end < 0 && line.length <= MAX_LINE_OCTETS) return
      node.off('data', read)
      node.pause()
      const [, host, port] = /^([^\s]{1,253}) (\d{1,5})$/.exec(line.slice(0, end)) ?? []
      // Nothing is said to an origin before it is there.
      if (host === undefined || Number(port) > 65_535 || end !== line.length - 1) node.destroy()
      else this.#join(node, host.replace(/^\[(.*)\]$/, '$1'), Number(port))
    }
    node.on('data', read)
  }

  #join(node: Socket, host: string, port: number): void {
    const origin = dial({ host, port, allowHalfOpen: true })
    this.#keep(origin)
    origin.setTimeout(CONNECT_MS, () => origin.destroy())
    origin.once('connect', () => {
      origin.setTimeout(0)
      node.write(Uint8Array.of(RELAY_READY))
      node.pipe(origin)
      origin.pipe(node)
    })
    // Reset or gone on one side is gone on the other: a body that was cut must not look as if it had ended.
    for (const [socket, other] of [[node, origin] as const, [origin, node] as const]) {
      socket.once('close', isFault => (isFault || !socket.readableEnded ? other.destroy() : undefined))
    }
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.#sockets.delete(socket))
  }
}
