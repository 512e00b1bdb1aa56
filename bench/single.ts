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

interface Workload {
  readonly name: string
  readonly path: string
  readonly connections: number
  readonly closing?: boolean
}

const WORKLOADS: readonly Workload[] = [
  { name: '1 KiB, 64 connections', path: '/1k', connections: 64 },
  { name: '1 KiB, 256 connections', path: '/1k', connections: 256 },
  { name: '64 KiB', path: '/64k', connections: 64 },
  { name: '16 MiB', path: '/16m', connections: 16 },
  { name: 'connection per request, 1 KiB', path: '/1k', connections: 64, closing: true },
]

const FILES: Readonly<Record<string, number>> = { '1k': 1024, '64k': 65_536, '16m': 16 * 1024 * 1024 }

export interface SingleOptions {
  readonly seconds: number
  readonly rounds: number
  readonly json: boolean
  readonly only: string
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
  const root = await mkdtemp(join(tmpdir(), 'gyre-single-'))
  try {
    await makeFiles(root)
    const flags = { name: NAME, vip: VIP, vip6: 'fd77:201::1', admin: '127.0.0.1:8871', nodes: 1, root }
    const rows = await withCluster(flags, async state => {
      const node = state.roles.find(({ role }) => role === 'node')
      if (node === undefined) throw new Error('the cluster has no node')
      await run('taskset', ['-acp', `${SERVER_CORE}`, `${node.pid}`])
      await routeOther(state.gatewayNamespace, state.clientNamespace, node.namespace, node.address)
      const measured = { client: state.clientNamespace, namespace: node.namespace, root }
      return await withOthers(measured, withNginxToo, () => rounds(options, measured.client, withNginxToo))
    })
    report(rows, options)
  } finally {
    await rm(root, { recursive: true, force: true })
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

async function rounds(options: SingleOptions, client: string, withNginxToo: boolean): Promise<Row[]> {
  const systems = [
    { system: 'gyre', url: `http://${ALONE}` },
    { system: 'cluster', url: `http://${VIP}` },
    ...(withNginxToo
      ? [
          { system: 'nginx', url: `http://${OTHER}:${NGINX_PORT}` },
          { system: 'nginx sendfile', url: `http://${OTHER}:${NGINX_SENDFILE_PORT}` },
        ]
      : []),
    { system: 'node http', url: `http://${OTHER}:${NODE_HTTP_PORT}` },
  ]
  const rows: Row[] = []
  for (const { name, path, connections, closing } of WORKLOADS) {
    if (!name.includes(options.only)) continue
    const figures = new Map<string, Figures[]>(systems.map(({ system }) => [system, []]))
    for (let round = 0; round <= options.rounds; round++) {
      for (const { system, url } of systems) {
        process.stderr.write(`\r${name}: round ${round} of ${options.rounds}, ${system}        `)
        const load = {
          namespace: client,
          url: `${url}${path}`,
          connections,
          seconds: round === 0 ? 1 : options.seconds,
          core: LOAD_CORE,
          closing: closing === true,
        }
        const measured = await wrk(load)
        // The first round only warms up.
        if (round > 0) figures.get(system)?.push(measured)
      }
    }
    for (const { system } of systems) rows.push(rowOf(name, system, figures.get(system) ?? []))
  }
  process.stderr.write('\r')
  return rows
}

function rowOf(workload: string, system: string, figures: readonly Figures[]): Row {
  const rates = figures.map(({ requestsPerSecond }) => requestsPerSecond).sort((a, b) => a - b)
  const median = rates[Math.floor(rates.length / 2)] ?? 0
  const byRate = figures.find(({ requestsPerSecond }) => requestsPerSecond === median)
  return {
    workload,
    system,
    requestsPerSecond: Math.round(median),
    octetsPerSecond: Math.round(byRate?.octetsPerSecond ?? 0),
    p99Ms: byRate?.p99Ms ?? Number.NaN,
    spread: median === 0 ? 0 : ((rates[rates.length - 1] ?? 0) - (rates[0] ?? 0)) / median,
    errors: figures.reduce((sum, { errors }) => sum + errors, 0),
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
    ({ name }) => {
      const of = (prefix: string) =>
        Math.max(
          0,
          ...rows
            .filter(row => row.workload === name && row.system.startsWith(prefix))
            .map(row => row.requestsPerSecond),
        )
      const noisy = rows.some(
        row =>
          row.workload === name &&
          row.system !== 'node http' &&
          row.system !== 'cluster' &&
          row.spread > MAX_SPREAD,
      )
      return {
        workload: name,
        againstNginx: of('gyre') / of('nginx'),
        againstNode: of('gyre') / of('node http'),
        noisy,
      }
    },
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
  for (const { workload, againstNginx, againstNode, noisy } of ratios) {
    const nginx = Number.isFinite(againstNginx)
      ? `${againstNginx.toFixed(2)} × nginx at its best`
      : 'no nginx'
    const node = Number.isFinite(againstNode) ? `${againstNode.toFixed(2)} × Node's http` : ''
    process.stdout.write(
      `${workload.padEnd(30)} ${nginx}, ${node}${noisy ? '  (noisy: do not compare)' : ''}\n`,
    )
  }
}
