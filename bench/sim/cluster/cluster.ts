/**
 * A whole cluster in virtual time: dispatchers and nodes as they run in production (`DispatcherCore`, `NodeCore`), the
 * steering table of the gateway, control links, and clients behind networks that lose, delay, reorder and duplicate. After
 * every event the invariants of the design are checked. One seed makes one run.
 */

import type { Flow as ShiftFlow } from '../../../clone/flow.ts'
import { DispatcherCore } from '../../../dispatcher/core.ts'
import { ToldOwners } from '../../../dispatcher/gateway/told-owners.ts'
import type { PlacementSettings } from '../../../dispatcher/placement/placement.ts'
import { MemorySteering } from '../../../dispatcher/steering/memory-steering.ts'
import type { Access } from '../../../node/server/access-trail.ts'
import { NodeCore } from '../../../node/server/core.ts'
import type { ServerLimits } from '../../../node/server/limits.ts'
import type { Resources } from '../../../node/server/resources.ts'
import type { ServingSettings } from '../../../node/server/settings.ts'
import type { Connection } from '../../../node/stack/connection.ts'
import { DEFAULT_LIMITS, type OwnerLimits } from '../../../node/stack/limits.ts'
import type { Owner } from '../../../node/stack/owner.ts'
import type { OwnerConfig } from '../../../node/stack/owner-environment.ts'
import { Vips } from '../../../node/stack/vips.ts'
import { type TcpConfig, tcpConfig } from '../../../node/tcp/config.ts'
import { PacketBatch } from '../../../node/tun/packet-batch.ts'
import { formatAddress } from '../../../node/wire/address.ts'
import { ACK, createSegment, type Segment, SYN } from '../../../node/wire/segment.ts'
import type { ShiftResult } from '../../../shift/outgoing.ts'
import type { ScheduledEvent, Scheduler } from '../network/clock/scheduler.ts'
import { delay } from '../network/delay.ts'
import { createWorld, type Element, type Packet, type Sink, type World } from '../network/element.ts'
import { type Adversary, MessageLink } from '../network/message-link.ts'
import { readPacket } from '../network/packet.ts'
import { flowKey, flowTo, hopTo } from './addresses.ts'
import { Client, type Exchange } from './client.ts'
import {
  type Compressing,
  type Disk,
  ONE_SITE,
  SimulatedResources,
  type Streaming,
  simulatedFiles,
} from './files.ts'
import { Invariants } from './invariants.ts'

const VIP = '10.77.0.1'
const VIP6 = 'fd77::1'
const PORT = 80
const DISPATCHER = 0
/** Of the second dispatcher, and those after it. */
const FURTHER_DISPATCHERS = 201
const OWNER_ID_BITS = 8
/** Virtual wall clock of the first instant, in seconds. */
export const EPOCH_SECOND = 1_800_000_000
/** Within so much a node that was cut off has heard what is not its own any more. */
const REJOIN_MS = 20
const FLOOD_ARENA_OCTETS = 8_192
/** The cluster's, so that a dispatcher that was restarted has it, too. */
const SECRET = Uint8Array.from({ length: 16 }, (_, index) => index)

export interface ClusterOptions {
  readonly seed: number
  readonly nodes?: number
  /** One, unless said otherwise: ids 0, 201, 202 … */
  readonly dispatchers?: number
  readonly mode?: 'shift' | 'clone'
  /** File sizes by path. */
  readonly files?: Readonly<Record<string, number>>
  /** From a client to the gateway and from an owner to a client. */
  readonly wan?: () => Element
  /** Between the gateway and an owner. */
  readonly lan?: () => Element
  /** One way of a control link, in ms. */
  readonly linkMs?: number
  readonly adversary?: Adversary
  /** Until the gateway has a fallback element, in ms. */
  readonly steerMs?: number
  readonly tcp?: Partial<TcpConfig>
  readonly limits?: ServerLimits
  /** Of each owner. */
  readonly ownerLimits?: Partial<OwnerLimits>
  readonly serving?: ServingSettings
  readonly placement?: PlacementSettings
  /** Files that are streamed instead of held in memory. */
  readonly streaming?: Streaming
  /** Text is compressed in the background, on each node in this way. */
  readonly compressing?: (id: number) => Compressing
  readonly disk?: Disk
  /** What the nodes serve, where it is not the simulated files. */
  readonly served?: Resources
  /** The same, of each node its own. */
  readonly servedBy?: (id: number, scheduler: Scheduler) => Resources
  /** The access log of a node. */
  readonly log?: (id: number) => (access: Access) => void
  /** Forged packets reach the owners, and open connections from ports that honest clients use: one owner of each remains. */
  readonly isAttacked?: boolean
  /** A member sends forged messages: whoever owns what is its word, and two may believe it. */
  readonly isBetrayed?: boolean
}

