/**
 * `npm run bench -- drain --rolling`: every node is started anew under load, one after the other; ours beside nginx behind HAProxy.
 * Counted is what clients see of it: downloads that break, requests that fail, how long answers take.
 */
import { randomFillSync } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { limitBuffers } from '../acceptance/drained-downloads.ts'
import { REPOSITORY } from '../local-cluster.ts'
import { has, inNamespace, Server } from '../process.ts'
import { type Progress, SILENT, startProgress } from '../report/progress.ts'
import { type PublishOptions, publish } from '../report/publish.ts'
import type { Column, Goal, Result, Row } from '../report/result.ts'
import { interleave, type Rounds, type Sample } from '../report/rounds.ts'
import type { ClientCounts, ClientOptions } from './counts.ts'
import { type Place, SYSTEMS, type System, withSystem } from './systems.ts'

export interface RollingRun {
  readonly nodes: number
  readonly downloads: number
  readonly users: number
  /** Longest that a node is waited for to be done with what it has begun, s. */
  readonly wait: number
  readonly rounds: number
  readonly only: string
}

export type RollingOptions = RollingRun & PublishOptions

/** 50 s of each download: longer than what a node is waited for. */
const LONG_OCTETS = 16_000_000
const OCTETS_PER_SECOND = 320_000
const SHORT_OCTETS = 1_024
/** Between two requests of a user. */
const EVERY_MS = 50
const [LONG, SHORT] = ['long.bin', 'short.bin']
const READY_MS = 30_000
/** Before it is counted, so that what has just begun to run is warm. */
const WARM_MS = 4_000
/** Behind the roll, so that what it broke is noticed. */
const AFTER_MS = 2_000
/** For what is left of the downloads, as fast as it comes. */
const REST_MS = 60_000
const OURS = 'gyre upgrade'

const COLUMNS: readonly Column[] = [
  { name: 'roll', unit: 's', digits: 1, better: 'less' },
  { name: 'downloads', unit: '', digits: 0 },
  { name: 'broken', unit: '', digits: 0 },
  { name: 'requests', unit: '', digits: 0 },
  { name: 'failed', unit: '', digits: 0 },
  { name: 'asked again', unit: '', digits: 0 },
  { name: 'resets', unit: '', digits: 0 },
  { name: 'p50', unit: 'ms', digits: 1 },
  { name: 'p99', unit: 'ms', digits: 1 },
  { name: 'longest', unit: 'ms', digits: 0 },
]

export async function rolling(options: RollingOptions): Promise<Result> {
  const { nodes, downloads, users, wait, rounds, only } = options
  const chosen = SYSTEMS.filter(({ name }) => name.includes(only))
  const progress = startProgress(rounds * chosen.length)
  try {
    const measured = await measure(options, chosen, progress)
    return await publish(
      {
        bench: 'rolling',
        title: `${nodes} nodes started anew under load, one after the other`,
        options: { nodes, downloads, users, wait, rounds, only },
        notes: [
          `${downloads} downloads at a time of ${LONG_OCTETS / 1e6} MB, each read at ${OCTETS_PER_SECOND / 1e3} kB/s; ${users} users, each with a request of 1 KiB every ${EVERY_MS} ms, half of them over kept connections.`,
          `A node is waited for ${wait} s at most to be done with what it has begun; what is left is cut.`,
          ...chosen.map(({ name, about }) => `${name}: ${about}.`),
        ],
        columns: COLUMNS,
        ...measured,
        charts: [{ kind: 'bars', column: 'broken' }],
        goals: goalsOf,
      },
      options,
    )
  } finally {
    progress.stop()
  }
}

export async function measure(
  options: RollingRun,
  systems: readonly System[],
  progress: Progress = SILENT,
): Promise<Rounds> {
  for (const tool of ['nginx', 'haproxy']) {
    if (!(await has(tool))) throw new Error(`${tool} is missing: node dispatcher/setup.mjs bench`)
  }
  const folder = await mkdtemp(join(tmpdir(), 'gyre-rolling-'))
  try {
    const root = join(folder, 'root')
    await mkdir(root)
    await writeFile(join(root, LONG), randomFillSync(Buffer.alloc(LONG_OCTETS)))
    await writeFile(join(root, SHORT), randomFillSync(Buffer.alloc(SHORT_OCTETS)))
    const { nodes, rounds, wait } = options
    const machines = { nodes, root, folder, checked: `/${SHORT}`, waitMs: 1_000 * wait }
    return await interleave({
      ...{ group: `${nodes} nodes`, systems, rounds, progress },
      nameOf: ({ name }) => name,
      measure: system => withSystem(system, machines, place => oneRound(options, root, place)),
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function oneRound({ downloads, users }: RollingRun, root: string, place: Place): Promise<Sample> {
  const { client, host, port, roll } = place
  await limitBuffers({ clientNamespace: client })
  const file = (name: string) => ({ path: `/${name}`, file: join(root, name) })
  const asked: ClientOptions = {
    ...{ host, port, downloads, users, everyMs: EVERY_MS, octetsPerSecond: OCTETS_PER_SECOND },
    ...{ long: file(LONG), short: file(SHORT) },
  }
  const program = join(REPOSITORY, 'dist', 'bench', 'rolling', 'clients.js')
  const clients = new Server(...inNamespace(client, process.execPath, [program, JSON.stringify(asked)]))
  try {
    await told(clients, 'ready\n', READY_MS)
    await new Promise(resolve => setTimeout(resolve, WARM_MS))
    process.kill(clients.pid, 'SIGUSR1')
    const beganAt = performance.now()
    await roll()
    const seconds = (performance.now() - beganAt) / 1_000
    await new Promise(resolve => setTimeout(resolve, AFTER_MS))
    process.kill(clients.pid, 'SIGUSR2')
    await told(clients, '}\n', REST_MS)
    return sampleOf(seconds, JSON.parse(clients.output.trim().split('\n').at(-1) ?? '') as ClientCounts)
  } finally {
    await clients.stop()
  }
}

/** Returns when the clients have said something: of the end of all that they said. */
async function told(clients: Server, end: string, ms: number): Promise<void> {
  const until = performance.now() + ms
  while (!clients.output.endsWith(end)) {
    if (performance.now() > until || (!clients.running && clients.output === ''))
      throw new Error(`the clients do not go on: ${clients.output}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

export function sampleOf(seconds: number, counts: ClientCounts): Sample {
  const resets = Object.entries(counts.faults).filter(([fault]) => fault.endsWith('ECONNRESET'))
  return {
    roll: seconds,
    downloads: counts.begun,
    broken: counts.broken,
    requests: counts.requests,
    failed: counts.failed,
    'asked again': counts.repeated,
    resets: resets.reduce((sum, [, count]) => sum + count, 0),
    p50: counts.p50Ms,
    p99: counts.p99Ms,
    longest: counts.maxMs,
  }
}

/** Of all rounds, not of the middle one. */
export function goalsOf(rows: readonly Row[]): Goal[] {
  return rows
    .filter(({ system }) => system === OURS)
    .flatMap(({ group, figures }) =>
      ['broken', 'failed', 'resets'].map((name): Goal => {
        const value = (figures[name] ?? []).reduce<number>((sum, one) => sum + (one ?? Number.NaN), 0)
        const text = `${name}, ${OURS}, all rounds`
        return { groups: [group], text, value, limit: 0, unit: '', bound: 'most' }
      }),
    )
}
