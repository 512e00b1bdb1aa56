/** How long it takes to empty a node of a thousand downloads, none of which may notice. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DrainedDownloads, drainedDownloads, writeDownloads } from './acceptance/drained-downloads.ts'
import { withCluster } from './local-cluster.ts'

const CLUSTER = {
  name: 'gyre-bd',
  vip: '10.77.205.1',
  vip6: 'fd77:205::1',
  admin: '127.0.0.1:8955',
  nodes: 3,
}

export interface DrainBenchOptions {
  readonly connections: number
  readonly rounds: number
  readonly json: boolean
}

export async function drainBench({ connections, rounds, json }: DrainBenchOptions): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'gyre-drain-'))
  try {
    const list = writeDownloads(root)
    for (let round = 0; round < rounds; round++) {
      const result = await withCluster({ ...CLUSTER, root }, state =>
        drainedDownloads(state, list, connections),
      )
      process.stdout.write(json ? `${JSON.stringify(result)}\n` : lineOf(result))
      if (result.downloads.intact !== connections) process.exitCode = 1
    }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

function lineOf({ downloads, report }: DrainedDownloads): string {
  const { intact, failed, longestGapMs } = downloads
  const others = Object.keys(failed).length === 0 ? '' : `, others ${JSON.stringify(failed)}`
  return (
    `${report.shifted} connections moved in ${report.elapsedMs} ms, ${report.left} stayed; ` +
    `${intact} downloads intact${others}; longest wait for octets ${Math.round(longestGapMs)} ms\n`
  )
}