type Core = NodeCore | DispatcherCore

/** Sees what crosses the control links, and may act on it. */
export interface LinkWatch {
  /** False: it is lost. */
  sent(from: number, to: number, envelope: readonly unknown[]): boolean
  /** The receiver has done what the message makes it do. */
  delivered(from: number, to: number, envelope: readonly unknown[]): void
}

export interface Found {
  readonly owner: Owner
  readonly connection: Connection
}

/** One process of the cluster. */
interface Host {
  readonly id: number
  core: Core
  alive: boolean
  timer: ScheduledEvent | undefined
  /** Where the gateway's packets for this owner go in. */
  readonly fromGateway: Sink
  readonly toClients: Sink
}

/** Without any delay a packet would be answered within the call that sends it. */
const WIRE: () => Element = () => delay(0.02)

export class Cluster {
  readonly world: World
  readonly files: Map<string, Uint8Array>
  readonly steering: MemorySteering
  /** By node. */
  readonly resources = new Map<number, SimulatedResources>()
  readonly invariants: Invariants
  readonly options: ClusterOptions
  readonly vips = Vips.parse(VIP, VIP6, PORT)
  readonly #hosts = new Map<number, Host>()
  readonly #links = new Map<string, MessageLink<unknown[]>>()
  readonly #clients = new Map<string, Client>()
  readonly #segment = createSegment()
  /** What the gateway has heard from its dispatchers. */
  readonly #told = new ToldOwners()
  watch: LinkWatch | undefined = undefined
  /** Whether the gateway takes elements. */
  gatewayUp = true
  #ports = 40_000
  #runs = 0

  constructor(options: ClusterOptions) {
    this.options = options
    this.world = createWorld(options.seed)
    this.files = simulatedFiles(options.seed, options.files ?? { '/index.html': 20_000 })
    this.steering = new MemorySteering(OWNER_ID_BITS, () => this.now)
    this.invariants = new Invariants(this)
    const ids = [...this.dispatcherIds, ...Array.from({ length: this.nodeCount }, (_, index) => index + 1)]
    ids.sort((a, b) => a - b)
    for (const id of ids) this.#start(id)
    for (const a of ids) for (const b of ids) if (a < b) this.#connect(a, b)
    // Every node has introduced itself, and the dispatchers may reset what nobody knows.
    this.run(6_000)
  }

  get now(): number {
    return this.world.scheduler.now
  }

  get nodeCount(): number {
    return this.options.nodes ?? 3
  }

  get dispatcherIds(): readonly number[] {
    const count = this.options.dispatchers ?? 1
    return Array.from({ length: count }, (_, index) =>
      index === 0 ? DISPATCHER : FURTHER_DISPATCHERS + index - 1,
    )
  }

  /** The first. */
  get dispatcher(): DispatcherCore {
    return this.dispatcherOf(DISPATCHER)
  }

  dispatcherOf(id: number): DispatcherCore {
    return this.#host(id).core as DispatcherCore
  }

  node(id: number): NodeCore {
    return this.#host(id).core as NodeCore
  }

