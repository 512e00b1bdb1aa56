/**
 * A node whole, but for its IO: the owner with the static site on it, the reports to the dispatcher, and the answers to
 * what the dispatcher says. The program (`node/main.ts`) gives it a TUN, links and a clock; the simulator others.
 */
import { AppConnection } from '../app/app-connection.ts'
import { AppConnections, type AppListener } from '../app/app-connections.ts'
import type { Runtime } from '../app/runtime.ts'
import { CONTENT_PROTOCOL, type PeerContents } from '../origin/peer-contents.ts'
import type { Connection } from '../stack/connection.ts'
import { encodeOwnerMessage } from '../stack/messages.ts'
import { OWNER_PROTOCOL, Owner } from '../stack/owner.ts'
import type { OwnerConfig } from '../stack/owner-environment.ts'
import type { PacketBatch } from '../tun/packet-batch.ts'
import { type Address, formatAddress } from '../wire/address.ts'
import type { AccessLogCounters } from './access-log.ts'
import type { Access } from './access-trail.ts'
import { BirthRecords } from './birth-records.ts'
import type { ServerLimits } from './limits.ts'
import type { MadeVariants } from './made-variants.ts'
import {
  CLUSTER_PROTOCOL,
  type ClusterMessage,
  decodeClusterMessage,
  encodeClusterMessage,
  isPort,
  MAX_PORTS,
  MAX_ROSTER,
  type Member,
} from './messages.ts'
import { answer, type OperatorHost, type ReportedLink } from './operator.ts'
import { RECORD_PROTOCOL } from './record-messages.ts'
import { Relief } from './relief.ts'
import type { Reloader } from './reloader.ts'
import { Reporter } from './reporter.ts'
import type { Resources } from './resources.ts'
import { Services } from './services.ts'
import { Site } from './site.ts'
import { VARIANT_PROTOCOL } from './variant-messages.ts'

/** First number of an envelope: a message from an application to itself on another node, then its port and its octets. */
export const APP_PROTOCOL = 6

/** Requests that wait to hear where they are best served; beyond it they are served here. */
const MAX_PLACING = 4_096
/** The dispatcher's word that nothing more can be moved comes a little after the time that it was given. */
const LEAVE_GRACE_MS = 1_000
/** A dispatcher that is started again is back within this. */
const RELINK_MS = 5_000

interface Leaving {
  readonly deadlineMs: number
  readonly left: () => void
  until: number
}

/** The world around a node. */
export interface NodeWorld {
  transmit(batch: PacketBatch): void
  send(to: number, envelope: unknown[]): boolean
  sendDroppable(to: number, envelope: unknown[]): boolean
  reachable(id: number): boolean
  /** A uniformly distributed int32. */
  random(): number
  now(): number
  /** Wall clock in whole seconds. */
  nowSecond(): number
  /** Every node there is, as the dispatcher says. */
  roster(members: readonly Member[]): void
  /** The owner's deadline may have moved earlier. */
  wake(): void
  device(): Record<string, number>
  links(): readonly ReportedLink[]
  /** Undefined in a simulation. */
  readonly reloader?: Reloader
  /** For the access log; undefined: none is kept. */
  readonly log?: ((access: Access) => void) | undefined
  /** The operator has moved the file of the log. */
  reopen?(): void
  logged?(): AccessLogCounters | undefined
}

export class NodeCore {
  readonly owner: Owner
  readonly site: Site
  readonly apps: AppConnections
  /** What applications of this process see of it. */
  readonly runtime: Runtime
  readonly #world: NodeWorld
  readonly #reporter: Reporter
  readonly #relief: Relief
  readonly #births: BirthRecords
  readonly #dispatcherId: number
  readonly #operator: OperatorHost
  readonly #placing = new Map<number, (owner: number | undefined) => void>()
  readonly #made: MadeVariants | undefined
  /** Every node there is, as the dispatcher last said. */
  #nodes: readonly number[]
  readonly #asking = new Map<number, (holders: readonly number[]) => void>()
  readonly #peers: PeerContents | undefined
  #token = 0
  #members: readonly Member[] = []
  #leaving: Leaving | undefined = undefined

