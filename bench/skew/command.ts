/**
 * `npm run bench -- skew`: a few connections, or a few files, that are far more popular than the others, over nodes whose links
 * are their limit: latency by load, and the share of the ideal throughput, where connections move by load and where not.
 */
import { randomFillSync } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { AdminClient } from '../../dispatcher/admin/client.ts'
import type { PolicyName } from '../../dispatcher/placement/policy.ts'
import { membersOf } from '../beside.ts'
import { machineSeconds } from '../cpu-time.ts'
import { shapedOctets } from '../cyclone/counters.ts'
import { Load, type LoadFigures } from '../kernel/load.ts'
import { Programs } from '../kernel/program.ts'
import { type ClusterState, withCluster } from '../local-cluster.ts'
import { NoiseMeter, type RoundNoise } from '../report/noise.ts'
import { type Progress, SILENT, startProgress } from '../report/progress.ts'
import { type Measured, type PublishOptions, publish, toldOf } from '../report/publish.ts'
import { type Goal, medianOf, type Result, type Row } from '../report/result.ts'
import { type Rounds, rowOf, type Sample } from '../report/rounds.ts'
import { ALPHA, EXPERIMENTS, type Experiment, hottestShare, type Ladder, SIZES } from './experiments.ts'

export interface SkewRun {
  readonly nodes: number
  /** Mbit/s of each node's link. */
  readonly rate: number
  readonly connections: number
  /** Files, where they are what is hot; HELD_OBJECTS otherwise. */
  readonly objects: number
  readonly seconds: number
  /** Seconds for which connections may find their nodes, at the first load of a size. */
  readonly warm: number
  readonly rounds: number
  readonly only: string
}

export type SkewOptions = SkewRun & PublishOptions

interface System {
  readonly name: string
  readonly policy: PolicyName
  readonly about: string
}

export const SYSTEMS: readonly System[] = [
  {
    name: 'by load',
    policy: 'locality',
    about: 'connections move to where what they ask for is, and by load',
  },
  { name: 'by content', policy: 'hash', about: 'each file has one node, whatever it is loaded with' },
  { name: 'unmoved', policy: 'round-robin', about: 'connections are placed in turn, and stay' },
]

const CLUSTER = { name: 'gyre-skew', vip: '10.77.138.2', vip6: 'none', admin: '127.0.0.1:0' }
const LOAD_CORE = 1
/** So few files that every node soon has them all: then nothing moves for what it asks for. */
const HELD_OBJECTS = 16
const DEVICE = 'eth0'
const KIB = 1_024
/** At most, where nothing has to find its place: before each of the later loads, and for the ideal. */
const STEP_WARM_SECONDS = 2
const OURS = 'by load'
/** Goals are set at the ends only: there all of the links is wanted. */
const SHARE_GOAL = 90

export async function skew(options: SkewOptions): Promise<Result> {
  const chosen = EXPERIMENTS.filter(({ name }) => name.includes(options.only))
  const runs = chosen.reduce((sum, { hot }) => sum + systemsFor(SYSTEMS, hot).length, 0)
  const progress = startProgress(1 + runs * options.rounds)
  try {
    const { rows, noise } = await measure(options, chosen, progress)
    const percent = (share: number) => (100 * share).toFixed(0)
    const { nodes, rate, connections, objects } = options
    const measured: Measured = {
      bench: 'skew',
      title: 'Few that want most',
      options: toldOf(options),
      notes: [
        `${nodes} nodes, each behind a link of ${rate} Mbit/s; popularity by Zipf’s law, exponent ${ALPHA}: the hottest of ${connections} connections asks for ${percent(hottestShare(connections))} % of all, the hottest of ${objects} files is ${percent(hottestShare(objects))} %, a node’s mean ${percent(1 / nodes)} %.`,
        'Ideal: what the same nodes serve where all connections and files are alike, unmoved, as many requests as they answer.',
        'Requests leave open-loop; latency counts from when each was due, and what waits at the end counts with its wait so far.',
        ...SYSTEMS.map(({ name, about }) => `${name}: ${about}.`),
      ],
      columns: [
        { name: 'asked', unit: '1/s', digits: 0 },
        { name: 'answered', unit: '1/s', digits: 0, better: 'more' },
        { name: 'of the ideal', unit: '%', digits: 1 },
        { name: 'p50', unit: 'ms', digits: 1 },
        { name: 'p99', unit: 'ms', digits: 1 },
        { name: 'busiest link', unit: '%', digits: 0 },
        { name: 'mean link', unit: '%', digits: 0 },
        { name: 'shifts', unit: '1/s', digits: 1 },
        { name: 'CPU idle', unit: '%', digits: 0 },
      ],
      rows,
      charts: [
        { kind: 'lines', column: 'p99' },
        { kind: 'lines', column: 'of the ideal' },
      ],
      goals: goalsOf,
      noise,
    }
    return await publish(measured, options)
  } finally {
    progress.stop()
  }
}

