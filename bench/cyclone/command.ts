/**
 * `npm run bench -- cyclone`: Cyclone's experiment again. Nodes with limited links and too little memory for all files, disks that
 * are slow, clients that ask as a trace says; ours, and what else one would put there, on the same machines in the same run.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { REPOSITORY } from '../local-cluster.ts'
import { has, inNamespace, run, Server } from '../process.ts'
import type { RoundNoise } from '../report/noise.ts'
import { type Progress, SILENT, startProgress } from '../report/progress.ts'
import { type Measured, type PublishOptions, publish, toldOf } from '../report/publish.ts'
import { type Goal, medianOf, type Result, type Row } from '../report/result.ts'
import { interleave, type Rounds, type Sample } from '../report/rounds.ts'
import type { Trace } from '../trace/trace.ts'
import { parseFigures } from '../wrk.ts'
import { figuresOf, readCounters } from './counters.ts'
import { askStorage } from './servers.ts'
import { type Machines, type Place, SYSTEMS, type System, withSystem } from './systems.ts'
import { createWorkload, memoryOf, NODES_OF_THE_WORKING_SET, SEED, writeScript } from './workload.ts'

export interface CycloneRun {
  /** Numbers of nodes, by turns. */
  readonly nodes: readonly number[]
  /** Mbit/s of each node's link. */
  readonly rate: number
  readonly diskMs: number
  readonly objects: number
  /** Connections at a time, for each node. */
  readonly connections: number
  readonly seconds: number
  readonly warm: number
  readonly rounds: number
  readonly only: string
}

export type CycloneOptions = CycloneRun & PublishOptions

/** Before and behind the window, so that it begins and ends under full load. */
const MARGIN_SECONDS = 1
/** Of the warm-up, with links without a limit and disks that take no time, so that the caches fill. */
const QUICK_SHARE = 0.7
/** Requests between the beginnings of two rounds in the trace. */
const ROUND_STRIDE = 7_919
const STORAGE_START_MS = 20_000
/** Cyclone's paper: 8 nodes used 98 % of their links; Socket Cloning's: with 12 nodes 30 % above the others. */
const PAPER_NODES = 8
const LINKS_GOAL = 98.5
const AHEAD_GOAL = 1.3
/** A SYN's answer, the hand-over and what belongs to it, a request; a response is 6.2 kB in the mean. */
const DISPATCHER_OCTETS_GOAL = 1_000
const OURS = 'gyre shift'

export async function cyclone(options: CycloneOptions): Promise<Result> {
  const { nodes, rounds, rate, diskMs, only } = options
  const chosen = SYSTEMS.filter(({ name }) => name.includes(only))
  const progress = startProgress(nodes.length * rounds * chosen.length)
  try {
    const { rows, noise } = await measure(options, chosen, progress)
    const measured: Measured = {
      bench: 'cyclone',
      title: 'Cyclone’s experiment',
      seeds: [SEED],
      options: toldOf(options),
      notes: [
        `Each node: a link of ${rate} Mbit/s (the paper’s divided by ${100 / rate}), memory for 1/${NODES_OF_THE_WORKING_SET} of the files, a disk that reads one file in ${diskMs} ms.`,
        ...SYSTEMS.map(({ name, about }) => `${name}: ${about}.`),
      ],
      columns: [
        { name: 'requests', unit: '1/s', digits: 0, better: 'more' },
        { name: 'goodput', unit: 'MB/s', digits: 2 },
        { name: 'links used', unit: '%', digits: 1 },
        { name: 'links useful', unit: '%', digits: 1 },
        { name: 'without a disk', unit: '%', digits: 1 },
        { name: 'p50', unit: 'ms', digits: 0 },
        { name: 'p99', unit: 'ms', digits: 0 },
        { name: 'dispatcher CPU', unit: '%', digits: 1 },
        { name: 'dispatcher sends', unit: 'octets a response', digits: 0 },
        { name: 'CPU idle', unit: '%', digits: 0 },
      ],
      rows,
      charts: [
        { kind: 'lines', column: 'requests' },
        { kind: 'bars', column: 'links useful' },
        { kind: 'bars', column: 'without a disk' },
      ],
      goals: goalsOf,
      noise,
    }
    return await publish(measured, options)
  } finally {
    progress.stop()
  }
}

