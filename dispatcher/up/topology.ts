/**
 * The names, addresses and devices of a cluster on one machine, as they follow from its flags. Pure: it looks at
 * nothing of the machine and runs nothing (`namespaces.ts` does).
 *
 *     root ─ host0 ┐            ┌ eth0  NAME-dispatcher
 *                  gateway: lan0┼ eth0  NAME-node1
 *   client ─ wan0 ┘   (bridge)  └ eth0  NAME-node…
 *
 * A second gateway has its own link to the client, eth1, and its lan0 is a port of the first one's bridge; the client sends its
 * connections over both.
 *
 * The LAN and the client's network are the same in every cluster, as nobody outside sees them; only the device, the
 * link and the routes in the root namespace must differ between clusters.
 */
import { createHash } from 'node:crypto'
import { parseAddress } from '../../node/wire/address.ts'
import { MAX_NODES, type Service } from '../options.ts'
import { UpError } from './errors.ts'

export const GATEWAY_WAN = 'wan0'
export const GATEWAY_HOST = 'host0'
export const GATEWAY_LAN = 'lan0'
export const MEMBER_DEVICE = 'eth0'

const LAN = '10.78.0.'
const LAN6 = 'fd78::'
const CLIENT_LINKS = '10.79.'
const CLIENT_LINKS6 = 'fd79:'
const HOST_LINK = '169.254.'
/** The gateway is 1, dispatchers are 2 to 9, node i is 10 + i, so that MAX_NODES fit a /24; further gateways come behind. */
const GATEWAY_NUMBER = 1
const DISPATCHER_NUMBER = 2
const FIRST_NODE_NUMBER = 10
const FURTHER_GATEWAYS_NUMBER = 220
/** Owner ids of the second dispatcher and those after it: behind the nodes’. */
const FURTHER_DISPATCHERS_ID = MAX_NODES + 1
/** Linux: IFNAMSIZ - 1. */
const MAX_DEVICE_NAME = 15

/** Links of /30 in 169.254.1.0 to 169.254.254.255 (RFC 3927 §2.1 keeps the rest). */
const LINKS_A_NETWORK = 64
const FIRST_NETWORK = 1
const LAST_NETWORK = 254
/** Clouds answer for the machine's identity at 169.254.169.254. */
const METADATA_NETWORK = 169
export const HOST_LINKS = (LAST_NETWORK - FIRST_NETWORK + 1) * LINKS_A_NETWORK

export interface Member {
  readonly role: 'dispatcher' | 'node'
  readonly name: string
  readonly id: number
  readonly namespace: string
  readonly address: string
  readonly address6: string | undefined
  readonly mac: string
  /** Its device in the gateway's namespace, a port of the bridge. */
  readonly port: string
}

/** One of the routers that clients' packets come through. */
export interface GatewayPlace {
  readonly name: string
  readonly namespace: string
  readonly address: string
  readonly address6: string | undefined
  readonly mac: string
  readonly clientLink: Link
  /** The client's end of that link. */
  readonly clientDevice: string
}

/** A point-to-point link of the gateway. */
export interface Link {
  readonly gateway: string
  readonly far: string
  readonly prefix: number
  readonly gateway6: string | undefined
  readonly far6: string | undefined
  readonly prefix6: number
}

export interface Topology {
  readonly name: string
  readonly service: Service
  readonly clientNamespace: string
  /** The device in the root namespace. */
  readonly hostDevice: string
  readonly hostLink: Link
  /** The first has the bridge of the LAN, and the link to the machine itself. */
  readonly gateways: readonly [GatewayPlace, ...GatewayPlace[]]
  readonly dispatchers: readonly [Member, ...Member[]]
  readonly nodes: readonly Member[]
  /** Bits per second of each node's wire, in each direction; undefined: as fast as the machine. */
  readonly linkBits: number | undefined
}

/** `gyre`, `gyre-2`: part of names of namespaces and devices, so nothing but these. */
export const CLUSTER_NAME = /^[a-z][a-z0-9-]{0,31}$/

/**
 * `hostLinkNumber` is 0 to HOST_LINKS - 1; see `preferredHostLink`. A node's id is that of its first instance. Throws an UpError
 * for a VIP within its networks.
 */
export function createTopology(
  name: string,
  nodes: number,
  service: Service,
  linkBits: number | undefined,
  hostLinkNumber: number,
  instances = 1,
  { dispatchers = 1, gateways = 1 } = {},
): Topology {
  checkVips(service)
  const with6 = service.vip6 !== undefined
  const member = (role: Member['role'], memberName: string, id: number, number: number): Member => ({
    role,
    name: memberName,
    id,
    namespace: `${name}-${memberName}`,
    address: `${LAN}${number}`,
    address6: with6 ? `${LAN6}${number.toString(16)}` : undefined,
    mac: macOf(number),
    port: memberName,
  })
  return {
    name,
    service,
    clientNamespace: `${name}-client`,
    hostDevice: hostDevice(name),
    hostLink: hostLink(name, hostLinkNumber, with6),
    gateways: oneOrMore(gateways, index => gatewayPlace(name, index, with6)),
    dispatchers: oneOrMore(dispatchers, index => {
      const id = index === 0 ? 0 : FURTHER_DISPATCHERS_ID + index - 1
      return member('dispatcher', numbered('dispatcher', index), id, DISPATCHER_NUMBER + index)
    }),
    nodes: Array.from({ length: nodes }, (_, index) => {
      const number = index + 1
      return member('node', `node${number}`, 1 + index * instances, FIRST_NODE_NUMBER + number)
    }),
    linkBits,
  }
}

