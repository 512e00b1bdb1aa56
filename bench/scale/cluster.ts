/**
 * A cluster of up to a thousand nodes in virtual time: the dispatcher, the nodes and the protocol of shifts as they run in
 * production, with control links that lose nothing, and clients of three numbers each. There are no invariants to check
 * here (`bench/sim/cluster` has them) and no networks for packets: what is asked is what grows with the cluster.
 */
import type { CacheStore } from '../../cache/store.ts'
import { Asks } from '../../dispatcher/asks.ts'
import { DispatcherCore } from '../../dispatcher/core.ts'
import { Drains } from '../../dispatcher/drains.ts'
import type { Introduced } from '../../dispatcher/members.ts'
import { NodeCore } from '../../node/server/core.ts'
import { encodeClusterMessage } from '../../node/server/messages.ts'
import { DEFAULT_LIMITS } from '../../node/stack/limits.ts'
import type { Owner } from '../../node/stack/owner.ts'
import { Vips } from '../../node/stack/vips.ts'
import { tcpConfig } from '../../node/tcp/config.ts'
import type { PacketBatch } from '../../node/tun/packet-batch.ts'
import type { ShiftResult } from '../../shift/outgoing.ts'
import { type Disk, ONE_SITE, SimulatedResources } from '../sim/cluster/files.ts'
import type { ScheduledEvent } from '../sim/network/clock/scheduler.ts'
import { createWorld, type World } from '../sim/network/element.ts'
import { HandMadeClients } from '../soak/hand-made-clients.ts'
import { Traffic } from './traffic.ts'

/** The largest that configuration takes, so that a thousand nodes have ids. */
const OWNER_ID_BITS = 10
const DISPATCHER = 0
/** One way of a control link, and from an owner to a client. */
const LINK_MS = 0.1
const WAN_MS = 5
/** So that a promise has its turn between steps of virtual time. */
const STEP_MS = 1
const EPOCH_SECOND = 1_800_000_000

/** What a connection that moves costs processors, in ms: a model, as processors take no time in virtual time otherwise. */
export interface ShiftCosts {
  readonly sourceMs: number
  readonly targetMs: number
}

export interface ScaledOptions {
  readonly nodes: number
  /** Clients at most. */
  readonly clients: number
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly disk?: Disk
  readonly costs?: ShiftCosts
  /** Between nodes that join. */
  readonly joinMs?: number
  readonly seed: number
}

interface Message {
  readonly from: number
  readonly costMs: number
  readonly envelope: readonly unknown[]
}

interface Host {
  readonly id: number
  core: NodeCore | DispatcherCore
  timer: ScheduledEvent | undefined
  /** Until when its processor is busy with what it has begun. */
  busyUntil: number
  /** Messages that wait for it, the first one under way where it serves. */
  readonly inbox: Message[]
  isServing: boolean
}

export class ScaledCluster {
  readonly world: World
  readonly traffic = new Traffic()
  readonly clients: HandMadeClients
  readonly dispatcher: DispatcherCore
  readonly drains: Drains
  /** By node. */
  readonly stores: CacheStore[] = []
  /** Pairs of nodes that had a word for each other. */
  readonly pairs = new Set<number>()
  /** Nodes whose links take no message, as when their queues are full. */
  readonly deaf = new Set<number>()
  /** CPU that the dispatcher took, in ms of this machine. */
  dispatcherMs = 0
  readonly #options: ScaledOptions
  readonly #hosts: Host[] = []
  readonly #vips = Vips.parse('10.77.0.1', undefined, 80)
  readonly #asks: Asks
  readonly #joined = new Set<number>()
  /** Changes of owner whose costs have been counted. */
  readonly #committed = new Set<string>()

