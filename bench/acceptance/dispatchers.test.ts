/** Dispatchers and gateways that die by `kill -9` while kernel clients download through them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OwnerReport } from '../../dispatcher/admin/api.ts'
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { type ClusterState, program, stateOf, withCluster } from '../local-cluster.ts'
import { inNamespace, run } from '../process.ts'
import type { Downloads } from './downloads.ts'
import { startDownloads, writeDownloads } from './drained-downloads.ts'

const asRoot = process.getuid?.() === 0 ? describe : describe.skip
const FLAGS = { name: 'gyre-tz', vip: '10.77.129.1', vip6: 'fd77:129::1', admin: '127.0.0.1:8929' }
const DOWNLOADS = 60
const FRESH = 20
const WAIT_MS = 60_000

asRoot('two dispatchers behind two gateways', () => {
  let root = ''
  let list = ''

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'gyre-dispatchers-'))
    list = writeDownloads(root)
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  async function owners(): Promise<readonly OwnerReport[]> {
    const { admin, token } = await stateOf(FLAGS.name)
    const client = new AdminClient(admin, token)
    try {
      return (await client.status()).owners
    } finally {
      await client.close()
    }
  }

  /** While a dispatcher starts nobody answers at the admin port. */
  async function until(what: (owners: readonly OwnerReport[]) => boolean): Promise<void> {
    const end = performance.now() + WAIT_MS
    let last: unknown
    while (performance.now() < end) {
      try {
        const all = await owners()
        if (what(all)) return
        last = all.map(
          ({ name, state, connections, limits }) =>
            `${name} ${state} ${connections}, ${limits.timeWait?.used}`,
        )
      } catch (error) {
        last = error
      }
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    throw new Error(`waited in vain; last: ${last}`)
  }

  /** Connections, but for those in TIME-WAIT, whose clients are done. */
  const sum = (all: readonly OwnerReport[], role: string) =>
    all
      .filter(owner => owner.role === role)
      .reduce((total, { connections, limits }) => total + connections - (limits.timeWait?.used ?? 0), 0)

  async function roleOf(name: string) {
    return (await stateOf(FLAGS.name)).roles.find(role => role.name === name)
  }

  /** Ends two processes in the middle of downloads; new clients come meanwhile, and the processes are started again. */
  async function killDuring(state: ClusterState, names: readonly string[]) {
    const { clientNamespace, vip, port } = state
    const { over } = await startDownloads(state, list, DOWNLOADS)
    await until(all => sum(all, 'node') === DOWNLOADS && sum(all, 'dispatcher') === 0)
    const before = await Promise.all(names.map(roleOf))
    for (const role of before) process.kill(role?.pid as number, 'SIGKILL')
    const fresh = await program<Downloads>(
      clientNamespace,
      'downloads',
      vip,
      `${port}`,
      `${FRESH}`,
      '0',
      list,
    )
    const downloads = await over
    await until(all => all.length === 4 && all.every(({ state: is }) => is === 'up'))
    for (const [index, name] of names.entries()) {
      expect((await roleOf(name))?.pid).not.toBe(before[index]?.pid)
    }
    return { downloads, fresh }
  }

  it('break no download that was handed over, and new clients are served', async () => {
    const more = ['--dispatchers', '2', '--gateways', '2']
    await withCluster({ ...FLAGS, nodes: 2, root, more }, async state => {
      await until(all => all.length === 4 && all.every(({ state: is }) => is === 'up'))
      const first = await killDuring(state, ['dispatcher', 'gateway2'])
      expect(first.downloads).toMatchObject({ intact: DOWNLOADS, failed: {} })
      expect(first.fresh).toMatchObject({ intact: FRESH, failed: {} })
      const accepted = (await owners()).filter(({ role }) => role === 'dispatcher')
      // That which was not killed has accepted its part of the 60.
      expect(accepted[1]?.counters.accepted).toBeGreaterThan(DOWNLOADS / 6)

      // Clients without timestamps, which the gateways steer by an element each.
      await run(...inNamespace(state.clientNamespace, 'sysctl', ['-qw', 'net.ipv4.tcp_timestamps=0']))
      const second = await killDuring(state, ['dispatcher2', 'gateway'])
      expect(second.downloads).toMatchObject({ intact: DOWNLOADS, failed: {} })
      expect(second.fresh).toMatchObject({ intact: FRESH, failed: {} })
    })
  }, 180_000)
})
