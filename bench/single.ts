/**
 * One process of ours (`gyre serve`) against nginx, and Node's own http server, over the same wires in the same run:
 * requests and octets a second by size of file. Server and load generator have a core each; the rounds of the systems
 * alternate, and the medians and the ratios of neighbours are what counts. A node behind its dispatcher is measured
 * beside them: what differs is the hand-over of each connection.
 */
import { randomFillSync } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { GYRE, withCluster } from './local-cluster.ts'
import { withNginx } from './nginx.ts'
import { buildPaced, paced } from './paced.ts'
import { has, inNamespace, run, Server } from './process.ts'
import { type Figures, wrk } from './wrk.ts'

const NAME = 'gyre-single'
const VIP = '10.77.201.1'
/** Where nginx and Node's http answer, in the node's namespace. */
const OTHER = '10.77.201.2'
/** The same for `gyre serve`. */
const ALONE = '10.77.201.3'
const ALONE_TUN = 'tun1'
const NGINX_PORT = 81
const NGINX_SENDFILE_PORT = 82
const NODE_HTTP_PORT = 83
const SERVER_CORE = 0
const LOAD_CORE = 1
/** A spread of more than this between the rounds of one system says more of the machine than of the system. */
const MAX_SPREAD = 0.3
const WARM_UP_SECONDS = 2

/** Load of the paced workloads, of what each system does at most. */
const PACED_SHARE = 0.7
const UPLOAD_OCTETS = 65_536

/**
 * `rate`: as many requests as the system takes, closed loop. `paced`: at PACED_SHARE of the rate that the system reached
 * with as many connections, open loop, latency from when each request was due. `upload`: bodies that are read and thrown
 * away; the refusal of POST by a server of files is as good an answer as any.
 */
interface Workload {
  readonly name: string
  readonly kind: 'rate' | 'paced' | 'upload'
  readonly path: string
  readonly connections: number
  readonly closing?: boolean
}

const WORKLOADS: readonly Workload[] = [
  { name: '1 KiB, 64 connections', kind: 'rate', path: '/1k', connections: 64 },
  { name: '1 KiB, 256 connections', kind: 'rate', path: '/1k', connections: 256 },
  { name: '64 KiB', kind: 'rate', path: '/64k', connections: 64 },
  { name: '16 MiB', kind: 'rate', path: '/16m', connections: 16 },
  { name: 'connection per request, 1 KiB', kind: 'rate', path: '/1k', connections: 64, closing: true },
  { name: 'latency at 70 %, 1 KiB', kind: 'paced', path: '/1k', connections: 64 },
  { name: 'upload of 64 KiB', kind: 'upload', path: '/1k', connections: 64 },
]

const FILES: Readonly<Record<string, number>> = { '1k': 1024, '64k': 65_536, '16m': 16 * 1024 * 1024 }

export interface SingleOptions {
  readonly seconds: number
  readonly rounds: number
  readonly json: boolean
  readonly only: string
}

interface System {
  readonly name: string
  readonly address: string
  readonly port: number
}

/** What the load is made with. */
interface Tools {
  readonly client: string
  readonly paced: string
  /** A script for wrk that uploads. */
  readonly upload: string
}

interface Row {
  readonly workload: string
  readonly system: string
  readonly requestsPerSecond: number
  readonly octetsPerSecond: number
  readonly p99Ms: number
  readonly spread: number
  readonly errors: number
}

