/**
 * One process of ours (`gyre serve`) against nginx, and Node's own http server, over the same wires in the same run:
 * requests and octets a second by size of file. Server and load generator have a core each; the rounds of the systems
 * alternate, and the medians and the ratios of neighbours are what counts. A node behind its dispatcher is measured
 * beside them: what differs is the hand-over of each connection.
 */
import { randomFillSync } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memberOf, routeTo, serveAt } from './beside.ts'
import { GYRE, withCluster } from './local-cluster.ts'
import { withNginx } from './nginx.ts'
import { buildPaced, paced } from './paced.ts'
import { has, inNamespace, run, Server } from './process.ts'
import type { RoundNoise } from './report/noise.ts'
import { startProgress } from './report/progress.ts'
import { type Measured, type PublishOptions, publish } from './report/publish.ts'
import { type Goal, type Result, type Row, summary } from './report/result.ts'
import { interleave, type Rounds, type Sample } from './report/rounds.ts'
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
  /** By how much we are to be better than another. */
  readonly reach: Readonly<Partial<Record<'nginx' | 'node http', number>>>
}

const WORKLOADS: readonly Workload[] = [
  {
    name: '1 KiB, 64 connections',
    kind: 'rate',
    path: '/1k',
    connections: 64,
    reach: { nginx: 1.2, 'node http': 3 },
  },
  {
    name: '1 KiB, 256 connections',
    kind: 'rate',
    path: '/1k',
    connections: 256,
    reach: { nginx: 1.2, 'node http': 3 },
  },
  { name: '64 KiB', kind: 'rate', path: '/64k', connections: 64, reach: { nginx: 1.05, 'node http': 1.3 } },
  { name: '16 MiB', kind: 'rate', path: '/16m', connections: 16, reach: { nginx: 2.2, 'node http': 2.5 } },
  {
    name: 'connection per request, 1 KiB',
    kind: 'rate',
    path: '/1k',
    connections: 64,
    closing: true,
    reach: { nginx: 1, 'node http': 2 },
  },
  { name: 'latency at 70 %, 1 KiB', kind: 'paced', path: '/1k', connections: 64, reach: { nginx: 1 } },
  { name: 'upload of 64 KiB', kind: 'upload', path: '/1k', connections: 64, reach: { 'node http': 1 } },
]

const FILES: Readonly<Record<string, number>> = { '1k': 1024, '64k': 65_536, '16m': 16 * 1024 * 1024 }

export interface SingleOptions extends PublishOptions {
  readonly seconds: number
  readonly rounds: number
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

export async function single(options: SingleOptions): Promise<Result> {
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
    const measured = await withCluster(flags, async state => {
      const node = memberOf(state, 'node')
      await run('taskset', ['-acp', `${SERVER_CORE}`, `${node.pid}`])
      await serveAt(state, node, OTHER)
      await routeTo(state, node, ALONE)
      const tools = { client: state.clientNamespace, paced: await buildPaced(folder), upload }
      return await withOthers({ namespace: node.namespace, root }, withNginxToo, () =>
        rounds(options, tools, systemsOf(withNginxToo)),
      )
    })
    return await publishRows(measured, options)
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

async function rounds(options: SingleOptions, tools: Tools, systems: readonly System[]): Promise<Rounds> {
  const chosen = WORKLOADS.filter(({ name }) => name.includes(options.only))
  const progress = startProgress(chosen.length * systems.length * options.rounds)
  const rows: Row[] = []
  const noise: RoundNoise[] = []
  try {
    for (const workload of chosen) {
      // The warm-up finds what 70 % are of.
      const most = new Map<System, number>()
      const closed: Workload = workload.kind === 'paced' ? { ...workload, kind: 'rate' } : workload
      const done = await interleave({
        ...{ group: workload.name, systems, rounds: options.rounds, progress },
        nameOf: ({ name }) => name,
        warm: async system => {
          const warm = await measure(closed, tools, system, WARM_UP_SECONDS, 0)
          most.set(system, warm.requestsPerSecond)
        },
        measure: async system => {
          const rate = PACED_SHARE * (most.get(system) ?? 0)
          return sampleOf(await measure(workload, tools, system, options.seconds, rate))
        },
      })
      rows.push(...done.rows)
      noise.push(...done.noise)
    }
  } finally {
    progress.stop()
  }
  return { rows, noise }
}

function sampleOf({ requestsPerSecond, octetsPerSecond, p50Ms, p99Ms, errors }: Figures): Sample {
  return { requests: requestsPerSecond, octets: octetsPerSecond / 1e6, p50: p50Ms, p99: p99Ms, errors }
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

/** How much better we are than the others, each at its best: by rate, or by p99 where the rate was given. */
function goalsOf(rows: readonly Row[]): Goal[] {
  return WORKLOADS.flatMap(({ name, kind, reach }) => {
    const [column, sign] = kind === 'paced' ? ['p99', -1] : ['requests', 1]
    const best = (prefix: string) => {
      const those = rows.filter(row => row.group === name && row.system.startsWith(prefix))
      const values = those.map(row => sign * summary(row.figures[column]).median)
      return values.length === 0 ? Number.NaN : Math.abs(Math.max(...values))
    }
    return Object.entries(reach).map(([other, limit]): Goal => {
      const ratio = (best('gyre') / best(other)) ** sign
      const text = `${name}, ${kind === 'paced' ? 'p99 ' : ''}against ${other}`
      return { groups: [name], text, value: ratio, limit, unit: ' ×', bound: 'least' }
    })
  })
}

function publishRows({ rows, noise }: Rounds, options: SingleOptions): Promise<Result> {
  const { seconds, rounds: count, only } = options
  const measured: Measured = {
    bench: 'single',
    title: 'One process on one core',
    options: { seconds, rounds: count, only },
    columns: [
      { name: 'requests', unit: '1/s', digits: 0, better: 'more' },
      { name: 'octets', unit: 'MB/s', digits: 0 },
      { name: 'p50', unit: 'ms', digits: 2 },
      { name: 'p99', unit: 'ms', digits: 2 },
    ],
    rows,
    charts: [{ kind: 'bars', column: 'requests' }],
    goals: goalsOf,
    noise,
  }
  return publish(measured, options)
}