  /** Every owner that is alive. */
  owners(): Owner[] {
    return [...this.#hosts.values()].filter(host => host.alive).map(host => host.core.owner)
  }

  link(a: number, b: number): MessageLink<unknown[]> {
    return this.#links.get(linkName(a, b)) as MessageLink<unknown[]>
  }

  /** A client with a port of its own. */
  client(options: {
    readonly exchanges?: readonly Exchange[]
    readonly raw?: boolean
    readonly family?: 4 | 6
    readonly timestamps?: boolean
    readonly thinkMs?: number
    readonly pipelined?: boolean
    readonly closes?: boolean
    readonly port?: number
    /** Where it connects to, if not to the site. */
    readonly service?: number
    /** A client that has ended, whose port is used again. */
    readonly after?: Client
    readonly tcp?: Partial<TcpConfig>
  }): Client {
    const flow = flowTo(
      this.vips,
      options.family ?? 4,
      options.after?.tcb.flow.localPort ?? options.port ?? this.#ports++,
      options.service ?? PORT,
    )
    const wan = (this.options.wan ?? WIRE)()
    const { port: _port, service: _service, family: _family, timestamps, tcp, ...rest } = options
    const client = new Client({
      exchanges: [],
      ...rest,
      world: this.world,
      flow,
      tcp: { timestamps: timestamps ?? true, ...tcp },
      out: wan.attach(this.world, packet => this.#atGateway(packet)),
    })
    this.#clients.set(clientKey(flow.localPort), client)
    return client
  }

  /** Runs for `ms` of virtual time. */
  run(ms: number): void {
    const until = this.now + ms
    while (this.world.scheduler.nextAt <= until && this.world.scheduler.step()) this.invariants.check()
    this.world.scheduler.run(until)
  }

  /** Runs until `done` or for `ms`; returns whether it is done. */
  runUntil(done: () => boolean, ms: number): boolean {
    const until = this.now + ms
    while (!done()) {
      if (this.world.scheduler.nextAt > until || !this.world.scheduler.step()) return done()
      this.invariants.check()
    }
    return true
  }

  /** The node that owns the client's connection now, and the connection. */
  ownerOf(client: Client): Found | undefined {
    for (const owner of this.owners()) {
      for (const entry of owner.byId.values()) {
        if (entry.kind === 'connection' && entry.remotePort === client.tcb.flow.localPort) {
          return { owner, connection: entry }
        }
      }
    }
    return undefined
  }

  /** Has the present owner of a client's connection shift it; false where there is none to shift. */
  shift(client: Client, to: number, done: (result: ShiftResult) => void = () => {}): boolean {
    const found = this.ownerOf(client)
    if (found === undefined || found.owner.isDispatcher) return false
    this.#shift(found.owner, found.connection, to, done)
    return true
  }

  /** The same at the dispatcher, which decides it as for a request that is complete. */
  handOver(client: Client, to: number, done: (result: ShiftResult) => void = () => {}): void {
    const { owner } = this.dispatcher
    const found = this.ownerOf(client)
    if (found?.owner !== owner) throw new Error('the dispatcher does not own it')
    this.#shift(owner, found.connection, to, done)
  }

  /** An owner decides about a connection that it was found at before, whether or not it still is. */
  decideFor({ owner, connection }: Found, to: number): void {
    this.#shift(owner, connection, to, () => {})
  }

  #shift(owner: Owner, connection: Connection, to: number, done: (result: ShiftResult) => void): void {
    owner.shift(connection, to, this.now, 'order', done)
    this.#wake(this.#host(owner.config.id))
  }

  /** Packets reach an owner, as many at once as its device would hand over: a flood from outside. */
  flood(packets: readonly Packet[], to = DISPATCHER): void {
    const host = this.#host(to)
    const batch = new PacketBatch(FLOOD_ARENA_OCTETS)
    for (const packet of packets) {
      if (batch.push(packet)) continue
      host.core.receiveBatch(batch, this.now)
      batch.clear()
      batch.push(packet)
    }
    host.core.receiveBatch(batch, this.now)
    this.#wake(host)
  }

  /** A message reaches `to` as one of `from`, at once. */
  tell(from: number, to: number, envelope: readonly unknown[]): void {
    const host = this.#host(to)
    if (!host.alive) return
    host.core.receiveMessage(from, envelope, this.now)
    this.#wake(host)
  }

  /** The process ends at once and says nothing to anybody. */
  kill(id: number): void {
    const host = this.#host(id)
    host.alive = false
    if (host.timer !== undefined) this.world.scheduler.cancel(host.timer)
    for (const other of this.#hosts.values()) if (other.id !== id) this.link(id, other.id).cut()
    if (this.#isDispatcher(id)) this.#gatewayHears(() => this.#told.down(id))
  }

  /** A new process of the same id, with nothing in memory. */
  restart(id: number): void {
    const host = this.#host(id)
    host.core = this.#createCore(id)
    host.alive = true
    for (const other of this.#hosts.values()) {
      if (other.id !== id && other.alive) this.link(id, other.id).connect()
    }
    this.#restarted.add(id)
    this.#wake(host)
  }

  /**
   * The control links of a node break while it lives, and its clients and it hear each other: what it owns is taken up by others.
   * It is linked again after `forMs`.
   */
  cutOff(id: number, forMs: number): void {
    this.#cutOff.add(id)
    const others = [...this.#hosts.values()].filter(other => other.id !== id)
    for (const other of others) this.link(id, other.id).cut()
    this.world.scheduler.after(forMs, () => {
      for (const other of others) if (other.alive && this.#host(id).alive) this.link(id, other.id).connect()
    })
    this.world.scheduler.after(forMs + REJOIN_MS, () => this.#cutOff.delete(id))
  }

  /** Whether it may not know yet that others own what it owned. */
  isCutOff(id: number): boolean {
    return this.#cutOff.has(id)
  }

  readonly #cutOff = new Set<number>()
  readonly #restarted = new Set<number>()

  #host(id: number): Host {
    return this.#hosts.get(id) as Host
  }

  #start(id: number): void {
    const lan = (this.options.lan ?? WIRE)()
    const wan = (this.options.wan ?? WIRE)()
    const host: Host = {
      id,
      core: this.#createCore(id),
      alive: true,
      timer: undefined,
      fromGateway: lan.attach(this.world, packet => this.#atOwner(host, packet)),
      toClients: lan.attach(
        this.world,
        wan.attach(this.world, packet => this.#atClient(packet)),
      ),
    }
    this.#hosts.set(id, host)
    this.#wake(host)
  }

  #createCore(id: number): Core {
    const { world } = this
    const config: OwnerConfig = {
      id,
      vips: this.vips,
      tcp: tcpConfig({ ownerId: id, ownerIdBits: OWNER_ID_BITS, ...this.options.tcp }),
      mode: this.options.mode ?? 'shift',
      limits: { ...DEFAULT_LIMITS, ...this.options.ownerLimits },
      // Another run of the dispatcher gives none of the ids of the run before.
      idBase: this.#runs++ * 2 ** 32,
      secret: this.#isDispatcher(id) ? SECRET : undefined,
    }
    const common = {
      transmit: (batch: PacketBatch) => this.#transmit(id, batch),
      send: (to: number, envelope: unknown[]) => this.#send(id, to, envelope),
      sendDroppable: (to: number, envelope: unknown[]) => this.#send(id, to, envelope),
      random: () => world.random.int32(),
      now: () => this.now,
      nowSecond: () => EPOCH_SECOND,
    }
    if (!this.#isDispatcher(id)) {
      const { serving = ONE_SITE, streaming } = this.options
      const compressing = this.options.compressing?.(id)
      const { files, options } = this
      const simulated = new SimulatedResources(
        files,
        world.scheduler,
        serving,
        streaming,
        compressing,
        options.disk,
      )
      this.resources.set(id, simulated)
      const resources = options.servedBy?.(id, world.scheduler) ?? options.served ?? simulated
      return new NodeCore(
        config,
        {
          ...common,
          reachable: to => this.#endOf(id, to)?.isUp === true,
          roster: () => {},
          wake: () => this.#wake(this.#host(id)),
          device: () => ({}),
          links: () => [],
          log: this.options.log?.(id),
        },
        resources,
        this.options.limits,
      )
    }
    return new DispatcherCore(
      config,
      {
        ...common,
        wallMs: () => EPOCH_SECOND * 1000 + this.now,
        ownersChanged: members => {
          const owners = [id, ...members.map(member => member.id)]
          this.#gatewayHears(() => this.#told.told(id, owners.map(hopTo)))
        },
        steer: (flow, to, steered) => this.#steer(id, flow, to, steered),
        recordPlaced: () => {},
        recordEnded: record => {
          if (!record.timestamps) void this.steering.updateFlows({ set: [], remove: [flowKey(record)] })
        },
        answered: () => {},
        asked: () => {},
        leaving: () => {},
      },
      this.options.serving ?? ONE_SITE,
      this.options.limits,
      this.options.placement,
    )
  }

  /** A lone dispatcher is not among the owners: what nothing steers is its, by its route. */
  #gatewayHears(hear: () => void): void {
    hear()
    const { owners, dispatchers } = this.#told
    if (this.dispatcherIds.length > 1) void this.steering.setOwners(owners, dispatchers)
    else void this.steering.setOwners(owners.filter(({ owner }) => owner !== DISPATCHER))
  }

  #isDispatcher(id: number): boolean {
    return this.dispatcherIds.includes(id)
  }

  #steer(by: number, flow: ShiftFlow, to: number, steered: (ok: boolean) => void): void {
    this.world.scheduler.after(this.options.steerMs ?? 2, () => {
      const set = [{ ...flowKey(flow), owner: to, timeoutMs: 3_600_000, by }]
      if (this.gatewayUp) this.steering.updateFlows({ set, remove: [] }).catch(() => {})
      steered(this.gatewayUp && this.steering.table.size > 0)
      this.#wake(this.#host(by))
    })
  }

  #connect(a: number, b: number): void {
    const link = new MessageLink<unknown[]>(this.world, {
      delayMs: this.options.linkMs ?? 0.1,
      ...(this.options.adversary === undefined ? {} : { adversary: this.options.adversary }),
    })
    this.#links.set(linkName(a, b), link)
    this.#listen(link.a, a, b)
    this.#listen(link.b, b, a)
    link.connect()
  }

  #listen(end: MessageLink<unknown[]>['a'], own: number, peer: number): void {
    const host = () => this.#host(own)
    end.onMessage = envelope => {
      if (!host().alive) return
      host().core.receiveMessage(peer, envelope, this.now)
      this.#wake(host())
      this.watch?.delivered(peer, own, envelope)
    }
    end.onUp = () => {
      if (!host().alive) return
      const restarted = this.#restarted.has(peer)
      const { core } = host()
      const isDispatcher = this.#isDispatcher(peer)
      if (core instanceof NodeCore) core.peerUp(peer, isDispatcher, restarted, this.now)
      else {
        const { address = '', address6 } = hopTo(peer)
        const member = { id: peer, name: `node${peer}`, address, address6, control: '', incarnation: '' }
        if (isDispatcher) core.dispatcherUp(member, restarted)
        else core.nodeUp(member, restarted)
      }
      this.#wake(host())
    }
    end.onDown = () => {
      if (!host().alive) return
      const { core } = host()
      if (core instanceof NodeCore) core.peerDown(peer, this.now)
      else if (this.#isDispatcher(peer)) core.dispatcherDown(peer)
      else core.nodeDown(peer)
      this.#wake(host())
    }
  }

  #endOf(own: number, peer: number) {
    const link = this.#links.get(linkName(own, peer))
    return own < peer ? link?.a : link?.b
  }

