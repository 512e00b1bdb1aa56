/** A cluster whose control links need a key, as it runs on real machines: it serves and shifts, and strangers get no answer. */
import { createHash, randomFillSync } from 'node:crypto'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_CONTROL_PORT } from '../../dispatcher/options.ts'
import { gyre, withCluster } from '../local-cluster.ts'
import { inNamespace, run } from '../process.ts'
import { shiftedDownload, warm } from './shifted-download.ts'

const asRoot = process.getuid?.() === 0 ? describe : describe.skip
const FILE = 'large.bin'
const OCTETS = 24 * 1024 * 1024

asRoot('a cluster with a key', () => {
  let folder = ''
  let digest = ''

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gyre-keyed-'))
    const octets = randomFillSync(Buffer.alloc(OCTETS))
    digest = createHash('sha256').update(octets).digest('hex')
    writeFileSync(join(folder, FILE), octets)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('moves downloads among its nodes, and says nothing to who has no key', async () => {
    const key = join(folder, 'key')
    await gyre(['key', key])
    expect(statSync(key).mode & 0o777).toBe(0o600)
    await expect(gyre(['key', key])).rejects.toThrow(/is there already/)
    const flags = {
      ...{ name: 'gyre-tl', vip: '10.77.126.1', vip6: 'fd77:126::1', admin: '127.0.0.1:8926', nodes: 2 },
      ...{ root: folder, more: ['--key', key, '--link-rate', '200mbit'] },
    }
    await withCluster(flags, async state => {
      await warm(state, FILE, [1, 2])
      const { download, shifts, resets } = await shiftedDownload(state, FILE, [1, 2])
      expect([download.error, download.sha256, resets]).toEqual(['', digest, 0])
      expect(shifts).toBeGreaterThanOrEqual(3)
      // A stranger in the members' own network, who knows the protocol.
      const [node, other] = state.roles.filter(({ role }) => role === 'node')
      const address = `/dev/tcp/${other?.address}/${DEFAULT_CONTROL_PORT}`
      const hello = 'GET / HTTP/1.1\\r\\nHost: a\\r\\nUpgrade: gyre\\r\\nConnection: Upgrade\\r\\n\\r\\n'
      // It may be cut before it has said all of it; what it was told counts.
      const probe = `trap '' PIPE; exec 3<>${address} && echo open; printf '${hello}' >&3; timeout 20 cat <&3; true`
      const heard = await run(...inNamespace(node?.namespace ?? '', 'bash', ['-c', probe]))
      expect(heard).toMatch(/^open\n/)
      expect(heard).not.toContain('HTTP')
    })
  }, 120_000)
})
