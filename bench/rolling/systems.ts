/**
 * Who is started anew in `npm run bench -- drain --rolling`, and how: ours, and nginx nodes behind HAProxy on the dispatcher's
 * machine, by the same wires. Where others serve, ours is there without work.
 */
import { join } from 'node:path'
import { memberOf, membersOf, serveAt } from '../beside.ts'
import { type ClusterState, gyre, withCluster } from '../local-cluster.ts'
import { Haproxy, NodeNginx } from './servers.ts'

export interface Nodes {
  readonly nginx: readonly NodeNginx[]
  readonly haproxy: Haproxy
}

export interface System {
  readonly name: string
  readonly about: string
  /** Undefined: ours. Starts one node anew, and returns when it serves. */
  readonly restart?: (node: NodeNginx, haproxy: Haproxy, waitMs: number) => Promise<void>
}

export const SYSTEMS: readonly System[] = [
  {
    name: 'gyre upgrade',
    about:
      '`gyre upgrade`: a node’s connections are moved to the others, its process ends, and another starts',
  },
  {
    name: 'nginx reload',
    about:
      '`nginx -s reload` on one node after the other, which is no restart: old workers stay until they are done',
    restart: node => node.reload(),
  },
  {
    name: 'nginx quit',
    about: '`nginx -s quit`, and a new start; HAProxy finds out by its checks',
    restart: async (node, haproxy, waitMs) => {
      await node.quit(waitMs)
      await node.start()
      await haproxy.serves(node.options.name)
    },
  },
  {
    name: 'nginx drain, quit',
    about: 'the same, and HAProxy was told before to send the node nothing new (`set server … state drain`)',
    restart: async (node, haproxy, waitMs) => {
      const { name } = node.options
      const end = performance.now() + waitMs
      await haproxy.setState(name, 'drain')
      await haproxy.empty(name, waitMs)
      await node.quit(Math.max(0, end - performance.now()))
      await node.start()
      await haproxy.setState(name, 'ready')
      await haproxy.serves(name)
    },
  },
]

const CLUSTER = { name: 'gyre-rolling', vip: '10.77.140.1', vip6: 'none', admin: '127.0.0.1:8953' }
/** Where the others answer. */
const OTHER = '10.77.140.2'
const PROXY_PORT = 83
const PORT = 80

export interface Place {
  readonly client: string
  readonly host: string
  readonly port: number
  /** Starts every node anew, one after the other. */
  readonly roll: () => Promise<void>
}

export interface Machines {
  readonly nodes: number
  /** What is served. */
  readonly root: string
  readonly folder: string
  /** A file in it. */
  readonly checked: string
  /** Longest that a node is waited for to be done with what it has begun. */
  readonly waitMs: number
}

export function withSystem<Result>(
  system: System,
  machines: Machines,
  work: (place: Place) => Promise<Result>,
): Promise<Result> {
  const { nodes, root, waitMs } = machines
  return withCluster({ ...CLUSTER, nodes, root }, async state => {
    const { restart } = system
    const { clientNamespace: client } = state
    if (restart !== undefined) {
      return withNginx(state, machines, all =>
        work({ client, host: OTHER, port: PROXY_PORT, roll: () => rollNginx(all, restart, waitMs) }),
      )
    }
    const upgrade = ['upgrade', '--name', CLUSTER.name, '--deadline', `${waitMs}ms`]
    return work({ client, host: CLUSTER.vip, port: PORT, roll: async () => void (await gyre(upgrade)) })
  })
}

async function rollNginx(
  { nginx, haproxy }: Nodes,
  restart: NonNullable<System['restart']>,
  waitMs: number,
): Promise<void> {
  for (const node of nginx) await restart(node, haproxy, waitMs)
}

async function withNginx<Result>(
  state: ClusterState,
  { root, folder, checked }: Machines,
  work: (nodes: Nodes) => Promise<Result>,
): Promise<Result> {
  const nginx: NodeNginx[] = []
  let haproxy: Haproxy | undefined
  try {
    const nodes = membersOf(state, 'node')
    for (const { name, namespace, address } of nodes) {
      nginx.push(await NodeNginx.create({ name, namespace, address, root }, join(folder, name)))
    }
    const dispatcher = memberOf(state, 'dispatcher')
    await serveAt(state, dispatcher, OTHER)
    const proxy = { namespace: dispatcher.namespace, address: OTHER, port: PROXY_PORT, nodes, checked }
    haproxy = await Haproxy.create(proxy, join(folder, 'haproxy'))
    for (const { name } of nodes) await haproxy.serves(name)
    return await work({ nginx, haproxy })
  } finally {
    await haproxy?.stop()
    await Promise.all(nginx.map(node => node.stop()))
  }
}
