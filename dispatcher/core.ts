/**
 * A dispatcher whole, but for its IO: the owner that accepts, the placement, the birth records, and what it tells the
 * nodes. The program (`dispatcher/dispatcher.ts`) gives it a TUN, links, steering and a clock; the simulator others.
 */
import type { Flow } from '../clone/flow.ts'
import { createRequestHead, parseRequestHead } from '../node/http/request-head.ts'
import { normalisePath, representationPath } from '../node/http/target.ts'
import { DEFAULT_LIMITS, type ServerLimits } from '../node/server/limits.ts'
import {
  CLUSTER_PROTOCOL,
  type ClusterMessage,
  decodeClusterMessage,
  encodeClusterMessage,
} from '../node/server/messages.ts'
import { decodeRecordsMessage, RECORD_PROTOCOL } from '../node/server/record-messages.ts'
import type { ServingSettings } from '../node/server/settings.ts'
import { SiteTable } from '../node/server/site-table.ts'
import type { Forward } from '../node/stack/connection.ts'
import {
  type ClosedMessage,
  encodeOwnerMessage,
  type OwnedMessage,
  type SteerMessage,
} from '../node/stack/messages.ts'
import { OWNER_PROTOCOL, Owner } from '../node/stack/owner.ts'
import type { OwnerConfig } from '../node/stack/owner-environment.ts'
import type { PacketBatch } from '../node/tun/packet-batch.ts'
import { Acceptor } from './acceptor.ts'
import { DEFAULT_LIVENESS } from './liveness-settings.ts'
import { type Introduced, type Member, Members } from './members.ts'
import { Directory } from './placement/directory.ts'
import { Placement, type PlacementSettings } from './placement/placement.ts'
import { Records } from './records.ts'
import { Recovery } from './recovery.ts'

/** A dispatcher that has just started does not reset what its nodes may still own: they come back within seconds. */
export const SETTLE_MS = 5_000
/**
 * When another dispatcher ends, what it has just given away is news under way from the nodes to us (`REPORT_MS`): for so long
 * nobody is reset, and clients send again.
 */
const INHERIT_MS = 1_000
/** How often dead nodes are looked for. */
const SWEEP_MS = 1_000

/** The world around a dispatcher. */
export interface DispatcherWorld {
  transmit(batch: PacketBatch): void
  send(to: number, envelope: unknown[]): boolean
  sendDroppable(to: number, envelope: unknown[]): boolean
  /** What was sent to an owner leaves at once. */
  hasten?(to: number): void
  /** A uniformly distributed int32. */
  random(): number
  now(): number
  /** Wall clock in whole seconds. */
  nowSecond(): number
  /** The same in ms. */
  wallMs(): number
  /** The owners that the gateways steer to have changed. */
  ownersChanged(members: readonly Member[]): void
  /** Points the fallback element of a flow at an owner, and says whether the kernel does so now. */
  steer(flow: Flow, to: number, steered: (ok: boolean) => void): void
  /** A connection lives at `record.to` now, or has ended. */
  recordPlaced(record: Forward): void
  recordEnded(record: Forward): void
  answered(from: number, token: number, value: unknown): void
  /** Another dispatcher passes a question of its operator on to us. */
  asked(from: number, token: number, what: string, details: unknown): void
  /** The node is about to end: its connections are to be moved, and then it is told LEFT. */
  leaving(node: number, deadlineMs: number): void
}

export class DispatcherCore {
  readonly owner: Owner
  readonly members = new Members()
  /** The other dispatchers. */
  readonly dispatchers = new Members()
  readonly directory = new Directory()
  readonly placement: Placement
  readonly records: Records
  readonly recovery: Recovery
  readonly #recoverAfterMs: number
  /** As the nodes have it, to place requests by their site; replaced by a reload. */
  #sites: SiteTable
  readonly #acceptor: Acceptor
  readonly #world: DispatcherWorld
  /** From when on what nobody knows is reset. */
  #settledAt: number
  #sweepAt: number
  /** When the first of the nodes that are down is given up, unless it comes back. */
  #failAt = Number.POSITIVE_INFINITY
  /** Nodes whose links took no word of who is there: at most all. */
  readonly #untold = new Set<number>()
  /** The other dispatchers that can be reached, the lowest id first. */
  #linked: readonly number[] = []

