/**
 * Makes and removes the network of a cluster on one machine: namespaces, links, addresses, routes, settings. Commands
 * go in batches, one process for each namespace, because each process costs some milliseconds. It starts no role.
 */
import { writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { CommandError, runCommand } from '../steering/command.ts'
import { UpError } from './errors.ts'
import {
  GATEWAY_HOST,
  GATEWAY_LAN,
  GATEWAY_WAN,
  type GatewayPlace,
  HOST_LINKS,
  isNamespaceOf,
  isUsableHostLink,
  type Link,
  MEMBER_DEVICE,
  type Member,
  namespacesOf,
  preferredHostLink,
  type Topology,
} from './topology.ts'

/** Namespaces that are set up at the same time; the kernel's one lock for them leaves nothing to win above. */
const PARALLEL = 4

/**
 * Linux keeps the neighbours of all namespaces in one table with room for 1024 (gc_thresh3), and every member has every
 * other. Beyond this many pairs they are written down instead of being asked for: such entries take no room in it.
 */
const MAX_ASKED_NEIGHBOURS = 256

/** Throws an UpError; what was made until then stays, for `removeNetwork`. */
export async function buildNetwork(topology: Topology): Promise<void> {
  await attempt(() => runCommand('ip', ['-batch', '-'], creation(topology)))
  const scripts: [string, string][] = [
    ...topology.gateways.map((gateway): [string, string] => [
      gateway.namespace,
      gatewayScript(topology, gateway),
    ]),
    [topology.clientNamespace, clientScript(topology)],
    ...[...topology.dispatchers, ...topology.nodes].map((member): [string, string] => [
      member.namespace,
      memberScript(topology, member),
    ]),
  ]
  await inParallel(scripts, ([namespace, script]) =>
    attempt(() => runCommand('ip', ['netns', 'exec', namespace, '/bin/sh', '-e', '-s'], script)),
  )
  if (topology.service.vip6 !== undefined) await allowIpv6(topology.hostDevice)
  await attempt(() => runCommand('ip', ['-batch', '-'], hostCommands(topology)))
}

/** Also on a machine that wants no IPv6 on its own devices. */
async function allowIpv6(device: string): Promise<void> {
  try {
    await writeFile(`/proc/sys/net/ipv6/conf/${device}/disable_ipv6`, '0')
  } catch (cause) {
    throw new UpError('NETWORK_FAILED', 'this kernel has no IPv6; use --vip6 none', cause)
  }
}

/** Removes what is there of it; of what is not there nobody hears. */
export async function removeNetwork(hostDevice: string, namespaces: readonly string[]): Promise<void> {
  // The device goes first and by itself: the kernel takes a namespace apart later, in the background.
  const lines = [`link delete ${hostDevice}`, ...namespaces.map(namespace => `netns delete ${namespace}`)]
  try {
    await runCommand('ip', ['-force', '-batch', '-'], `${lines.join('\n')}\n`)
  } catch (error) {
    if (!(error instanceof CommandError) || error.code !== 'COMMAND_FAILED') throw error
  }
}

/** Namespaces there are that have the names of a cluster. */
export async function namespacesNamed(name: string): Promise<string[]> {
  const listed = await attempt(() => runCommand('ip', ['netns', 'list']))
  const names = listed.split('\n').map(line => line.split(' ')[0] ?? '')
  return names.filter(namespace => isNamespaceOf(namespace, name))
}

/** Processes that live in a namespace. */
export async function processesIn(namespace: string): Promise<number[]> {
  const listed = await attempt(() => runCommand('ip', ['netns', 'pids', namespace]))
  return listed.split('\n').filter(Boolean).map(Number)
}

/** The device that a route to exactly this address leads to in this namespace, or undefined. */
export async function routedTo(address: string): Promise<string | undefined> {
  const family = address.includes(':') ? '-6' : '-4'
  const listed = await attempt(() => runCommand('ip', [family, '-j', 'route', 'show', 'table', 'all']))
  const routes = JSON.parse(listed === '' ? '[]' : listed) as { dst?: string; dev?: string }[]
  return routes.find(({ dst }) => dst === address)?.dev
}

/** A link to the root namespace that no interface of this machine uses; near the same each time. */
export function freeHostLink(name: string): number {
  const used = Object.values(networkInterfaces()).flatMap(all => all ?? [])
  const networks = new Set(used.map(({ address }) => address.split('.').slice(0, 3).join('.')))
  const first = preferredHostLink(name)
  for (let step = 0; step < HOST_LINKS; step++) {
    // A prime stride visits every /30, and leaves a whole used /24 at the next step.
    const number = (first + step * 67) % HOST_LINKS
    const network = `169.254.${1 + Math.floor(number / 64)}`
    if (isUsableHostLink(number) && !networks.has(network)) return number
  }
  throw new UpError('NETWORK_FAILED', 'no part of 169.254.0.0/16 is free for the link to the gateway')
}

/** Namespaces and links, from the root namespace; pure. */
export function creation(topology: Topology): string {
  const { gateways, clientNamespace, hostDevice, dispatchers, nodes } = topology
  const [first, ...others] = gateways
  const pair = (device: string, namespace: string, port: string, to: string, mac = '') =>
    `link add ${device} netns ${namespace} ${mac}type veth peer name ${port} netns ${to}`
  return lines([
    ...namespacesOf(topology).map(namespace => `netns add ${namespace}`),
    ...gateways.map(({ clientDevice, namespace }) =>
      pair(clientDevice, clientNamespace, GATEWAY_WAN, namespace),
    ),
    `link add ${hostDevice} type veth peer name ${GATEWAY_HOST} netns ${first.namespace}`,
    ...others.map(({ namespace, name, mac }) =>
      pair(GATEWAY_LAN, namespace, name, first.namespace, `address ${mac} `),
    ),
    ...[...dispatchers, ...nodes].map(member =>
      pair(MEMBER_DEVICE, member.namespace, member.port, first.namespace, `address ${member.mac} `),
    ),
  ])
}

/** What makes the VIP reachable from the machine itself; pure. */
export function hostCommands({ hostDevice, hostLink, service }: Topology): string {
  const { far, far6, gateway, gateway6, prefix, prefix6 } = hostLink
  const commands = [
    `link set ${hostDevice} up`,
    `address add ${far}/${prefix} dev ${hostDevice}`,
    `route add ${service.vip}/32 via ${gateway} dev ${hostDevice} src ${far}`,
  ]
  if (service.vip6 !== undefined) {
    commands.push(
      `address add ${far6}/${prefix6} dev ${hostDevice} nodad`,
      `route add ${service.vip6}/128 via ${gateway6} dev ${hostDevice} src ${far6}`,
    )
  }
  return lines(commands)
}

/** For a shell in a gateway's namespace; pure. */
export function gatewayScript(topology: Topology, gateway: GatewayPlace = topology.gateways[0]): string {
  const { service, gateways, dispatchers, nodes, linkBits } = topology
  const [dispatcher] = dispatchers
  const isFirst = gateway === gateways[0]
  const with6 = service.vip6 !== undefined
  const commands = [
    'link set lo up',
    ...(isFirst ? bridge(topology) : []),
    ...linkUp(GATEWAY_WAN, gateway.clientLink),
    `link set ${GATEWAY_LAN} up`,
    `address add ${gateway.address}/24 dev ${GATEWAY_LAN}`,
    // Without a rule that steers it, everything for the VIP is the first dispatcher's.
    `route add ${service.vip}/32 via ${dispatcher.address} dev ${GATEWAY_LAN}`,
  ]
  if (with6) {
    commands.push(
      `address add ${gateway.address6}/64 dev ${GATEWAY_LAN} nodad`,
      `route add ${service.vip6}/128 via ${dispatcher.address6} dev ${GATEWAY_LAN}`,
    )
  }
  commands.push(...neighbours(topology, GATEWAY_LAN))
  return (
    settings(with6) +
    // Where br_netfilter is loaded, bridged packets would go through the machine's firewall rules.
    ignoring('net/bridge/bridge-nf-call-iptables', '0') +
    ignoring('net/bridge/bridge-nf-call-ip6tables', '0') +
    batch(commands) +
    prohibit('-4', `${gateway.address}/24`) +
    (with6 ? prohibit('-6', `${gateway.address6}/64`) : '') +
    (isFirst ? nodes.map(({ port }) => rateLimit(port, linkBits)).join('') : '')
  )
}

/** Clients reach the virtual addresses and no member behind them, whatever routes they give themselves. */
function prohibit(family: '-4' | '-6', members: string): string {
  const rules = [GATEWAY_WAN, GATEWAY_HOST].map(device => `rule add iif ${device} to ${members} prohibit`)
  return `ip ${family} -batch - <<'END'\n${lines(rules)}END\n`
}

/** The LAN, and the link to the machine itself. */
function bridge({ gateways, dispatchers, nodes, hostLink }: Topology): string[] {
  const [{ mac }, ...others] = gateways
  const ports = [...others.map(({ name }) => name), ...[...dispatchers, ...nodes].map(({ port }) => port)]
  return [
    `link add ${GATEWAY_LAN} address ${mac} type bridge forward_delay 0 stp_state 0 mcast_snooping 0`,
    ...ports.map(port => `link set ${port} master ${GATEWAY_LAN} addrgenmode none up`),
    ...linkUp(GATEWAY_HOST, hostLink),
  ]
}

export function memberScript(topology: Topology, member: Member): string {
  const { gateways, linkBits } = topology
  const [first, ...others] = gateways
  const with6 = member.address6 !== undefined
  const commands = [
    'link set lo up',
    `link set ${MEMBER_DEVICE} up`,
    `address add ${member.address}/24 dev ${MEMBER_DEVICE}`,
    `route add default via ${first.address} dev ${MEMBER_DEVICE}`,
    ...others.map(
      ({ address, clientLink: { far } }) => `route add ${far}/32 via ${address} dev ${MEMBER_DEVICE}`,
    ),
  ]
  if (with6) {
    commands.push(
      `address add ${member.address6}/64 dev ${MEMBER_DEVICE} nodad`,
      `route add ::/0 via ${first.address6} dev ${MEMBER_DEVICE}`,
      ...others.map(
        ({ address6, clientLink: { far6 } }) => `route add ${far6}/128 via ${address6} dev ${MEMBER_DEVICE}`,
      ),
    )
  }
  commands.push(...neighbours(topology, MEMBER_DEVICE))
  return (
    settings(with6) + batch(commands) + (member.role === 'node' ? rateLimit(MEMBER_DEVICE, linkBits) : '')
  )
}

/** The client has a route to the VIP and no other, so that nothing that it does can leave the cluster. */
export function clientScript({ service, gateways }: Topology): string {
  const commands = ['link set lo up']
  for (const { clientDevice, clientLink } of gateways) {
    const { far, far6, prefix, prefix6 } = clientLink
    commands.push(`link set ${clientDevice} up`, `address add ${far}/${prefix} dev ${clientDevice}`)
    if (far6 !== undefined) commands.push(`address add ${far6}/${prefix6} dev ${clientDevice} nodad`)
  }
  commands.push(`route add ${service.vip}/32${hops(gateways.map(({ clientLink }) => clientLink.gateway))}`)
  if (service.vip6 !== undefined) {
    commands.push(
      `route add ${service.vip6}/128${hops(gateways.map(({ clientLink }) => clientLink.gateway6))}`,
    )
  }
  const ipv6 = service.vip6 === undefined ? '' : setting('net/ipv6/conf/all/disable_ipv6', '0')
  // Where there are several gateways: by connection, not by address, of which the client has one for each.
  const byFlow = ['net/ipv4/fib_multipath_hash_policy', 'net/ipv6/fib_multipath_hash_policy']
  return ipv6 + byFlow.map(name => ignoring(name, '1')).join('') + batch(commands)
}

/** Of a route over one gateway, or over several in equal parts. */
function hops(gateways: readonly (string | undefined)[]): string {
  const all = gateways.map((gateway, index) => `via ${gateway} dev eth${index}`)
  return all.length === 1 ? ` ${all[0]}` : all.map(hop => ` nexthop ${hop}`).join('')
}

function neighbours(topology: Topology, device: string): string[] {
  const { dispatchers, nodes, gateways } = topology
  const all = [...gateways, ...dispatchers, ...nodes]
  if (all.length ** 2 <= MAX_ASKED_NEIGHBOURS) return []
  return all.flatMap(({ address, address6, mac }) =>
    [address, address6].flatMap(ip =>
      ip === undefined ? [] : `neigh replace ${ip} lladdr ${mac} dev ${device} nud permanent`,
    ),
  )
}

function linkUp(device: string, { gateway, gateway6, prefix, prefix6 }: Link): string[] {
  const commands = [`link set ${device} up`, `address add ${gateway}/${prefix} dev ${device}`]
  if (gateway6 !== undefined) commands.push(`address add ${gateway6}/${prefix6} dev ${device} nodad`)
  return commands
}

/** Of a namespace that forwards. Nodes answer past the gateway's steering, so the way back may be another. */
function settings(with6: boolean): string {
  const values = [
    setting('net/ipv4/ip_forward', '1'),
    // Forwarding resets others, so it comes first.
    ...['all', 'default', '*'].flatMap(device => [
      setting(`net/ipv4/conf/${device}/rp_filter`, '0'),
      setting(`net/ipv4/conf/${device}/send_redirects`, '0'),
      setting(`net/ipv4/conf/${device}/accept_redirects`, '0'),
    ]),
  ]
  if (with6) {
    values.push(setting('net/ipv6/conf/all/disable_ipv6', '0'), setting('net/ipv6/conf/all/forwarding', '1'))
    // Nobody else is on these links, and a tentative address cannot be used for a second.
    for (const device of ['all', 'default', '*'])
      values.push(setting(`net/ipv6/conf/${device}/accept_dad`, '0'))
  }
  return values.join('')
}

function setting(name: string, value: string): string {
  if (!name.includes('*')) return `echo ${value} >/proc/sys/${name}\n`
  return `for file in /proc/sys/${name}; do echo ${value} >"$file"; done\n`
}

function ignoring(name: string, value: string): string {
  return `[ ! -w /proc/sys/${name} ] || echo ${value} >/proc/sys/${name}\n`
}

/**
 * A token bucket of 4 ms, but at least of one super-packet: the kernel cuts what is larger than the bucket into
 * segments. What waits longer than 50 ms is dropped, as by a router with such a buffer.
 */
function rateLimit(device: string, bits: number | undefined): string {
  if (bits === undefined) return ''
  const burst = Math.max(65_536, Math.ceil((bits / 8) * 0.004))
  return `tc qdisc replace dev ${device} root tbf rate ${bits}bit burst ${burst}b latency 50ms\n`
}

function batch(commands: readonly string[]): string {
  return `ip -batch - <<'END'\n${lines(commands)}END\n`
}

function lines(commands: readonly string[]): string {
  return `${commands.join('\n')}\n`
}

async function attempt<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause
    const code = cause.code === 'COMMAND_MISSING' ? 'TOOL_MISSING' : 'NETWORK_FAILED'
    throw new UpError(code, cause.detail === '' ? cause.message : cause.detail.replaceAll('\n', '; '), cause)
  }
}

/** Waits for all, so that nothing is made any more when a failure is told. */
async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<unknown>): Promise<void> {
  const rest = items.values()
  const worker = async () => {
    for (const item of rest) await run(item)
  }
  const results = await Promise.allSettled(Array.from({ length: PARALLEL }, worker))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
