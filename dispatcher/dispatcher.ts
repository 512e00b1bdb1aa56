/**
 * The program of a dispatcher: a TUN, the links of nodes and gateways, the admin API and a clock for `DispatcherCore`.
 * Everything with a state of its own is in the parts that it joins.
 */
import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LinkError } from '../node/control/errors.ts'
import { type Hello, PROTOCOL_VERSION } from '../node/control/hello.ts'
import type { Link } from '../node/control/link.ts'
import type { LinkKeys } from '../node/control/link-keys.ts'
import { Mesh } from '../node/control/mesh.ts'
import { encodeClusterMessage } from '../node/server/messages.ts'
import { answer, type OperatorHost } from '../node/server/operator.ts'
import { type ReloadAnswer, Reloader } from '../node/server/reloader.ts'
import { noteShift } from '../node/server/shift-note.ts'
import { Driver } from '../node/stack/driver.ts'
import { DEFAULT_LIMITS } from '../node/stack/limits.ts'
import { Vips } from '../node/stack/vips.ts'
import { tcpConfig } from '../node/tcp/config.ts'
import { openRecordedTun, type RecordedTun, recordingOf } from '../node/tun/recording.ts'
import { createToken } from './admin/access.ts'
import { dashboardRoutes } from './admin/dashboard-routes.ts'
import { Feed } from './admin/feed.ts'
import { FeedServer } from './admin/feed-server.ts'
import { createAdminServer } from './admin/server.ts'
import { dashboardFiles } from './admin/static-files.ts'
import { Asks } from './asks.ts'
import { Backend } from './backend.ts'
import type { Coordinator, Lease } from './coordination/coordinator.ts'
import { openCoordinator } from './coordination/open.ts'
import { transmitter } from './coordination/transmitter.ts'
import { DispatcherCore } from './core.ts'
import { Demo } from './demo.ts'
import { Drains } from './drains.ts'
import { formatEndpoint } from './flags.ts'
import { Gateways } from './gateway/gateways.ts'
import { GATEWAY_PROTOCOL } from './gateway/messages.ts'
import { Inspection } from './inspection.ts'
import { introduced } from './introduction.ts'
import { linkKeys } from './link-security.ts'
import { Liveness, reach } from './liveness.ts'
import type { Member } from './members.ts'
import type { Configuration, DispatcherOptions, Endpoint, RunningRole, Unleased } from './options.ts'
import { dropPrivileges, PrivilegeError } from './privileges.ts'
import { flowKey, nextHop, Relay, steeredFlow } from './relay.ts'
import { tableName } from './steering/nft-rules.ts'
import { NftSteering } from './steering/nft-steering.ts'
import { bringUpTun, FIRST_METRIC } from './steering/tun-routes.ts'

/** One for each connection of the cluster, at some 250 octets. */
const MAX_BIRTH_RECORDS = 1 << 20
/** Ids of connections: 11 random bits a run, so that two runs, or two dispatchers, give none twice. */
const RUN_BITS = 11
const CONNECTION_BITS = 32
/** Where it is compiled to in the package. */
const DEMO_CLIENT = 'dist/dispatcher/demo-client.js'

export async function runDispatcher(
  options: Unleased<DispatcherOptions>,
  configuration: Configuration,
): Promise<RunningRole> {
  const { listen, dispatchers } = options
  const keys = await linkKeys(options, [listen, ...dispatchers])
  const needsRoot = options.mode === 'clone' || options.clientNamespace !== undefined
  if (options.user !== undefined && needsRoot) {
    throw new PrivilegeError('NEEDS_ROOT', 'with --mode clone or --client-namespace a dispatcher stays root')
  }
  const coordinator = await openCoordinator(options, 'dispatcher', before(listen, dispatchers), listen)
  const lease = await coordinator.lease(options.id)
  const leased = { ...options, id: lease.id }
  const dispatcher = new Dispatcher(leased, configuration, keys, coordinator, lease)
  await dispatcher.start()
  return dispatcher
}

