/** A node that is killed, or whose wire is cut, in the middle of many downloads: another goes on with each of them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withCluster } from '../local-cluster.ts'
import { killedDownloads, writeDownloads } from './drained-downloads.ts'

const asRoot = process.getuid?.() === 0 ? describe : describe.skip
const DOWNLOADS = 50

asRoot('a node that dies', () => {
  it.each(['kill', 'cut'] as const)(
    '(%s) under running downloads loses none, and resets nobody',
    async how => {
      const root = mkdtempSync(join(tmpdir(), 'gyre-crash-'))
      const flags = { name: 'gyre-tk', vip: '10.77.171.1', vip6: 'fd77:171::1', admin: '127.0.0.1:8971' }
      try {
        const files = writeDownloads(root)
        await withCluster({ ...flags, nodes: 3, root }, async state => {
          const { downloads, crashes, resetsSent } = await killedDownloads(state, files, DOWNLOADS, how)
          expect(downloads).toMatchObject({ intact: DOWNLOADS, failed: {} })
          expect(crashes).toMatchObject({ recovered: DOWNLOADS, lost: {}, recovering: 0 })
          expect(resetsSent).toBe(0)
        })
      } finally {
        rmSync(root, { recursive: true, force: true })
      }
    },
    120_000,
  )
})
