#!/usr/bin/env node
/**
 * The command `gyre`: the roles of a cluster, a whole cluster on one machine, and the operator's questions and orders.
 * It reads flags and starts what they ask for; each command loads only its own program.
 */
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { applyConfig } from './config/apply.ts'
import { configFlag, findConfig } from './config/find.ts'
import type { LoadedConfig } from './config/load.ts'
import { RunningConfig } from './config/running.ts'
import type { EngineOptions, EngineServers } from './coordination/engine-options.ts'
import {
  controlUrls,
  device,
  devices,
  endpoint,
  engineUrls,
  integer,
  ipv4,
  ipv6,
  ipv6OrNone,
  name,
  noneIsUndefined,
  octets,
} from './flags.ts'
import type { InstancesOptions } from './instances.ts'
import { type LivenessFlags, livenessOf, livenessOptions } from './liveness-settings.ts'
import { defaultCacheOctets } from './memory.ts'
import {
  ADMIN_TOKEN_VARIABLE,
  DEFAULT_CLUSTER,
  DEFAULT_INSTANCES,
  DEFAULT_OWNER_ID_BITS,
  DEFAULT_PORT,
  DEFAULT_VIP,
  DEFAULT_VIP6,
  type DispatcherOptions,
  type Endpoint,
  type GatewayOptions,
  MAX_CACHE_OCTETS,
  MAX_NODES,
  MAX_OWNER_ID_BITS,
  MIN_CACHE_OCTETS,
  type RunningRole,
  SECRET_VARIABLE,
  type ServeOptions,
} from './options.ts'
import {
  adminTokenOption,
  appOption,
  configOption,
  givenContent,
  keyOption,
  modeOption,
  originOption,
  PCAP_TEXT,
  pcapOctetsOption,
  policyOption,
  registerDown,
  registerUp,
  resolvedPath,
  steeringOption,
} from './up/command.ts'
import { serve } from './up/role-channel.ts'

const ENGINE_TEXT =
  'the NATS servers that give owner ids and know the dispatchers, nats://HOST[:PORT] or tls://…, separated by commas'
const DISPATCHERS_TEXT = 'control links of all dispatchers, ws://HOST:PORT, separated by commas'
/** What runs as `node dist/dispatcher/main.js`; `www/site` lies beside `dist`. */
const PROGRAM = fileURLToPath(import.meta.url)
/** What starts another of our programs. */
const COMMAND = [process.execPath, ...process.execArgv, PROGRAM]
const PACKAGE = join(dirname(PROGRAM), '..', '..')
const SITE = join(PACKAGE, 'www', 'site')

/** Flags as commander hands them over: `--vip6` may still say `none`. */
type Flags<T> = Omit<
  T,
  | 'vip6'
  | 'address6'
  | 'secret'
  | 'admin'
  | 'adminToken'
  | 'clientNamespace'
  | 'package'
  | 'root'
  | 'config'
  | 'pcap'
  | 'app'
  | 'key'
  | 'plainLinks'
  | 'dispatchers'
  | 'id'
  | 'nats'
> & {
  readonly id?: number
  readonly nats?: EngineServers
  readonly natsCreds?: string
  readonly natsCa?: string
  readonly natsCert?: string
  readonly natsKey?: string
  readonly dispatcher?: readonly Endpoint[]
  readonly vip6: string
  readonly address6?: string
  readonly pcap?: string
  readonly app?: string
  readonly key?: string
  readonly plainLinks?: true
  readonly admin?: Endpoint
  readonly adminFd?: number
  readonly adminToken?: string
  readonly clientNamespace?: string
  readonly ownerBits: number
  readonly root: string
  readonly origin?: string
}

type ServeFlags = Omit<ServeOptions, 'vip6' | 'lan'> & {
  readonly vip6: string
  readonly lan?: string
  readonly root: string
  readonly origin?: string
}

/** With its prefix a name of 64 characters at most. */
const MAX_HOST_NAME = 59

/** The admin client takes its time to load, so commands that do not ask anything go without. */
const NOT_OPERATOR = new Set(['up', 'down', 'serve', 'gateway', 'dispatcher', 'node'])

/** The configuration file of this run. */
let loaded: LoadedConfig | undefined

