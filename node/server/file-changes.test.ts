import { mkdir, mkdtemp, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CachedObject } from '../../cache/cached-object.ts'
import { asciiOctets } from '../http/grammar.ts'
import { DEFAULT_HTTP_SETTINGS } from '../http/http-settings.ts'
import type { Found } from '../http/representation.ts'
import { createRequestHead, parseRequestHead } from '../http/request-head.ts'
import { createWatchCounters, FileChanges, MAX_RELOADS } from './file-changes.ts'
import { Sites } from './sites.ts'

/** For a machine that is busy; nothing waits for as long when all is well. */
const PATIENCE_MS = 10_000

let folder: string
let root: string
let sites: Sites
let noticed: number

const write = (name: string, text: string) => writeFile(join(root, name), text)
const age = (name: string) => utimes(join(root, name), 1_000, 1_000)

/** As editors and rsync do it: beside it, and by its name when it is whole. */
async function replace(name: string, text: string): Promise<void> {
  const [, directory, file] = /^(.*\/)?([^/]*)$/.exec(name) ?? []
  const beside = `${directory ?? ''}.${file}.new`
  await write(beside, text)
  await rename(join(root, beside), join(root, name))
}

/** No clock: nothing is looked at again because time has passed. */
async function open(): Promise<void> {
  const site = { name: '', hosts: [], root, http: { ...DEFAULT_HTTP_SETTINGS, listing: true } }
  sites = await Sites.open({ sites: [site], unknownHost: 'default', digest: '' }, 64 * 1_048_576, () => 0)
  noticed = 0
  sites.onNoticed = () => noticed++
}

const load = (path: string) => new Promise<Found<CachedObject>>(resolve => sites.load(path, resolve))
const held = (path: string) => sites.store.peek(path)?.object
const textOf = (path: string) => Buffer.from(held(path)?.octets ?? []).toString()

async function until(done: () => boolean): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; !done() && performance.now() < end; ) await sleep(5)
  expect(done()).toBe(true)
}

function find(target: string): Found<CachedObject> | undefined {
  const octets = asciiOctets(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
  const head = createRequestHead()
  expect(parseRequestHead(octets, 0, octets.length, head)).toBe('complete')
  return sites.find(head, 0)
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gyre-changes-'))
  root = join(folder, 'www')
  await mkdir(join(root, 'docs'), { recursive: true })
  await write('a.txt', 'one')
  await write('docs/index.html', 'index')
  await age('a.txt')
  await open()
})

afterEach(async () => {
  sites.close()
  await rm(folder, { recursive: true, force: true })
})

describe('without a request', () => {
  it.each([
    ['by rename', replace],
    ['in place', write],
  ])('a file that is replaced %s is another object, whole', async (_name, change) => {
    const before = (await load('/a.txt')) as CachedObject
    await change('a.txt', 'two and more')
    await until(() => held('/a.txt') !== before && held('/a.txt') !== undefined)
    await until(() => textOf('/a.txt') === 'two and more')
    expect(Buffer.from(before.octets).toString()).toBe('one')
    await until(() => noticed > 0)
  })

  it('a file that is deleted is gone from the cache, and those who keep a directory hear of it', async () => {
    await load('/a.txt')
    sites.store.takeChanges()
    await unlink(join(root, 'a.txt'))
    await until(() => held('/a.txt') === undefined)
    await until(() => noticed > 0)
    expect(sites.store.takeChanges()).toMatchObject({ evicted: ['/a.txt'] })
  })

  it('a file that comes where there was none is found at once', async () => {
    await load('/a.txt')
    await load('/b.txt')
    expect(find('/b.txt')).toEqual({ kind: 'missing' })
    await write('b.txt', 'new')
    await until(() => find('/b.txt') === undefined)
  })

  it('what comes to stand precompressed beside a file is served', async () => {
    await load('/a.txt')
    await write('a.txt.br', 'coded')
    await until(() => held('/a.txt')?.variants?.select(['br'], sites.store)?.contentEncoding === 'br')
  })

  it('the page of a directory has its new names', async () => {
    await mkdir(join(root, 'list'))
    await sleep(30)
    await load('/list/')
    await write('list/new.txt', '')
    await until(() => textOf('/list/').includes('new.txt'))
  })

  it('a directory that is replaced by another holds other files', async () => {
    await load('/docs/')
    await mkdir(join(root, 'next'))
    await write('next/index.html', 'next')
    await rename(join(root, 'docs'), join(root, 'old'))
    await rename(join(root, 'next'), join(root, 'docs'))
    await until(() => textOf('/docs/index.html') === 'next')
    // And goes on to be watched.
    await replace('docs/index.html', 'last')
    await until(() => textOf('/docs/index.html') === 'last')
  })
})

