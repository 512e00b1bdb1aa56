import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_LIMITS } from '../../node/server/limits.ts'
import { loadConfig } from './load.ts'
import { RunningConfig } from './running.ts'

/** What reads TypeScript has to be read itself first, by a machine that may be busy. */
jest.setTimeout(60_000)

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gyre-running-'))
  for (const root of ['a', 'b']) mkdirSync(join(folder, root))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

function write(config: object): string {
  const file = join(folder, 'gyre.config.json')
  writeFileSync(file, JSON.stringify(config))
  return file
}

async function running(config: object, givenRoot?: string): Promise<RunningConfig> {
  const loaded = await loadConfig(write(config))
  return new RunningConfig({ loaded, givenRoot, defaultRoot: '/www', cluster: {} })
}

it('is read again, and changes its digest', async () => {
  const config = await running({ root: 'a', port: 8080 })
  expect(config.serving.sites[0].root).toBe(join(folder, 'a'))
  write({ root: 'b', port: 8080 })
  const next = await config.reload()
  expect(next.sites[0].root).toBe(join(folder, 'b'))
  expect(next.digest).not.toBe(config.serving.digest)
})

it('takes other limits of clients, and other sites alike', async () => {
  const config = await running({ root: 'a', timeouts: { idle: '10s' } })
  write({ root: 'a', timeouts: { idle: '5s' }, clients: { connections: 7 } })
  const { limits, digest } = await config.reload()
  expect(limits).toMatchObject({ pace: { idleMs: 5_000 }, clients: { connections: 7 } })
  expect(digest).not.toBe(config.serving.digest)
  write({ root: 'a' })
  expect((await config.reload()).limits).toEqual(DEFAULT_LIMITS)
  write({ root: 'a', accessLog: { format: 'json' } })
  await expect(config.reload()).rejects.toMatchObject({ issues: [{ path: 'accessLog' }] })
})

it('leaves a root that a flag gave', async () => {
  const config = await running({ root: 'a' }, '/flag')
  write({ root: 'b' })
  expect((await config.reload()).sites[0].root).toBe('/flag')
})

it('refuses what only a restart changes, and says so of each setting', async () => {
  const config = await running({ port: 8080, cacheOctets: '64MiB', root: 'a' })
  write({ port: 8081, root: 'b', cacheOctets: '64MiB', mode: 'clone' })
  await expect(config.reload()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    issues: ['port', 'mode'].map(path => ({
      path,
      message: 'changes with a restart only; nothing was reloaded',
    })),
  })
  write({ port: 8080, root: 'b', cacheOctets: 67_108_864 })
  await expect(config.reload()).resolves.toMatchObject({ unknownHost: 'default' })
})

it('refuses a file that is wrong, or gone', async () => {
  const config = await running({ root: 'a' })
  const file = write({ root: 'none', rot: 'a' })
  await expect(config.reload()).rejects.toMatchObject({ issues: [{ path: 'rot' }] })
  rmSync(file)
  await expect(config.reload()).rejects.toMatchObject({ code: 'CONFIG_UNREADABLE' })
})

it('has nothing to read where there is no file', async () => {
  const config = new RunningConfig({
    loaded: undefined,
    givenRoot: undefined,
    defaultRoot: '/www',
    cluster: {},
  })
  expect(config.serving.sites[0].root).toBe('/www')
  await expect(config.reload()).rejects.toMatchObject({ code: 'CONFIG_UNREADABLE' })
})