async function main(): Promise<void> {
  const program = new Command('gyre')
  program.description(
    'A cluster web server whose TCP connections move between nodes while the client notices nothing',
  )
  registerUp(program, { program: COMMAND, site: SITE })
  registerDown(program)
  registerServe(program)
  registerGateway(program)
  registerDispatcher(program)
  registerNode(program)
  if (!NOT_OPERATOR.has(process.argv[2] ?? '')) await registerOperator(program)
  await configure(program)
  await program.parseAsync()
}

function registerServe(program: Command): void {
  const command = fileFlags(vipFlags(program.command('serve')))
  command
    .description('serve files from this process alone, without a cluster')
    .option(
      '--lan <device>',
      'where packets of clients arrive; without it this machine alone is served',
      device,
    )
    .action(async (flags: ServeFlags) => {
      await run(command, async () => {
        const { runServe } = await import('./serve.ts')
        const options = { ...flags, lan: flags.lan, vip6: noneIsUndefined(flags.vip6) }
        return runServe(options, configurationOf(command, flags))
      })
    })
}

/** Puts the configuration file, if the command takes one, behind its flags. */
async function configure(program: Command): Promise<void> {
  const command = program.commands.find(known => known.name() === process.argv[2])
  if (command === undefined || !command.options.some(option => option.attributeName() === 'config')) return
  const file = configFlag(process.argv.slice(3)) ?? (command.name() === 'up' ? findConfig('.') : undefined)
  if (file === undefined) return
  // Here, because a role without a file has no need of what reads one (0.1 s).
  const { loadConfig } = await import('./config/load.ts')
  try {
    loaded = await loadConfig(file)
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error
    return command.error(`error: ${error.message}`, { exitCode: 1, code: String(error.code) })
  }
  applyConfig(command, loaded.config)
  command.setOptionValueWithSource('config', loaded.file, 'config')
}

function registerGateway(program: Command): void {
  const command = serviceFlags(program.command('gateway'), 'gateway')
  command
    .description('steer packets to their owners, on a router that the virtual addresses are routed to')
    .option('--dispatcher <urls>', DISPATCHERS_TEXT, controlUrls)
    .requiredOption('--wan <devices>', 'where packets of clients arrive, separated by commas', devices)
    .requiredOption('--lan <device>', 'the network of the owners', device)
    .option(
      '--health <host:port>',
      'where it says whether it steers: /readyz, for what announces it',
      endpoint,
    )
    .addOption(steeringOption())
    .action(async (flags: Flags<GatewayOptions>) => {
      await run(command, async () => {
        const { runGateway } = await import('./gateway/gateway.ts')
        const { dispatcher: dispatchers = [] } = flags
        return runGateway({ ...flags, ...common(command, flags), dispatchers, config: loaded?.file })
      })
    })
}

function registerDispatcher(program: Command): void {
  const command = ownerFlags(serviceFlags(program.command('dispatcher'), 'dispatcher'))
  livenessOptions(command)
    .description('accept connections, and hand each to the node that should serve it')
    .addOption(steeringOption())
    .addOption(policyOption())
    .option('--dispatcher <urls>', `${DISPATCHERS_TEXT}; itself among them`, controlUrls)
    .option('--admin <host:port>', 'where the admin interface listens', endpoint)
    .option('--admin-fd <descriptor>', 'an inherited descriptor that listens already', integer(3, 1023))
    .addOption(adminTokenOption())
    .option('--client-namespace <name>', 'a namespace of this machine to start demo downloads in', name)
    .action(async (flags: Flags<Omit<DispatcherOptions, 'liveness'>> & LivenessFlags) => {
      const isAdminFlag = command.getOptionValueSource('admin') === 'cli'
      if (isAdminFlag && flags.adminFd !== undefined) {
        command.error('error: give either --admin or --admin-fd', { exitCode: 1 })
      }
      const admin = flags.adminFd === undefined ? flags.admin : { fd: flags.adminFd }
      const secret = secretOf(command)
      // What this process starts has no need of it.
      delete process.env[ADMIN_TOKEN_VARIABLE]
      const { adminToken } = flags
      await run(command, async () => {
        const { runDispatcher } = await import('./dispatcher.ts')
        const { address6 } = flags
        const options = { ...flags, ...common(command, flags), ...fileOf(command, flags), pcap: flags.pcap }
        const { clientNamespace, dispatcher: dispatchers = [] } = flags
        const liveness = livenessOf(command, flags)
        const more = {
          liveness,
          address6,
          admin,
          adminToken,
          secret,
          package: PACKAGE,
          clientNamespace,
          dispatchers,
        }
        return runDispatcher({ ...options, ...more }, configurationOf(command, flags))
      })
    })
}