/** Where every node has every file, placing by content leaves all where it is. */
function systemsFor(systems: readonly System[], hot: Experiment['hot']): readonly System[] {
  return systems.filter(({ policy }) => hot === 'object' || policy !== 'hash')
}

export async function measure(
  options: SkewRun,
  experiments: readonly Experiment[] = EXPERIMENTS,
  progress: Progress = SILENT,
  systems: readonly System[] = SYSTEMS,
): Promise<Rounds> {
  const folder = await mkdtemp(join(tmpdir(), 'gyre-skew-'))
  const programs = await Programs.compile('load')
  const meter = new NoiseMeter()
  const noise: RoundNoise[] = []
  /** By group and system. */
  const samples = new Map<string, { group: string; system: string; of: Sample[] }>()
  try {
    const [root, config] = [join(folder, 'root'), join(folder, 'gyre.config.json')]
    await makeFiles(root, Math.max(options.objects, HELD_OBJECTS))
    await writeFile(config, JSON.stringify({ linkRate: `${options.rate}mbit` }))
    const bench: Bench = { ...options, root, config, programs }
    progress.say('the ideal')
    meter.begin()
    const ideal = await idealOf(bench, sizesOf(experiments))
    noise.push(meter.read())
    progress.step()
    for (const [at, { name, hot, ladders, groupOf }] of experiments.entries()) {
      for (let round = 1; round <= options.rounds; round++) {
        for (const system of systemsFor(systems, hot)) {
          progress.say(`${name}, ${system.name}: round ${round} of ${options.rounds}`)
          meter.begin()
          const told = await climb(bench, system, ladders, ideal, { hot, seed: at * 1_000 + round })
          noise.push(meter.read())
          for (const { kib, step, sample } of told) {
            const group = groupOf(kib, step)
            const key = JSON.stringify([group, system.name])
            const row = samples.get(key) ?? { group, system: system.name, of: [] }
            samples.set(key, row)
            row.of.push(sample)
          }
          progress.step()
        }
      }
    }
  } finally {
    await programs.remove()
    await rm(folder, { recursive: true, force: true })
  }
  const rows = [...samples.values()].map(({ group, system, of }) => rowOf(group, system, of))
  return { rows: inOrder(rows), noise }
}

/** Systems side by side in each group. */
function inOrder(rows: readonly Row[]): Row[] {
  const groups = [...new Set(rows.map(({ group }) => group))]
  return groups.flatMap(name => rows.filter(({ group }) => group === name))
}

async function makeFiles(root: string, objects: number): Promise<void> {
  for (const kib of SIZES) {
    const folder = join(root, `${kib}k`)
    await mkdir(folder, { recursive: true })
    for (let object = 0; object < objects; object++)
      await writeFile(join(folder, `${object}`), randomFillSync(Buffer.alloc(kib * KIB)))
  }
}

function sizesOf(experiments: readonly Experiment[]): number[] {
  const sizes = experiments.flatMap(({ ladders }) => ladders.map(({ kib }) => kib))
  return [...new Set(sizes)].sort((a, b) => a - b)
}

interface Bench extends SkewRun {
  readonly root: string
  /** A configuration that limits the links. */
  readonly config: string
  readonly programs: Programs
}

function withNodes<Result>(
  { nodes, root, config }: Bench,
  policy: PolicyName,
  work: (state: ClusterState) => Promise<Result>,
): Promise<Result> {
  const more = ['--config', config, '--policy', policy]
  return withCluster({ ...CLUSTER, nodes, root, more }, work)
}

/** What is popular; undefined: all are alike. */
interface Popularity {
  readonly hot: Experiment['hot'] | undefined
  readonly seed: number
}

function loadOf(bench: Bench, state: ClusterState, kib: number, { hot, seed }: Popularity): Load {
  const { programs, connections } = bench
  const objects = hot === 'object' ? bench.objects : HELD_OBJECTS
  return new Load(programs, state, {
    ...{ address: state.vip, port: state.port, prefix: `/${kib}k/`, objects, octets: kib * KIB, connections },
    ...{ closing: false, seed, core: LOAD_CORE },
    connectionAlpha: hot === 'connection' ? ALPHA : 0,
    objectAlpha: hot === 'object' ? ALPHA : 0,
  })
}

