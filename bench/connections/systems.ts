/**
 * The systems of `npm run bench -- connections`, all of them there at once and each asked in its turn: a dispatcher of ours before
 * its nodes, and in the same namespaces a proxy on the dispatcher's machine before an nginx on each node's. All that serves runs on
 * one core, and the load on the other.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { memberOf, membersOf, serveAt } from '../beside.ts'
import { type ClusterState, withCluster } from '../local-cluster.ts'
import { startStaticNginx } from '../nginx.ts'
import { run, type Server } from '../process.ts'
import {
  HAPROXY_HTTP_PORT,
  HAPROXY_TCP_PORT,
  NGINX_PROXY_PORT,
  startHaproxy,
  startNginxProxy,
} from './fronts.ts'

const SERVER_CORE = 0
export const LOAD_CORE = 1
const SHIFT = { name: 'gyre-connections', vip: '10.77.137.1', vip6: 'none', admin: '127.0.0.1:8950' }
/** Where the others answer. */
const OTHER = '10.77.137.2'
const CLONE = { name: 'gyre-relayed', vip: '10.77.138.1', vip6: 'none', admin: '127.0.0.1:8951' }
const NODE_PORT = 81

export interface System {
  readonly name: string
  readonly about: string
  readonly state: ClusterState
  readonly address: string
  readonly port: number
  /** Processes on the front machine, and on the nodes'. */
  readonly front: readonly number[]
  readonly nodes: readonly number[]
}

export interface Machines {
  readonly nodes: number
  readonly root: string
  readonly folder: string
}

export function withSystems<Result>(
  { nodes, root, folder }: Machines,
  work: (systems: readonly System[]) => Promise<Result>,
): Promise<Result> {
  return withCluster({ ...SHIFT, nodes, root }, async state => {
    const servers: Server[] = []
    try {
      const shift = await own(state, 'gyre shift', 'the dispatcher hands each connection over to a node')
      const others = await startOthers(state, root, folder, servers)
      return await withCluster({ ...CLONE, nodes, root, more: ['--mode', 'clone'] }, async cloned => {
        const clone = await own(cloned, 'gyre clone', 'the same, with the dispatcher’s relay left in place')
        return await work([shift, clone, ...others])
      })
    } finally {
      await Promise.all(servers.map(server => server.stop()))
    }
  })
}

async function own(state: ClusterState, name: string, about: string): Promise<System> {
  const pidsOf = (role: string) => membersOf(state, role).map(({ pid }) => pid)
  const [front, nodes] = [pidsOf('dispatcher'), pidsOf('node')]
  for (const pid of [...front, ...nodes]) await run('taskset', ['-acp', `${SERVER_CORE}`, `${pid}`])
  return { name, about, state, address: state.vip, port: state.port, front, nodes }
}

/** Those that are started are put into `servers`, also where not all of them can be. */
async function startOthers(
  state: ClusterState,
  root: string,
  folder: string,
  servers: Server[],
): Promise<System[]> {
  const nodes: Server[] = []
  const members = membersOf(state, 'node')
  for (const { namespace, address, name } of members) {
    const own = join(folder, name)
    await mkdir(own)
    const options = { namespace, address, port: NODE_PORT, root, sendfile: true, core: SERVER_CORE }
    nodes.push(await startStaticNginx(options, own))
    servers.push(...nodes.slice(-1))
  }
  const dispatcher = memberOf(state, 'dispatcher')
  await serveAt(state, dispatcher, OTHER)
  const behind = members.map(({ address }) => `${address}:${NODE_PORT}`)
  const options = { namespace: dispatcher.namespace, address: OTHER, nodes: behind, core: SERVER_CORE }
  const started = async (name: string, about: string, port: number, server: Promise<Server>) => {
    const front = await server
    servers.push(front)
    const pids = { front: [front.pid], nodes: nodes.map(({ pid }) => pid) }
    return { name, about, state, address: OTHER, port, ...pids }
  }
  return [
    await started(
      'HAProxy TCP',
      'a connection to a node for each, octets are copied',
      HAPROXY_TCP_PORT,
      startHaproxy(options, 'tcp', folder),
    ),
    await started(
      'HAProxy HTTP',
      'reads requests, kept connections to the nodes',
      HAPROXY_HTTP_PORT,
      startHaproxy(options, 'http', folder),
    ),
    await started(
      'nginx proxy',
      'the same by proxy_pass',
      NGINX_PROXY_PORT,
      startNginxProxy(options, folder),
    ),
  ]
}