  constructor(
    config: OwnerConfig,
    world: DispatcherWorld,
    serving: ServingSettings,
    limits?: ServerLimits,
    placement?: PlacementSettings,
    recoverAfterMs = DEFAULT_LIVENESS.recoverAfterMs,
  ) {
    this.#world = world
    this.#recoverAfterMs = recoverAfterMs
    this.placement = new Placement(this.directory, placement)
    this.#sites = new SiteTable(serving)
    this.#settledAt = world.now() + SETTLE_MS
    this.#sweepAt = world.now() + SWEEP_MS
    this.#acceptor = new Acceptor(
      {
        pathOf: head => this.#sites.pathOf(head),
        heldAs: path => this.#sites.heldAs(path),
        place: (path, not) => this.place(path, not),
        shift: (connection, to, now) => this.owner.shift(connection, to, now, 'placement', () => {}),
        isShifting: connection => this.owner.shifting.has(connection.id),
        port: config.vips.port,
        hasApp: port => this.members.hasApp(port),
        placeApp: (port, not) => this.#placeApp(port, not),
        touched: connection => this.owner.touched(connection, world.now()),
        owns: connection => this.owner.owns(connection),
        nowSecond: () => world.nowSecond(),
      },
      limits,
    )
    this.owner = new Owner(
      config,
      {
        transmit: batch => world.transmit(batch),
        send: (to, envelope) => world.send(to, envelope),
        sendDroppable: (to, envelope) => world.sendDroppable(to, envelope),
        hasten: to => world.hasten?.(to),
        random: () => world.random(),
        nowSecond: () => world.nowSecond(),
        wallMs: () => world.wallMs(),
        owned: () => {},
        closed: () => {},
        forwarding: forward => world.recordPlaced(forward),
        steer: (connection, epoch, to) =>
          world.steer(connection, to, ok => this.owner.steered(connection.id, epoch, ok, world.now())),
        told: (from, message, now) => this.#told(from, message, now),
        reachable: id => (this.members.get(id) ?? this.dispatchers.get(id))?.up === true,
        dispatchers: () => this.#linked,
        settled: () => world.now() >= this.#settledAt,
      },
      this.#acceptor,
    )
    this.recovery = this.#createRecovery(config.tcp.ownerIdBits)
    this.records = new Records(
      this.owner,
      record => world.recordPlaced(record),
      record => world.recordEnded(record),
      this.recovery,
    )
  }

  #createRecovery(ownerIdBits: number): Recovery {
    const { owner } = this
    const world = this.#world
    return new Recovery({
      ...{ id: owner.config.id, ownerIdBits },
      forward: connection => {
        const entry = owner.byId.get(connection)
        return entry?.kind === 'forward' ? entry : undefined
      },
      forwards: () => owner.forwards.values(),
      place: (path, not) => this.place(path, not),
      send: (to, envelope) => world.send(to, envelope),
      steer: (forward, to, steered) =>
        owner.config.mode === 'clone' ? steered(true) : world.steer(forward, to, steered),
      moved: forward => world.recordPlaced(forward),
      lost: forward => this.records.remove(forward),
    })
  }

  /** Every other owner. */
  get others(): readonly Member[] {
    return [...this.dispatchers.all, ...this.members.all]
  }

  /** The node that should serve `path`, of those that are up and have not refused. */
  place(path: string, not: readonly number[]): number | undefined {
    const question = { path, from: undefined }
    const chosen = this.placement.choose(question, this.members.candidates(not), this.#world.now())
    const member = chosen === undefined ? undefined : this.members.get(chosen)
    // Counted at once: reports come too seldom to spread a burst.
    if (member !== undefined) member.connections++
    return chosen
  }

  /** The node for a connection to an application's port: the least loaded of those that run it. */
  #placeApp(port: number, not: readonly number[]): number | undefined {
    const chosen = this.members.runs(port, not)
    if (chosen !== undefined) chosen.connections++
    return chosen?.id
  }

  /**
   * The name of an object in the cluster: the site of `host` (undefined: the default site) and the normalised path, or the
   * status of the refusal.
   */
  pathOf(host: string | undefined, target: string): string | number {
    const octets = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: ${host ?? ''}\r\n\r\n`)
    const head = createRequestHead()
    const verdict = parseRequestHead(octets, 0, octets.length, head)
    if (verdict !== 'complete') return 400
    const path =
      host === undefined ? normalisePath(octets, head.pathStart, head.pathEnd) : this.#sites.pathOf(head)
    return typeof path === 'string' ? representationPath(path) : path
  }

  /** Requests are placed by other sites from now on. */
  configure(serving: ServingSettings): void {
    this.#sites = new SiteTable(serving)
    this.#acceptor.configure(serving.limits ?? DEFAULT_LIMITS)
  }

  receiveBatch(batch: PacketBatch, now: number): void {
    this.owner.receiveBatch(batch, now)
  }

  receiveMessage(from: number, envelope: readonly unknown[], now: number): void {
    if (envelope[0] === RECORD_PROTOCOL) return this.#recordsMessage(from, envelope.slice(1), now)
    if (envelope[0] !== CLUSTER_PROTOCOL) return this.owner.receiveMessage(from, envelope, now)
    const message = decodeClusterMessage(envelope.slice(1))
    if (message !== undefined) this.#clusterMessage(from, message)
  }

  #recordsMessage(from: number, plain: readonly unknown[], now: number): void {
    const message = decodeRecordsMessage(plain)
    if (message?.type === 'RECORD') this.records.born(from, message, now)
    else if (message?.type === 'NOT_RECOVERED') this.recovery.notRecovered(from, message, now)
  }

  nodeUp(member: Introduced, restarted: boolean): void {
    const now = this.#world.now()
    // Another run of the node holds nothing of what the one before it held. What its records still name it gives back.
    if (restarted && this.#isFirst) this.#forget(member.id, now)
    else if (restarted) this.directory.forget(member.id)
    this.members.up(member)
    this.records.linked(member.id, now)
    this.owner.peerUp(member.id, restarted, now)
    this.#tellRoster([member.id])
    this.#tellChange([member], [], member.id)
  }

  nodeDown(id: number): void {
    const now = this.#world.now()
    this.members.down(id, now)
    this.#failAt = Math.min(this.#failAt, now + this.#recoverAfterMs)
    this.owner.peerDown(id, now)
  }

  /** Another dispatcher: nothing is placed there, but it knows what we do not. */
  dispatcherUp(member: Introduced, restarted: boolean): void {
    this.dispatchers.up(member)
    this.owner.peerUp(member.id, restarted, this.#world.now())
    this.#dispatchersChanged()
  }

  dispatcherDown(id: number): void {
    if (this.dispatchers.get(id) === undefined) return
    const now = this.#world.now()
    this.dispatchers.down(id, now)
    this.owner.peerDown(id, now)
    this.#settledAt = Math.max(this.#settledAt, now + INHERIT_MS)
    this.#dispatchersChanged()
    if (!this.#isFirst) return
    // What it had not seen to is ours to see to now.
    for (const member of this.members.all) if (member.failed) this.recovery.died(member.id, now)
  }

  /** Whether we decide what one dispatcher alone should: as long as we know none with a lower id. */
  get #isFirst(): boolean {
    return this.#linked.every(id => id > this.owner.config.id)
  }

  #dispatchersChanged(): void {
    this.#linked = this.dispatchers.all.filter(({ up }) => up).map(({ id }) => id)
    this.#steerToOwners()
  }

  /** What a dispatcher has accepted ends with it, so that nothing is to be steered to one that is down. */
  #steerToOwners(): void {
    const nodes = this.members.all.filter(({ failed }) => !failed)
    this.#world.ownersChanged([...nodes, ...this.dispatchers.all.filter(({ up }) => up)])
  }

  pollAt(): number {
    return Math.min(this.owner.pollAt(), this.#sweepAt, this.#failAt, this.recovery.pollAt())
  }

  poll(now: number): void {
    this.owner.poll(now)
    if (now >= this.#failAt) this.#fail(now)
    this.recovery.poll(now)
    if (now < this.#sweepAt) return
    this.#sweepAt = now + SWEEP_MS
    this.directory.expire(now)
    this.recovery.sweep()
    this.records.sweep(now)
    for (const { id } of this.dispatchers.dead(now)) this.dispatchers.remove(id)
    const dead = this.members.dead(now)
    for (const member of dead) {
      this.#forget(member.id, now)
      this.members.remove(member.id)
    }
    if (this.#untold.size > 0) this.#tellRoster([...this.#untold])
    if (dead.length > 0) this.#tellChange([], dead)
    // By one dispatcher alone, or twice as much would move.
    if (this.#isFirst) this.#relieve(now)
  }

  /** Has the most loaded node give its busiest connections away, where it is loaded far above another. */
  #relieve(now: number): void {
    const relief = this.placement.relief(this.members.candidates([]), now)
    if (relief === undefined) return
    const { from, to, load, most } = relief
    this.#world.send(from, encodeClusterMessage({ type: 'RELIEVE', to, load: Math.round(load), most }))
  }

  /** Others go on with what nodes have begun that do not come back; what there is no record of waits a little longer for them. */
  #fail(now: number): void {
    const failing = this.members.failing(now, this.#recoverAfterMs)
    for (const member of failing) {
      member.failed = true
      if (this.#isFirst) this.recovery.died(member.id, now)
    }
    if (failing.length > 0) this.#steerToOwners()
    const next = this.members.all.filter(({ up, failed }) => !up && !failed).map(({ downSince }) => downSince)
    this.#failAt = Math.min(...next) + this.#recoverAfterMs
  }

  #forget(node: number, now: number): void {
    if (this.#isFirst) this.recovery.died(node, now)
    const lost = this.records.lost(node)
    // One dispatcher counts them.
    if (this.#isFirst) this.recovery.lostWithoutRecord(lost)
    this.directory.forget(node)
  }

  /** Every node there is, to those that are up. */
  #tellRoster(to: readonly number[]): void {
    const envelope = encodeClusterMessage({ type: 'ROSTER', members: this.members.all.map(inRoster) })
    for (const id of to) {
      if (this.members.get(id)?.up !== true || this.#world.send(id, envelope)) this.#untold.delete(id)
      else this.#untold.add(id)
    }
  }

  /**
   * To all but `except`: told whole to each, the roster of a cluster that starts would grow with the cube of its nodes. Who
   * cannot be told of a change is told everything as soon as it can be.
   */
  #tellChange(came: readonly Introduced[], left: readonly Introduced[], except?: number): void {
    const { all } = this.members
    const gone = left.map(({ id }) => id)
    const envelope = encodeClusterMessage({ type: 'CHANGED', came: came.map(inRoster), left: gone })
    for (const { id, up } of all) {
      const isOwed = up && id !== except && !this.#untold.has(id)
      if (isOwed && !this.#world.send(id, envelope)) this.#untold.add(id)
    }
    this.#steerToOwners()
  }

  #told(from: number, message: OwnedMessage | ClosedMessage | SteerMessage, now: number): void {
    if (message.type !== 'STEER') return this.records.told(from, message, now)
    const { connection, epoch, flow, to } = message
    this.#world.steer(flow, to, ok => {
      const steered = { type: 'STEERED', connection, epoch, ok } as const
      this.#world.send(from, [OWNER_PROTOCOL, ...encodeOwnerMessage(steered)])
    })
  }

  #clusterMessage(from: number, message: ClusterMessage): void {
    switch (message.type) {
      case 'HAVE':
        if (message.reset) this.directory.forget(from)
        for (const path of message.paths) this.directory.add(from, path)
        return
      case 'WHOLE':
        return this.records.whole(from, this.#world.now())
      case 'GONE':
        for (const path of message.paths) this.directory.remove(from, path)
        return
      case 'LOAD': {
        const member = this.members.get(from)
        if (member === undefined) return
        member.connections = message.connections
        member.draining = message.draining
        member.segmentsPerSecond = message.segmentsPerSecond
        return
      }
      case 'PORTS': {
        const member = this.members.get(from)
        if (member !== undefined) member.ports = message.ports
        return
      }
      case 'PLACE': {
        const owner = this.#placeFor(from, message.path)
        this.#world.send(from, encodeClusterMessage({ type: 'PLACED', token: message.token, owner }))
        return
      }
      case 'HOLDERS': {
        const owners = this.directory.holders(message.path).filter(id => this.members.get(id)?.up === true)
        this.#world.send(from, encodeClusterMessage({ type: 'HELD', token: message.token, owners }))
        return
      }
      case 'LEAVE': {
        const member = this.members.get(from)
        if (member === undefined) return
        member.draining = true
        return this.#world.leaving(from, message.deadlineMs)
      }
      case 'RELIEVED':
        for (const path of message.paths) this.placement.relieved(from, message.to, path, this.#world.now())
        return
      case 'ANSWER':
        return this.#world.answered(from, message.token, message.value)
      case 'ASK':
        if (!this.#linked.includes(from)) return
        return this.#world.asked(from, message.token, message.what, message.details)
    }
  }

  /** Whether a node's own connection is better served elsewhere; -1: it is not. */
  #placeFor(from: number, path: string): number {
    const nodes = this.members.candidates([])
    const to = this.placement.choose({ path, from }, nodes, this.#world.now())
    if (to === undefined || to === from) return -1
    const [source, target] = [this.members.get(from), this.members.get(to)]
    if (source !== undefined) source.connections--
    if (target !== undefined) target.connections++
    return to
  }
}

function inRoster({ id, name, control, incarnation }: Introduced) {
  return { id, name, url: control, incarnation }
}
