/**
 * `npm run bench -- connections`: what a connection for each request costs the machine in front and the nodes behind it, where ours
 * hands the connection over and the others carry what it says to and fro.
 */
import { randomFillSync } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cpuSeconds, machineSeconds } from '../cpu-time.ts'
import { Load, type LoadFigures, type Window } from '../kernel/load.ts'
import { Programs } from '../kernel/program.ts'
import { has } from '../process.ts'
import type { RoundNoise } from '../report/noise.ts'
import { type Progress, SILENT, startProgress } from '../report/progress.ts'
import { type Measured, type PublishOptions, publish, toldOf } from '../report/publish.ts'
import { type Goal, medianOf, type Result, type Row } from '../report/result.ts'
import { interleave, type Rounds, type Sample, stepsOf } from '../report/rounds.ts'
import { LOAD_CORE, type System, withSystems } from './systems.ts'

export interface ConnectionsRun {
  readonly nodes: number
  /** At a time. */
  readonly connections: number
  /** Connections a second of the paced rounds. */
  readonly rate: number
  readonly seconds: number
  /** Seconds before the first round of each system: code that is measured has run some ten thousand times. */
  readonly warm: number
  readonly rounds: number
  readonly only: string
}

export type ConnectionsOptions = ConnectionsRun & PublishOptions

const OBJECTS = 64
const OCTETS = 1_024
/** Of each round, at most. */
const WARM_SECONDS = 1
const MOST = 'as many as are served'
const OURS = 'gyre shift'
const OTHERS = ['HAProxy TCP', 'HAProxy HTTP', 'nginx proxy']
const SYSTEM_COUNT = 5

export async function connections(options: ConnectionsOptions): Promise<Result> {
  const progress = startProgress(2 * stepsOf(SYSTEM_COUNT, options.rounds))
  try {
    const { rows, noise, abouts } = await measure(options, progress)
    const cpu = (name: string) => ({ name, unit: 'µs', digits: 0 })
    const measured: Measured = {
      bench: 'connections',
      title: 'A connection for each request of 1 KiB',
      options: toldOf(options),
      notes: [
        `${options.nodes} nodes; all that serves is on one core, the load on the other.`,
        'CPU is of all threads of the processes on the front machine, or on all nodes, by connections; of the machine: all of both cores, with the load, the wires and the gateway.',
        ...abouts,
      ],
      columns: [
        { name: 'connections', unit: '1/s', digits: 0, better: 'more' },
        cpu('front'),
        cpu('nodes'),
        cpu('front and nodes'),
        cpu('machine'),
        { name: 'first octet p50', unit: 'ms', digits: 2 },
        { name: 'first octet p99', unit: 'ms', digits: 2 },
      ],
      rows,
      charts: [
        { kind: 'bars', column: 'connections' },
        { kind: 'bars', column: 'front' },
        { kind: 'bars', column: 'front and nodes' },
      ],
      goals: all => goalsOf(all, paced(options.rate)),
      noise,
    }
    return await publish(measured, options)
  } finally {
    progress.stop()
  }
}

export async function measure(
  options: ConnectionsRun,
  progress: Progress = SILENT,
): Promise<Rounds & { readonly abouts: readonly string[] }> {
  for (const tool of ['nginx', 'haproxy']) {
    if (!(await has(tool))) throw new Error(`${tool} is missing: node dispatcher/setup.mjs bench`)
  }
  const folder = await mkdtemp(join(tmpdir(), 'gyre-connections-'))
  const programs = await Programs.compile('load')
  try {
    const root = join(folder, 'root')
    await mkdir(root)
    for (let object = 0; object < OBJECTS; object++)
      await writeFile(join(root, `${object}`), randomFillSync(Buffer.alloc(OCTETS)))
    return await withSystems({ nodes: options.nodes, root, folder }, async systems => {
      const chosen = systems.filter(({ name }) => name.includes(options.only))
      const done = await measureAll(options, programs, chosen, progress)
      return { ...done, abouts: chosen.map(({ name, about }) => `${name}: ${about}.`) }
    })
  } finally {
    await programs.remove()
    await rm(folder, { recursive: true, force: true })
  }
}

async function measureAll(
  options: ConnectionsRun,
  programs: Programs,
  systems: readonly System[],
  progress: Progress,
): Promise<Rounds> {
  const { rate, warm, seconds, rounds } = options
  const rows: Row[] = []
  const noise: RoundNoise[] = []
  const before = Math.min(warm, WARM_SECONDS)
  for (const [group, pace] of [
    [MOST, 0],
    [paced(rate), rate],
  ] as const) {
    const done = await interleave({
      ...{ group, systems, rounds, progress, nameOf: ({ name }: System) => name },
      warm: async system => {
        await oneRound(programs, system, options, { rate: 0, warm: 0, seconds: warm }, 1)
      },
      measure: (system, round) =>
        oneRound(programs, system, options, { rate: pace, warm: before, seconds }, round),
    })
    rows.push(...done.rows)
    noise.push(...done.noise)
  }
  return { rows, noise }
}

function paced(rate: number): string {
  return `${rate} a second`
}

interface Cpu {
  readonly front: number
  readonly nodes: number
  readonly machine: number
}

async function oneRound(
  programs: Programs,
  system: System,
  options: ConnectionsRun,
  window: Window,
  seed: number,
): Promise<Sample> {
  const { state, address, port } = system
  const load = new Load(programs, state, {
    ...{ address, port, prefix: '/', objects: OBJECTS, octets: OCTETS, connections: options.connections },
    ...{ closing: true, connectionAlpha: 0, objectAlpha: 0, seed, core: LOAD_CORE },
  })
  try {
    const { figures, before, after } = await load.run(window, () => cpuOf(system))
    return sampleOf(figures, before, after)
  } finally {
    await load.stop()
  }
}

function cpuOf({ front, nodes }: System): Cpu {
  const sum = (pids: readonly number[]) => pids.reduce((all, pid) => all + cpuSeconds(pid), 0)
  return { front: sum(front), nodes: sum(nodes), machine: machineSeconds().busy }
}

export function sampleOf(figures: LoadFigures, before: Cpu, after: Cpu): Sample {
  const each = (of: (cpu: Cpu) => number) => (1e6 * (of(after) - of(before))) / figures.answered
  return {
    connections: figures.perSecond,
    front: each(({ front }) => front),
    nodes: each(({ nodes }) => nodes),
    'front and nodes': each(({ front, nodes }) => front + nodes),
    machine: each(({ machine }) => machine),
    'first octet p50': figures.firstP50 / 1_000,
    'first octet p99': figures.firstP99 / 1_000,
    errors: figures.failed,
  }
}

/** At the same rate for all, because at their ends they batch differently. */
export function goalsOf(rows: readonly Row[], group: string): Goal[] {
  return ['front', 'front and nodes'].flatMap(column =>
    OTHERS.map((other): Goal => {
      const cpu = (system: string) => medianOf(rows, group, system, column)
      const text = `CPU of ${column} a connection, ${group}, by that of ${other}`
      return { groups: [group], text, value: cpu(OURS) / cpu(other), limit: 1, unit: ' ×', bound: 'most' }
    }),
  )
}
