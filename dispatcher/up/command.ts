/**
 * `gyre up` and `gyre down`: flags, what the operator is told, signals, and the supervisor that stays behind with
 * `--detach`. What a cluster is made of is in `local-cluster.ts`.
 */
import { spawn } from 'node:child_process'
import { closeSync, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { DEFAULT_CAPTURE_OCTETS } from '../../node/tun/pcap-device.ts'
import { TOKEN } from '../admin/access.ts'
import {
  bitRate,
  endpoint,
  formatEndpoint,
  integer,
  ipv4,
  ipv6OrNone,
  noneIsUndefined,
  octets,
  originUrl,
} from '../flags.ts'
import { type LivenessFlags, livenessOf, livenessOptions } from '../liveness-settings.ts'
import { defaultCacheOctets } from '../memory.ts'
import {
  ADMIN_TOKEN_VARIABLE,
  DEFAULT_ADMIN,
  DEFAULT_CLUSTER,
  DEFAULT_INSTANCES,
  DEFAULT_NODES,
  DEFAULT_PORT,
  DEFAULT_VIP,
  DEFAULT_VIP6,
  type Endpoint,
  MAX_CACHE_OCTETS,
  MAX_DISPATCHERS,
  MAX_GATEWAYS,
  MAX_NODES,
  MAX_PCAP_OCTETS,
  MIN_CACHE_OCTETS,
  MIN_PCAP_OCTETS,
  type Mode,
  type SteeringKind,
} from '../options.ts'
import { DEFAULT_POLICY, POLICIES, type PolicyName } from '../placement/policy.ts'
import { down } from './down.ts'
import { UpError } from './errors.ts'
import { type ClusterOptions, LocalCluster } from './local-cluster.ts'
import { StateFolder, type UpState } from './state.ts'
import { CLUSTER_NAME } from './topology.ts'

/** Set for the supervisor that `--detach` leaves behind. */
const DETACHED_VARIABLE = 'GYRE_DETACHED'
/** Of the supervisor that stays behind; then it begins anew. */
const MAX_LOG_OCTETS = 8 * 1024 * 1024

export interface UpPaths {
  /** Runs a role: the program, and what comes before the role's name. */
  readonly program: readonly string[]
  /** The site that is shown where no `--root` is given. */
  readonly site: string
}

interface UpFlags extends LivenessFlags {
  readonly nodes: number
  readonly instances: number
  readonly dispatchers: number
  readonly gateways: number
  readonly withNats?: true
  readonly root: string
  readonly origin?: string
  readonly vip: string
  readonly vip6: string
  readonly port: number
  readonly admin: Endpoint
  readonly adminToken?: string
  readonly mode: Mode
  readonly steering: SteeringKind
  readonly policy: PolicyName
  readonly linkRate?: number
  readonly cacheOctets?: number
  readonly name: string
  readonly detach?: true
  readonly config?: string
  readonly pcap?: string
  readonly app?: string
  readonly key?: string
  readonly pcapOctets: number
}

/** What a supervisor that stays behind says to the command that started it. */
type DetachedMessage =
  | { readonly type: 'ready'; readonly state: UpState }
  | { readonly type: 'failed'; readonly error: string }

export function registerUp(program: Command, paths: UpPaths): void {
  const command = program.command('up').description('build a cluster on this machine and serve a folder')
  livenessOptions(command)
    .addOption(configOption('default: gyre.config.ts, .js, .mjs or .json of this folder, if there is one'))
    .option('--nodes <count>', `nodes, 1 to ${MAX_NODES}`, integer(1, MAX_NODES), DEFAULT_NODES)
    .option(
      '--instances <count>',
      'owners on each node, to use several cores',
      integer(1, MAX_NODES),
      DEFAULT_INSTANCES,
    )
    .option('--dispatchers <count>', 'dispatchers that share the clients', integer(1, MAX_DISPATCHERS), 1)
    .option('--gateways <count>', 'routers that clients come through', integer(1, MAX_GATEWAYS), 1)
    .option('--with-nats', 'an engine (nats-server) of its own gives the owner ids and knows the dispatchers')
    .option('--root <folder>', 'the files to serve', paths.site)
    .addOption(originOption())
    .option('--vip <address>', 'the virtual IPv4 address', ipv4, DEFAULT_VIP)
    .option('--vip6 <address>', 'the virtual IPv6 address, or none', ipv6OrNone, DEFAULT_VIP6)
    .option('--port <port>', 'the TCP port of the service', integer(1, 65_535), DEFAULT_PORT)
    .addOption(
      new Option('--admin <host:port>', 'where the admin interface listens; port 0 takes a free one')
        .argParser(endpoint)
        .default(DEFAULT_ADMIN, formatEndpoint(DEFAULT_ADMIN)),
    )
    .addOption(adminTokenOption())
    .addOption(keyOption())
    .addOption(modeOption())
    .addOption(steeringOption())
    .addOption(policyOption())
    .option('--link-rate <rate>', "limit of each node's wire, as 100mbit", bitRate)
    .option(
      '--cache-octets <octets>',
      'memory of each node for files (default: a quarter of the machine’s, divided among the nodes)',
      octets(MIN_CACHE_OCTETS, MAX_CACHE_OCTETS),
    )
    .addOption(appOption())
    .option('--name <name>', 'tells clusters on one machine apart', clusterName, DEFAULT_CLUSTER)
    .option('--pcap <file>', `${PCAP_TEXT}; each role’s name is put into the file’s`, resolvedPath)
    .addOption(pcapOctetsOption())
    .option('--detach', 'return when the cluster serves; end it with gyre down')
    .action(async (given: UpFlags) => {
      // The file's origin, where the command line says otherwise.
      const { origin, ...others } = given
      const isRoot = command.getOptionValueSource('root') === 'cli'
      const flags: UpFlags = isRoot && command.getOptionValueSource('origin') !== 'cli' ? others : given
      if (process.env[DETACHED_VARIABLE] !== undefined) await superviseDetached(command, flags, paths)
      else if (flags.detach) await detach(command, flags, paths)
      else await superviseHere(command, flags, paths)
    })
}

export function registerDown(program: Command): void {
  const command = program.command('down').description('end a cluster on this machine and remove all of it')
  command
    .option('--name <name>', 'the cluster', clusterName, DEFAULT_CLUSTER)
    .action(async ({ name }: { name: string }) => {
      try {
        const what = await down(name)
        if (what === 'stopped') console.log(`cluster ${name} is stopped and removed`)
        else if (what === 'cleaned') console.log(`removed what a crash had left of cluster ${name}`)
        else console.log(`no cluster named ${name} runs here`)
      } catch (error) {
        fail(command, error)
      }
    })
}

export function configOption(more = ''): Option {
  return new Option(
    '--config <file>',
    `configuration file; flags win over it${more === '' ? '' : ` (${more})`}`,
  )
}

export function keyOption(): Option {
  const text = 'file with the key of the cluster, for control links by TLS (`gyre key`)'
  return new Option('--key <file>', text).argParser(resolvedPath)
}

export function adminTokenOption(): Option {
  const text = 'what acts at the admin interface need (default: a random one, which is printed)'
  return new Option('--admin-token <token>', text).env(ADMIN_TOKEN_VARIABLE).argParser(adminToken)
}

function adminToken(text: string): string {
  if (TOKEN.test(text)) return text
  throw new InvalidArgumentError('Not 16 to 256 letters, digits or any of . _ ~ -')
}

export const PCAP_TEXT = 'record all packets, and the messages of shifts as remarks (pcapng)'

export function appOption(): Option {
  const text = 'a program that each node runs: it takes the connections to ports of its own (see `listen`)'
  return new Option('--app <file>', text).argParser(resolvedPath)
}

export function pcapOctetsOption(): Option {
  return new Option(
    '--pcap-octets <size>',
    'of such a file at most, as 64MiB; later packets are not recorded',
  )
    .argParser(octets(MIN_PCAP_OCTETS, MAX_PCAP_OCTETS))
    .default(DEFAULT_CAPTURE_OCTETS, '256MiB')
}

/** The supervisor and the roles have other working directories. */
export function resolvedPath(text: string): string {
  return resolve(text)
}

export function originOption(): Option {
  return new Option(
    '--origin <url>',
    'the server whose responses are given and cached, instead of files',
  ).argParser(originUrl)
}

/** The root or the origin that the command line says: it stands over the file's. Without a file the default root. */
export function givenContent(
  command: Command,
  { root, origin }: { readonly root: string; readonly origin?: string },
  isFromFile: boolean,
): { readonly root: string | undefined; readonly origin: string | undefined } {
  const isRoot = command.getOptionValueSource('root') === 'cli'
  const isOrigin = command.getOptionValueSource('origin') === 'cli'
  if (isRoot && isOrigin) command.error('error: give either --root or --origin', { exitCode: 1 })
  if (isOrigin) return { root: undefined, origin }
  return { root: isRoot || !isFromFile ? resolve(root) : undefined, origin: undefined }
}

export function modeOption(): Option {
  const text = 'shift connections to their node, or clone them and relay all packets'
  return new Option('--mode <mode>', text).choices(['shift', 'clone']).default('shift')
}

export function steeringOption(): Option {
  const text = 'by the kernel of the gateway, or by the dispatcher'
  return new Option('--steering <kind>', text).choices(['nft', 'relay']).default('nft')
}

export function policyOption(): Option {
  const text = 'by what requests are placed on nodes'
  return new Option('--policy <policy>', text).choices(POLICIES).default(DEFAULT_POLICY)
}

function clusterName(text: string): string {
  if (CLUSTER_NAME.test(text)) return text
  throw new InvalidArgumentError(
    'Not a name: a small letter, then up to 31 small letters, digits or hyphens.',
  )
}

async function superviseHere(command: Command, flags: UpFlags, paths: UpPaths): Promise<void> {
  // The terminal that closes must not end the removal in the middle.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const line = (from: string, text: string) => console.log(`[${from}] ${text}`)
  const cluster = new LocalCluster(optionsOf(command, flags), { program: paths.program, line })
  const interrupted = endOnSignal(cluster)
  try {
    console.log(summary(await cluster.start(), flags))
    console.log('Ctrl-C ends the cluster and removes all of it')
  } catch (error) {
    if (isInterrupt(error)) process.exit(0)
    fail(command, error)
  }
  await finish(command, cluster, interrupted)
}

/** The supervisor that stays behind: its output is a log file, and its parent is told once. */
async function superviseDetached(command: Command, flags: UpFlags, paths: UpPaths): Promise<void> {
  const line = (from: string, text: string) => {
    boundLog()
    console.log(`${new Date().toISOString()} [${from}] ${text}`)
  }
  const cluster = new LocalCluster(optionsOf(command, flags), { program: paths.program, line })
  const interrupted = endOnSignal(cluster)
  const tell = (message: DetachedMessage) => {
    process.send?.(message, undefined, undefined, () => {
      if (process.connected) process.disconnect()
    })
  }
  // A parent that was ended before we are ready wants no cluster.
  let isReady = false
  process.on('disconnect', () => {
    if (!isReady) cluster.stop().catch(() => {})
  })
  try {
    const state = await cluster.start()
    isReady = true
    tell({ type: 'ready', state })
  } catch (error) {
    tell({ type: 'failed', error: error instanceof Error ? error.message : String(error) })
    if (isInterrupt(error)) process.exit(0)
    fail(command, error)
  }
  await finish(command, cluster, interrupted)
}

async function detach(command: Command, flags: UpFlags, paths: UpPaths): Promise<void> {
  const folder = new StateFolder(flags.name)
  let log: number
  try {
    // Checked here too: the log's folder can be made by root only.
    if (process.getuid?.() !== 0)
      throw new UpError('NOT_ROOT', 'network namespaces need root; run it with sudo')
    folder.create()
    log = openSync(folder.logPath('up'), 'a')
  } catch (error) {
    return fail(command, error)
  }
  const [program = process.execPath, ...before] = paths.program
  const child = spawn(program, [...before, ...process.argv.slice(2)], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
    env: { ...process.env, [DETACHED_VARIABLE]: '1' },
  })
  closeSync(log)
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => child.kill('SIGTERM'))
  const message = await new Promise<DetachedMessage>(settle => {
    child.on('message', said => settle(said as DetachedMessage))
    child.on('error', ({ message: error }) => settle({ type: 'failed', error }))
    child.on('exit', (code, signal) => {
      const error = `the supervisor ended (${signal ?? code}); see ${folder.logPath('up')}`
      settle({ type: 'failed', error })
    })
  })
  if (message.type === 'failed') return command.error(`error: ${message.error}`, { exitCode: 1 })
  if (child.connected) child.disconnect()
  child.unref()
  console.log(summary(message.state, flags))
  console.log(`log: ${folder.logPath('up')}`)
  console.log(`end it with: gyre down${flags.name === DEFAULT_CLUSTER ? '' : ` --name ${flags.name}`}`)
}

