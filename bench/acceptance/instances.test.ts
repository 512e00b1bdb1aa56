/** Several instances on one machine, as users start them: each is an owner, and connections move among them as among machines. */
import { createHash, randomFillSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { type ClusterState, gyre, withCluster } from '../local-cluster.ts'
import { inNamespace, run } from '../process.ts'
import { shiftedDownload, warm } from './shifted-download.ts'

const asRoot = process.getuid?.() === 0 ? describe : describe.skip
const FILE = 'large.bin'
const OCTETS = 64 * 1024 * 1024

asRoot('two nodes of two instances each', () => {
  let root = ''
  let digest = ''
  const flags = () => ({
    name: 'gyre-ti',
    vip: '10.77.120.1',
    vip6: 'fd77:120::1',
    admin: '127.0.0.1:8920',
    nodes: 2,
    root,
    more: ['--instances', '2', '--link-rate', '200mbit'],
  })

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'gyre-instances-'))
    const octets = randomFillSync(Buffer.alloc(OCTETS))
    digest = createHash('sha256').update(octets).digest('hex')
    writeFileSync(join(root, FILE), octets)
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  /** 1 and 2 are on one machine, 3 and 4 on the other. */
  async function arrivesWhole(state: ClusterState): Promise<void> {
    const { download, shifts, resets } = await shiftedDownload(state, FILE, [1, 2, 3, 4, 2])
    expect(download.error).toBe('')
    expect(download.sha256).toBe(digest)
    expect(shifts).toBeGreaterThanOrEqual(10)
    expect(resets).toBe(0)
  }

  it('a download is shifted among them all, with and without timestamps, and after one of them has died', async () => {
    await withCluster(flags(), async state => {
      const client = new AdminClient(state.admin, state.token)
      const owners = async () =>
        (await client.status()).owners.map(({ id, name, state: is }) => [id, name, is])
      const all = [
        [0, 'dispatcher', 'up'],
        [1, 'node1.1', 'up'],
        [2, 'node1.2', 'up'],
        [3, 'node2.1', 'up'],
        [4, 'node2.2', 'up'],
      ]
      expect(await owners()).toEqual(all)
      await warm(state, FILE, [1, 2, 3, 4])
      await arrivesWhole(state)
      await run(...inNamespace(state.clientNamespace, 'sysctl', ['-qw', 'net.ipv4.tcp_timestamps=0']))
      await arrivesWhole(state)
      await run(...inNamespace(state.clientNamespace, 'sysctl', ['-qw', 'net.ipv4.tcp_timestamps=1']))

      const node = state.roles.find(({ name }) => name === 'node1')
      const before = await pidOf(client, 'node1.1')
      process.kill(before, 'SIGKILL')
      await until(async () => (await pidOf(client, 'node1.1')) !== before)
      await until(async () => JSON.stringify(await owners()) === JSON.stringify(all))
      await warm(state, FILE, [1])
      await arrivesWhole(state)
      expect(
        (await run(...inNamespace(node?.namespace ?? '', 'ip', ['-o', 'link']))).match(/tun\d/g),
      ).toHaveLength(2)
    })
  }, 120_000)

  it.each([
    [['--nodes', '150', '--instances', '2'], /at most 200/],
    [['--instances', '2', '--mode', 'clone'], /--mode shift/],
    [['--instances', '2', '--steering', 'relay'], /--steering nft/],
  ])('refuses %j in one line', async (more, message) => {
    await expect(gyre(['up', '--name', 'gyre-ti', '--detach', ...more])).rejects.toThrow(message)
  })
})

async function pidOf(client: AdminClient, name: string): Promise<number> {
  const owner = (await client.status()).owners.find(owner => owner.name === name)
  return owner?.pid ?? 0
}

async function until(what: () => Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await what()); waited += 50) {
    if (waited > 20_000) throw new Error(`waited in vain for ${what}`)
    await sleep(50)
  }
}
