/** Nodes that are emptied and started again while clients go on: nothing of theirs is cut. */
import { createHash, randomFillSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { type ClusterState, gyre, startProgram, withCluster } from '../local-cluster.ts'
import { drainedDownloads, writeDownloads } from './drained-downloads.ts'
import type { Swarm } from './swarm.ts'

const asRoot = process.getuid?.() === 0 ? describe : describe.skip
const CLIENTS = 500
const LEAST_REQUESTS = 1_000
const MAX_WAIT_MS = 60_000
const DOWNLOADS = 1_000

asRoot('nodes that drain under load', () => {
  let folder = ''
  let list = ''

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gyre-drain-'))
    const digests: Record<string, string> = {}
    for (let number = 0; number < 100; number++) {
      const octets = randomFillSync(
        Buffer.alloc(1 + ((number * 7919) % 60_000) + (number % 20 === 0 ? 800_000 : 0)),
      )
      writeFileSync(join(folder, `${number}.bin`), octets)
      digests[`/${number}.bin`] = createHash('sha256').update(octets).digest('hex')
    }
    list = join(folder, 'digests.json')
    writeFileSync(list, JSON.stringify(digests))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** Returns when all clients are connected. */
  async function everyClient(state: ClusterState): Promise<void> {
    const client = new AdminClient(state.admin, state.token)
    for (let waited = 0; waited < MAX_WAIT_MS; waited += 100) {
      if ((await client.status()).counters.accepted >= CLIENTS) return
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    throw new Error('not every client is connected')
  }

  /** What 500 kept-alive clients met while `act` went on. */
  async function swarmDuring(state: ClusterState, act: () => Promise<void>): Promise<Swarm> {
    const args = [`http://${state.vip}`, `${CLIENTS}`, `${LEAST_REQUESTS}`, '7', list]
    const swarm = startProgram<Swarm>(state.clientNamespace, 'swarm', ...args)
    try {
      await everyClient(state)
      await act()
    } finally {
      swarm.end()
    }
    return await swarm.result
  }

  it('a node is drained, and all nodes are upgraded, without one failed request', async () => {
    const flags = { name: 'gyre-td', vip: '10.77.122.1', vip6: 'fd77:122::1', admin: '127.0.0.1:8922' }
    await withCluster({ ...flags, nodes: 3, root: folder }, async state => {
      const { name } = state
      const client = new AdminClient(state.admin, state.token)
      const held = async () => (await client.status()).owners.map(({ connections }) => connections)
      const pids = async () => (await client.status()).owners.map(({ pid }) => pid)
      const before = await pids()
      const swarm = await swarmDuring(state, async () => {
        expect(await gyre(['drain', 'node2', '--name', name])).toMatch(
          /^node2 is drained: \d+ connections moved/,
        )
        expect((await held())[2]).toBe(0)
        expect((await client.status()).owners[2]?.state).toBe('draining')
        await expect(gyre(['shift', '--all', '--to', 'node2', '--name', name])).rejects.toThrow(/draining/)
        expect(await gyre(['undrain', 'node2', '--name', name])).toBe('node2 takes connections again\n')
        expect(await gyre(['upgrade', '--name', name], 60_000)).toMatch(
          /^3 nodes upgraded, \d+ connections moved\n$/,
        )
      })
      expect(swarm.errors).toEqual({})
      expect(swarm.connects).toBe(CLIENTS)
      const after = await pids()
      expect(after.map((pid, owner) => pid === before[owner])).toEqual([true, false, false, false])
      expect((await client.status()).owners.map(({ state: is }) => is)).toEqual(['up', 'up', 'up', 'up'])
    })
  }, 120_000)

  it('a node is emptied in the middle of 1,000 downloads, and each of them arrives intact', async () => {
    const flags = { name: 'gyre-td', vip: '10.77.122.1', vip6: 'fd77:122::1', admin: '127.0.0.1:8922' }
    const root = mkdtempSync(join(tmpdir(), 'gyre-downloads-'))
    try {
      const files = writeDownloads(root)
      await withCluster({ ...flags, nodes: 3, root }, async state => {
        const { downloads, report } = await drainedDownloads(state, files, DOWNLOADS)
        expect(report).toMatchObject({ state: 'drained', left: 0, shifted: DOWNLOADS, remaining: [] })
        expect(downloads).toMatchObject({ intact: DOWNLOADS, failed: {} })
      })
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  }, 120_000)

  it('a node that is told to end gives its connections away first', async () => {
    const flags = { name: 'gyre-td', vip: '10.77.122.1', vip6: 'fd77:122::1', admin: '127.0.0.1:8922' }
    await withCluster({ ...flags, nodes: 2, root: folder }, async state => {
      const swarm = await swarmDuring(state, async () => {
        for (const node of ['node1', 'node2']) {
          const client = new AdminClient(state.admin, state.token)
          const find = async () => (await client.status()).owners.find(owner => owner.name === node)
          const pid = (await find())?.pid as number
          process.kill(pid, 'SIGTERM')
          for (let waited = 0; ; waited += 100) {
            const owner = await find()
            if (owner?.state === 'up' && owner.pid !== pid) break
            if (waited > 30_000) throw new Error(`${node} did not come back`)
            await new Promise(resolve => setTimeout(resolve, 100))
          }
        }
      })
      expect(swarm.errors).toEqual({})
      expect(swarm.connects).toBe(CLIENTS)
    })
  }, 120_000)
})
