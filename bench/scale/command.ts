/**
 * `npm run bench -- scale`: what grows with a cluster, from ten nodes to ten thousand and to ten million connections, by the
 * product's own code in virtual time. Whole nodes are simulated up to a thousand, which is as many as owner ids allow;
 * beyond that, and for more connections than fit into memory, what they tell the dispatcher is told without them.
 */
import { type PublishOptions, publish } from '../report/publish.ts'
import type { Column, Result, Row } from '../report/result.ts'
import { directoryFigures, placementFigures, recordFigures } from './dispatcher-figures.ts'
import { clusterFigures, rackFigures } from './measures.ts'

const SEED = 1
const QUESTIONS = 1_000

export interface ScaleOptions extends PublishOptions {
  readonly only: string
}

interface Case {
  readonly name: string
  readonly run: () => object
}

const CASES: readonly Case[] = [
  ...[
    [10, 1_000],
    [100, 2_000],
    [300, 3_000],
    [1_000, 4_000],
  ].map(([nodes = 0, connections = 0]) => ({
    name: `cluster of ${nodes}`,
    run: () => clusterFigures(nodes, connections, SEED),
  })),
  ...[10, 100, 1_000, 10_000].map(members => ({
    name: `placement among ${members}`,
    run: () => placementFigures(members, QUESTIONS, SEED),
  })),
  ...[10_000, 100_000, 1_000_000, 10_000_000].map(connections => ({
    name: `records of ${connections}`,
    run: () => recordFigures(connections, SEED),
  })),
  ...[10_000, 100_000, 1_000_000].map(paths => ({
    name: `directory of ${paths}`,
    run: () => directoryFigures(paths, SEED),
  })),
  ...[
    [20, 5, 500],
    [100, 5, 500],
    [100, 20, 500],
    [100, 5, 4_000],
  ].map(([nodes = 0, rack = 0, each = 0]) => ({
    name: `rack of ${rack} out of ${nodes}, ${each} each`,
    run: () => rackFigures(nodes, rack, each, SEED),
  })),
]

const COLUMNS: readonly Column[] = [
  ...(
    [
      ['joinOctets', 'octets', 0],
      ['joinMs', 'CPU ms', 0],
      ['restMessagesPerSecond', 'a second', 0],
      ['restCpu', 'cores', 4],
      ['shifts', '', 0],
      ['messagesPerShift', '', 2],
      ['octetsPerShift', 'octets', 0],
      ['shiftMs', 'ms', 1],
      ['staleShare', '', 4],
      ['unknownShare', '', 4],
      ['pairsUsed', '', 0],
      ['pairs', '', 0],
      ['heldUs', 'CPU µs', 1],
      ['newUs', 'CPU µs', 1],
      ['joinUs', 'CPU µs', 0],
      ['records', '', 0],
      ['octetsEach', 'octets', 0],
      ['toldUs', 'CPU µs', 2],
      ['forgetMs', 'CPU ms', 1],
      ['drainMs', 'ms', 0],
      ['shifted', '', 0],
      ['left', '', 0],
    ] as const
  ).map(([name, unit, digits]) => ({ name, unit, digits })),
]

export async function scale({ only, ...options }: ScaleOptions): Promise<Result> {
  const rows: Row[] = []
  for (const { name, run } of CASES.filter(({ name }) => name.includes(only))) {
    const figures = Object.entries(await run()).map(([key, value]) => [key, [value as number]])
    rows.push({ group: name, system: 'gyre', figures: Object.fromEntries(figures), errors: 0 })
  }
  // Only what some row has.
  const columns = COLUMNS.filter(({ name }) => rows.some(({ figures }) => figures[name] !== undefined))
  return publish(
    {
      bench: 'scale',
      title: 'What grows with the cluster',
      ...{ seeds: [SEED], options: { only }, columns, rows, charts: [], noise: [] },
      notes: [
        'Virtual time and counts, the same on every machine; CPU is this machine’s.',
        'Racks: a moved connection takes 0.263 ms of its source’s processor and 1.063 ms of its target’s, a model.',
      ],
    },
    options,
  )
}
