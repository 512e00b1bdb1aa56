/** The benchmark's own machinery: real servers are started anew under real clients, and what breaks is counted. No timing. */
import { spawnSync } from 'node:child_process'
import { goalsOf, measure, sampleOf } from './command.ts'
import { SYSTEMS } from './systems.ts'

const TOOLS = ['nginx', 'haproxy']
const missing = TOOLS.filter(tool => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0)
const lacking = process.getuid?.() !== 0 ? 'needs root' : missing.length > 0 ? `no ${missing}` : undefined
const where = lacking === undefined ? describe : describe.skip

where(`two nodes that start anew${lacking === undefined ? '' : ` (skipped: ${lacking})`}`, () => {
  it('break none of our downloads, and those of nginx that outlast what it is waited for', async () => {
    const run = { nodes: 2, downloads: 4, users: 4, wait: 1, rounds: 1, only: '' }
    const chosen = SYSTEMS.filter(({ name }) => ['gyre upgrade', 'nginx drain, quit'].includes(name))
    const { rows } = await measure({ ...run, wait: 20 }, chosen.slice(0, 1))
    const others = await measure(run, chosen.slice(1))
    const of = (column: string) => [...rows, ...others.rows].map(({ figures }) => figures[column]?.[0])
    expect([of('broken')[0], of('failed')[0], of('resets')[0]]).toEqual([0, 0, 0])
    expect(of('broken')[1]).toBeGreaterThan(0)
    expect(of('requests').every(count => (count ?? 0) > 0)).toBe(true)
    expect(goalsOf(rows).map(({ value }) => value)).toEqual([0, 0, 0])
  }, 120_000)
})

it('resets are told from other faults, of downloads and of requests', () => {
  const counts = { begun: 9, whole: 1, broken: 3, requests: 90, failed: 2, repeated: 1 }
  const faults = {
    ...{ 'download: ECONNRESET': 2, 'download: ended early': 1, 'request: ECONNRESET': 1 },
    ...{ 'request: status 503': 1, 'repeated: UND_ERR_SOCKET': 1 },
  }
  const sample = sampleOf(3, { ...counts, faults, p50Ms: 1, p99Ms: 2, maxMs: 3 })
  expect(sample).toMatchObject({ roll: 3, downloads: 9, broken: 3, failed: 2, resets: 3, 'asked again': 1 })
})
