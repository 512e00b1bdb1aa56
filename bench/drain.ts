/** How long it takes to empty a node of a thousand downloads, none of which may notice. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DrainedDownloads, drainedDownloads, writeDownloads } from './acceptance/drained-downloads.ts'
import { withCluster } from './local-cluster.ts'
import { startProgress } from './report/progress.ts'
import { type PublishOptions, publish } from './report/publish.ts'
import type { Result } from './report/result.ts'
import { interleave, type Sample } from './report/rounds.ts'

const CLUSTER = {
  name: 'gyre-bd',
  vip: '10.77.205.1',
  vip6: 'fd77:205::1',
  admin: '127.0.0.1:8955',
  nodes: 3,
}
const SYSTEM = 'gyre drain'

export interface DrainBenchOptions extends PublishOptions {
  readonly connections: number
  readonly rounds: number
}

export async function drainBench(options: DrainBenchOptions): Promise<Result> {
  const { connections, rounds } = options
  const root = mkdtempSync(join(tmpdir(), 'gyre-drain-'))
  const progress = startProgress(rounds)
  try {
    const list = writeDownloads(root)
    const measured = await interleave({
      ...{
        group: `${connections} downloads`,
        systems: [SYSTEM],
        nameOf: (name: string) => name,
        rounds,
        progress,
      },
      measure: async () =>
        sampleOf(
          await withCluster({ ...CLUSTER, root }, state => drainedDownloads(state, list, connections)),
          connections,
        ),
    })
    return await publish(
      {
        bench: 'drain',
        title: `A node emptied of ${connections} downloads`,
        options: { connections, rounds },
        columns: [
          { name: 'time', unit: 'ms', digits: 0, better: 'less' },
          { name: 'moved', unit: '', digits: 0 },
          { name: 'stayed', unit: '', digits: 0 },
          { name: 'intact', unit: '', digits: 0 },
          { name: 'longest wait', unit: 'ms', digits: 0 },
        ],
        ...measured,
        charts: [{ kind: 'bars', column: 'time' }],
      },
      options,
    )
  } finally {
    progress.stop()
    rmSync(root, { recursive: true, force: true })
  }
}

function sampleOf({ downloads, report }: DrainedDownloads, connections: number): Sample {
  return {
    time: report.elapsedMs,
    moved: report.shifted,
    stayed: report.left,
    intact: downloads.intact,
    'longest wait': downloads.longestGapMs,
    errors: connections - downloads.intact,
  }
}