class Dispatcher implements RunningRole {
  readonly #options: DispatcherOptions
  readonly #coordinator: Coordinator
  readonly #lease: Lease
  readonly #core: DispatcherCore
  readonly #mesh: Mesh
  readonly #gateways: Gateways
  readonly #asks: Asks
  readonly #drains: Drains
  readonly #relay: Relay | undefined
  readonly #relaySteering: NftSteering | undefined
  readonly #recorded: RecordedTun
  readonly #driver: Driver
  readonly #demo: Demo
  readonly #feed: Feed
  readonly #admin: ReturnType<typeof createAdminServer>
  readonly #reloader: Reloader
  readonly #liveness: NodeJS.Timeout
  readonly #operator: OperatorHost
  #stopped: Promise<void> | undefined = undefined

  constructor(
    options: DispatcherOptions,
    configuration: Configuration,
    keys: LinkKeys | undefined,
    coordinator: Coordinator,
    lease: Lease,
  ) {
    this.#options = options
    this.#coordinator = coordinator
    this.#lease = lease
    const { id, ownerIdBits } = options
    this.#recorded = openRecordedTun(options.tun, recordingOf(options.pcap, options.pcapOctets, warn))
    const { device, note } = this.#recorded
    device.onError = error => {
      throw error
    }
    this.#gateways = new Gateways(ownerIdBits, now)
    this.#relaySteering = relaySteering(options)
    this.#relay = this.#relaySteering && new Relay(this.#relaySteering, warn)
    this.#mesh = new Mesh({
      hello: () => this.#hello,
      keys,
      random: Math.random,
      limits: { pingIntervalMs: options.liveness.pingMs },
      onMessage: (link, message) => this.#received(link, message),
      onUp: (link, restarted) => this.#up(link, restarted),
      onDown: link => this.#down(link),
      onFailure: (_, { code }) => {
        if (code === 'OWNER_CONFLICT') lease.suspect()
      },
    })
    this.#asks = new Asks((to, message) => this.#mesh.send(to, encodeClusterMessage(message)))
    this.#core = new DispatcherCore(
      {
        id,
        vips: Vips.parse(options.vip, options.vip6, options.port),
        tcp: tcpConfig({ ownerId: id, ownerIdBits }),
        mode: options.mode,
        limits: { ...DEFAULT_LIMITS, forwards: MAX_BIRTH_RECORDS },
        idBase: idBase(id, ownerIdBits),
        secret: secretKey(options.secret),
      },
      {
        transmit: transmitter(device, lease),
        send: (to, envelope) => {
          if (note !== undefined) noteShift(note, id, to, envelope)
          return this.#mesh.send(to, envelope)
        },
        sendDroppable: (to, envelope) => this.#mesh.sendDroppable(to, envelope),
        hasten: to => this.#mesh.link(to)?.flush(),
        random: () => randomBytes(4).readInt32LE(),
        now,
        nowSecond: () => Math.floor(Date.now() / 1000),
        wallMs: Date.now,
        ownersChanged: members => this.#ownersChanged(members),
        steer: (flow, to, steered) => this.#steer(flow, to, steered),
        recordPlaced: record => this.#relay?.set(record),
        recordEnded: record => {
          this.#relay?.remove(record)
          if (!record.timestamps && options.mode === 'shift') this.#unsteer(record)
        },
        leaving: (node, deadlineMs) => this.#drains.leave(node, deadlineMs),
        answered: (from, token, value) => this.#asks.answered(from, token, value),
        asked: (from, token, what, details) => void this.#answer(from, token, what, details),
      },
      configuration.serving,
      configuration.limits,
      { policy: options.policy, shiftsPerSecond: configuration.shiftsPerSecond },
      options.liveness.recoverAfterMs,
    )
    this.#driver = new Driver(this.#core, device)
    const liveness = new Liveness({ links: () => this.#nodeLinks(), reach, now }, options.liveness)
    this.#liveness = setInterval(() => liveness.look(), options.liveness.pingMs).unref()
    this.#reloader = new Reloader({
      serving: configuration.serving,
      read: () => configuration.reload(),
      prepare: async serving => () => this.#core.configure(serving),
      now,
    })
    this.#drains = new Drains({
      ask: (node, what, details) => this.#asks.askPlain(node, what, details),
      targets: node => this.#core.members.takers(node),
      left: node => {
        const left = encodeClusterMessage({ type: 'LEFT' })
        this.#feed
          .farewell(node)
          .finally(() => this.#mesh.send(node, left))
          .catch(warn)
      },
      now,
      pause: sleep,
    })
    const operator = this.#createOperator()
    this.#operator = operator
    const backend = new Backend(options, this.#core, this.#asks, operator, this.#drains, coordinator)
    this.#demo = new Demo({
      namespace: options.clientNamespace,
      program: [process.execPath, join(options.package, DEMO_CLIENT)],
      ...{ vip: options.vip, port: options.port },
    })
    const inspection = new Inspection(options, this.#core, this.#asks, operator, this.#demo, coordinator)
    const token = options.adminToken ?? createToken()
    if (options.admin !== undefined && options.adminToken === undefined) warn(`the admin token is ${token}`)
    const host = options.admin !== undefined && 'host' in options.admin ? options.admin.host : undefined
    this.#feed = new Feed(inspection)
    this.#admin = createAdminServer(backend, {
      ...{ token, host, onFault: warn },
      more: [
        ...dashboardRoutes(inspection),
        ...(options.admin === undefined ? [] : dashboardFiles(options.package)),
      ],
      feed: new FeedServer(this.#feed),
    })
  }

  async start(): Promise<void> {
    const { id, tun, vip, vip6, lan, listen, admin } = this.#options
    const routes = { device: tun, vip, vip6, lanDevice: lan, metric: FIRST_METRIC + id }
    await bringUpTun({ ...routes, dropsWithout: true })
    await this.#relaySteering?.start()
    dropPrivileges(this.#options.user)
    await this.#mesh.listen(listen.port, listen.host)
    this.#coordinator.watch(addresses => this.#mesh.dial(addresses))
    if (admin !== undefined) await this.#admin.listen(admin)
    this.#ownersChanged([])
    this.#driver.schedule()
  }

  reload(): Promise<ReloadAnswer> {
    return this.#reloader.reload()
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    clearInterval(this.#liveness)
    this.#driver.close()
    this.#demo.stop()
    this.#asks.close()
    this.#gateways.close()
    await Promise.all([
      ...[this.#admin.close(), this.#mesh.close(), this.#relay?.stop(), this.#recorded.finish()],
      this.#coordinator.close(),
    ])
  }

  get #hello(): Hello {
    const { cluster, id, name, address, address6 } = this.#options
    return {
      protocol: PROTOCOL_VERSION,
      cluster,
      ownerId: id,
      role: 'dispatcher',
      name,
      incarnation: this.#lease.run,
      addresses: address6 === undefined ? [address] : [address, address6],
      capabilities: [],
    }
  }

  #received(link: Link, message: unknown): void {
    if (!Array.isArray(message)) return
    if (link.peer.role === 'gateway') {
      if (message[0] === GATEWAY_PROTOCOL) this.#gateways.receive(link, message)
      return
    }
    const { note } = this.#recorded
    if (note !== undefined) noteShift(note, link.peer.ownerId, this.#options.id, message)
    this.#core.receiveMessage(link.peer.ownerId, message, now())
    this.#driver.schedule()
  }

  #up(link: Link, restarted: boolean): void {
    if (link.peer.role === 'gateway') return this.#gateways.up(link)
    const peer = introduced(link.peer, this.#options.ownerIdBits)
    if (peer instanceof LinkError) return link.close(peer)
    if (link.peer.role === 'dispatcher') this.#core.dispatcherUp(peer, restarted)
    else {
      if (restarted) this.#drains.forget(peer.id)
      this.#core.nodeUp(peer, restarted)
    }
    this.#driver.schedule()
  }

  #down(link: Link): void {
    const { role, ownerId } = link.peer
    if (role === 'gateway') return this.#gateways.down(link)
    // A link that was replaced goes down after its successor is up.
    if (this.#mesh.isUp(ownerId)) return
    this.#asks.gone(ownerId)
    if (role === 'dispatcher') this.#core.dispatcherDown(ownerId)
    else this.#core.nodeDown(ownerId)
    this.#driver.schedule()
  }

  *#nodeLinks(): Generator<{ readonly link: Link; readonly address: string }> {
    for (const { id, up, control } of this.#core.members.all) {
      const link = up ? this.#mesh.link(id) : undefined
      if (link !== undefined) yield { link, address: control }
    }
  }

  #ownersChanged(members: readonly Member[]): void {
    const { id, address, address6, mode } = this.#options
    const self = { owner: id, address, address6 }
    // In clone mode every segment carries our own id: nothing is steered to nodes but by our own relay.
    this.#gateways.setOwners(mode === 'clone' ? [self] : [self, ...members.map(nextHop)])
    this.#relay?.setOwners(members)
  }

  #steer(flow: Parameters<typeof flowKey>[0], to: number, steered: (ok: boolean) => void): void {
    // Without steering in the kernel everything comes here, and follows our forwards.
    if (this.#options.steering === 'relay') return steered(true)
    this.#gateways.updateFlows({ set: [steeredFlow(flow, to)], remove: [] }).then(
      () => {
        steered(true)
        this.#driver.schedule()
      },
      error => {
        warn(error)
        steered(false)
        this.#driver.schedule()
      },
    )
  }

  #unsteer(flow: Parameters<typeof flowKey>[0]): void {
    if (this.#options.steering === 'relay') return
    this.#gateways.updateFlows({ set: [], remove: [flowKey(flow)] }).catch(warn)
  }

  /** What the operator of another dispatcher asks. */
  async #answer(to: number, token: number, what: string, details: unknown): Promise<void> {
    const value = await answer(this.#operator, what, details)
    this.#mesh.send(to, encodeClusterMessage({ type: 'ANSWER', token, value }))
  }

  #createOperator(): OperatorHost {
    return {
      owner: this.#core.owner,
      store: undefined,
      requests: () => 0,
      draining: () => false,
      drain: () => false,
      device: () => this.#recorded.tun.counters(),
      origin: () => undefined,
      links: () => this.#mesh.report(),
      reloader: this.#reloader,
      reopen: () => {},
      served: () => ({ responses: {}, octets: 0 }),
      logged: () => undefined,
      now,
    }
  }
}

