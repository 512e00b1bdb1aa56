/**
 * A document root four times larger than the cache, asked for as the web does. First what policies make of such traces,
 * beside the optimum, in memory; then requests a second beside nginx, over the same wires and from the same disk.
 */
import { randomFillSync } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OBJECT_OVERHEAD_OCTETS } from '../cache/cached-object.ts'
import { WTinyLfuPolicy } from '../cache/w-tiny-lfu.ts'
import { memberOf, serveAt } from './beside.ts'
import { withCluster } from './local-cluster.ts'
import { withNginx } from './nginx.ts'
import { has, run } from './process.ts'
import { startProgress } from './report/progress.ts'
import { type Measured, type PublishOptions, publish } from './report/publish.ts'
import type { Result, Row } from './report/result.ts'
import { interleave, type Rounds, type Sample } from './report/rounds.ts'
import { LruPolicy, S3FifoPolicy } from './trace/policies.ts'
import {
  createTrace,
  type HitRatios,
  replay,
  replayOptimum,
  type Trace,
  type TraceOptions,
} from './trace/trace.ts'
import { wrk } from './wrk.ts'

const OBJECTS = 5_000
const REQUESTS = 60_000
/** Octets of the root, and of the cache. */
const ROOT_SHARE = 4
const NGINX = '10.77.202.2'
const NGINX_PORT = 81
const SERVER_CORE = 0
const LOAD_CORE = 1
const CONNECTIONS = 64

const BASE: TraceOptions = {
  seed: 20_261_124,
  objects: OBJECTS,
  requests: REQUESTS,
  alpha: 0.9,
  medianOctets: 8_192,
  sigma: 1.4,
  maxOctets: 4_194_304,
  scanEvery: 0,
  scanObjects: 0,
  shiftEvery: 0,
}
const RESTLESS = { scanEvery: 6_000, scanObjects: 1_200, shiftEvery: 10_000 }

const TRACES: readonly (readonly [string, Partial<TraceOptions>, number])[] = [
  ['Zipf 0.7', { alpha: 0.7 }, ROOT_SHARE],
  ['Zipf 0.9', {}, ROOT_SHARE],
  ['Zipf 1.1', { alpha: 1.1 }, ROOT_SHARE],
  ['Zipf 0.7, scans, moving', { alpha: 0.7, ...RESTLESS }, ROOT_SHARE],
  ['Zipf 0.9, scans, moving', RESTLESS, ROOT_SHARE],
  ['Zipf 1.1, scans, moving', { alpha: 1.1, ...RESTLESS }, ROOT_SHARE],
  ['Zipf 0.9, scans, moving', RESTLESS, 20],
]

export interface TraceBenchOptions extends PublishOptions {
  readonly seconds: number
  readonly rounds: number
  /** Hit ratios alone: needs neither root nor nginx. */
  readonly ratios: boolean
}

export async function trace(options: TraceBenchOptions): Promise<Result> {
  const { rows, noise } = options.ratios ? { rows: [], noise: [] } : await beside(options)
  const measured: Measured = {
    bench: 'trace',
    title: 'A document root larger than the cache',
    seeds: [BASE.seed],
    options: { seconds: options.seconds, rounds: options.rounds, ratios: options.ratios },
    columns: [
      { name: 'hits', unit: '%', digits: 1 },
      { name: 'octets hit', unit: '%', digits: 1 },
      { name: 'requests', unit: '1/s', digits: 0, better: 'more' },
      { name: 'octets', unit: 'MB/s', digits: 0 },
    ],
    rows: [...ratioRows(), ...rows],
    charts: [{ kind: 'bars', column: 'hits' }],
    noise,
  }
  return await publish(measured, options)
}

