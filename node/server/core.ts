/**
 * A node whole, but for its IO: the owner with the static site on it, the reports to the dispatchers, and the answers to
 * what they say. The program (`node/main.ts`) gives it a TUN, links and a clock; the simulator others.
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
import { Dispatchers } from './dispatchers.ts'
import type { ServerLimits } from './limits.ts'
import type { MadeVariants } from './made-variants.ts'
import {
  CLUSTER_PROTOCOL,
  type ClusterMessage,
  decodeClusterMessage,
  encodeClusterMessage,
  isPort,
  MAX_PORTS,
  type Member,
} from './messages.ts'
import { answer, type OperatorHost, type ReportedLink } from './operator.ts'
import { Questions } from './questions.ts'
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
  /** What was sent to an owner leaves at once. */
  hasten?(to: number): void
  reachable(id: number): boolean
  /** A uniformly distributed int32. */
  random(): number
  now(): number
  /** Wall clock in whole seconds. */
  nowSecond(): number
  /** Every node there is, as the dispatchers say. */
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
  readonly #dispatchers = new Dispatchers()
  readonly #operator: OperatorHost
  readonly #placing = new Questions<number>()
  readonly #holding = new Questions<readonly number[]>()
  readonly #made: MadeVariants | undefined
  readonly #peers: PeerContents | undefined
  /** Every node there is, as the dispatchers last said. */
  #nodes: readonly number[]
  #members: readonly Member[] = []
  #leaving: Leaving | undefined = undefined

  constructor(config: OwnerConfig, world: NodeWorld, resources: Resources, limits?: ServerLimits) {
    this.#world = world
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
        hasten: to => world.hasten?.(to),
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
        dispatchers: () => this.#dispatchers.linked,
        settled: () => false,
      },
      new Services(this.site, config.vips.port, this.apps),
    )
    this.runtime = this.#createRuntime(config)
    this.#reporter = new Reporter(
      {
        send: envelope => this.#tellAll(envelope),
        connections: () => this.owner.byId.values(),
        count: () => this.owner.connections,
        draining: () => this.site.draining,
        segments: () => config.tcp.counters.OutSegs,
      },
      resources.store,
    )
    this.#births = new BirthRecords({
      owner: this.owner,
      send: envelope => this.#tellAll(envelope),
      now: () => world.now(),
      wake: () => world.wake(),
    })
    this.#relief = new Relief({
      owner: this.owner,
      // An application's work shows in what it sends.
      served: connection => (connection.state instanceof AppConnection ? 0 : this.site.served(connection)),
      segments: () => config.tcp.counters.OutSegs,
      relieved: (to, paths) => void this.#tellAll(encodeClusterMessage({ type: 'RELIEVED', to, paths })),
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
      if (this.#dispatchers.has(from)) this.#births.receive(envelope)
      return
    }
    if (envelope[0] !== CLUSTER_PROTOCOL) return this.owner.receiveMessage(from, envelope, now)
    const message = decodeClusterMessage(envelope.slice(1))
    // Only dispatchers speak of the cluster.
    if (message !== undefined && this.#dispatchers.has(from)) this.#told(from, message)
  }

  /** `restarted`: it is another run of the process than the one we knew. */
  peerUp(id: number, isDispatcher: boolean, restarted: boolean, now: number): void {
    this.owner.peerUp(id, restarted, now)
    if (!isDispatcher) return
    this.#dispatchers.up(id)
    this.#reporter.linkUp(now)
    this.#births.linkUp()
    this.#tellPorts()
    this.#askToLeave(now)
  }

  peerDown(id: number, now: number): void {
    this.owner.peerDown(id, now)
    this.#made?.peerDown(id)
    if (!this.#dispatchers.has(id)) return
    this.#dispatchers.down(id)
    if (this.#dispatchers.first !== undefined) {
      this.#noteRoster()
      this.#askToLeave(now)
    } else {
      this.#withoutDispatcher(now)
      this.#reporter.linkDown()
      this.#births.linkDown()
    }
    this.#placing.gone(id)
    this.#holding.gone(id)
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

  /** Of the dispatcher that has come, or of the next one where that which was asked is gone. */
  #askToLeave(now: number): void {
    if (this.#leaving === undefined) return
    this.#leaving.until = now + this.#leaving.deadlineMs + LEAVE_GRACE_MS
    this.#sendLeave(this.#leaving.deadlineMs)
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

  #told(from: number, message: ClusterMessage): void {
    switch (message.type) {
      case 'ROSTER':
        this.#dispatchers.told(from, message.members)
        return this.#noteRoster()
      case 'CHANGED':
        this.#dispatchers.changed(from, message.came, message.left)
        return this.#noteRoster()
      case 'PLACED':
        return this.#placing.answer(from, message.token, message.owner < 0 ? undefined : message.owner)
      case 'HELD':
        return this.#holding.answer(from, message.token, message.owners)
      case 'LEFT':
        return this.#leaveNow()
      case 'RELIEVE':
        this.#relief.begin(message, this.#world.now())
        return this.#world.wake()
      case 'ASK':
        return void this.#answer(from, message.token, message.what, message.details)
    }
  }

  #noteRoster(): void {
    const members = this.#dispatchers.roster()
    this.#nodes = members.map(({ id }) => id)
    this.#members = members
    this.#world.roster(members)
  }

  /** False where one of them did not get it, or there is none. */
  #tellAll(envelope: unknown[]): boolean {
    const { linked } = this.#dispatchers
    return linked.filter(id => this.#world.send(id, envelope)).length === linked.length && linked.length > 0
  }

  #tellFirst(envelope: unknown[]): boolean {
    const { first } = this.#dispatchers
    return first !== undefined && this.#world.send(first, envelope)
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
    this.#tellAll(encodeClusterMessage({ type: 'PORTS', ports: this.apps.ports }))
  }

  #toldByApp(from: number, [, port, octets]: readonly unknown[]): void {
    // A view into what the link received.
    if (isPort(port) && octets instanceof Uint8Array) this.apps.told(from, port, octets)
  }

  #sendLeave(deadlineMs: number): boolean {
    return this.#tellFirst(encodeClusterMessage({ type: 'LEAVE', deadlineMs }))
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

  async #answer(to: number, token: number, what: string, details: unknown): Promise<void> {
    const value = await answer(this.#operator, what, details)
    this.#world.send(to, encodeClusterMessage({ type: 'ANSWER', token, value }))
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
    const send = (to: number, token: number) =>
      this.#world.send(to, encodeClusterMessage({ type: 'PLACE', token, path }))
    this.#placing.ask(this.#dispatchers.first, send, placed)
  }

  #holders(path: string, done: (owners: readonly number[]) => void): void {
    const send = (to: number, token: number) =>
      this.#world.send(to, encodeClusterMessage({ type: 'HOLDERS', token, path }))
    this.#holding.ask(this.#dispatchers.first, send, owners => done(owners ?? []))
  }

  #steer(connection: Connection, epoch: number, to: number): void {
    const steer = { type: 'STEER', connection: connection.id, epoch, flow: connection, to } as const
    const sent = this.#tellFirst([OWNER_PROTOCOL, ...encodeOwnerMessage(steer)])
    if (!sent) this.owner.steered(connection.id, epoch, false, this.#world.now())
  }
}

function addressText({ word0, word1, word2, word3 }: Address): string {
  return formatAddress(word0, word1, word2, word3)
}