  #send(from: number, to: number, envelope: unknown[]): boolean {
    const end = this.#endOf(from, to)
    if (end?.isUp === true && this.watch?.sent(from, to, envelope) === false) return true
    return end?.send(envelope) ?? false
  }

  #transmit(id: number, batch: PacketBatch): void {
    const host = this.#hosts.get(id)
    if (host === undefined || !host.alive) return
    for (let index = 0; index < batch.count; index++) {
      const packet = batch.copyOf(index)
      this.invariants.sent(host.core.owner, packet)
      host.toClients(packet)
    }
  }

  #atOwner(host: Host, packet: Packet): void {
    if (!host.alive) return
    const batch = new PacketBatch(packet.length)
    batch.push(packet)
    host.core.receiveBatch(batch, this.now)
    this.#wake(host)
  }

  #atClient(packet: Packet): void {
    const segment = parse(packet, this.#segment)
    if (segment !== undefined) this.#clients.get(clientKey(segment.dstPort))?.receive(packet)
  }

  #atGateway(packet: Packet): void {
    const segment = parse(packet, this.#segment)
    if (segment === undefined) return
    const owner = this.steering.steer({
      flow: {
        family: segment.family,
        address: formatAddress(segment.src0, segment.src1, segment.src2, segment.src3),
        port: segment.srcPort,
      },
      syn: (segment.flags & SYN) !== 0,
      ack: (segment.flags & ACK) !== 0,
      tsEcr: segment.hasTimestamps ? segment.tsEcr : undefined,
    })
    this.#host(owner ?? DISPATCHER).fromGateway(packet)
  }

  /** Moves the host's timer to its deadline. */
  #wake(host: Host): void {
    const { scheduler } = this.world
    if (host.timer !== undefined) scheduler.cancel(host.timer)
    host.timer = undefined
    const at = host.core.pollAt()
    if (!host.alive || at === Number.POSITIVE_INFINITY) return
    host.timer = scheduler.at(Math.max(at, this.now), () => {
      host.timer = undefined
      host.core.poll(this.now)
      this.#wake(host)
    })
  }
}

function linkName(a: number, b: number): string {
  return a < b ? `${a}-${b}` : `${b}-${a}`
}

/** Ports are unique among the clients of a run. */
const clientKey = (port: number) => `${port}`

/** Undefined for what a receiver would not take for TCP: corrupted packets among them. */
export function parse(packet: Packet, segment: Segment): Segment | undefined {
  return readPacket(packet, segment) === 'tcp' ? segment : undefined
}