/** Those of all dispatchers that this one dials, so that each pair has one link; all, where it is not named itself. */
function before(own: Endpoint, all: readonly Endpoint[]): readonly Endpoint[] {
  const at = all.findIndex(other => formatEndpoint(other) === formatEndpoint(own))
  return at < 0 ? all : all.slice(0, at)
}

function now(): number {
  return performance.now()
}

function warn(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
}

/** Clone mode relays in the kernel where nft steers; with `--steering relay` the owner's forwards do it. */
function relaySteering(options: DispatcherOptions): NftSteering | undefined {
  const { cluster, vip, vip6, port, lan, mode, steering, ownerIdBits } = options
  if (mode !== 'clone' || steering !== 'nft') return undefined
  const table = tableName(cluster, 'relay')
  const service = { vip, vip6, port }
  return new NftSteering({ kind: 'relay', table, service, inDevices: [lan], outDevice: lan, ownerIdBits })
}

function secretKey(secret: string | undefined): Uint8Array {
  const octets = secret === undefined ? randomBytes(32) : Buffer.from(secret, 'hex')
  return createHash('sha256').update(octets).digest()
}

function idBase(id: number, ownerIdBits: number): number {
  const run = randomBytes(2).readUInt16LE() & ((1 << RUN_BITS) - 1)
  return (run * 2 ** ownerIdBits + id) * 2 ** CONNECTION_BITS
}