function gatewayPlace(name: string, index: number, with6: boolean): GatewayPlace {
  const number = index === 0 ? GATEWAY_NUMBER : FURTHER_GATEWAYS_NUMBER + index
  const network6 = index === 0 ? `${CLIENT_LINKS6}:` : `${CLIENT_LINKS6}${index}::`
  return {
    name: numbered('gateway', index),
    namespace: `${name}-${numbered('gateway', index)}`,
    address: `${LAN}${number}`,
    address6: with6 ? `${LAN6}${number.toString(16)}` : undefined,
    mac: macOf(number),
    clientLink: {
      gateway: `${CLIENT_LINKS}${index}.1`,
      far: `${CLIENT_LINKS}${index}.2`,
      prefix: 24,
      gateway6: with6 ? `${network6}1` : undefined,
      far6: with6 ? `${network6}2` : undefined,
      prefix6: 64,
    },
    clientDevice: `eth${index}`,
  }
}

/** `gateway`, `gateway2` … */
function numbered(role: string, index: number): string {
  return index === 0 ? role : `${role}${index + 1}`
}

function oneOrMore<T>(count: number, make: (index: number) => T): [T, ...T[]] {
  return [make(0), ...Array.from({ length: count - 1 }, (_, index) => make(index + 1))]
}

/** Locally administered (IEEE 802), and the same in every cluster, as each has its own bridge. */
function macOf(number: number): string {
  return `02:67:79:72:65:${number.toString(16).padStart(2, '0')}`
}

/** Every namespace, in the order in which they are made. */
export function namespacesOf(topology: Topology): string[] {
  const { gateways, clientNamespace, dispatchers, nodes } = topology
  const [first, ...others] = [...gateways, ...dispatchers, ...nodes].map(({ namespace }) => namespace)
  return [first as string, clientNamespace, ...others]
}

/** Whether a namespace of this name would belong to the cluster. */
export function isNamespaceOf(namespace: string, name: string): boolean {
  if (!namespace.startsWith(`${name}-`)) return false
  return /^((gateway|dispatcher)[2-9]?|client|node[1-9][0-9]{0,2})$/.test(namespace.slice(name.length + 1))
}

export function hostDevice(name: string): string {
  const plain = `${name}-host`
  return plain.length <= MAX_DEVICE_NAME ? plain : `gy${digest(name).toString('hex', 0, 4)}-host`
}

/** Where to begin to look for a link that is free. */
export function preferredHostLink(name: string): number {
  return digest(name).readUInt32BE(4) % HOST_LINKS
}

function hostLink(name: string, number: number, with6: boolean): Link {
  const network = FIRST_NETWORK + Math.floor(number / LINKS_A_NETWORK)
  const first = (number % LINKS_A_NETWORK) * 4
  // A network of unique local addresses of its own (RFC 4193 §3.2), derived from the name and the link.
  const global = digest(`${name} ${number}`)
  const group = (at: number) => global.readUInt16BE(at).toString(16)
  const network6 = `fd${global.toString('hex', 0, 1)}:${group(1)}:${group(3)}:1`
  return {
    gateway: `${HOST_LINK}${network}.${first + 1}`,
    far: `${HOST_LINK}${network}.${first + 2}`,
    prefix: 30,
    gateway6: with6 ? `${network6}::1` : undefined,
    far6: with6 ? `${network6}::2` : undefined,
    prefix6: 64,
  }
}

export function isUsableHostLink(number: number): boolean {
  return FIRST_NETWORK + Math.floor(number / LINKS_A_NETWORK) !== METADATA_NETWORK
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function checkVips({ vip, vip6 }: Service): void {
  for (const network of [LAN, CLIENT_LINKS, HOST_LINK]) {
    if (!vip.startsWith(network)) continue
    throw new UpError('BAD_FLAG', `--vip ${vip} lies in ${network}x, which is used inside of the cluster`)
  }
  if (vip6 === undefined) return
  const word = parseAddress(vip6)?.word0 ?? 0
  for (const network of [LAN6, `${CLIENT_LINKS6}:`]) {
    if (word >>> 16 !== Number.parseInt(network, 16)) continue
    throw new UpError('BAD_FLAG', `--vip6 ${vip6} lies in ${network}/16, which is used inside of the cluster`)
  }
}
