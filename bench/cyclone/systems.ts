/**
 * The systems of `npm run bench -- cyclone`. Each is started anew for each round, on the same machines: those of a cluster of ours
 * in namespaces, whose nodes' links are limited. Where others serve, ours is there without work.
 */
import { join } from 'node:path'
import { answerAt, memberOf, membersOf, routeClient, serveAt } from '../beside.ts'
import { type ClusterState, withCluster } from '../local-cluster.ts'
import { inNamespace, run, type Server } from '../process.ts'
import type { Watched } from './counters.ts'
import { askStorage, NGINX_PORT, PROXY_PORT, startHaproxy, startNginx } from './servers.ts'

/** What our clusters are told, or what serves on the same machines instead. */
export interface System {
  readonly name: string
  readonly gyre?: readonly string[]
  readonly other?: 'L4' | 'cooperative' | 'proxy'
  /** Whether the dispatcher's machine has a link like the nodes'; else it has one without a limit. */
  readonly limitsDispatcher?: boolean
  readonly about: string
}

export const SYSTEMS: readonly System[] = [
  { name: 'gyre shift', gyre: [], about: 'ours: a connection moves to who holds the file' },
  {
    name: 'gyre clone',
    gyre: ['--mode', 'clone'],
    about: 'ours with the relay left in place, as Cyclone had it',
  },
  { name: 'gyre lard-r', gyre: ['--policy', 'lard-r'], about: 'ours, placed by LARD with replication' },
  {
    name: 'gyre round-robin',
    gyre: ['--policy', 'round-robin'],
    about: 'ours, placed in turn; nodes fetch misses from each other: cooperative caching',
  },
  {
    name: 'L4 hash',
    other: 'L4',
    about: 'nft spreads connections by a hash of client and port over nginx nodes',
  },
  {
    name: 'nginx cooperative',
    other: 'cooperative',
    about: 'the same, and each nginx fetches a file from the node that its name points to',
  },
  {
    name: 'HAProxy',
    other: 'proxy',
    about:
      'balances by URI, consistently and with bounded loads, on the dispatcher’s machine, whose link has no limit',
  },
  {
    name: 'HAProxy, same link',
    other: 'proxy',
    limitsDispatcher: true,
    about: 'the same behind a link like a node’s',
  },
]

const NAME = 'gyre-cyclone'
const VIP = '10.77.210.1'
/** Where the other systems answer. */
const OTHER = '10.77.210.2'
const ADMIN = '127.0.0.1:8931'
/** A tmpfs on every Linux. */
const MEMORY_FOLDER = '/dev/shm'
const DEVICE = 'eth0'
const SHAPER_LATENCY = '200ms'
const SHAPER_BURST = '16kb'

export interface Machines {
  readonly nodes: number
  readonly linkBits: number
  readonly memory: { readonly gyre: number; readonly nginx: number }
  readonly storageSocket: string
  readonly storagePort: number
  readonly folder: string
}

export interface Place {
  readonly client: string
  readonly url: string
  readonly watched: Watched
  /** Limits the links; until then they are as fast as the machine. */
  readonly limit: () => Promise<void>
}

export function withSystem<Result>(
  system: System,
  machines: Machines,
  work: (place: Place) => Promise<Result>,
): Promise<Result> {
  const more = [
    ...['--cache-octets', `${machines.memory.gyre}`],
    ...['--origin', `http://127.0.0.1:${machines.storagePort}`],
    ...(system.gyre ?? []),
  ]
  const flags = { name: NAME, vip: VIP, vip6: 'none', admin: ADMIN, nodes: machines.nodes, more }
  return withCluster(flags, async state => {
    const limit = () => limitLinks(state, machines.linkBits, system.limitsDispatcher === true)
    if (system.other === undefined)
      return await work({ ...placeOf(state, machines, `http://${VIP}`, []), limit })
    return await withOther(state, system.other, machines, place => work({ ...place, limit }))
  })
}

type Unlimited = Omit<Place, 'limit'>

