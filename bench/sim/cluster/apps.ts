/** Applications on streams (`node/app`), the same on every node of a simulated cluster: run between steps of virtual time. */
import { type ListenOptions, listenOn, type ShiftServer } from '../../../node/app/listen.ts'
import type { ShiftableSocket } from '../../../node/app/shiftable-socket.ts'
import type { ShiftResult } from '../../../shift/outgoing.ts'
import { delay } from '../network/delay.ts'
import { chain } from '../network/element.ts'
import { rate } from '../network/rate.ts'
import { segment } from '../network/segment.ts'
import type { Client } from './client.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'

export const PORT = 9_000
const goodWan = () => chain([segment(1_500), rate(50e6, 500_000), delay(1)])

/** The same application on every node of a cluster. */
export class Apps {
  readonly sim: Cluster
  readonly servers: ShiftServer[] = []
  /** By node, as last handed over. */
  readonly sockets = new Map<number, ShiftableSocket>()

  constructor(
    options: Partial<ClusterOptions>,
    listening: Partial<ListenOptions>,
    serve: (socket: ShiftableSocket, state: unknown, server: ShiftServer) => void,
  ) {
    this.sim = new Cluster({ seed: 1, wan: goodWan, ...options })
    for (let id = 1; id <= this.sim.nodeCount; id++) {
      const server = listenOn(this.sim.node(id).runtime, { port: PORT, ...listening })
      const take = (socket: ShiftableSocket, state: unknown) => {
        this.sockets.set(id, socket)
        serve(socket, state, server)
      }
      server.on('connection', socket => take(socket, undefined))
      server.on('shift', take)
      this.servers.push(server)
    }
    this.sim.run(10)
  }

  client(options: Parameters<Cluster['client']>[0]): Client {
    return this.sim.client({ service: PORT, ...options })
  }

  /** Virtual time and the streams' own turns, in step. */
  async run(ms: number, step = 1): Promise<void> {
    const until = this.sim.now + ms
    while (this.sim.now < until) {
      this.sim.run(Math.min(step, until - this.sim.now))
      await new Promise(setImmediate)
    }
  }

  async until(done: () => boolean, ms: number): Promise<boolean> {
    const until = this.sim.now + ms
    while (!done() && this.sim.now < until) await this.run(1)
    return done()
  }

  socketOf(client: Client): ShiftableSocket {
    return this.sockets.get(this.ownerOf(client)) as ShiftableSocket
  }

  ownerOf(client: Client): number {
    return this.sim.ownerOf(client)?.owner.config.id ?? -1
  }

  elsewhere(client: Client): number {
    return (this.ownerOf(client) % this.sim.nodeCount) + 1
  }

  /** As an operator does it. */
  async moved(client: Client, to = this.elsewhere(client)): Promise<ShiftResult | undefined> {
    let result: ShiftResult | undefined
    this.sim.shift(client, to, shifted => {
      result = shifted
    })
    await this.until(() => result !== undefined, 2_000)
    return result
  }
}
