/** A download by the kernel's own TCP whose connection changes its owner every 50 ms, and what came of it. */
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { type ClusterState, program } from '../local-cluster.ts'
import { inNamespace, Server } from '../process.ts'
import type { Download } from './download.ts'
import { countResets, readResets } from './packet-counters.ts'

/** Between two shifts. */
const PERIOD_MS = 50

export interface ShiftedDownload {
  readonly download: Download
  readonly shifts: number
  /** RST that the client saw. */
  readonly resets: number
}

/** To each of `owners` in turn, while the download runs. */
export async function shiftedDownload(
  state: ClusterState,
  file: string,
  owners: readonly number[] = [1, 2, 3],
): Promise<ShiftedDownload> {
  const client = new AdminClient(state.admin, state.token)
  await countResets(state.clientNamespace)
  let running = true
  let shifts = 0
  const shifting = (async () => {
    for (let turn = 0; running; turn++) {
      const report = await client.shift({ connection: 'all', to: `${owners[turn % owners.length]}` })
      shifts += report.shifted
      await new Promise(resolve => setTimeout(resolve, PERIOD_MS))
    }
  })()
  const url = `http://${state.vip}/${file}`
  const download = await program<Download>(state.clientNamespace, 'download', url)
  running = false
  await shifting
  return { download, shifts, resets: await readResets(state.clientNamespace) }
}

/** Has every owner read the file: a slow download of it is shifted to each of them in turn. */
export async function warm(
  state: ClusterState,
  file: string,
  owners: readonly number[] = [1, 2, 3, 1],
): Promise<void> {
  const url = `http://${state.vip}/${file}`
  const client = new AdminClient(state.admin, state.token)
  const args = ['-sS', '-o', '/dev/null', '--limit-rate', '4M', '--max-time', '90', url]
  const slow = new Server(...inNamespace(state.clientNamespace, 'curl', args))
  try {
    for (const to of owners) {
      for (let held = false; !held; await new Promise(resolve => setTimeout(resolve, 100))) {
        await client.shift({ connection: 'all', to: `${to}` })
        const { connections } = await client.connections({})
        held = connections[0]?.owner === to
        if (!slow.running) throw new Error(`the slow download has ended: ${slow.output}`)
      }
    }
  } finally {
    await slow.stop()
  }
  // Its connection ends with it; what is measured from here on is the next one's.
  await new Promise(resolve => setTimeout(resolve, 300))
}
