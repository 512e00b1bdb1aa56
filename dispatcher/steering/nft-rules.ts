/**
 * The text of the kernel's steering rules: tables for gateways and for relays, elements, transactions. Pure: it
 * runs nothing and checks nothing, every address and name in it must have been checked before.
 */
import type { Service } from '../options.ts'
import { SLOTS } from './slots.ts'
import { MAX_OWNERS, MAX_STEERED_FLOWS } from './steering.ts'
import type { Element } from './steering-table.ts'

/**
 * `gateway`: packets that enter from the clients' side go to the owner that their timestamp names, or that their flow's
 * element names. `relay`: packets that enter one's own LAN device and have an element are passed on to another owner.
 * `instances`: as a gateway, for owners that share a machine: each has a TUN of its own in the place of an address.
 */
export interface TableSpec {
  readonly kind: 'gateway' | 'relay' | 'instances'
  readonly table: string
  readonly service: Service
  readonly inDevices: readonly string[]
  readonly outDevice: string
  readonly ownerIdBits: number
  /** Of a gateway: what nothing steers is spread over several dispatchers, instead of following its route. */
  readonly spreads?: boolean
}

/** The same in every gateway, so that all of them send a flow to one dispatcher. */
const HASH_SEED = '0x67797265'
/** Before everything else at ingress, as the rules must be the first to see a packet. */
const PRIORITY = -150
/** Elements in one command; nft's cost a line is larger than an element's. */
const ELEMENTS_A_COMMAND = 1000
/**
 * How much longer the kernel keeps an element than we do. We remove it when its time is over; the kernel only sees to
 * what a dead process left. As an element that the kernel drops first would make our removal, and with it a whole
 * transaction, fail, the kernel must come second.
 */
export const KERNEL_GRACE_S = 60

/** A table's name for a cluster: nft takes no hyphen in one. */
export function tableName(cluster: string, kind: TableSpec['kind']): string {
  const escaped = cluster.replace(/[^a-zA-Z0-9]/g, octet => `_${octet.charCodeAt(0).toString(16)}_`)
  return kind === 'gateway' ? `gyre_${escaped}` : `gyre_${kind}_${escaped}`
}

/** Commands that put an empty table in the place of whatever has its name. */
export function tableText(spec: TableSpec): string {
  const { table } = spec
  const families = familiesOf(spec)
  const devices = spec.inDevices.map(device => `"${device}"`).join(', ')
  return [
    // "delete" fails where there is none, "add" where there is one does not.
    `add table netdev ${table}`,
    `delete table netdev ${table}`,
    `table netdev ${table} {`,
    ...families.flatMap(family => declarations(spec, family)),
    `  chain in {`,
    `    type filter hook ingress devices = { ${devices} } priority ${PRIORITY}; policy accept;`,
    ...families.map(family => `    ${admission(spec, family)} goto vip${family}`),
    ...(spec.spreads === true ? families.map(family => `    ${icmpSpread(spec, family)}`) : []),
    '  }',
    ...families.flatMap(family => decisions(spec, family)),
    '}',
    '',
  ].join('\n')
}

export function familiesOf(spec: TableSpec): readonly (4 | 6)[] {
  return spec.service.vip6 === undefined ? [4] : [4, 6]
}

function declarations(spec: TableSpec, family: 4 | 6): string[] {
  const ip = family === 4 ? 'ip' : 'ip6'
  const hop = spec.kind === 'instances' ? 'meta oif' : `${ip} daddr`
  const lines = [
    `  counter packets${family} { }`,
    `  counter unnamed${family} { }`,
    `  counter unsteered${family} { }`,
    `  map flows${family} { typeof ${ip} saddr . tcp sport : ${hop}; flags timeout; size ${MAX_STEERED_FLOWS}; }`,
  ]
  if (spec.kind === 'relay') return lines
  // The type of a hash, which nft 1.0.6 can be told by this expression alone: of `jhash` itself it makes a map that `nft list`
  // dies of, and `type integer` it refuses.
  const slots = `typeof numgen inc mod ${SLOTS} : ${hop}; size ${SLOTS};`
  if (spec.spreads === true) lines.unshift(`  map slots${family} { ${slots} }`)
  const owners = `typeof tcp option timestamp tsecr : ${hop}; size ${MAX_OWNERS}; counter;`
  return [`  map owners${family} { ${owners} }`, ...lines]
}

/**
 * Which packets the rules look at: whole TCP packets to the virtual addresses, whatever the port, because applications
 * listen on ports of their own. Only the first fragment has ports.
 */
function admission({ service }: TableSpec, family: 4 | 6): string {
  if (family === 4) return `ip daddr ${service.vip} ip frag-off & 0x3fff == 0 meta l4proto tcp`
  return `ip6 daddr ${service.vip6} exthdr frag missing meta l4proto tcp`
}

