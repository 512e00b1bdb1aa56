/**
 * The site that `dispatcher/deploy` describes, in network namespaces with the addresses of those files: two gateways behind a
 * router, a dispatcher, two nodes, and a third one in another subnet, which VXLAN brings into the owners' network. Each role is
 * started by the command line of its unit, with the capabilities that its unit leaves, as a user who has nothing else.
 *
 *   router: wan bridge ┬ wan0  gateway1  lan0 ┬ lan bridge: switch ┬ lan0 dispatcher
 *   198.51.100.254     └ wan0  gateway2  lan0 ┘                    ├ lan0 node1, node2
 *                                              VXLAN by way of `hill` └ lan0 node3
 */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { runCommand } from '../../dispatcher/steering/command.ts'
import { GYRE, gyre, REPOSITORY } from '../local-cluster.ts'
import { inNamespace, run, Server } from '../process.ts'
import { DEPLOY, readEnvironment, readUnit } from './unit.ts'

export const PREFIX = 'gyre-site'
export const VIP = '192.0.2.80'
/** `nobody` of every Linux. */
const NOBODY = 65_534
const WAIT_MS = 60_000
const TOKEN = 'token-of-the-site'
/**
 * What the user may see, as on a machine where all of it lies in common places: this checkout and Node.js may lie below root's
 * home, and in containers the TUN device is often root's alone. Mounts of `ip netns exec` are its own.
 */
const VIEW = `
view=$1 repository=$2 node=$3; shift 3
mount -t tmpfs -o mode=755 none "$view"
mkdir "$view/gyre" "$view/node"
mount --bind "$repository" "$view/gyre"
mount --bind "$node" "$view/node"
mknod "$view/tun" c 10 200
chmod 666 "$view/tun"
mount --bind "$view/tun" /dev/net/tun
exec "$@"`

/** Where the roles are. The last octet of an address in the LAN is the machine's, as in the example files. */
const LAN = { gateway1: 3, gateway2: 4, dispatcher: 2, node1: 11, node2: 12, node3: 13 } as const
export type Machine = keyof typeof LAN | 'router' | 'switch' | 'hill'
const MACHINES = [...Object.keys(LAN), 'router', 'switch', 'hill'] as readonly Machine[]
/** Of the WAN. */
const GATEWAYS = { gateway1: 2, gateway2: 3 } as const

export const namespaceOf = (machine: Machine) => `${PREFIX}-${machine}`

/** `ip -batch` inside one machine. */
const NETWORK: readonly (readonly [Machine, string])[] = [
  [
    'router',
    'link add wan type bridge forward_delay 0\naddress add 198.51.100.254/24 dev wan\nlink set wan up\n' +
      Object.keys(GATEWAYS)
        .map(name => `link set ${name} master wan up\n`)
        .join('') +
      `route add ${VIP}/32 via 198.51.100.2\n`,
  ],
  [
    'switch',
    'link add lan type bridge forward_delay 0\nlink set lan up\n' +
      Object.keys(LAN)
        .filter(name => name !== 'node3')
        .map(name => `link set ${name} master lan up\n`)
        .join('') +
      // The subnet's own machine that brings node3 into the network of the owners.
      'link set under0 mtu 1550 up\naddress add 172.16.1.2/24 dev under0\nroute add 172.16.2.0/24 via 172.16.1.1\n' +
      'link add vx0 type vxlan id 77 dstport 4789 local 172.16.1.2 remote 172.16.2.2\nlink set vx0 master lan mtu 1500 up\n',
  ],
  [
    'hill',
    'link set under1 mtu 1550 up\naddress add 172.16.1.1/24 dev under1\n' +
      'link set under2 mtu 1550 up\naddress add 172.16.2.1/24 dev under2\n',
  ],
  [
    'node3',
    'link set under0 mtu 1550 up\naddress add 172.16.2.2/24 dev under0\nroute add 172.16.1.0/24 via 172.16.2.1\n' +
      'link add lan0 type vxlan id 77 dstport 4789 local 172.16.2.2 remote 172.16.1.2\nlink set lan0 mtu 1500\n',
  ],
]

function wires(): string {
  const pair = (from: Machine, device: string, to: Machine, port: string) =>
    `link add ${device} netns ${namespaceOf(from)} type veth peer name ${port} netns ${namespaceOf(to)}\n`
  return [
    ...Object.keys(GATEWAYS).map(name => pair(name as Machine, 'wan0', 'router', name)),
    ...Object.keys(LAN)
      .filter(name => name !== 'node3')
      .map(name => pair(name as Machine, 'lan0', 'switch', name)),
    pair('switch', 'under0', 'hill', 'under1'),
    pair('node3', 'under0', 'hill', 'under2'),
  ].join('')
}

/** What an administrator has done on a machine of the LAN before. */
function machineCommands(machine: keyof typeof LAN): string {
  const own = `link set lo up\nlink set lan0 up\naddress add 10.0.0.${LAN[machine]}/24 dev lan0\n`
  if (!(machine in GATEWAYS)) return `${own}route add default via 10.0.0.1\n`
  const number = GATEWAYS[machine as keyof typeof GATEWAYS]
  return `${own}link set wan0 up\naddress add 198.51.100.${number}/24 dev wan0\nroute add ${VIP}/32 via 10.0.0.2\n`
}

export class ExampleSite {
  readonly folder = mkdtempSync(join(tmpdir(), 'gyre-site-'))
  readonly #config = join(this.folder, 'gyre.config.json')
  readonly #roles = new Map<Machine, Server>()

