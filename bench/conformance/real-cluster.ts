/** The suite's server as users start it: a cluster in namespaces, whose connections come from the kernel's own TCP. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { withCluster } from '../local-cluster.ts'
import { Random } from '../sim/network/random.ts'
import { makeRoot } from './root.ts'

const NODES = 3
const VIP = '10.77.149.1'
const VIP6 = 'fd77:149::1'
const ADMIN = '127.0.0.1:8949'
/** At most so long between two rounds in which every connection is moved: most cases live through several. */
const MAX_PAUSE_MS = 15

export interface RealCluster {
  readonly host: string
  readonly port: number
  /** Moves every connection at random moments to random nodes while `work` runs; returns how many moves there were. */
  moving(work: () => Promise<void>): Promise<number>
}

export async function withRealCluster<Result>(
  work: (cluster: RealCluster) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'gyre-conformance-'))
  try {
    const root = await makeRoot(folder)
    const flags = { name: `gyre-c${process.pid}`, vip: VIP, vip6: VIP6, admin: ADMIN, nodes: NODES, root }
    return await withCluster(flags, ({ vip, port, admin, token }) =>
      work({ host: vip, port, moving: inner => moving(new AdminClient(admin, token), inner) }),
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function moving(admin: AdminClient, work: () => Promise<void>): Promise<number> {
  const random = new Random(1)
  let running = true
  let shifts = 0
  const shifting = (async () => {
    while (running) {
      const report = await admin.shift({ connection: 'all', to: `${1 + random.int(NODES)}` })
      shifts += report.shifted
      await new Promise(resolve => setTimeout(resolve, random.int(MAX_PAUSE_MS)))
    }
  })()
  try {
    await work()
  } finally {
    running = false
    await shifting
  }
  return shifts
}