function stepWarm({ warm }: Bench): number {
  return Math.min(warm, STEP_WARM_SECONDS)
}

/** Requests a second by size. */
function idealOf(bench: Bench, sizes: readonly number[]): Promise<ReadonlyMap<number, number>> {
  return withNodes(bench, 'round-robin', async state => {
    const ideal = new Map<number, number>()
    for (const kib of sizes) {
      const load = loadOf(bench, state, kib, { hot: undefined, seed: 1 })
      try {
        const window = { rate: 0, warm: stepWarm(bench), seconds: bench.seconds }
        const { figures } = await load.run(window, () => undefined)
        ideal.set(kib, figures.perSecond)
      } finally {
        await load.stop()
      }
    }
    return ideal
  })
}

interface Told {
  readonly kib: number
  readonly step: number
  readonly sample: Sample
}

/** New processes with empty caches, and then all that is to be measured of them. */
function climb(
  bench: Bench,
  { policy }: System,
  ladders: readonly Ladder[],
  ideal: ReadonlyMap<number, number>,
  popularity: Popularity,
): Promise<Told[]> {
  return withNodes(bench, policy, async state => {
    const admin = new AdminClient(state.admin, state.token)
    const told: Told[] = []
    try {
      for (const { kib, steps } of ladders) {
        const load = loadOf(bench, state, kib, popularity)
        const most = ideal.get(kib) as number
        try {
          for (const [at, step] of steps.entries()) {
            const warm = at === 0 ? bench.warm : stepWarm(bench)
            const window = { rate: (most * step) / 100, warm, seconds: bench.seconds }
            const { figures, before, after } = await load.run(window, () => readCounters(state, admin))
            told.push({ kib, step, sample: sampleOf(figures, window.rate, most, before, after, bench.rate) })
          }
        } finally {
          await load.stop()
        }
      }
    } finally {
      await admin.close()
    }
    return told
  })
}

export interface Counters {
  /** ms. */
  readonly at: number
  /** Octets that left each node, and when each was read. */
  readonly links: readonly { readonly at: number; readonly octets: number }[]
  readonly shifted: number
  /** CPU time of the whole machine that nobody used, s. */
  readonly idle: number
}

async function readCounters(state: ClusterState, admin: AdminClient): Promise<Counters> {
  const { at, idle } = { at: performance.now(), idle: machineSeconds().idle }
  const links = membersOf(state, 'node').map(async ({ namespace }) => {
    const octets = await shapedOctets(namespace, DEVICE)
    return { at: performance.now(), octets }
  })
  const { counters } = await admin.status()
  return { at, links: await Promise.all(links), shifted: counters.shifted, idle }
}

export function sampleOf(
  figures: LoadFigures,
  asked: number,
  ideal: number,
  before: Counters,
  after: Counters,
  rate: number,
): Sample {
  const seconds = (after.at - before.at) / 1_000
  const used = after.links.map((link, node) => {
    const { at, octets } = before.links[node] as Counters['links'][number]
    const bits = 8 * (link.octets - octets)
    return (100 * bits) / (((link.at - at) / 1_000) * rate * 1e6)
  })
  return {
    asked,
    answered: figures.perSecond,
    'of the ideal': (100 * figures.perSecond) / ideal,
    p50: figures.p50 / 1_000,
    p99: figures.p99 / 1_000,
    'busiest link': Math.max(...used),
    'mean link': used.reduce((sum, one) => sum + one, 0) / used.length,
    shifts: (after.shifted - before.shifted) / seconds,
    'CPU idle': (100 * (after.idle - before.idle)) / seconds / availableParallelism(),
    errors: figures.failed,
  }
}

/** Where all is wanted that the links can carry. */
export function goalsOf(rows: readonly Row[]): Goal[] {
  return EXPERIMENTS.filter(({ ladders }) => ladders.length > 1).flatMap(({ groupOf, ladders }) =>
    ladders.map(({ kib }): Goal => {
      const group = groupOf(kib, 100)
      const value = medianOf(rows, group, OURS, 'of the ideal')
      const text = `${group}: of the ideal throughput, shifting by load`
      return { groups: [group], text, value, limit: SHARE_GOAL, unit: ' %', bound: 'least' }
    }),
  )
}