function registerNode(program: Command): void {
  const command = ownerFlags(serviceFlags(program.command('node'), undefined))
  command
    .description('own connections and serve files')
    .option('--dispatcher <urls>', DISPATCHERS_TEXT, controlUrls)
    .addOption(appOption())
    .option(
      '--instances <count>',
      'owners on this machine, to use several cores: their ids, control ports and devices follow the first’s',
      integer(1, MAX_NODES),
      DEFAULT_INSTANCES,
    )
    .action(async (flags: Flags<InstancesOptions>) => {
      const options = {
        ...flags,
        ...common(command, flags),
        ...fileOf(command, flags),
        dispatchers: flags.dispatcher ?? [],
        address6: flags.address6,
        pcap: flags.pcap,
        app: flags.app,
      }
      if (options.instances > 1 && options.mode === 'clone') {
        command.error('error: --instances needs --mode shift', { exitCode: 1 })
      }
      await run(command, async () => {
        const configuration = configurationOf(command, flags)
        const { instances, id } = options
        // Where there are several, they have ids of their own (`checkEngine`).
        if (instances === 1 || id === undefined) {
          return (await import('../node/main.ts')).runNode(options, configuration)
        }
        return (await import('./instances.ts')).runInstances({ ...options, id }, COMMAND)
      })
    })
}

async function registerOperator(program: Command): Promise<void> {
  const all = await Promise.all([
    import('./commands/status.ts').then(({ registerStatus }) => registerStatus),
    import('./commands/connections.ts').then(({ registerConnections }) => registerConnections),
    import('./commands/shift.ts').then(({ registerShift }) => registerShift),
    import('./commands/drain.ts').then(({ registerDrain }) => registerDrain),
    import('./commands/drain.ts').then(({ registerUndrain }) => registerUndrain),
    import('./commands/explain.ts').then(({ registerExplain }) => registerExplain),
    import('./commands/policy.ts').then(({ registerPolicy }) => registerPolicy),
    import('./commands/upgrade.ts').then(({ registerUpgrade }) => registerUpgrade),
    import('./commands/key.ts').then(({ registerKey }) => registerKey),
    import('./commands/check.ts').then(({ registerCheck }) => registerCheck),
    import('./commands/reload.ts').then(({ registerReload }) => registerReload),
    import('./commands/reopen.ts').then(({ registerReopen }) => registerReopen),
  ])
  for (const register of all) register(program)
}

function vipFlags(command: Command): Command {
  return command
    .addOption(configOption())
    .option('--vip <address>', 'the virtual IPv4 address', ipv4, DEFAULT_VIP)
    .option('--vip6 <address>', 'the virtual IPv6 address, or none', ipv6OrNone, DEFAULT_VIP6)
    .option('--port <port>', 'the TCP port of the service', integer(1, 65_535), DEFAULT_PORT)
}

/** What is served, and the device that packets come through. */
function fileFlags(command: Command): Command {
  return command
    .option('--root <folder>', 'the files to serve', SITE)
    .addOption(originOption())
    .option(
      '--cache-octets <octets>',
      'memory for files',
      octets(MIN_CACHE_OCTETS, MAX_CACHE_OCTETS),
      defaultCacheOctets(1),
    )
    .option('--tun <device>', 'name of the TUN device, which is created', device, 'tun0')
}

function serviceFlags(command: Command, defaultName: string | undefined): Command {
  return vipFlags(command)
    .addOption(keyOption())
    .option('--plain-links', 'make control links without a key: only where nobody else reaches their network')
    .option('--nats <urls>', ENGINE_TEXT, engineUrls)
    .option('--nats-creds <file>', 'credentials for it (a .creds file)', resolvedPath)
    .option('--nats-ca <file>', 'certificate of the authority of its servers', resolvedPath)
    .option('--nats-cert <file>', 'our own certificate for it', resolvedPath)
    .option('--nats-key <file>', 'the key of that', resolvedPath)
    .option('--cluster <name>', 'control links are made within one cluster only', name, DEFAULT_CLUSTER)
    .option('--name <name>', 'of this process in its role', name, defaultName)
    .option(
      '--owner-bits <bits>',
      'bits of the TCP timestamp that name the owner, the same in the whole cluster',
      integer(1, MAX_OWNER_ID_BITS),
      DEFAULT_OWNER_ID_BITS,
    )
}