export async function single(options: SingleOptions): Promise<void> {
  if (!(await has('wrk'))) throw new Error('wrk is missing: apt-get install wrk')
  const withNginxToo = await has('nginx')
  if (!withNginxToo)
    process.stderr.write('nginx is missing (apt-get install nginx-light): measured without it\n')
  const folder = await mkdtemp(join(tmpdir(), 'gyre-single-'))
  try {
    const root = join(folder, 'root')
    await makeFiles(root)
    const upload = join(folder, 'upload.lua')
    await writeFile(upload, `wrk.method = "POST"\nwrk.body = string.rep("x", ${UPLOAD_OCTETS})\n`)
    const flags = { name: NAME, vip: VIP, vip6: 'fd77:201::1', admin: '127.0.0.1:8871', nodes: 1, root }
    const rows = await withCluster(flags, async state => {
      const node = state.roles.find(({ role }) => role === 'node')
      if (node === undefined) throw new Error('the cluster has no node')
      await run('taskset', ['-acp', `${SERVER_CORE}`, `${node.pid}`])
      await routeOther(state.gatewayNamespace, state.clientNamespace, node.namespace, node.address)
      const tools = { client: state.clientNamespace, paced: await buildPaced(folder), upload }
      return await withOthers({ namespace: node.namespace, root }, withNginxToo, () =>
        rounds(options, tools, systemsOf(withNginxToo)),
      )
    })
    report(rows, options)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function makeFiles(root: string): Promise<void> {
  await mkdir(root, { recursive: true })
  for (const [name, size] of Object.entries(FILES)) {
    await writeFile(join(root, name), randomFillSync(Buffer.alloc(size)))
  }
}

/** The other servers' address is the node's own; packets to it take the same wires, without the steering rule. */
async function routeOther(gateway: string, client: string, node: string, nodeAddress: string): Promise<void> {
  await run(...inNamespace(node, 'ip', ['address', 'add', `${OTHER}/32`, 'dev', 'lo']))
  const via = (await run(...inNamespace(client, 'ip', ['-4', 'route', 'show', `${VIP}/32`]))).split(' ')[2]
  for (const address of [OTHER, ALONE]) {
    await run(...inNamespace(gateway, 'ip', ['route', 'add', `${address}/32`, 'via', nodeAddress]))
    await run(...inNamespace(client, 'ip', ['route', 'add', `${address}/32`, 'via', via ?? '']))
  }
}

async function withOthers<Result>(
  at: { readonly namespace: string; readonly root: string },
  withNginxToo: boolean,
  work: () => Promise<Result>,
): Promise<Result> {
  const { namespace, root } = at
  const script = join(process.cwd(), 'dist', 'bench', 'node-http.js')
  const args = ['-c', `${SERVER_CORE}`, process.execPath, script, OTHER, `${NODE_HTTP_PORT}`, root]
  const nodeHttp = new Server(...inNamespace(namespace, 'taskset', args))
  const serve = [
    'serve',
    '--vip',
    ALONE,
    '--vip6',
    'none',
    '--root',
    root,
    '--lan',
    'eth0',
    '--tun',
    ALONE_TUN,
  ]
  const alone = new Server(
    ...inNamespace(namespace, 'taskset', ['-c', `${SERVER_CORE}`, process.execPath, GYRE, ...serve]),
  )
  try {
    if (!withNginxToo) return await work()
    const common = { namespace, address: OTHER, root, core: SERVER_CORE }
    return await withNginx({ ...common, port: NGINX_PORT, sendfile: false }, () =>
      withNginx({ ...common, port: NGINX_SENDFILE_PORT, sendfile: true }, work),
    )
  } finally {
    await Promise.all([nodeHttp.stop(), alone.stop()])
  }
}

function systemsOf(withNginxToo: boolean): System[] {
  return [
    { name: 'gyre', address: ALONE, port: 80 },
    { name: 'cluster', address: VIP, port: 80 },
    ...(withNginxToo
      ? [
          { name: 'nginx', address: OTHER, port: NGINX_PORT },
          { name: 'nginx sendfile', address: OTHER, port: NGINX_SENDFILE_PORT },
        ]
      : []),
    { name: 'node http', address: OTHER, port: NODE_HTTP_PORT },
  ]
}

async function rounds(options: SingleOptions, tools: Tools, systems: readonly System[]): Promise<Row[]> {
  const rows: Row[] = []
  for (const workload of WORKLOADS) {
    const { name } = workload
    if (!name.includes(options.only)) continue
    const figures = new Map<string, Figures[]>(systems.map(system => [system.name, []]))
    const most = new Map<string, number>()
    for (let round = 0; round <= options.rounds; round++) {
      for (const system of systems) {
        process.stderr.write(`\r${name}: round ${round} of ${options.rounds}, ${system.name}        `)
        const seconds = round === 0 ? WARM_UP_SECONDS : options.seconds
        // The first round warms up, and finds what 70 % are of.
        if (round === 0) {
          const closed: Workload = workload.kind === 'paced' ? { ...workload, kind: 'rate' } : workload
          most.set(system.name, (await measure(closed, tools, system, seconds, 0)).requestsPerSecond)
        } else {
          const rate = PACED_SHARE * (most.get(system.name) ?? 0)
          figures.get(system.name)?.push(await measure(workload, tools, system, seconds, rate))
        }
      }
    }
    for (const system of systems) rows.push(rowOf(workload, system.name, figures.get(system.name) ?? []))
  }
  process.stderr.write('\r')
  return rows
}

function measure(
  workload: Workload,
  tools: Tools,
  system: System,
  seconds: number,
  rate: number,
): Promise<Figures> {
  const { path, connections, kind, closing } = workload
  const { address, port } = system
  const common = { namespace: tools.client, connections, seconds, core: LOAD_CORE }
  if (kind === 'paced') return paced(tools.paced, { ...common, address, port, path, rate })
  const url = `http://${address}:${port}${path}`
  if (kind === 'upload') return wrk({ ...common, url, script: tools.upload, refused: true })
  return wrk({ ...common, url, closing: closing === true })
}

/** The median round: by rate, or by latency where the rate was given. */
function rowOf({ name, kind }: Workload, system: string, figures: readonly Figures[]): Row {
  const value = (of: Figures) => (kind === 'paced' ? of.p99Ms : of.requestsPerSecond)
  const sorted = [...figures].sort((a, b) => value(a) - value(b))
  const [first, last, middle] = [sorted[0], sorted.at(-1), sorted[Math.floor(sorted.length / 2)]]
  const median = middle === undefined ? 0 : value(middle)
  return {
    workload: name,
    system,
    requestsPerSecond: Math.round(middle?.requestsPerSecond ?? 0),
    octetsPerSecond: Math.round(middle?.octetsPerSecond ?? 0),
    p99Ms: middle?.p99Ms ?? Number.NaN,
    spread:
      first === undefined || last === undefined || median === 0 ? 0 : (value(last) - value(first)) / median,
    errors: figures.reduce((sum, { errors }) => sum + errors, 0),
  }
}

interface Ratios {
  readonly workload: string
  /** How much better we are than the other at its best: by rate, or by p99 where the rate was given. */
  readonly againstNginx: number
  readonly againstNode: number
  readonly cluster: number
  readonly noisy: boolean
}

function ratiosOf({ name, kind }: Workload, rows: readonly Row[]): Ratios {
  const best = (prefix: string) => {
    const those = rows.filter(row => row.workload === name && row.system.startsWith(prefix))
    return kind === 'paced'
      ? 1 / Math.min(...those.map(row => row.p99Ms))
      : Math.max(0, ...those.map(row => row.requestsPerSecond))
  }
  const compared = rows.filter(
    row => row.workload === name && row.system !== 'node http' && row.system !== 'cluster',
  )
  return {
    workload: name,
    againstNginx: best('gyre') / best('nginx'),
    againstNode: best('gyre') / best('node http'),
    cluster: best('cluster') / best('nginx'),
    noisy: compared.some(row => row.spread > MAX_SPREAD),
  }
}

function report(rows: readonly Row[], options: SingleOptions): void {
  const machine = {
    cpu: cpus()[0]?.model ?? '',
    cores: cpus().length,
    kernel: release(),
    node: process.version,
  }
  const ratios = WORKLOADS.filter(({ name }) => rows.some(({ workload }) => workload === name)).map(
    workload => ratiosOf(workload, rows),
  )
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ machine, seconds: options.seconds, rows, ratios }, null, 2)}\n`)
    return
  }
  process.stdout.write(
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}\n\n`,
  )
  for (const row of rows) {
    const rate = `${row.requestsPerSecond}`.padStart(9)
    const octets = (row.octetsPerSecond / 1e6).toFixed(0).padStart(6)
    const spread = (100 * row.spread).toFixed(0).padStart(3)
    process.stdout.write(
      `${row.workload.padEnd(30)} ${row.system.padEnd(15)} ${rate} req/s ${octets} MB/s  p99 ${row.p99Ms.toFixed(2)} ms` +
        `  spread ${spread} %${row.errors > 0 ? `  ${row.errors} errors` : ''}\n`,
    )
  }
  process.stdout.write('\n')
  for (const { workload, againstNginx, againstNode, cluster, noisy } of ratios) {
    const nginx = Number.isFinite(againstNginx)
      ? `${againstNginx.toFixed(2)} × nginx at its best (a node of a cluster ${cluster.toFixed(2)} ×)`
      : 'no nginx'
    const node = Number.isFinite(againstNode) ? `${againstNode.toFixed(2)} × Node's http` : ''
    process.stdout.write(
      `${workload.padEnd(30)} ${nginx}, ${node}${noisy ? '  (noisy: do not compare)' : ''}\n`,
    )
  }
}
