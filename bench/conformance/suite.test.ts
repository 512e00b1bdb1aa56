import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeRoot } from './root.ts'
import { runCase } from './run.ts'
import { SimulatedServer } from './simulated-wire.ts'
import { SUITE, titleOf } from './suite.ts'

/** For machines that are busy. */
const SETUP_MS = 60_000

let folder: string
let root: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gyre-conformance-'))
  root = await makeRoot(folder)
})

afterAll(() => rm(folder, { recursive: true, force: true }))

it('has many cases, each with a section, and none twice', () => {
  expect(SUITE.length).toBeGreaterThanOrEqual(200)
  expect(SUITE.filter(({ section }) => !/^RFC \d{4} §\d/.test(section))).toEqual([])
  const titles = SUITE.map(titleOf)
  expect(titles.filter((title, index) => titles.indexOf(title) !== index)).toEqual([])
})

describe.each([
  ['at rest', false],
  ['whose connections move all the time', true],
])('a cluster %s', (_name, shifting) => {
  let server: SimulatedServer

  beforeAll(async () => {
    server = await SimulatedServer.open(root, shifting)
  }, SETUP_MS)

  // How deadlines travel is told apart from the suite, in less time (bench/sim/cluster/pace.test.ts).
  const cases = SUITE.filter(({ level }) => !shifting || level !== 'timing')

  it.each(cases.map(test => [titleOf(test), test] as const))('%s', async (_title, test) => {
    const wire = server.connect()
    expect(await runCase(test, wire)).toBeUndefined()
    wire.finish()
  })

  it('has moved them, or not', () => {
    if (shifting) expect(server.shifts).toBeGreaterThan(2 * SUITE.length)
    else expect(server.shifts).toBeLessThanOrEqual(2 * SUITE.length)
  })
})