function ownerFlags(command: Command): Command {
  return fileFlags(command)
    .option('--id <id>', 'owner id, unique in the cluster', integer(0, (1 << MAX_OWNER_ID_BITS) - 1))
    .requiredOption('--address <address>', 'where the gateway sends packets of this owner', ipv4)
    .option('--address6 <address>', 'the same over IPv6', ipv6)
    .requiredOption('--listen <host:port>', 'where control links of the others arrive', endpoint)
    .addOption(modeOption())
    .requiredOption('--lan <device>', 'the network of the owners', device)
    .option('--user <name>', 'give root up for this user, once the TUN device is open', name)
    .option('--pcap <file>', PCAP_TEXT, resolvedPath)
    .addOption(pcapOctetsOption())
}

function common(
  command: Command,
  flags: Flags<{ name: string; instances?: number }>,
): {
  vip6: string | undefined
  ownerIdBits: number
  id: number | undefined
  name: string
  key: string | undefined
  plainLinks: boolean
  nats: EngineOptions | undefined
} {
  const { ownerBits, id, instances = 1, vip6, key, plainLinks = false } = flags
  checkEngine(command, flags, instances)
  const last = id === undefined ? 0 : id + instances - 1
  if (last >= 1 << ownerBits) {
    command.error(`error: owner id ${last} does not fit ${ownerBits} bits`, { exitCode: 1 })
  }
  const named = flags.name ?? (id === undefined ? `node-${hostName()}` : `node${id}`)
  return {
    ...{ vip6: noneIsUndefined(vip6), ownerIdBits: ownerBits, id, name: named, key, plainLinks },
    nats: engineOf(flags),
  }
}

/** An id and the dispatchers are told by flags, or by an engine. */
function checkEngine(command: Command, flags: Flags<object>, instances: number): void {
  const { nats, id, dispatcher } = flags
  const role = command.name()
  const fail = (text: string) => command.error(`error: ${text}`, { exitCode: 1 })
  if (nats !== undefined && dispatcher !== undefined) fail('give either --nats or --dispatcher')
  if (nats === undefined && role !== 'dispatcher' && dispatcher === undefined) {
    fail('give --dispatcher, or --nats, which knows the dispatchers')
  }
  if (role === 'gateway' || id !== undefined) return
  if (nats === undefined) fail('give --id, or --nats, which gives one')
  if (instances > 1) fail('--instances needs --id, that of the first')
}

function engineOf(flags: Flags<object>): EngineOptions | undefined {
  const { nats, natsCreds: creds, natsCa: ca, natsCert: cert, natsKey: key } = flags
  return nats && { ...nats, creds, ca, cert, key }
}

/** Of this machine, as far as it can stand in a name. */
function hostName(): string {
  return hostname()
    .replaceAll(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, MAX_HOST_NAME)
}

function configurationOf(
  command: Command,
  flags: Flags<InstancesOptions> | Flags<DispatcherOptions> | ServeFlags,
): RunningConfig {
  const { vip, vip6, port } = flags
  const { mode, ownerBits } = 'mode' in flags ? flags : { mode: undefined, ownerBits: undefined }
  return new RunningConfig({
    loaded,
    givenRoot: fileOf(command, flags).root,
    givenOrigin: fileOf(command, flags).origin,
    defaultRoot: SITE,
    cluster: { vip, vip6, port, mode, ownerBits },
  })
}

/** The configuration file, and the root or the origin that stands over the file's. */
function fileOf(command: Command, flags: { readonly root: string; readonly origin?: string }) {
  return { config: loaded?.file, ...givenContent(command, flags, loaded !== undefined) }
}

function secretOf(command: Command): string | undefined {
  const secret = process.env[SECRET_VARIABLE]
  // What this process starts has no need of it.
  delete process.env[SECRET_VARIABLE]
  if (secret === undefined || /^[0-9a-f]{64}$/.test(secret)) return secret
  return command.error(`error: ${SECRET_VARIABLE} is not 64 hexadecimal digits`, { exitCode: 1 })
}

/** A role that cannot start says why in one line, if it knows; what has no code is our mistake and shows its stack. */
async function run(command: Command, start: () => Promise<RunningRole>): Promise<void> {
  try {
    await serve(start)
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error
    command.error(`error: ${error.message}`, { exitCode: 1, code: String(error.code) })
  }
}

await main()
