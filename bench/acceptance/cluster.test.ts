/**
 * The whole cluster as users start it, with the kernel's own TCP as its client: what `npm start` promises. Needs root and a
 * built `dist` (both are there in `npm test`).
 */
import { createHash, randomFillSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { gyre, REPOSITORY, startProgram, withCluster } from '../local-cluster.ts'
import { inNamespace, run } from '../process.ts'
import type { Download } from './download.ts'
import { countService, loseRandomly, readService, readWhenQuiet, stopLosing } from './packet-counters.ts'
import { shiftedDownload, warm } from './shifted-download.ts'
import type { Swarm } from './swarm.ts'

const asRoot = process.getuid?.() === 0 ? describe : describe.skip
const SITE = join(REPOSITORY, 'www', 'site')
const MIB = 1024 * 1024
const MAX_GAP_MS = 1_000

function filesBelow(folder: string, prefix = ''): string[] {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap(entry =>
    entry.isDirectory() ? filesBelow(folder, join(prefix, entry.name)) : [join(prefix, entry.name)],
  )
}

function sha256(octets: Buffer): string {
  return createHash('sha256').update(octets).digest('hex')
}

function cluster(number: number, root: string, nodes: number, ...more: string[]) {
  return {
    name: `gyre-t${number}`,
    vip: `10.77.${100 + number}.1`,
    vip6: `fd77:${100 + number}::1`,
    admin: `127.0.0.1:${8900 + number}`,
    nodes,
    root,
    more,
  }
}

asRoot(`a cluster in namespaces${process.getuid?.() === 0 ? '' : ' (skipped: it needs root)'}`, () => {
  let folder = ''

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gyre-acceptance-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('serves every file of the demo site, octet by octet, to the machine and to the client, over IPv4 and IPv6', async () => {
    await withCluster(cluster(1, SITE, 3), async ({ vip, vip6, clientNamespace, admin }) => {
      for (const path of filesBelow(SITE)) {
        const expected = readFileSync(join(SITE, path))
        for (const host of [vip, `[${vip6}]`]) {
          const args = ['-sS', '--fail', '--max-time', '20', '-g', `http://${host}/${path}`]
          for (const [command, full] of [
            ['curl', args] as const,
            inNamespace(clientNamespace, 'curl', args) as readonly [string, string[]],
          ]) {
            expect(sha256(await output(command, full))).toBe(sha256(expected))
          }
        }
      }
      // The dashboard is for the admin port alone.
      const code = ['-sS', '-o', '/dev/null', '-w', '%{http_code}', `http://${vip}/admin/index.html`]
      expect(`${await output('curl', code)}`).toBe('404')
      const status = await new AdminClient(admin).status()
      expect(status.counters.accepted).toBeGreaterThan(10)
      expect(status.counters.cloned).toBe(status.counters.accepted)
      expect(status.counters.shifted).toBe(status.counters.accepted)
      expect(status.owners.map(({ state }) => state)).toEqual(['up', 'up', 'up', 'up'])
    })
  }, 120_000)

  describe('a 256 MiB download that is shifted every 50 ms', () => {
    const file = 'large.bin'
    let digest = ''
    let root = ''

    beforeAll(() => {
      root = join(folder, 'large')
      mkdirSync(root)
      const octets = randomFillSync(Buffer.alloc(256 * MIB))
      digest = sha256(octets)
      writeFileSync(join(root, file), octets)
    })

    function whole(download: Download): void {
      expect(download.error).toBe('')
      expect(download.octets).toBe(256 * MIB)
      expect(download.sha256).toBe(digest)
    }

    /** No pause that a busy machine does not explain; that a shift costs no time-out, the simulator says. A failure says when. */
    function flowing(download: Download): void {
      expect(download.gaps.filter(([, ms]) => ms >= MAX_GAP_MS)).toEqual([])
      expect(download.longestGapMs).toBeLessThan(MAX_GAP_MS)
    }

    it('arrives whole, and no packet of it touches the dispatcher after the hand-over', async () => {
      await withCluster(cluster(2, root, 3, '--link-rate', '400mbit'), async state => {
        // Every node reads the file before, so that none of the shifts waits for a disk.
        await warm(state, file)
        const dispatcher = `${state.name}-dispatcher`
        await countService(dispatcher, 'eth0', state.vip)
        const during = shiftedDownload(state, file)
        const handedOver = await readWhenQuiet(dispatcher)
        const { download, shifts, resets } = await during
        whole(download)
        expect(shifts).toBeGreaterThanOrEqual(20)
        expect(resets).toBe(0)
        flowing(download)
        expect(await readService(dispatcher)).toEqual(handedOver)
      })
    }, 120_000)

    it('arrives whole from caches of a quarter of its size', async () => {
      const flags = ['--link-rate', '400mbit', '--cache-octets', `${64 * MIB}`]
      await withCluster(cluster(9, root, 3, ...flags), async state => {
        await warm(state, file)
        const { download, shifts, resets } = await shiftedDownload(state, file)
        whole(download)
        expect(shifts).toBeGreaterThanOrEqual(20)
        expect(resets).toBe(0)
        flowing(download)
      })
    }, 120_000)

    it('arrives whole although 1 % of the packets are lost', async () => {
      await withCluster(cluster(3, root, 3, '--link-rate', '400mbit'), async state => {
        await warm(state, file)
        await loseRandomly(state.clientNamespace, 'eth0', 1)
        const { download, shifts, resets } = await shiftedDownload(state, file)
        await stopLosing(state.clientNamespace)
        whole(download)
        expect(shifts).toBeGreaterThanOrEqual(20)
        expect(resets).toBe(0)
      })
    }, 180_000)

    it('arrives whole at a client without timestamps', async () => {
      // Each shift waits for the kernel's element: at a lower rate there is time for twenty.
      await withCluster(cluster(4, root, 3, '--link-rate', '300mbit'), async state => {
        await warm(state, file)
        await run(...inNamespace(state.clientNamespace, 'sysctl', ['-qw', 'net.ipv4.tcp_timestamps=0']))
        const { download, shifts, resets } = await shiftedDownload(state, file)
        whole(download)
        expect(shifts).toBeGreaterThanOrEqual(20)
        expect(resets).toBe(0)
        flowing(download)
      })
    }, 120_000)

    it('is relayed packet by packet in clone mode', async () => {
      await withCluster(cluster(5, root, 3, '--link-rate', '400mbit', '--mode', 'clone'), async state => {
        await warm(state, file)
        await countService(state.gatewayNamespace, 'wan0', state.vip)
        await countService(`${state.name}-dispatcher`, 'eth0', state.vip)
        const { download, shifts, resets } = await shiftedDownload(state, file)
        whole(download)
        expect(shifts).toBeGreaterThanOrEqual(20)
        expect(resets).toBe(0)
        const entered = await readService(state.gatewayNamespace)
        const relayed = await readService(`${state.name}-dispatcher`)
        expect(relayed.fromClient).toBe(entered.fromClient)
        expect(entered.fromClient).toBeGreaterThan(1_000)
      })
    }, 120_000)

    it('works with the relay in user space as well', async () => {
      await withCluster(cluster(6, root, 3, '--link-rate', '400mbit', '--steering', 'relay'), async state => {
        await warm(state, file)
        const { download, shifts, resets } = await shiftedDownload(state, file)
        whole(download)
        expect(shifts).toBeGreaterThanOrEqual(20)
        expect(resets).toBe(0)
      })
    }, 120_000)
  })

  it('500 kept-alive connections fetch 20,000 random files without one error', async () => {
    const root = join(folder, 'many')
    mkdirSync(root)
    const digests: Record<string, string> = {}
    for (let number = 0; number < 200; number++) {
      const octets = randomFillSync(
        Buffer.alloc(1 + ((number * 7919) % 60_000) + (number % 20 === 0 ? 500_000 : 0)),
      )
      writeFileSync(join(root, `${number}.bin`), octets)
      digests[`/${number}.bin`] = sha256(octets)
    }
    const list = join(folder, 'digests.json')
    writeFileSync(list, JSON.stringify(digests))
    await withCluster(cluster(7, root, 3), async state => {
      const seed = `${Date.now() % 1_000_000}`
      const args = [`http://${state.vip}`, '500', '20000', seed, list]
      const started = startProgram<Swarm>(state.clientNamespace, 'swarm', ...args)
      started.end()
      const swarm = await started.result
      expect({ seed, errors: swarm.errors }).toEqual({ seed, errors: {} })
      expect(swarm.requests).toBeGreaterThanOrEqual(20_000)
      expect(swarm.connects).toBe(500)
    })
  }, 120_000)

  it('the operator’s mistakes are one clear line each, and change nothing', async () => {
    const flags = cluster(8, SITE, 2)
    await withCluster(flags, async ({ name }) => {
      for (const [args, message] of [
        [['shift', '--all', '--to', 'node9'], /node9/],
        [['shift', '12345', '--to', '1'], /12345/],
        [['shift', '--all', '--to', 'dispatcher'], /dispatcher/],
      ] as const) {
        await expect(gyre([...args, '--name', name])).rejects.toThrow(message)
      }
      const status = JSON.parse(await gyre(['status', '--json', '--name', name])) as { owners: unknown[] }
      expect(status.owners).toHaveLength(3)
      expect(await gyre(['connections', '--json', '--name', name])).toContain('connections')
    })
    await expect(gyre(['status', '--name', flags.name])).rejects.toThrow(/not running/)
  }, 120_000)
})

async function output(command: string, args: readonly string[]): Promise<Buffer> {
  const { execFile } = await import('node:child_process')
  return new Promise((resolve, reject) => {
    execFile(command, [...args], { encoding: 'buffer', maxBuffer: 64 * MIB }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new Error(`${command} ${args.join(' ')}: ${stderr.toString()}`))
    })
  })
}