it('a root that is a link and leads elsewhere from one moment to the next', async () => {
  const releases = [join(folder, 'r1'), join(folder, 'r2')] as const
  for (const [index, release] of releases.entries()) {
    await mkdir(release)
    await writeFile(join(release, 'a.txt'), `release ${index + 1}`)
  }
  sites.close()
  root = join(folder, 'current')
  await symlink(releases[0], root)
  await open()
  await load('/a.txt')
  expect(textOf('/a.txt')).toBe('release 1')
  await symlink(releases[1], join(folder, 'next'))
  await rename(join(folder, 'next'), root)
  await until(() => textOf('/a.txt') === 'release 2')
})

it('thousands of files that change at once are a few rounds, and are read when somebody asks', async () => {
  const names = Array.from({ length: 3_000 }, (_, index) => `docs/${index}.txt`)
  for (let from = 0; from < names.length; from += 200) {
    await Promise.all(names.slice(from, from + 200).map(name => write(name, 'one')))
  }
  const cached = names.slice(0, 1_000)
  for (let from = 0; from < cached.length; from += 200) {
    await Promise.all(cached.slice(from, from + 200).map(name => load(`/${name}`)))
  }
  const before = cached.map(name => held(`/${name}`))
  expect(before.every(object => object !== undefined)).toBe(true)
  noticed = 0
  for (let from = 0; from < names.length; from += 200) {
    await Promise.all(names.slice(from, from + 200).map(name => replace(name, 'two')))
  }
  await until(() => cached.every((name, index) => held(`/${name}`) !== before[index]))
  // Reads beyond those of small rounds would be a storm.
  const read = cached.filter(name => held(`/${name}`) !== undefined).length
  expect(read).toBeLessThanOrEqual(MAX_RELOADS * (noticed + 1))
  expect(noticed).toBeLessThan(100)
  await load(`/${cached[7]}`)
  expect(textOf(`/${cached[7]}`)).toBe('two')
}, 60_000)

it('is counted, and goes on to be when a reload opens the site anew', async () => {
  expect(sites.watching()).toMatchObject({ noticed: 0, rounds: 0, failed: 0, directories: 1 })
  await load('/a.txt')
  await replace('a.txt', 'two')
  await until(() => textOf('/a.txt') === 'two' && noticed > 0)
  const before = sites.watching()
  expect(before).toMatchObject({ failed: 0, directories: 2 })
  for (const count of [before?.events, before?.noticed, before?.rounds]) expect(count).toBeGreaterThan(0)
  const site = { name: '', hosts: [], root, http: DEFAULT_HTTP_SETTINGS }
  ;(await sites.prepare({ sites: [site], unknownHost: 'default', digest: '' }))()
  expect(sites.watching()).toMatchObject({ noticed: before?.noticed, rounds: before?.rounds, directories: 1 })
})

describe('the watches', () => {
  const changesOf = (more: object = {}) => {
    const looked: string[] = []
    const counters = createWatchCounters()
    const changes = new FileChanges({
      root,
      max: 3,
      cached: () => ['/a.txt'],
      forget: () => {},
      isKnown: () => true,
      look: async path => void looked.push(path),
      settled: () => {},
      counters,
      ...more,
    })
    return { changes, looked, counters }
  }

  it('are bounded in number', () => {
    const { changes, counters } = changesOf()
    for (const path of ['/a.txt', '/docs/a', '/docs/b']) changes.stored(path)
    expect(changes.watched).toBe(3)
    changes.stored('/gone/a')
    expect([changes.watched, counters.failed]).toEqual([3, 1])
    changes.close()
    expect(changes.watched).toBe(0)
  })

  it('may fail: then nothing is noticed, and nothing else happens', () => {
    const watch = () => {
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
    }
    const { changes, counters } = changesOf({ watch })
    changes.stored('/a.txt')
    expect([changes.watched, counters.failed]).toEqual([0, 3])
    changes.close()
  })

  it('tell nothing of hidden names, and nothing once they are closed', async () => {
    const { changes, looked } = changesOf()
    changes.stored('/a.txt')
    await write('.hidden', '')
    await write('b.txt', '')
    await until(() => looked.includes('/b.txt'))
    expect(looked.some(path => path.includes('hidden'))).toBe(false)
    await write('c.txt', '')
    changes.close()
    await sleep(100)
    expect(looked).not.toContain('/c.txt')
  })
})