  constructor(config: OwnerConfig, world: NodeWorld, resources: Resources, limits?: ServerLimits) {
    this.#world = world
    this.#dispatcherId = config.dispatcherId
    this.#nodes = [config.id]
    this.#made = resources.made
    this.#made?.join({
      id: config.id,
      up: () => this.#nodes.filter(id => id === config.id || world.reachable(id)),
      send: (to, envelope) => world.sendDroppable(to, envelope),
      wake: () => world.wake(),
    })
    this.#peers = resources.peers
    this.#peers?.attach({
      id: config.id,
      send: (to, envelope) => world.sendDroppable(to, envelope),
      holders: (path, done) => this.#holders(path, done),
    })
    this.site = new Site(
      {
        id: config.id,
        owns: connection => this.owner.owns(connection),
        touched: connection => this.#touched(connection),
        shift: (connection, to, kept) => this.#shiftOn(connection, to, kept),
        place: (path, placed) => this.#place(path, placed),
        now: () => world.now(),
        nowSecond: () => world.nowSecond(),
      },
      resources,
      limits,
      world.log,
    )
    this.apps = new AppConnections({
      owns: connection => this.owner.owns(connection),
      touched: connection => this.#touched(connection),
      shift: (connection, to, done) => {
        this.owner.shift(connection, to, world.now(), 'application', done)
        world.wake()
      },
      now: () => world.now(),
    })
    this.owner = new Owner(
      config,
      {
        transmit: batch => world.transmit(batch),
        send: (to, envelope) => world.send(to, envelope),
        sendDroppable: (to, envelope) => world.sendDroppable(to, envelope),
        random: () => world.random(),
        nowSecond: () => world.nowSecond(),
        wallMs: () => world.nowSecond() * 1000,
        owned: connection => this.#reporter.owned(connection, world.now()),
        closed: connection => this.#reporter.closed(connection, world.now()),
        record: connection => this.#births.look(connection),
        forwarding: () => {},
        steer: (connection, epoch, to) => this.#steer(connection, epoch, to),
        told: () => {},
        reachable: id => world.reachable(id),
        settled: () => false,
      },
      new Services(this.site, config.vips.port, this.apps),
    )
    this.runtime = this.#createRuntime(config)
    this.#reporter = new Reporter(
      {
        send: envelope => world.send(config.dispatcherId, envelope),
        connections: () => this.owner.byId.values(),
        count: () => this.owner.connections,
        draining: () => this.site.draining,
        segments: () => config.tcp.counters.OutSegs,
      },
      resources.store,
    )
    this.#births = new BirthRecords({
      owner: this.owner,
      send: envelope => world.send(config.dispatcherId, envelope),
      now: () => world.now(),
      wake: () => world.wake(),
    })
    this.#relief = new Relief({
      owner: this.owner,
      // An application's work shows in what it sends.
      served: connection => (connection.state instanceof AppConnection ? 0 : this.site.served(connection)),
      segments: () => config.tcp.counters.OutSegs,
      relieved: (to, paths) =>
        void world.send(config.dispatcherId, encodeClusterMessage({ type: 'RELIEVED', to, paths })),
    })
    resources.onNoticed = () => {
      this.#reporter.changed(world.now())
      world.wake()
    }
    this.#operator = {
      owner: this.owner,
      store: resources.store,
      made: resources.made?.counters,
      requests: () => this.site.requests,
      draining: () => this.site.draining,
      drain: on => {
        this.#drain(on)
        this.#reporter.changed(world.now())
        return true
      },
      device: () => world.device(),
      origin: () => resources.originCounters?.(),
      watching: () => resources.watching?.(),
      links: () => world.links(),
      reloader: world.reloader,
      reopen: () => world.reopen?.(),
      served: () => ({ responses: this.site.responses, octets: this.site.responseOctets }),
      logged: () => world.logged?.(),
      now: () => world.now(),
    }
  }

  receiveBatch(batch: PacketBatch, now: number): void {
    this.owner.receiveBatch(batch, now)
  }

  receiveMessage(from: number, envelope: readonly unknown[], now: number): void {
    if (envelope[0] === VARIANT_PROTOCOL) return this.#made?.receive(from, envelope.slice(1), now)
    if (envelope[0] === APP_PROTOCOL) return this.#toldByApp(from, envelope)
    if (envelope[0] === CONTENT_PROTOCOL) return this.#peers?.receive(from, envelope)
    if (envelope[0] === RECORD_PROTOCOL) {
      if (from === this.#dispatcherId) this.#births.receive(envelope)
      return
    }
    if (envelope[0] !== CLUSTER_PROTOCOL) return this.owner.receiveMessage(from, envelope, now)
    const message = decodeClusterMessage(envelope.slice(1))
    // Only the dispatcher speaks of the cluster.
    if (message !== undefined && from === this.#dispatcherId) this.#told(message)
  }

  peerUp(id: number, restarted: boolean, now: number): void {
    this.owner.peerUp(id, restarted, now)
    if (id !== this.#dispatcherId) return
    this.#reporter.linkUp(now)
    this.#births.linkUp()
    this.#tellPorts()
    if (this.#leaving === undefined) return
    this.#leaving.until = now + this.#leaving.deadlineMs + LEAVE_GRACE_MS
    this.#sendLeave(this.#leaving.deadlineMs)
  }

  peerDown(id: number, now: number): void {
    this.owner.peerDown(id, now)
    this.#made?.peerDown(id)
    if (id !== this.#dispatcherId) return
    this.#withoutDispatcher(now)
    this.#reporter.linkDown()
    this.#births.linkDown()
    for (const placed of this.#placing.values()) placed(undefined)
    this.#placing.clear()
    for (const held of this.#asking.values()) held([])
    this.#asking.clear()
  }

  /**
   * Has every connection moved away, and takes no more. `left` is called once: when that is done as far as it can be, when
   * the time is over, or when there has been no dispatcher for a while that could see to it.
   */
  leave(deadlineMs: number, now: number, left: () => void): void {
    this.#drain(true)
    this.#leaving = { deadlineMs, left, until: now + deadlineMs + LEAVE_GRACE_MS }
    if (!this.#sendLeave(deadlineMs)) this.#withoutDispatcher(now)
  }

  pollAt(): number {
    const leaveAt = this.#leaving?.until ?? Number.POSITIVE_INFINITY
    const madeAt = this.#made?.pollAt() ?? Number.POSITIVE_INFINITY
    const toldAt = Math.min(this.#reporter.pollAt(), this.#relief.pollAt())
    return Math.min(this.owner.pollAt(), toldAt, madeAt, leaveAt)
  }

  poll(now: number): void {
    this.owner.poll(now)
    this.#reporter.poll(now)
    this.#relief.poll(now)
    this.#made?.poll(now)
    if (this.#leaving !== undefined && now >= this.#leaving.until) this.#leaveNow()
  }

  #told(message: ClusterMessage): void {
    switch (message.type) {
      case 'ROSTER':
        return this.#setMembers(message.members)
      case 'CHANGED': {
        const gone = new Set([...message.left, ...message.came.map(({ id }) => id)])
        return this.#setMembers([...this.#members.filter(({ id }) => !gone.has(id)), ...message.came])
      }
      case 'PLACED': {
        const placed = this.#placing.get(message.token)
        this.#placing.delete(message.token)
        return placed?.(message.owner < 0 ? undefined : message.owner)
      }
      case 'HELD': {
        const held = this.#asking.get(message.token)
        this.#asking.delete(message.token)
        return held?.(message.owners)
      }
      case 'LEFT':
        return this.#leaveNow()
      case 'RELIEVE':
        this.#relief.begin(message, this.#world.now())
        return this.#world.wake()
      case 'ASK':
        return void this.#answer(message.token, message.what, message.details)
    }
  }

  #setMembers(members: readonly Member[]): void {
    this.#members = members.slice(0, MAX_ROSTER)
    this.#nodes = this.#members.map(({ id }) => id)
    this.#world.roster(this.#members)
  }

  #drain(on: boolean): void {
    this.site.draining = on
    this.apps.draining = on
  }

  #createRuntime({ id, vips }: OwnerConfig): Runtime {
    const { v4, v6 } = vips
    return {
      id,
      vip: addressText(v4),
      vip6: v6 && addressText(v6),
      owners: () => this.#members,
      open: listener => this.#open(listener),
      close: listener => {
        this.apps.close(listener)
        this.#tellPorts()
      },
      tell: (port, to, octets) => this.#world.send(to, [APP_PROTOCOL, port, octets]),
    }
  }

  #open(listener: AppListener): boolean {
    if (this.apps.ports.length >= MAX_PORTS || !this.apps.open(listener)) return false
    this.#tellPorts()
    return true
  }

  /** Without a dispatcher nobody has to know; it is told everything when it comes. */
  #tellPorts(): void {
    this.#world.send(this.#dispatcherId, encodeClusterMessage({ type: 'PORTS', ports: this.apps.ports }))
  }

  #toldByApp(from: number, [, port, octets]: readonly unknown[]): void {
    // A view into what the link received.
    if (isPort(port) && octets instanceof Uint8Array) this.apps.told(from, port, octets)
  }

  #sendLeave(deadlineMs: number): boolean {
    return this.#world.send(this.#dispatcherId, encodeClusterMessage({ type: 'LEAVE', deadlineMs }))
  }

  /** It may come back, and nothing is cut meanwhile. */
  #withoutDispatcher(now: number): void {
    if (this.#leaving === undefined) return
    if (this.owner.connections === 0) return this.#leaveNow()
    this.#leaving.until = Math.min(this.#leaving.until, now + RELINK_MS)
    this.#world.wake()
  }

  #leaveNow(): void {
    this.#leaving?.left()
    this.#leaving = undefined
  }

  async #answer(token: number, what: string, details: unknown): Promise<void> {
    const value = await answer(this.#operator, what, details)
    this.#world.send(this.#dispatcherId, encodeClusterMessage({ type: 'ANSWER', token, value }))
    this.#world.wake()
  }

  #touched(connection: Connection): void {
    this.owner.touched(connection, this.#world.now())
    this.#world.wake()
  }

  #shiftOn(connection: Connection, to: number, kept: () => void): void {
    this.owner.shift(connection, to, this.#world.now(), 'request', result => {
      if (!result.ok) kept()
    })
    this.#world.wake()
  }

  #place(path: string, placed: (owner: number | undefined) => void): void {
    const token = this.#token++
    const asked =
      this.#placing.size < MAX_PLACING &&
      this.#world.send(this.#dispatcherId, encodeClusterMessage({ type: 'PLACE', token, path }))
    if (asked) this.#placing.set(token, placed)
    else placed(undefined)
  }

  #holders(path: string, done: (owners: readonly number[]) => void): void {
    const token = this.#token++
    const asked =
      this.#asking.size < MAX_PLACING &&
      this.#world.send(this.#dispatcherId, encodeClusterMessage({ type: 'HOLDERS', token, path }))
    if (asked) this.#asking.set(token, done)
    else done([])
  }

  #steer(connection: Connection, epoch: number, to: number): void {
    const steer = { type: 'STEER', connection: connection.id, epoch, flow: connection, to } as const
    const sent = this.#world.send(this.#dispatcherId, [OWNER_PROTOCOL, ...encodeOwnerMessage(steer)])
    if (!sent) this.owner.steered(connection.id, epoch, false, this.#world.now())
  }
}

function addressText({ word0, word1, word2, word3 }: Address): string {
  return formatAddress(word0, word1, word2, word3)
}