async function beside(options: TraceBenchOptions): Promise<Rounds> {
  if (!(await has('wrk')) || !(await has('nginx')))
    throw new Error('wrk or nginx is missing: apt-get install wrk nginx-light')
  const folder = await mkdtemp(join(tmpdir(), 'gyre-trace-'))
  try {
    return await throughput(options, folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function capacityOf(made: Trace, share: number): number {
  return Math.floor(made.sizes.reduce((sum, size) => sum + size + OBJECT_OVERHEAD_OCTETS, 0) / share)
}

function ratioRows(): Row[] {
  return TRACES.flatMap(([name, changes, share]) => {
    const made = createTrace({ ...BASE, ...changes })
    const capacity = capacityOf(made, share)
    const policies: readonly (readonly [string, HitRatios])[] = [
      ['LRU', replay(made, capacity, new LruPolicy())],
      ['S3-FIFO', replay(made, capacity, new S3FifoPolicy(capacity))],
      ['W-TinyLFU', replay(made, capacity, new WTinyLfuPolicy(capacity))],
      ['optimum', replayOptimum(made, capacity)],
    ]
    return policies.map(([system, { requests, octets }]) => {
      const figures = { hits: [100 * requests], 'octets hit': [100 * octets] }
      return { group: `${name}, cache 1/${share}`, system, figures, errors: 0 }
    })
  })
}

async function throughput(options: TraceBenchOptions, folder: string): Promise<Rounds> {
  const made = createTrace({ ...BASE, ...RESTLESS })
  const capacity = capacityOf(made, ROOT_SHARE)
  const root = join(folder, 'root')
  await mkdir(root)
  for (const [object, size] of made.sizes.entries()) {
    await writeFile(join(root, `${object}`), randomFillSync(Buffer.alloc(size)))
  }
  const script = await writeScript(folder, made)
  const flags = {
    name: 'gyre-trace',
    vip: '10.77.202.1',
    vip6: 'fd77:202::1',
    admin: '127.0.0.1:8872',
    nodes: 1,
    root,
  }
  return await withCluster({ ...flags, more: ['--cache-octets', `${capacity}`] }, async state => {
    const node = memberOf(state, 'node')
    await run('taskset', ['-acp', `${SERVER_CORE}`, `${node.pid}`])
    const { clientNamespace: client, vip } = state
    await serveAt(state, node, NGINX)
    const server = {
      namespace: node.namespace,
      address: NGINX,
      port: NGINX_PORT,
      root,
      core: SERVER_CORE,
      sendfile: true,
    }
    return await withNginx(server, () => rounds(options, client, script, vip))
  })
}

/** wrk asks for the objects in the order of the trace, over and over. */
async function writeScript(folder: string, made: Trace): Promise<string> {
  const list = join(folder, 'paths')
  await writeFile(list, Array.from(made.requests, object => `/${object}`).join('\n'))
  const script = join(folder, 'trace.lua')
  await writeFile(
    script,
    `local paths = {}
for line in io.lines('${list}') do paths[#paths + 1] = line end
local at = 0
request = function()
  at = at % #paths + 1
  return wrk.format('GET', paths[at])
end
`,
  )
  return script
}

async function rounds(
  options: TraceBenchOptions,
  client: string,
  script: string,
  vip: string,
): Promise<Rounds> {
  const systems = [
    { name: 'gyre', url: `http://${vip}` },
    { name: 'nginx sendfile', url: `http://${NGINX}:${NGINX_PORT}` },
  ]
  const progress = startProgress(systems.length * options.rounds)
  const measure = async ({ url }: (typeof systems)[number]): Promise<Sample> => {
    const load = { namespace: client, url, connections: CONNECTIONS, core: LOAD_CORE, script }
    const { requestsPerSecond, octetsPerSecond, errors } = await wrk({ ...load, seconds: options.seconds })
    return { requests: requestsPerSecond, octets: octetsPerSecond / 1e6, errors }
  }
  try {
    return await interleave({
      ...{ group: 'beside nginx', systems, rounds: options.rounds, progress, measure },
      nameOf: ({ name }) => name,
      // Fills the cache.
      warm: async system => void (await measure(system)),
    })
  } finally {
    progress.stop()
  }
}
