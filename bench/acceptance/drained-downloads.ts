/** A node that has all of many downloads by the kernel's own TCP is drained, or killed, in the middle of them, and what came of it. */
import { createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CrashReport, DrainReport } from '../../dispatcher/admin/api.ts'
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { type ClusterState, program } from '../local-cluster.ts'
import { inNamespace, run } from '../process.ts'
import type { Downloads } from './downloads.ts'

const FILES = 20
const FILE_OCTETS = 1_000_000
/** Of a client's receive buffer: a download is in the middle for as long as its reader takes, not in the kernel's memory. */
const BUFFER_OCTETS = 65_536
const READ_EVERY_MS = 400
/** Of a node's namespace. */
const LAN_DEVICE = 'eth0'
const OPEN_TIMEOUT_MS = 60_000

export interface DrainedDownloads {
  readonly downloads: Downloads
  readonly report: DrainReport
}

/** Files of random octets, and the list of their digests: its path. */
export function writeDownloads(folder: string): string {
  const digests: Record<string, string> = {}
  for (let number = 0; number < FILES; number++) {
    const octets = randomBytes(FILE_OCTETS + number)
    writeFileSync(join(folder, `${number}.bin`), octets)
    digests[`/${number}.bin`] = createHash('sha256').update(octets).digest('hex')
  }
  const list = join(folder, 'digests.json')
  writeFileSync(list, JSON.stringify(digests))
  return list
}

/** Has the client's kernel take little of what its programs do not read. */
export async function limitBuffers({
  clientNamespace,
}: Pick<ClusterState, 'clientNamespace'>): Promise<void> {
  const command = `echo 4096 ${BUFFER_OCTETS} ${BUFFER_OCTETS} >/proc/sys/net/ipv4/tcp_rmem`
  await run(...inNamespace(clientNamespace, 'sh', ['-c', command]))
}

/** Begins so many downloads; `over` is what will come of them. */
export async function startDownloads(
  state: ClusterState,
  list: string,
  count: number,
): Promise<{ readonly over: Promise<Downloads> }> {
  const { clientNamespace, vip, port } = state
  await limitBuffers(state)
  const args = [vip, `${port}`, `${count}`, `${READ_EVERY_MS}`, list]
  const over = program<Downloads>(clientNamespace, 'downloads', ...args)
  // A rejection is told where it is awaited.
  over.catch(() => {})
  return { over }
}

/** The same, resolving when all of them are under way and at node1. */
async function downloadsAtNode1(
  state: ClusterState,
  list: string,
  count: number,
  client: AdminClient,
): Promise<{ readonly over: Promise<Downloads> }> {
  const started = await startDownloads(state, list, count)
  await gathered(client, count)
  return started
}

export async function drainedDownloads(
  state: ClusterState,
  list: string,
  count: number,
): Promise<DrainedDownloads> {
  const client = new AdminClient(state.admin, state.token)
  const { over } = await downloadsAtNode1(state, list, count, client)
  let report = await client.drain({ node: 'node1', deadlineMs: 60_000 })
  while (report.state === 'draining') {
    await new Promise(resolve => setTimeout(resolve, 50))
    report = await client.drained('node1')
  }
  await client.close()
  return { downloads: await over, report }
}

export interface KilledDownloads {
  readonly downloads: Downloads
  readonly crashes: CrashReport
  /** Segments that reset a connection, sent by the dispatcher, which alone does so for connections that nobody has. */
  readonly resetsSent: number
}

/** `kill -9` for node1, which has all of them, or its wire is cut while it lives. */
export async function killedDownloads(
  state: ClusterState,
  list: string,
  count: number,
  how: 'kill' | 'cut' = 'kill',
): Promise<KilledDownloads> {
  const client = new AdminClient(state.admin, state.token)
  const { over } = await downloadsAtNode1(state, list, count, client)
  const { owners } = await client.status()
  if (how === 'kill') process.kill(owners.find(({ name }) => name === 'node1')?.pid as number, 'SIGKILL')
  else {
    const { namespace } = state.roles.find(({ name }) => name === 'node1') as { namespace: string }
    await run(...inNamespace(namespace, 'ip', ['link', 'set', LAN_DEVICE, 'down']))
  }
  const downloads = await over
  const { crashes, counters } = await client.status()
  await client.close()
  return { downloads, crashes, resetsSent: counters.resetsSent }
}

/** Every connection is open, and at node1. */
async function gathered(client: AdminClient, count: number): Promise<void> {
  const until = performance.now() + OPEN_TIMEOUT_MS
  for (;;) {
    const { owners } = await client.status()
    const all = owners.reduce((sum, { connections }) => sum + connections, 0)
    if (all === count) {
      await client.shift({ connection: 'all', to: 'node1' })
      const [node1] = (await client.status()).owners.filter(({ name }) => name === 'node1')
      if (node1?.connections === count) return
    }
    if (performance.now() > until) throw new Error(`${all} of ${count} connections came`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}
