/** What clients see of the death of a node that has all of many downloads: how long each of them pauses, and that none is lost. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type KilledDownloads, killedDownloads, writeDownloads } from './acceptance/drained-downloads.ts'
import { withCluster } from './local-cluster.ts'

const CLUSTER = {
  name: 'gyre-bk',
  vip: '10.77.172.1',
  vip6: 'fd77:172::1',
  admin: '127.0.0.1:8972',
  nodes: 3,
}

export interface CrashBenchOptions {
  readonly connections: number
  readonly rounds: number
  readonly cut: boolean
  readonly json: boolean
}

export async function crashBench({ connections, rounds, cut, json }: CrashBenchOptions): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'gyre-crash-'))
  try {
    const list = writeDownloads(root)
    for (let round = 0; round < rounds; round++) {
      const result = await withCluster({ ...CLUSTER, root }, state =>
        killedDownloads(state, list, connections, cut ? 'cut' : 'kill'),
      )
      process.stdout.write(json ? `${JSON.stringify(result)}\n` : lineOf(result))
      if (result.downloads.intact !== connections) process.exitCode = 1
    }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

function lineOf({ downloads, crashes, resetsSent }: KilledDownloads): string {
  const { intact, failed, gapP50Ms, gapP99Ms, longestGapMs } = downloads
  const others = Object.keys(failed).length === 0 ? '' : `, others ${JSON.stringify(failed)}`
  const [p50, p99, max] = [gapP50Ms, gapP99Ms, longestGapMs].map(Math.round)
  return (
    `${crashes.recovered} connections recovered, ${resetsSent} resets; ${intact} downloads intact${others}; ` +
    `longest pause of a download: p50 ${p50} ms, p99 ${p99} ms, max ${max} ms\n`
  )
}
