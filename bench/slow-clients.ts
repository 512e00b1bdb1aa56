/**
 * Whether thousands of slow clients slow the others: requests a second and latency of wrk without and with a crowd
 * beside it, at one process of ours and at nginx, over the same wires in the same run. Rounds alternate; medians count.
 */
import { randomFillSync } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memberOf, serveAt } from './beside.ts'
import { withCluster } from './local-cluster.ts'
import { withNginx } from './nginx.ts'
import { has, inNamespace, run, Server } from './process.ts'
import { type Figures, wrk } from './wrk.ts'

const VIP = '10.77.206.1'
const NGINX = '10.77.206.2'
const NGINX_PORT = 81
const SERVER_CORE = 0
const LOAD_CORE = 1
const CONNECTIONS = 64
const SMALL = 'small.bin'
const LARGE = 'large.bin'
const SMALL_OCTETS = 1_024
/** More than any window takes while the bench runs. */
const LARGE_OCTETS = 16 * 1_048_576
const READY_MS = 30_000

export interface SlowClientsOptions {
  readonly clients: number
  readonly seconds: number
  readonly rounds: number
  readonly json: boolean
}

interface Row {
  readonly system: string
  readonly crowd: boolean
  readonly requestsPerSecond: number
  readonly p99Ms: number
  readonly errors: number
  /** Slow clients that were still there at the end of the last round, of those that came. */
  readonly stayed: number
}

interface System {
  readonly name: string
  readonly host: string
  readonly port: number
}

export async function slowClients(options: SlowClientsOptions): Promise<void> {
  if (!(await has('wrk'))) throw new Error('wrk is missing: apt-get install wrk')
  const withNginxToo = await has('nginx')
  if (!withNginxToo) process.stderr.write('nginx is missing (apt-get install nginx): measured without it\n')
  const folder = await mkdtemp(join(tmpdir(), 'gyre-slow-'))
  try {
    const root = join(folder, 'www')
    await mkdir(root)
    await writeFile(join(root, SMALL), randomFillSync(Buffer.alloc(SMALL_OCTETS)))
    await writeFile(join(root, LARGE), randomFillSync(Buffer.alloc(LARGE_OCTETS)))
    const flags = { name: 'gyre-slow', vip: VIP, vip6: 'none', admin: '127.0.0.1:8874', nodes: 1, root }
    const rows = await withCluster(flags, async state => {
      const node = memberOf(state, 'node')
      await run('taskset', ['-acp', `${SERVER_CORE}`, `${node.pid}`])
      const { clientNamespace: client } = state
      await serveAt(state, node, NGINX)
      const own = { name: 'gyre', host: VIP, port: 80 }
      if (!withNginxToo) return await rounds(options, client, [own])
      const nginx = { namespace: node.namespace, address: NGINX, port: NGINX_PORT, root }
      return await withNginx({ ...nginx, sendfile: true, core: SERVER_CORE }, () =>
        rounds(options, client, [own, { name: 'nginx', host: NGINX, port: NGINX_PORT }]),
      )
    })
    report(rows, options)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function rounds(
  { rounds: count, seconds, clients }: SlowClientsOptions,
  namespace: string,
  systems: readonly System[],
): Promise<Row[]> {
  const figures = new Map<string, Figures[]>()
  const stayed = new Map<string, number>()
  for (let round = 0; round < count; round++) {
    for (const system of systems) {
      const url = `http://${system.host}:${system.port}/${SMALL}`
      const load = { namespace, url, connections: CONNECTIONS, seconds, core: LOAD_CORE }
      const note = (crowd: boolean, measured: Figures) => {
        const key = `${system.name} ${crowd}`
        figures.set(key, [...(figures.get(key) ?? []), measured])
      }
      note(false, await wrk(load))
      stayed.set(
        system.name,
        await withCrowd(namespace, system, clients, async () => note(true, await wrk(load))),
      )
    }
  }
  return systems.flatMap(({ name }) =>
    [false, true].map(crowd =>
      rowOf(name, crowd, figures.get(`${name} ${crowd}`) ?? [], crowd ? (stayed.get(name) ?? 0) : 0),
    ),
  )
}

/** Returns how many of the crowd were still connected after `work`. */
async function withCrowd(
  namespace: string,
  { host, port }: System,
  clients: number,
  work: () => Promise<void>,
): Promise<number> {
  const script = join(process.cwd(), 'dist', 'bench', 'slow', 'crowd.js')
  const args = ['-c', `${LOAD_CORE}`, process.execPath, script, host, `${port}`, `/${LARGE}`, `${clients}`]
  const crowd = new Server(...inNamespace(namespace, 'taskset', args))
  try {
    for (const until = performance.now() + READY_MS; !crowd.output.includes('ready'); ) {
      if (!crowd.running || performance.now() > until) throw new Error(`no crowd: ${crowd.output}`)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    await work()
  } finally {
    await crowd.stop()
  }
  const { connected, ended } = JSON.parse(crowd.output.split('\n')[1] ?? '{}')
  return connected - ended
}

function rowOf(system: string, crowd: boolean, all: readonly Figures[], stayed: number): Row {
  const sorted = [...all].sort((a, b) => a.requestsPerSecond - b.requestsPerSecond)
  const median = sorted[Math.floor(sorted.length / 2)] as Figures
  const errors = all.reduce((sum, one) => sum + one.errors, 0)
  return {
    system,
    crowd,
    requestsPerSecond: median.requestsPerSecond,
    p99Ms: median.p99Ms,
    errors,
    stayed,
  }
}

function report(rows: readonly Row[], { json, clients }: SlowClientsOptions): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
    return
  }
  for (const { system, crowd, requestsPerSecond, p99Ms, errors, stayed } of rows) {
    const without = rows.find(row => row.system === system && !row.crowd)
    const ratio = without === undefined ? Number.NaN : requestsPerSecond / without.requestsPerSecond
    const beside = crowd
      ? `${clients} slow clients (${stayed} to the end): ${ratio.toFixed(2)} of it`
      : 'alone'
    process.stdout.write(
      `${system.padEnd(6)} ${requestsPerSecond.toFixed(0).padStart(8)} req/s  p99 ${p99Ms.toFixed(2)} ms  ` +
        `${errors} errors  ${beside}\n`,
    )
  }
}