  /** Removes what an earlier run left. */
  async build(): Promise<void> {
    await removeNetwork()
    await ip(MACHINES.map(machine => `netns add ${namespaceOf(machine)}\n`).join('') + wires())
    for (const [machine, commands] of NETWORK) await ip(commands, machine)
    for (const machine of Object.keys(LAN) as (keyof typeof LAN)[])
      await ip(machineCommands(machine), machine)
    const forwarding = ['ip_forward=1', 'conf.all.rp_filter=0', 'conf.default.rp_filter=0']
    for (const machine of ['gateway1', 'gateway2', 'hill', 'router'] as const) {
      await this.run(machine, 'sysctl', '-qw', ...forwarding.map(setting => `net.ipv4.${setting}`))
    }
    await this.#writeFiles()
  }

  /** The example configuration, but for where its files are. */
  async #writeFiles(): Promise<void> {
    chmodSync(this.folder, 0o755)
    mkdirSync(join(this.folder, 'view'))
    mkdirSync(join(this.folder, 'root'))
    mkdirSync(join(this.folder, 'log'))
    chownSync(join(this.folder, 'log'), NOBODY, NOBODY)
    const key = join(this.folder, 'cluster.key')
    await gyre(['key', key])
    chownSync(key, NOBODY, NOBODY)
    const example = readFileSync(join(DEPLOY, 'gyre.config.json'), 'utf8')
    const here = example
      .replace('/etc/gyre/cluster.key', key)
      .replace('/srv/www', join(this.folder, 'root'))
      .replace('/var/log/gyre', join(this.folder, 'log'))
      .replace('"1GiB"', '"64MiB"')
    writeFileSync(this.#config, here)
  }

  /** As its unit says, on `machine`; `more` stands over the example's environment. */
  start(machine: Machine, file: string, instance = '', more: Readonly<Record<string, string>> = {}): Server {
    const { values, command } = readUnit(file)
    // There is an example of one node.
    const example = values.EnvironmentFile?.[0]?.replace('/etc/gyre/', '').replace('%i', '1') ?? ''
    const [program, ...flags] = command(instance, { ...readEnvironment(example), ...more })
    if (program !== '/usr/bin/gyre') throw new Error(`${file} starts ${program}`)
    const here = flags.map(flag => flag.replace('/etc/gyre/gyre.config.json', this.#config))
    const view = join(this.folder, 'view')
    const server = new Server(
      ...inNamespace(namespaceOf(machine), '/bin/sh', [
        ...['-e', '-c', VIEW, 'sh', view, REPOSITORY, dirname(dirname(process.execPath))],
        ...['env', `GYRE_ADMIN_TOKEN=${TOKEN}`, ...(values.Environment ?? []), ...rightsOf(values)],
        ...[join(view, 'node', 'bin', 'node'), join(view, 'gyre', 'dist', 'dispatcher', 'main.js'), ...here],
      ]),
    )
    this.#roles.set(machine, server)
    return server
  }

  role(machine: Machine): Server {
    const server = this.#roles.get(machine)
    if (server === undefined) throw new Error(`nothing was started on ${machine}`)
    return server
  }

  run(machine: Machine, command: string, ...args: string[]): Promise<string> {
    return run(...inNamespace(namespaceOf(machine), command, args))
  }

  /** An operator's command, on the machine of the dispatcher; prints JSON. */
  async operator<Result>(...args: string[]): Promise<Result> {
    const flags = ['--json', '--admin', '127.0.0.1:8800', '--admin-token', TOKEN]
    return JSON.parse(await this.run('dispatcher', process.execPath, GYRE, ...args, ...flags)) as Result
  }

  /** Until it holds: a question that is refused does not yet. */
  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    let last: unknown
    for (const end = performance.now() + WAIT_MS; performance.now() < end; ) {
      last = await holds().catch(error => error)
      if (last === true) return
      const ended = [...this.#roles].filter(([, { running }]) => !running)
      for (const [machine, { output }] of ended) last = `${machine} has ended: ${output}`
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    throw new Error(`waited in vain for ${what}: ${last}`)
  }

  async stop(machine: Machine): Promise<void> {
    await this.role(machine).stop()
    this.#roles.delete(machine)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#roles.values()].map(role => role.stop()))
    await removeNetwork()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** What `systemd` leaves of root: a user, and the capabilities of the unit. */
function rightsOf(values: Readonly<Record<string, readonly string[]>>): string[] {
  const flagsOf = (key: string) =>
    `-all${(values[key] ?? []).map(name => `,+${name.toLowerCase().replace('cap_', '')}`).join('')}`
  const user =
    values.User === undefined ? [] : ['--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups']
  return [
    ...['setpriv', ...user, '--no-new-privs', '--bounding-set', flagsOf('CapabilityBoundingSet')],
    ...['--inh-caps', flagsOf('AmbientCapabilities'), '--ambient-caps', flagsOf('AmbientCapabilities')],
  ]
}

async function ip(commands: string, machine?: Machine): Promise<void> {
  const [command, ...args] = [...(machine === undefined ? [] : ['-n', namespaceOf(machine)]), '-batch', '-']
  await runCommand('ip', [command as string, ...args], commands)
}

async function removeNetwork(): Promise<void> {
  const lines = MACHINES.map(machine => `netns delete ${namespaceOf(machine)}\n`).join('')
  await runCommand('ip', ['-force', '-batch', '-'], lines).catch(() => {})
}