/** Resolves with the first signal; the cluster ends with it, and at the second one without waiting. */
function endOnSignal(cluster: LocalCluster): Promise<'signal'> {
  return new Promise(settle => {
    let signals = 0
    const end = () => {
      settle('signal')
      signals++
      if (signals > 1) cluster.hurry()
      cluster.stop().catch(() => {})
    }
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, end)
    // As in `role-channel.ts`: where no terminal can go away, it is the order to reload.
    process.on('SIGHUP', () => {
      if (process.stdin.isTTY || process.stdout.isTTY) end()
      else cluster.tell('SIGHUP')
    })
    process.on('SIGUSR1', () => cluster.tell('SIGUSR1'))
  })
}

async function finish(
  command: Command,
  cluster: LocalCluster,
  interrupted: Promise<'signal'>,
): Promise<void> {
  const why = await Promise.race([interrupted, cluster.failed])
  try {
    await cluster.stop()
  } catch (error) {
    fail(command, error)
  }
  if (why !== 'signal') fail(command, why)
  new StateFolder(cluster.state.name).removeLog('up')
  process.exit(0)
}

function optionsOf(command: Command, flags: UpFlags): ClusterOptions {
  const { name, nodes, instances, vip, vip6, port, admin, mode, steering, linkRate, cacheOctets, config } =
    flags
  const { pcap, pcapOctets, policy, app, key, dispatchers, gateways, withNats = false } = flags
  return {
    name,
    nodes,
    instances,
    dispatchers,
    gateways,
    withNats,
    service: { vip, vip6: noneIsUndefined(vip6), port },
    config,
    pcap,
    pcapOctets,
    app,
    key,
    ...givenContent(command, flags, config !== undefined),
    admin,
    adminToken: flags.adminToken,
    mode,
    steering,
    policy,
    liveness: livenessOf(command, flags),
    linkBits: linkRate,
    cacheOctets: cacheOctets ?? defaultCacheOctets(nodes),
  }
}

