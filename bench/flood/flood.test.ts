/** Every attack of the benchmark, shortly and at a rate that any machine makes: downloads live on, and new clients are served. */
import { measureFlood, UNDISTURBED } from './command.ts'

const asRoot = process.getuid?.() === 0 ? it : it.skip
const ATTACKS = ['syn', 'ack', 'tsecr', 'blind', 'fragments', 'icmp', 'vip', 'sack', 'tiny']

asRoot(
  'no attack ends a download, or keeps a new client out',
  async () => {
    const { rows } = await measureFlood({ rate: 2_000, seconds: 0.3, rounds: 1, only: '' })
    expect(rows.map(({ system }) => system)).toEqual([UNDISTURBED, ...ATTACKS])
    for (const { system, errors, figures } of rows) {
      expect([system, errors]).toEqual([system, 0])
      expect([system, figures.downloads?.[0]]).toEqual([system, expect.any(Number)])
      expect(figures.downloads?.[0]).toBeGreaterThan(0)
      expect([system, (figures.sent?.[0] ?? 0) > 0]).toEqual([system, system !== UNDISTURBED])
    }
  },
  240_000,
)
