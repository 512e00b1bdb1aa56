/** `npm run bench -- chaos`: for as long as is wanted, something befalls a cluster under load, and then nothing may be lost or left. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withCluster } from '../local-cluster.ts'
import { startProgress } from '../report/progress.ts'
import { type PublishOptions, publish } from '../report/publish.ts'
import type { Column, Result, Row } from '../report/result.ts'
import { writeFiles } from './load.ts'
import { KINDS } from './plan.ts'
import { byKind, type ChaosOptions, type ChaosReport, chaos, SHAPE } from './run.ts'
import { NOTHING_LEFT } from './watch.ts'

const CLUSTER = { name: 'gyre-bx', vip: '10.77.132.1', vip6: 'fd77:132::1', admin: '127.0.0.1:8942' }
const LOAD = { slow: 40, fast: 4, kept: 30 }
/** Tombstones live for a minute. */
const EMPTY_MS = 150_000
/** The last step, and what is under way behind it. */
const CLIENTS_MS = 300_000
/** What compiled code, heaps that have not been collected and tables that have grown may come to. */
const MAX_GROWN_MIB = 64
const MIB = 1_048_576

const COLUMNS: readonly Column[] = [
  { name: 'times', unit: '', digits: 0 },
  { name: 'unanswered requests failed', unit: '', digits: 0 },
  { name: 'longest wait of a download', unit: 'ms', digits: 0 },
  { name: 'of a small request', unit: 'ms', digits: 0 },
]

export interface ChaosBenchOptions extends PublishOptions {
  readonly minutes: number
  readonly seed: number
}

export async function chaosBench(options: ChaosBenchOptions): Promise<Result> {
  const { minutes, seed } = options
  const progress = startProgress(minutes * 60)
  let seconds = 0
  const chaosOptions: ChaosOptions = {
    ...{ seed, haste: 1, load: LOAD, emptyMs: EMPTY_MS, limitMs: minutes * 60_000 + CLIENTS_MS },
    goesOn: (_steps, ms) => {
      for (; seconds < ms / 1_000; seconds++) progress.step()
      return ms < minutes * 60_000
    },
    empty: Object.keys(NOTHING_LEFT) as (keyof typeof NOTHING_LEFT)[],
    say: progress.say,
  }
  const root = mkdtempSync(join(tmpdir(), 'gyre-chaos-'))
  const list = writeFiles(root)
  const report = await withCluster({ ...CLUSTER, ...SHAPE, root }, state =>
    chaos(chaosOptions, state, list),
  ).finally(() => {
    progress.stop()
    rmSync(root, { recursive: true, force: true })
  })
  for (const failure of report.unexplained) process.stderr.write(`unexplained: ${JSON.stringify(failure)}\n`)
  const result = await publish(
    {
      bench: 'chaos',
      title: 'What befalls a cluster under load, one thing after the other',
      ...{ seeds: [seed], options: { minutes, seed }, columns: COLUMNS, rows: rowsOf(report) },
      ...{ charts: [], noise: [] },
      notes: notesOf(report),
      goals: () => goalsOf(report),
    },
    options,
  )
  if (goalsOf(report).some(({ value, limit }) => value > limit)) process.exitCode = 1
  return result
}

function rowsOf(report: ChaosReport): Row[] {
  return KINDS.map(kind => {
    const { times, failed, downloadWaitMs, keptWaitMs } = byKind(report, kind)
    const figures = {
      times: [times],
      'unanswered requests failed': [failed],
      'longest wait of a download': [downloadWaitMs],
      'of a small request': [keptWaitMs],
    }
    return { group: kind, system: 'gyre', figures, errors: 0 }
  })
}

function notesOf({ clients, events, explained, recovered, shifted }: ChaosReport): string[] {
  const { downloads, requests, octets, connects } = clients
  return [
    `${events.length} events; ${downloads} downloads and ${requests} small requests right, ${(octets / MIB).toFixed(0)} MiB, on ${connects} connections.`,
    `${explained.size} unanswered requests failed with the process that had them; since they began, the processes moved ${shifted} connections and took up ${recovered}.`,
  ]
}

function goalsOf({ unexplained, left, grown }: ChaosReport) {
  const most = (text: string, value: number, limit = 0, unit = '') => ({
    ...{ groups: [], text, value, limit, unit, bound: 'most' as const },
  })
  return [
    most('downloads and requests that failed and must not', unexplained.length),
    ...Object.entries(left).map(([kind, count]) => most(`${kind} left at the end`, count)),
    most('resident memory of a process grew by', grown / MIB, MAX_GROWN_MIB, ' MiB'),
  ]
}