function summary(state: UpState, { root, origin }: UpFlags): string {
  const port = state.port === 80 ? '' : `:${state.port}`
  const token = new StateFolder(state.name).readToken()
  const urls = [`http://${state.vip}${port}/`]
  if (state.vip6 !== undefined) urls.push(`http://[${state.vip6}]${port}/`)
  const nodes = state.roles.filter(({ role }) => role === 'node').length
  return [
    `cluster ${state.name}: ${nodes} ${nodes === 1 ? 'node' : 'nodes'}, mode ${state.mode}, serves ${origin ?? resolve(root)}`,
    `  site    ${urls.join('  ')}`,
    `  admin   http://${state.admin}/${token === undefined ? '' : `#token=${token}`}`,
    `  client  ip netns exec ${state.clientNamespace} curl ${urls[0]}`,
  ].join('\n')
}

function isInterrupt(error: unknown): boolean {
  return error instanceof UpError && error.code === 'INTERRUPTED'
}

/** One line and exit code 1 for what an operator can mend; anything else is our mistake and shows its stack. */
function fail(command: Command, error: unknown): never {
  if (error instanceof UpError)
    return command.error(`error: ${error.message}`, { exitCode: 1, code: error.code })
  throw error
}

/** Standard output is the log file, opened for appending, so it goes on at its new end. */
function boundLog(): void {
  const stat = fstatSync(1)
  if (stat.isFile() && stat.size > MAX_LOG_OCTETS) ftruncateSync(1, 0)
}