export async function measure(
  options: CycloneRun,
  systems: readonly System[],
  progress: Progress = SILENT,
): Promise<Rounds> {
  for (const tool of ['wrk', 'nginx', 'haproxy']) {
    if (!(await has(tool))) throw new Error(`${tool} is missing: node dispatcher/setup.mjs bench`)
  }
  const folder = await mkdtemp(join(tmpdir(), 'gyre-cyclone-'))
  const rows: Row[] = []
  const noise: RoundNoise[] = []
  try {
    const trace = createWorkload(options.objects)
    const script = join(folder, 'trace.lua')
    await writeScript(script, join(folder, 'paths'), trace)
    for (const nodes of options.nodes) {
      const done = await interleave({
        ...{ group: groupOf(nodes), systems, rounds: options.rounds, progress },
        nameOf: ({ name }) => name,
        measure: (system, round) =>
          oneRound(options, { nodes, system, trace, script, folder, at: round * ROUND_STRIDE }),
      })
      rows.push(...done.rows)
      noise.push(...done.noise)
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return { rows, noise }
}

function groupOf(nodes: number): string {
  return nodes === 1 ? '1 node' : `${nodes} nodes`
}

interface Round {
  readonly nodes: number
  readonly system: System
  readonly trace: Trace
  readonly script: string
  readonly folder: string
  /** Where in the trace it begins. */
  readonly at: number
}

async function oneRound(options: CycloneRun, round: Round): Promise<Sample> {
  const { nodes, system, trace, folder } = round
  const storageSocket = join(folder, 'storage.sock')
  const program = join(REPOSITORY, 'dist', 'bench', 'cyclone', 'storage-process.js')
  const storage = new Server(process.execPath, [program, storageSocket, `${options.objects}`, `${nodes}`])
  try {
    const storagePort = await portOf(storage)
    const memory = memoryOf(trace)
    const machines: Machines = {
      ...{ nodes, linkBits: options.rate * 1e6, memory, storageSocket, storagePort, folder },
    }
    return await withSystem(system, machines, place => load(options, round, place, machines))
  } finally {
    await storage.stop()
    await rm(storageSocket, { force: true })
  }
}

/** The storage prints its port when it listens. */
async function portOf(storage: Server): Promise<number> {
  const until = performance.now() + STORAGE_START_MS
  for (;;) {
    const port = Number(/^(\d+)\n/.exec(storage.output)?.[1])
    if (port > 0) return port
    if (!storage.running || performance.now() > until)
      throw new Error(`the storage does not start: ${storage.output}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

async function load(
  options: CycloneRun,
  round: Round,
  { client, url, watched, limit }: Place,
  { linkBits, storageSocket, nodes }: Machines,
): Promise<Sample> {
  const { seconds, warm, diskMs } = options
  const wrk = (length: number, at: number) => {
    const args = ['-t1', `-c${options.connections * nodes}`, `-d${length}s`, '--timeout', '30s', '--latency']
    const command = inNamespace(client, 'wrk', [...args, '-s', round.script, url])
    return run(...command, (length + 60) * 1_000, { GYRE_CYCLONE_AT: `${at}` })
  }
  const quick = Math.max(1, Math.round(QUICK_SHARE * warm))
  await wrk(quick, round.at)
  await limit()
  await askStorage(storageSocket, `/read-ms?${diskMs}`)
  if (warm > quick) await wrk(warm - quick, round.at + ROUND_STRIDE / 2)
  const running = wrk(seconds + 2 * MARGIN_SECONDS, round.at + ROUND_STRIDE)
  // Its failure is told by the await below, if nothing else fails before.
  running.catch(() => {})
  await new Promise(resolve => setTimeout(resolve, 1_000 * MARGIN_SECONDS))
  const before = await readCounters(watched)
  await new Promise(resolve => setTimeout(resolve, 1_000 * seconds))
  const after = await readCounters(watched)
  const figures = parseFigures(await running)
  const { p50Ms: p50, p99Ms: p99, errors } = figures
  return { ...figuresOf(figures, before, after, linkBits, nodes), p50, p99, errors }
}

/** The numbers that were set for this experiment; NaN where its rows were not run. */
export function goalsOf(rows: readonly Row[]): Goal[] {
  const [eight, twelve] = [groupOf(PAPER_NODES), groupOf(NODES_OF_THE_WORKING_SET)]
  const rate = (system: string) => medianOf(rows, twelve, system, 'requests')
  const others = SYSTEMS.filter(({ gyre }) => gyre === undefined || gyre.includes('round-robin'))
  return [
    {
      ...{ groups: [eight], text: `links used with ${eight}`, unit: ' %', bound: 'least' as const },
      ...{ value: medianOf(rows, eight, OURS, 'links used'), limit: LINKS_GOAL },
    },
    ...others.map(({ name }): Goal => {
      const text = `requests/s with ${twelve}, against ${name}`
      return {
        groups: [twelve],
        text,
        value: rate(OURS) / rate(name),
        limit: AHEAD_GOAL,
        unit: ' ×',
        bound: 'least',
      }
    }),
    {
      ...{ groups: [], text: `octets that the dispatcher’s machine sends a response, ${eight}`, unit: '' },
      ...{ value: medianOf(rows, eight, OURS, 'dispatcher sends'), limit: DISPATCHER_OCTETS_GOAL },
      bound: 'most',
    },
  ]
}