  constructor(options: ScaledOptions) {
    this.#options = options
    this.world = createWorld(options.seed)
    this.clients = new HandMadeClients(options.clients, this.#vips, {
      deliver: (batch, tsEcr) => this.#atGateway(batch, tsEcr),
      now: () => this.now,
    })
    this.clients.heard = client => this.#heard(client)
    this.#asks = new Asks((to, message) => this.#send(DISPATCHER, to, encodeClusterMessage(message)))
    this.drains = new Drains({
      ask: (node, what, details) => this.#asks.askPlain(node, what, details),
      targets: node => this.dispatcher.members.takers(node),
      left: () => {},
      now: () => this.now,
      pause: ms => new Promise(resolve => void this.world.scheduler.after(ms, resolve)),
    })
    this.dispatcher = this.#createDispatcher()
    this.#hosts.push(hostOf(DISPATCHER, this.dispatcher))
    for (let id = 1; id <= options.nodes; id++) {
      this.#hosts.push(hostOf(id, this.#createNode(id)))
    }
  }

  get now(): number {
    return this.world.scheduler.now
  }

  get nodeCount(): number {
    return this.#options.nodes
  }

  node(id: number): NodeCore {
    return (this.#hosts[id] as Host).core as NodeCore
  }

  /** The nodes from `first` to `last` come up, one after the other; a dispatcher that settles is waited for. */
  join(first = 1, last = this.nodeCount): void {
    for (let id = first; id <= last; id++) {
      this.#introduce(id, false)
      this.run(this.#options.joinMs ?? 1)
    }
    this.run(6_000)
  }

  #introduce(id: number, restarted: boolean): void {
    this.#joined.add(id)
    this.#timed(() => this.dispatcher.nodeUp(introduced(id, `${id} ${this.now}`), restarted))
    this.node(id).peerUp(DISPATCHER, true, false, this.now)
    this.#wake(DISPATCHER)
    this.#wake(id)
  }

  run(ms: number): void {
    this.world.scheduler.run(this.now + ms)
  }

  /** Runs until `done` or for `ms`, with promises having their turns; whether it is done. */
  async runUntil(done: () => boolean, ms: number): Promise<boolean> {
    for (const until = this.now + ms; !done() && this.now < until; ) {
      this.run(STEP_MS)
      await new Promise(setImmediate)
    }
    return done()
  }

  /** A client opens its connection and asks for a file. */
  browse(client: number, target: string): void {
    this.clients.open(client)
    this.clients.ask(client, target)
  }

  /** The process of a node that has been emptied ends. */
  leave(id: number): void {
    this.#joined.delete(id)
    this.dispatcher.nodeDown(id)
    for (const other of this.#joined) this.node(other).peerDown(id, this.now)
  }

  /** A new process of a node that has left comes up. */
  enter(id: number): void {
    const host = this.#hosts[id] as Host
    if (host.timer !== undefined) this.world.scheduler.cancel(host.timer)
    host.timer = undefined
    host.core = this.#createNode(id)
    this.drains.forget(id)
    this.#introduce(id, true)
    for (const other of this.#joined) if (other !== id) this.node(other).peerUp(id, false, true, this.now)
  }

  /** Connections that `id` owns. */
  owned(id: number): number {
    return this.#owner(id).connections
  }

  /** Moves up to `count` connections of a node, each to one of the others by chance. */
  shift(from: number, count: number, done: (result: ShiftResult) => void): number {
    const owner = this.#owner(from)
    let begun = 0
    for (const entry of owner.byId.values()) {
      if (begun === count) break
      if (entry.kind !== 'connection') continue
      const to = 1 + ((from + this.world.random.int(this.nodeCount - 1)) % this.nodeCount)
      owner.shift(entry, to, this.now, 'order', done)
      begun++
    }
    this.#wake(from)
    return begun
  }

  close(): void {
    this.#asks.close()
  }

  #owner(id: number): Owner {
    return (this.#hosts[id] as Host).core.owner
  }

  #createDispatcher(): DispatcherCore {
    return new DispatcherCore(
      {
        ...this.#ownerConfig(DISPATCHER),
        limits: { ...DEFAULT_LIMITS, forwards: 1 << 20 },
        secret: this.world.random.octets(32),
      },
      {
        ...this.#common(DISPATCHER),
        wallMs: () => EPOCH_SECOND * 1_000 + this.now,
        ownersChanged: () => {},
        steer: (_flow, _to, steered) => steered(true),
        recordPlaced: () => {},
        recordEnded: () => {},
        asked: () => {},
        answered: (from, token, value) => this.#asks.answered(from, token, value),
        leaving: () => {},
      },
      ONE_SITE,
    )
  }

  #createNode(id: number): NodeCore {
    const { files, disk } = this.#options
    const { scheduler } = this.world
    const resources = new SimulatedResources(files, scheduler, ONE_SITE, undefined, undefined, disk)
    this.stores[id] = resources.store
    return new NodeCore(
      { ...this.#ownerConfig(id), limits: DEFAULT_LIMITS, secret: undefined },
      {
        ...this.#common(id),
        reachable: to => this.#joined.has(to),
        roster: () => {},
        wake: () => this.#wake(id),
        device: () => ({}),
        links: () => [],
      },
      resources,
    )
  }

  #ownerConfig(id: number) {
    const tcp = tcpConfig({ ownerId: id, ownerIdBits: OWNER_ID_BITS })
    return { id, vips: this.#vips, tcp, mode: 'shift', idBase: 0 } as const
  }

  #common(id: number) {
    return {
      transmit: (batch: PacketBatch) => this.clients.take(batch),
      send: (to: number, envelope: unknown[]) => this.#send(id, to, envelope),
      sendDroppable: (to: number, envelope: unknown[]) => this.#send(id, to, envelope),
      random: () => this.world.random.int32(),
      now: () => this.now,
      nowSecond: () => EPOCH_SECOND,
    }
  }

  #send(from: number, to: number, envelope: unknown[]): boolean {
    if (!this.#isThere(from) || !this.#isThere(to) || this.deaf.has(to)) return false
    const { name, received } = this.traffic.carry(envelope)
    if (from !== DISPATCHER && to !== DISPATCHER)
      this.pairs.add(Math.min(from, to) * 1_024 + Math.max(from, to))
    const { sourceMs = 0, targetMs = 0 } = this.#costsOf(name, envelope)
    const leavesAt = this.#busy(this.#hosts[from] as Host, sourceMs)
    this.world.scheduler.at(leavesAt + LINK_MS, () => {
      const host = this.#hosts[to] as Host
      // A link that broke meanwhile takes it along.
      if (!this.#isThere(from) || !this.#isThere(to)) return
      host.inbox.push({ from, costMs: targetMs, envelope: received })
      if (host.isServing) return
      host.isServing = true
      this.#serve(host)
    })
    return true
  }

  #isThere(id: number): boolean {
    return id === DISPATCHER || this.#joined.has(id)
  }

  /** A COMMIT that is repeated finds the work done. */
  #costsOf(name: string, [, , connection, epoch]: readonly unknown[]): Partial<ShiftCosts> {
    if (name !== 'COMMIT' || this.#options.costs === undefined) return {}
    const key = `${connection} ${epoch}`
    if (this.#committed.has(key)) return {}
    this.#committed.add(key)
    return this.#options.costs
  }

  /** When work of `ms` that comes up now is done: behind what has been begun. */
  #busy(host: Host, ms: number): number {
    host.busyUntil = Math.max(host.busyUntil, this.now) + ms
    return host.busyUntil
  }

  /** One message after the other, each when the processor is free. */
  #serve(host: Host): void {
    this.world.scheduler.at(Math.max(host.busyUntil, this.now), () => {
      const { from, costMs, envelope } = host.inbox.shift() as Message
      this.#busy(host, costMs)
      this.#receive(from, host.id, envelope)
      host.isServing = host.inbox.length > 0
      if (host.isServing) this.#serve(host)
    })
  }

  #receive(from: number, to: number, envelope: readonly unknown[]): void {
    const { core } = this.#hosts[to] as Host
    if (to === DISPATCHER) this.#timed(() => core.receiveMessage(from, envelope, this.now))
    else core.receiveMessage(from, envelope, this.now)
    this.#wake(to)
  }

  #timed(work: () => void): void {
    const from = process.cpuUsage()
    work()
    const { user, system } = process.cpuUsage(from)
    this.dispatcherMs += (user + system) / 1_000
  }

  #heard(client: number): void {
    this.world.scheduler.after(2 * WAN_MS, () => this.clients.acknowledge(client))
  }

  #atGateway(batch: PacketBatch, tsEcr: number): void {
    const id = tsEcr & ((1 << OWNER_ID_BITS) - 1)
    // What a machine that is gone is sent is lost.
    if (!this.#isThere(id)) return
    const { core } = this.#hosts[id] as Host
    if (id === DISPATCHER) this.#timed(() => core.receiveBatch(batch, this.now))
    else core.receiveBatch(batch, this.now)
    this.#wake(id)
  }

  /** Moves the host's timer to its deadline. */
  #wake(id: number): void {
    const host = this.#hosts[id]
    if (host === undefined) return
    const { scheduler } = this.world
    const at = Math.max(host.core.pollAt(), this.now)
    if (host.timer?.at === at) return
    if (host.timer !== undefined) scheduler.cancel(host.timer)
    host.timer = undefined
    if (at === Number.POSITIVE_INFINITY) return
    host.timer = scheduler.at(at, () => {
      host.timer = undefined
      if (id === DISPATCHER) this.#timed(() => host.core.poll(this.now))
      else host.core.poll(this.now)
      this.#wake(id)
    })
  }
}

function hostOf(id: number, core: NodeCore | DispatcherCore): Host {
  return { id, core, timer: undefined, busyUntil: 0, inbox: [], isServing: false }
}

export function introduced(id: number, incarnation: string): Introduced {
  const address = `10.${78 + (id >> 16)}.${(id >> 8) & 255}.${id & 255}`
  return { id, name: `node${id}`, address, address6: undefined, control: `${address}:8443`, incarnation }
}