/** In both directions. A queue of a fifth of a second, as a switch may have: what is beyond it is lost. */
async function limitLinks(state: ClusterState, bits: number, dispatcherToo: boolean): Promise<void> {
  const shape = (namespace: string, device: string) => {
    const shaper = ['root', 'tbf', 'rate', `${bits}bit`, 'burst', SHAPER_BURST, 'latency', SHAPER_LATENCY]
    return run(...inNamespace(namespace, 'tc', ['qdisc', 'replace', 'dev', device, ...shaper]))
  }
  const limited = [...membersOf(state, 'node'), ...(dispatcherToo ? membersOf(state, 'dispatcher') : [])]
  for (const { namespace, name } of limited) {
    await shape(namespace, DEVICE)
    await shape(state.gatewayNamespace, name)
  }
}

function placeOf(
  state: ClusterState,
  machines: Machines,
  url: string,
  servers: readonly Server[],
): Unlimited {
  const dispatcher = memberOf(state, 'dispatcher')
  const at = ({ namespace }: { namespace: string }) => ({ namespace, device: DEVICE })
  return {
    client: state.clientNamespace,
    url,
    watched: {
      nodes: membersOf(state, 'node').map(at),
      dispatcher: at(dispatcher),
      pids: [dispatcher.pid, ...servers.map(({ pid }) => pid)],
      reads: async () => Number(await askStorage(machines.storageSocket, '/reads')),
    },
  }
}

async function withOther<Result>(
  state: ClusterState,
  kind: NonNullable<System['other']>,
  machines: Machines,
  work: (place: Unlimited) => Promise<Result>,
): Promise<Result> {
  const servers: Server[] = []
  const proxies: Server[] = []
  const cache = join(MEMORY_FOLDER, `gyre-cyclone-${process.pid}`)
  try {
    const nodes = membersOf(state, 'node')
    const addresses = nodes.map(({ address }) => address)
    for (const node of nodes) {
      const { namespace, address, name } = node
      await answerAt(node, OTHER)
      const options = {
        ...{ namespace, address, service: OTHER, storage: machines.storageSocket },
        ...{ memoryOctets: machines.memory.nginx, cache: join(cache, name) },
        ...(kind === 'cooperative' ? { peers: addresses } : {}),
      }
      servers.push(await startNginx(options, join(machines.folder, name)))
    }
    if (kind === 'proxy') proxies.push(await startProxy(state, addresses, machines.folder))
    else {
      await routeClient(state, OTHER)
      await steerByHash(state, addresses)
    }
    const port = kind === 'proxy' ? PROXY_PORT : NGINX_PORT
    return await work(placeOf(state, machines, `http://${OTHER}:${port}`, proxies))
  } finally {
    await Promise.all([...proxies, ...servers].map(server => server.stop()))
    await run('rm', ['-rf', cache])
  }
}

async function startProxy(state: ClusterState, nodes: readonly string[], folder: string): Promise<Server> {
  const dispatcher = memberOf(state, 'dispatcher')
  await serveAt(state, dispatcher, OTHER)
  return await startHaproxy(
    { namespace: dispatcher.namespace, address: OTHER, nodes },
    join(folder, 'haproxy'),
  )
}

/** As our own steering: in the ingress hook, to a node that answers for itself. */
async function steerByHash({ gatewayNamespace }: ClusterState, nodes: readonly string[]): Promise<void> {
  const map = nodes.map((node, index) => `${index} : ${node}`).join(', ')
  const hash = `jhash ip saddr . tcp sport mod ${nodes.length} seed 0x67797265`
  // A hash over one bucket is none to nft.
  const to = nodes.length === 1 ? (nodes[0] as string) : `${hash} map { ${map} }`
  const rules =
    'table netdev cyclone {\n chain in {\n  type filter hook ingress device "wan0" priority -140;\n' +
    `  ip daddr ${OTHER} tcp dport ${NGINX_PORT} fwd ip to ${to} device "lan0"\n }\n}\n`
  const load = ['-e', '-c', 'printf %s "$1" | nft -f -', 'sh', rules]
  await run(...inNamespace(gatewayNamespace, '/bin/sh', load))
}
