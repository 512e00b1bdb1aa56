/**
 * A whole cluster on this machine: claims the name, builds the network, starts and supervises the roles, and removes
 * all of it again, also when it came only half-way. What the roles do is theirs.
 */
import { randomBytes } from 'node:crypto'
import { accessSync, constants, statSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { delimiter, join } from 'node:path'
import { RELAY_VARIABLE } from '../../node/origin/relay.ts'
import { threadsEnvironment } from '../../node/server/threads.ts'
import { createToken } from '../admin/access.ts'
import { formatEndpoint } from '../flags.ts'
import { type LivenessSettings, livenessFlags } from '../liveness-settings.ts'
import {
  ADMIN_TOKEN_VARIABLE,
  DEFAULT_CONTROL_PORT,
  DEFAULT_ENGINE_PORT,
  DEFAULT_OWNER_ID_BITS,
  type Endpoint,
  MAX_NODES,
  type Mode,
  type OwnerOptions,
  type RoleOptions,
  SECRET_VARIABLE,
  type Service,
  type SteeringKind,
  type Unleased,
} from '../options.ts'
import type { PolicyName } from '../placement/policy.ts'
import { dispatcherFlags, nodeFlags, ownerFlags, pcapOf, roleFlags } from '../role-flags.ts'
import { TOOL_PATH } from '../steering/command.ts'
import { withAdminSocket } from './admin-socket.ts'
import { UpError } from './errors.ts'
import { removeLeftovers } from './leftovers.ts'
import { buildNetwork, freeHostLink, removeNetwork, routedTo } from './namespaces.ts'
import { OriginRelay } from './origin-relay.ts'
import { identifyOwn } from './processes.ts'
import { StateFolder, type UpState } from './state.ts'
import { ADMIN_FD, type RoleCommand, SupervisedRole } from './supervised-role.ts'
import {
  createTopology,
  GATEWAY_HOST,
  GATEWAY_LAN,
  GATEWAY_WAN,
  type GatewayPlace,
  MEMBER_DEVICE,
  type Member,
  namespacesOf,
  type Topology,
} from './topology.ts'

export const TUN_DEVICE = 'tun0'
/** Roles that start at the same time: each takes a core for some 200 ms. */
const PARALLEL_STARTS = 6
const READY_TIMEOUT_MS = 20_000
const ENGINE_TOOL = 'nats-server'
const READY_TIMEOUT_PER_NODE_MS = 500

export interface ClusterOptions {
  readonly name: string
  readonly nodes: number
  /** Owners on each node. */
  readonly instances: number
  /** 1 each where it is not said. */
  readonly dispatchers?: number
  readonly gateways?: number
  readonly service: Service
  /** Configuration file, absolute; every role reads it for itself. */
  readonly config: string | undefined
  /** Undefined: as the configuration says. */
  readonly root: string | undefined
  /** Origin server of the default site, instead of a root. */
  readonly origin?: string | undefined
  readonly admin: Endpoint
  /** Undefined: a random one. */
  readonly adminToken?: string | undefined
  readonly mode: Mode
  readonly steering: SteeringKind
  readonly policy: PolicyName
  readonly liveness: LivenessSettings
  /** Bits per second of each node's wire; undefined: as fast as the machine. */
  readonly linkBits: number | undefined
  /** Memory of each node for files. */
  readonly cacheOctets: number
  /** An engine of its own gives the owner ids, and knows the dispatchers. */
  readonly withNats?: boolean
  /** The key file for control links, absolute; undefined: links without TLS, on a bridge of the cluster's own. */
  readonly key?: string | undefined
  /** A program that each node runs, absolute; undefined: none. */
  readonly app: string | undefined
  /** Where every owner records its packets, each with its name put in; undefined: they do not. */
  readonly pcap: string | undefined
  /** Octets of such a file at most. */
  readonly pcapOctets: number
}

export interface ClusterContext {
  /** Command that runs a role: the program, and what comes before the role's name. */
  readonly program: readonly string[]
  readonly runFolder?: string
  /** A line for the log: of a role, or of the supervisor itself. */
  line(from: string, text: string): void
}

export class LocalCluster {
  readonly #options: ClusterOptions
  readonly #context: ClusterContext
  readonly #folder: StateFolder
  readonly #roles: SupervisedRole[] = []
  /** Settles when the cluster must not go on: a role that it cannot be without stays down. */
  readonly failed: Promise<UpError>
  #fail: (error: UpError) => void = () => {}
  #claimed = false
  #status: UpState['status'] = 'starting'
  #admin: Endpoint
  readonly #adminToken: string
  #relay: OriginRelay | undefined
  #topology: Topology | undefined
  /** The start, whatever came of it. */
  #starting: Promise<unknown> = Promise.resolve()
  #stopping = false
  #stopped: Promise<void> | undefined

  constructor(options: ClusterOptions, context: ClusterContext) {
    this.#options = options
    this.#context = context
    this.#folder = new StateFolder(options.name, context.runFolder)
    this.#admin = options.admin
    this.#adminToken = options.adminToken ?? createToken()
    this.failed = new Promise(resolve => {
      this.#fail = resolve
    })
  }

  /** Resolves when every role serves. Rejects with an UpError when one does not; then nothing is left of it. */
  async start(): Promise<UpState> {
    const starting = this.#start()
    this.#starting = starting.catch(() => {})
    try {
      await starting
    } catch (error) {
      await this.stop()
      throw error
    }
    return this.state
  }

  /** Ends the roles at once, when they are ending already. */
  hurry(): void {
    for (const role of this.#roles) role.kill()
  }

  /** Passes on to every role what the supervisor was told by a signal. */
  tell(name: 'SIGHUP' | 'SIGUSR1'): void {
    for (const role of this.#roles) if (role.command.role !== 'engine') role.tell(name)
  }

  /** Ends the roles and removes the network and the state file, at any time. Idempotent. */
  stop(): Promise<void> {
    this.#stopping = true
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  get state(): UpState {
    const { name, service, mode, steering } = this.#options
    const topology = this.#topology
    return {
      version: 1,
      name,
      status: this.#status,
      supervisor: identifyOwn(process.pid),
      admin: formatEndpoint(this.#admin),
      ...service,
      mode,
      steering,
      hostDevice: topology?.hostDevice ?? '',
      clientNamespace: topology?.clientNamespace ?? '',
      gatewayNamespace: topology?.gateways[0].namespace ?? '',
      namespaces: topology === undefined ? [] : namespacesOf(topology),
      roles: this.#roles.flatMap(({ state }) => state ?? []),
    }
  }

  async #start(): Promise<void> {
    const { name, nodes, instances, service, linkBits } = this.#options
    checkMachine(this.#options)
    const link = freeHostLink(name)
    this.#topology = createTopology(name, nodes, service, linkBits, link, instances, this.#options)
    await removeLeftovers(this.#folder, name)
    this.#claimed = this.#folder.claim(this.state)
    if (!this.#claimed) throw new UpError('NAME_IN_USE', `a cluster named ${name} was started just now`)
    this.#folder.writeToken(this.#adminToken)
    await checkVips(service)
    // Only to know whether it is free, and which one port 0 is; the dispatcher's own is opened when it starts.
    this.#admin = await withAdminSocket(this.#options.admin, ({ endpoint }) => endpoint)
    this.#goOn()
    await buildNetwork(this.#topology)
    this.#relay = await OriginRelay.open(this.#folder.originSocket)
    this.#goOn()
    await this.#startRoles(this.#topology)
    this.#goOn()
    this.#status = 'ready'
    this.#folder.write(this.state)
  }

  async #startRoles(topology: Topology): Promise<void> {
    const secret = randomBytes(32).toString('hex')
    for (const command of this.#commands(topology, secret)) {
      const handlers = {
        line: (from: string, text: string) => this.#context.line(from, text),
        changed: () => this.#changed(),
        gaveUp: (error: UpError) => this.#gaveUp(command, error),
      }
      this.#roles.push(new SupervisedRole(command, handlers))
    }
    const rest = this.#roles.values()
    const starter = async () => {
      for (const role of rest) {
        this.#goOn()
        await role.start()
      }
    }
    await Promise.all(Array.from({ length: PARALLEL_STARTS }, starter))
  }

  /** The dispatcher first: the others dial it, and a refused attempt costs them a pause. */
  #commands(topology: Topology, secret: string): RoleCommand[] {
    const { dispatchers, nodes, gateways } = topology
    const { instances, app, withNats = false } = this.#options
    const all = dispatchers.map(({ address }) => ({ host: address, port: DEFAULT_CONTROL_PORT }))
    const links = withNats ? [] : all
    return [
      ...(withNats ? [this.#engineCommand(dispatchers[0])] : []),
      ...dispatchers.map((_, index) => this.#dispatcherCommand(topology, index, links, secret)),
      ...gateways.map((gateway, index) => this.#gatewayCommand(gateway, index, links)),
      ...nodes.map(node =>
        this.#command(node, [
          ...nodeFlags({ ...this.#ownerOptions(node), dispatchers: links, app }),
          ...['--instances', `${instances}`],
        ]),
      ),
    ]
  }

  /** Beside the first dispatcher, where no client reaches it. */
  #engineCommand({ namespace, address, address6 }: Member): RoleCommand {
    const program = findTool(ENGINE_TOOL) ?? ENGINE_TOOL
    const store = this.#folder.engineFolder
    return {
      ...{ role: 'engine', name: 'engine', id: -1, namespace, address, address6, admin: undefined },
      argv: [program, '-a', address, '-p', `${DEFAULT_ENGINE_PORT}`, '-js', '-sd', store],
      environment: {},
      readyTimeoutMs: READY_TIMEOUT_MS,
      readyLine: /Server is ready/,
    }
  }

  /** The first has the admin port, for all of them. */
  #dispatcherCommand(
    { dispatchers, clientNamespace }: Topology,
    index: number,
    links: readonly Endpoint[],
    secret: string,
  ): RoleCommand {
    const { steering, policy, liveness } = this.#options
    const dispatcher = dispatchers[index] as Member
    const flags = [
      ...ownerFlags(this.#ownerOptions(dispatcher)),
      ...(links.length > 1 ? dispatcherFlags(links) : []),
      ...['--steering', steering, '--policy', policy, ...livenessFlags(liveness)],
    ]
    const environment = { [SECRET_VARIABLE]: secret }
    if (index > 0) return this.#command(dispatcher, flags, { environment })
    return this.#command(
      dispatcher,
      [...flags, '--admin-fd', `${ADMIN_FD}`, '--client-namespace', clientNamespace],
      { admin: this.#admin, environment: { ...environment, [ADMIN_TOKEN_VARIABLE]: this.#adminToken } },
    )
  }

  #gatewayCommand(gateway: GatewayPlace, index: number, links: readonly Endpoint[]): RoleCommand {
    const wan = index === 0 ? `${GATEWAY_WAN},${GATEWAY_HOST}` : GATEWAY_WAN
    return this.#command({ ...gateway, role: 'gateway', id: -1 }, [
      ...roleFlags(this.#roleOptions(gateway.name)),
      ...dispatcherFlags(links),
      ...['--wan', wan, '--lan', GATEWAY_LAN, '--steering', this.#options.steering],
    ])
  }

  #command(
    member: Pick<RoleCommand, 'role' | 'name' | 'id' | 'namespace' | 'address' | 'address6'>,
    flags: readonly string[],
    more: Partial<Pick<RoleCommand, 'admin' | 'environment'>> = {},
  ): RoleCommand {
    const { role, name, namespace, address, address6 } = member
    const { nodes, instances } = this.#options
    return {
      role,
      name,
      id: this.#givenId(member.id) ?? -1,
      namespace,
      address,
      address6,
      argv: [...this.#context.program, role, ...flags],
      environment: {
        ...threadsEnvironment(process.env),
        [RELAY_VARIABLE]: this.#folder.originSocket,
        ...more.environment,
      },
      admin: more.admin,
      readyTimeoutMs: READY_TIMEOUT_MS + nodes * instances * READY_TIMEOUT_PER_NODE_MS,
    }
  }

  /** Undefined: the engine gives it. */
  #givenId(id: number): number | undefined {
    const { withNats = false, instances } = this.#options
    return withNats && instances === 1 ? undefined : id
  }

  #ownerOptions({ id, name, address, address6 }: Member): Unleased<OwnerOptions> {
    const { root, origin, mode, cacheOctets, pcap, pcapOctets } = this.#options
    return {
      ...this.#roleOptions(name),
      ...{ pcap: pcapOf(pcap, name), pcapOctets },
      ...{
        id: this.#givenId(id),
        address,
        address6,
        root,
        origin,
        mode,
        cacheOctets,
        lan: MEMBER_DEVICE,
        tun: TUN_DEVICE,
      },
      listen: { host: address, port: DEFAULT_CONTROL_PORT },
    }
  }

  #roleOptions(name: string): RoleOptions {
    const { name: cluster, service, config, key, withNats = false } = this.#options
    // The engine is on the cluster's own bridge in any case; with a key, links are made by it.
    const links = { key, plainLinks: key === undefined || withNats }
    const host = this.#topology?.dispatchers[0].address ?? ''
    const nats = withNats ? { servers: [{ host, port: DEFAULT_ENGINE_PORT }], tls: false } : undefined
    return { cluster, name, ...service, ownerIdBits: DEFAULT_OWNER_ID_BITS, config, ...links, nats }
  }

  #changed(): void {
    if (!this.#stopping) this.#folder.write(this.state)
  }

  /** A cluster goes on without a node or its engine, but not without its only dispatcher or gateway. */
  #gaveUp({ name, role }: RoleCommand, error: UpError): void {
    this.#context.line(name, `${error.message}; it stays down`)
    const { dispatchers = 1, gateways = 1 } = this.#options
    if (role === 'node' || role === 'engine') return
    if ((role === 'dispatcher' ? dispatchers : gateways) === 1) this.#fail(error)
  }

  #goOn(): void {
    if (this.#stopping) throw new UpError('INTERRUPTED', 'stopped before the cluster was ready')
  }

  async #stop(): Promise<void> {
    this.#status = 'stopping'
    // A role that is waited for lets the start go on, which then ends by itself.
    const engines = this.#roles.filter(({ command }) => command.role === 'engine')
    await Promise.all(this.#roles.filter(role => !engines.includes(role)).map(role => role.stop()))
    await Promise.all(engines.map(role => role.stop()))
    // What is being made must be there before it can be removed.
    await this.#starting
    if (!this.#claimed) return
    const { hostDevice, namespaces } = this.state
    await this.#relay?.close()
    await removeNetwork(hostDevice, namespaces)
    this.#folder.remove()
  }
}

/** Whether this machine can do it at all. Throws an UpError. */
function checkMachine(options: ClusterOptions): void {
  const { root, steering, mode, linkBits, nodes, instances, dispatchers = 1, withNats = false } = options
  if (process.getuid?.() !== 0) {
    throw new UpError('NOT_ROOT', 'network namespaces and TUN devices need root; run it with sudo')
  }
  if (nodes * instances > MAX_NODES) {
    throw new UpError(
      'BAD_FLAG',
      `--nodes times --instances is at most ${MAX_NODES}, not ${nodes * instances}`,
    )
  }
  if (instances > 1 && (mode === 'clone' || steering === 'relay')) {
    throw new UpError('BAD_FLAG', '--instances needs --mode shift and --steering nft')
  }
  if (dispatchers > 1 && (mode === 'clone' || steering === 'relay')) {
    throw new UpError('BAD_FLAG', '--dispatchers needs --mode shift and --steering nft')
  }
  if (root !== undefined && !isDirectory(root))
    throw new UpError('BAD_FLAG', `--root ${root} is not a directory`)
  checkTool('ip', 'iproute2')
  if (linkBits !== undefined) checkTool('tc', 'iproute2')
  if (steering === 'nft') checkTool('nft', 'nftables')
  if (withNats) checkTool(ENGINE_TOOL, 'nats-server')
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK)
  } catch (cause) {
    throw new UpError('TOOL_MISSING', 'there is no /dev/net/tun; load the module with `modprobe tun`', cause)
  }
}

function checkTool(tool: string, debianPackage: string): void {
  if (findTool(tool) !== undefined) return
  throw new UpError(
    'TOOL_MISSING',
    `the command ${tool} is missing; install it with: apt-get install ${debianPackage}`,
  )
}

function findTool(tool: string): string | undefined {
  return TOOL_PATH.split(delimiter)
    .map(folder => join(folder, tool))
    .find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

async function checkVips({ vip, vip6 }: Service): Promise<void> {
  const local = Object.values(networkInterfaces()).flatMap(all => all?.map(({ address }) => address) ?? [])
  for (const [flag, address] of [
    ['--vip', vip],
    ['--vip6', vip6],
  ]) {
    if (address === undefined) continue
    if (local.includes(address))
      throw new UpError('VIP_IN_USE', `${flag} ${address} is an address of this machine`)
    const device = await routedTo(address)
    if (device === undefined) continue
    throw new UpError('VIP_IN_USE', `${flag} ${address} is in use already, by a route to ${device}`)
  }
}
