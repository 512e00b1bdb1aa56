/**
 * A cluster whose owner ids come from an engine (nats-server): it does not answer for a while, a node is killed meanwhile, the engine is
 * killed and comes back; then a dispatcher and a node are killed. Kernel clients download through all of it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OwnerReport, StatusReport } from '../../dispatcher/admin/api.ts'
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { type ClusterState, program, stateOf, withCluster } from '../local-cluster.ts'
import type { Downloads } from './downloads.ts'
import { startDownloads, writeDownloads } from './drained-downloads.ts'

const asRoot = process.getuid?.() === 0 ? describe : describe.skip
const FLAGS = { name: 'gyre-tx', vip: '10.77.134.1', vip6: 'fd77:134::1', admin: '127.0.0.1:8944', nodes: 4 }
const OWNERS = ['dispatcher', 'dispatcher2', 'node1', 'node2', 'node3', 'node4']
const DOWNLOADS = 40
const FRESH = 20
const WAIT_MS = 60_000

asRoot('a cluster with an engine', () => {
  let root = ''
  let list = ''

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'gyre-engine-'))
    list = writeDownloads(root)
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  async function status(): Promise<StatusReport> {
    const { admin, token } = await stateOf(FLAGS.name)
    const client = new AdminClient(admin, token)
    try {
      return await client.status()
    } finally {
      await client.close()
    }
  }

  /** While a dispatcher starts nobody answers at the admin port. */
  async function until(what: (report: StatusReport) => boolean): Promise<StatusReport> {
    let last: unknown
    for (const end = performance.now() + WAIT_MS; performance.now() < end; ) {
      try {
        const report = await status()
        if (what(report)) return report
        const owners = report.owners.map(
          ({ name, id, state, connections }) => `${name} ${id} ${state} ${connections}`,
        )
        last = `${owners} ${JSON.stringify(report.coordination)}`
      } catch (error) {
        last = error
      }
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    throw new Error(`waited in vain for ${what}; last: ${last}`)
  }

  const up = ({ owners }: StatusReport) => owners.filter(({ state }) => state === 'up')
  const areAllUp = (report: StatusReport) =>
    `${up(report)
      .map(({ name }) => name)
      .sort()}` === `${OWNERS}`
  const count = ({ owners }: StatusReport, role: OwnerReport['role']) =>
    owners.filter(owner => owner.role === role).reduce((sum, { connections }) => sum + connections, 0)
  const idsOf = (report: StatusReport) => Object.fromEntries(up(report).map(({ name, id }) => [name, id]))

  async function kill(name: string, how: 'SIGKILL' | 'SIGSTOP' = 'SIGKILL'): Promise<void> {
    const role = (await stateOf(FLAGS.name)).roles.find(known => known.name === name)
    process.kill(role?.pid as number, how)
  }

  async function beginDownloads(state: ClusterState): Promise<{ readonly over: Promise<Downloads> }> {
    const { over } = await startDownloads(state, list, DOWNLOADS)
    await until(report => count(report, 'node') >= DOWNLOADS && count(report, 'dispatcher') === 0)
    return { over }
  }

  function fresh({ clientNamespace, vip, port }: ClusterState): Promise<Downloads> {
    return program<Downloads>(clientNamespace, 'downloads', vip, `${port}`, `${FRESH}`, '0', list)
  }

  it('serves and recovers while it is away, and goes on with it when it is back', async () => {
    const more = ['--dispatchers', '2', '--gateways', '2', '--with-nats']
    await withCluster({ ...FLAGS, root, more }, async state => {
      const before = await until(areAllUp)
      expect(new Set(Object.values(idsOf(before))).size).toBe(OWNERS.length)
      expect(before.coordination).toEqual({ engine: 'nats', awayMs: null })

      const first = await beginDownloads(state)
      await kill('engine', 'SIGSTOP')
      await until(({ coordination }) => coordination.awayMs !== null)
      await kill('node1')
      expect(await fresh(state)).toMatchObject({ intact: FRESH, failed: {} })
      await kill('engine')
      expect(await first.over).toMatchObject({ intact: DOWNLOADS, failed: {} })
      const after = await until(report => areAllUp(report) && report.coordination.awayMs === null)
      // Nobody but who was killed has another id.
      const { node1: _, ...kept } = idsOf(before)
      expect(idsOf(after)).toMatchObject(kept)

      const second = await beginDownloads(state)
      await kill('dispatcher')
      await kill('node2')
      expect(await second.over).toMatchObject({ intact: DOWNLOADS, failed: {} })
      await until(areAllUp)
      expect(await fresh(state)).toMatchObject({ intact: FRESH, failed: {} })
    })
  }, 240_000)
})