/**
 * `fwd` ends the way of a packet whose key is in the map and does nothing for any other, so what a counter counts
 * is what the rules before it left.
 */
function decisions(spec: TableSpec, family: 4 | 6): string[] {
  const ip = family === 4 ? 'ip' : 'ip6'
  const mask = `0x${((1 << spec.ownerIdBits) - 1).toString(16)}`
  // To a TUN the address says only that there is one: it has no neighbours.
  const forward = (key: string, map: string) =>
    spec.kind === 'instances'
      ? `fwd ${ip} to ${family === 4 ? spec.service.vip : spec.service.vip6} device ${key} map @${map}${family}`
      : `fwd ${ip} to ${key} map @${map}${family} device "${spec.outDevice}"`
  return [
    `  chain vip${family} {`,
    `    counter name "packets${family}"`,
    ...(spec.kind === 'relay'
      ? []
      : [`    tcp flags & (syn | ack) == ack ${forward(`tcp option timestamp tsecr & ${mask}`, 'owners')}`]),
    `    counter name "unnamed${family}"`,
    // A SYN of a reused port is a new connection, whatever the element says of the old one.
    `    tcp flags & syn == 0 ${forward(`${ip} saddr . tcp sport`, 'flows')}`,
    `    counter name "unsteered${family}"`,
    ...(spec.spreads === true ? [`    ${spread(spec, family, `${ip} saddr . tcp sport`)}`] : []),
    '  }',
  ]
}

/** As long as the map is empty this steers nothing. */
function spread(spec: TableSpec, family: 4 | 6, key: string): string {
  const ip = family === 4 ? 'ip' : 'ip6'
  const hash = `jhash ${key} mod ${SLOTS} seed ${HASH_SEED}`
  return `fwd ${ip} to ${hash} map @slots${family} device "${spec.outDevice}"`
}

/** Errors and echoes have no flow that could be read here: any dispatcher finds the owner by what an error quotes. */
function icmpSpread(spec: TableSpec, family: 4 | 6): string {
  const { vip, vip6 } = spec.service
  const to = family === 4 ? `ip daddr ${vip} meta l4proto icmp` : `ip6 daddr ${vip6} meta l4proto ipv6-icmp`
  return `${to} ${spread(spec, family, family === 4 ? 'ip saddr' : 'ip6 saddr')}`
}

export type Verb = 'add' | 'delete'

/** One hop of `owners4` or `owners6`, by owner; of `slots4` or `slots6`, by slot. */
export interface HopElement {
  readonly family: 4 | 6
  readonly key: number
  readonly hop: string
}

export function hopElementsText(
  spec: TableSpec,
  verb: Verb,
  map: 'owners' | 'slots',
  elements: readonly HopElement[],
): string {
  return commands(spec.table, verb, map, elements, ({ key, hop }) => {
    return verb === 'add' ? `${key} : ${hopText(spec, hop)}` : `${key}`
  })
}

/** Names of devices must be quoted, addresses must not be. */
function hopText(spec: TableSpec, hop: string): string {
  return spec.kind === 'instances' ? `"${hop}"` : hop
}

/** An element of a flow and where its owner's packets of the flow's family go. */
export interface FlowElement extends Element {
  readonly hop: string
}

export function addFlowsText(spec: TableSpec, flows: readonly FlowElement[], now: number): string {
  return commands(spec.table, 'add', 'flows', flows, ({ address, port, hop, expiresAt }) => {
    const seconds = Math.ceil(Math.max(0, expiresAt - now) / 1000) + KERNEL_GRACE_S
    return `${address} . ${port} timeout ${seconds}s : ${hopText(spec, hop)}`
  })
}

export function deleteFlowsText(spec: TableSpec, flows: readonly Element[]): string {
  return commands(spec.table, 'delete', 'flows', flows, ({ address, port }) => `${address} . ${port}`)
}

export function deleteTableText(table: string): string {
  return `add table netdev ${table}\ndelete table netdev ${table}\n`
}

function commands<T extends { readonly family: 4 | 6 }>(
  table: string,
  verb: Verb,
  map: string,
  elements: readonly T[],
  text: (element: T) => string,
): string {
  let all = ''
  for (const family of [4, 6] as const) {
    const texts = elements.filter(element => element.family === family).map(text)
    for (let from = 0; from < texts.length; from += ELEMENTS_A_COMMAND) {
      const some = texts.slice(from, from + ELEMENTS_A_COMMAND).join(', ')
      all += `${verb} element netdev ${table} ${map}${family} { ${some} }\n`
    }
  }
  return all
}
