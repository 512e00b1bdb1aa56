import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import {
  chmod,
  mkdir,
  mkdtemp,
  open as openFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BlockPool } from '../../cache/block-pool.ts'
import type { CachedObject } from '../../cache/cached-object.ts'
import { Streams } from '../../cache/stream.ts'
import { ContentTags } from './content-tag.ts'
import {
  Loader,
  type LoaderOptions,
  type LoadResult,
  MAX_PARALLEL_LOADS,
  MAX_WAITING_LOADS,
} from './loader.ts'
import { StreamFiles } from './stream-files.ts'

let directory: string
let root: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gyre-loader-'))
  root = join(directory, 'root')
  await mkdir(join(root, 'docs'), { recursive: true })
  await mkdir(join(root, 'empty'))
  await mkdir(join(root, '.git'))
  await writeFile(join(root, 'a.txt'), 'hello')
  await writeFile(join(root, 'docs/index.html'), '<p>docs')
  await writeFile(join(root, '.git/config'), 'secret')
  await writeFile(join(directory, 'outside.txt'), 'secret')
})

afterEach(() => rm(directory, { recursive: true, force: true }))

const CAPACITY_OCTETS = 100_000_000

const openWith = (options: Partial<LoaderOptions> = {}) =>
  Loader.open({
    root,
    room: () => true,
    capacityOctets: CAPACITY_OCTETS,
    streamFiles: new StreamFiles(new Streams(new BlockPool(1_000_000))),
    tags: new ContentTags(),
    ...options,
  })
const open = (room: LoaderOptions['room'] = () => true, at = root) => openWith({ room, root: at })
const textOf = (result: LoadResult) => Buffer.from((result as CachedObject).octets).toString()

/** Waits until a file has the age from which on it is taken for settled. */
const settle = () => new Promise(resolve => setTimeout(resolve, 30))

describe('files', () => {
  it('are loaded whole, with what HTTP says about them', async () => {
    await utimes(join(root, 'a.txt'), 1_000_000, 1_000_000)
    const loader = await open()
    const result = await loader.load('/a.txt')
    expect(result).toMatchObject({
      kind: 'object',
      path: '/a.txt',
      length: 5,
      lastModified: 1_000_000,
      lastModifiedStrong: true,
      mediaType: 'text/plain; charset=utf-8',
    })
    expect(textOf(result)).toBe('hello')
    const digest = createHash('sha256').update('hello').digest().subarray(0, 16).toString('base64url')
    expect((result as CachedObject).etag).toBe(`"${digest}"`)
  })

  it('RFC 9110 §8.8.3: the entity tag is of the content alone', async () => {
    await writeFile(join(root, 'b.html'), 'hello')
    await writeFile(join(root, 'c.html'), 'hellp')
    const loader = await open()
    const [a, b, c] = (await Promise.all(
      ['/a.txt', '/b.html', '/c.html'].map(path => loader.load(path)),
    )) as CachedObject[]
    expect(a?.etag).toBe(b?.etag)
    expect(a?.etag).not.toBe(c?.etag)
  })

  it('of several chunks differ in their tags wherever they differ', async () => {
    const octets = Buffer.alloc(2_500_000, 'x')
    const tags = new Set<string>()
    const loader = await open()
    for (const at of [-1, 0, 1_048_576, 2_097_152, 2_499_999]) {
      const changed = Buffer.from(octets)
      if (at >= 0) changed[at] = 0
      await writeFile(join(root, 'large'), changed)
      const object = (await loader.load('/large')) as CachedObject
      expect(Buffer.from(object.octets).equals(changed)).toBe(true)
      tags.add(object.etag)
    }
    expect(tags.size).toBe(5)
  })

  it('RFC 9110 §8.8.2.1: a time of modification that lies ahead becomes now', async () => {
    await utimes(join(root, 'a.txt'), 4_000_000_000, 4_000_000_000)
    const object = (await (await open()).load('/a.txt')) as CachedObject
    expect(Math.abs(object.lastModified - Date.now() / 1_000)).toBeLessThan(5)
  })

  it('RFC 9110 §8.8.2.2: modified in the second of the load is no strong validator', async () => {
    const wall = Math.floor(Date.now() / 1_000) + 60
    const loader = await openWith({ wallMs: () => wall * 1_000 + 999 })
    await utimes(join(root, 'a.txt'), wall, wall)
    expect(await loader.load('/a.txt')).toMatchObject({ lastModified: wall, lastModifiedStrong: false })
    await utimes(join(root, 'a.txt'), wall - 1, wall - 1)
    expect(await loader.load('/a.txt')).toMatchObject({ lastModified: wall - 1, lastModifiedStrong: true })
  })

  it('that are empty are objects too', async () => {
    await writeFile(join(root, 'empty.txt'), '')
    expect(await (await open()).load('/empty.txt')).toMatchObject({ kind: 'object', length: 0 })
  })

  it('with unusual names', async () => {
    for (const name of ['a b', 'é', '%2e', 'a\nb', '?#', '日本']) {
      await writeFile(join(root, name), name)
      expect(textOf(await (await open()).load(`/${name}`))).toBe(name)
    }
  })
})

describe('what is no file', () => {
  it.each([
    ['/missing', { kind: 'missing' }],
    ['/a.txt/', { kind: 'missing' }],
    ['/a.txt/b', { kind: 'missing' }],
    [`/${'x'.repeat(300)}`, { kind: 'missing' }],
    [`/${'x/'.repeat(5_000)}`, { kind: 'missing' }],
    ['/docs', { kind: 'redirect', path: '/docs/' }],
    ['/docs/', { kind: 'object', path: '/docs/index.html' }],
    ['/docs/index.html', { kind: 'object', path: '/docs/index.html' }],
    ['/empty/', { kind: 'forbidden' }],
    ['/nowhere/', { kind: 'missing' }],
    ['/', { kind: 'forbidden' }],
    ['/nul\0', { kind: 'failed' }],
  ])('%j', async (path, expected) => expect(await (await open()).load(path)).toMatchObject(expected))

  it('pipes and sockets are forbidden, and hold no thread', async () => {
    execFileSync('mkfifo', [join(root, 'pipe')])
    expect(await (await open()).load('/pipe')).toEqual({ kind: 'forbidden' })
  })

  it('an index that is a directory or a link out', async () => {
    await mkdir(join(root, 'empty/index.html'))
    expect(await (await open()).load('/empty/')).toEqual({ kind: 'forbidden' })
    await rm(join(root, 'docs/index.html'))
    await symlink('../../outside.txt', join(root, 'docs/index.html'))
    expect(await (await open()).load('/docs/')).toEqual({ kind: 'forbidden' })
  })

  it('a file that may not be read', async () => {
    await chmod(join(root, 'a.txt'), 0)
    const result = await (await open()).load('/a.txt')
    // The superuser reads everything.
    expect(result.kind).toBe(process.getuid?.() === 0 ? 'object' : 'forbidden')
  })

  it('a root that is none is refused at the start', async () => {
    await expect(open(undefined, join(directory, 'missing'))).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(open(undefined, join(directory, 'outside.txt'))).rejects.toMatchObject({ code: 'ENOTDIR' })
  })
})

describe('links', () => {
  it.each([
    ['inside', 'a.txt', 'object'],
    ['to a directory inside', 'docs', 'redirect'],
    ['out of the root', '../outside.txt', 'forbidden'],
    ['out of the root to a directory', '..', 'forbidden'],
    ['to the whole system', '/etc/passwd', 'forbidden'],
    ['to something hidden', '.git/config', 'forbidden'],
    ['to nothing', 'gone', 'missing'],
    ['to itself', 'link', 'forbidden'],
  ])('%s', async (_, target, kind) => {
    await symlink(target, join(root, 'link'))
    expect(await (await open()).load('/link')).toMatchObject({ kind })
  })

  it('in the middle of a path do not lead out either', async () => {
    await symlink('..', join(root, 'up'))
    await symlink('/', join(root, 'system'))
    const loader = await open()
    for (const path of ['/up/outside.txt', '/system/etc/passwd', '/up/', '/system/etc/']) {
      expect(await loader.load(path)).toEqual({ kind: 'forbidden' })
    }
    expect(await loader.load('/up/root/a.txt')).toMatchObject({ kind: 'object' })
  })

  it('a sibling whose name begins like the root is outside', async () => {
    await mkdir(join(directory, 'root-2'))
    await writeFile(join(directory, 'root-2/a'), 'secret')
    await symlink('../root-2/a', join(root, 'link'))
    expect(await (await open()).load('/link')).toEqual({ kind: 'forbidden' })
  })

  it('a root that is a link may be led to another directory: a deployment in one step', async () => {
    await mkdir(join(directory, 'next'))
    await writeFile(join(directory, 'next/a.txt'), 'next')
    const current = join(directory, 'current')
    await symlink('root', current)
    const loader = await open(undefined, current)
    const before = (await loader.load('/a.txt')) as CachedObject
    await symlink('next', `${current}~`)
    await rename(`${current}~`, current)
    expect(await loader.changed(before)).toBe(true)
    expect(textOf(await loader.load('/a.txt'))).toBe('next')
  })
})

describe('change', () => {
  it.each([
    ['nothing', async () => {}, false],
    ['writing', () => writeFile(join(root, 'a.txt'), 'HELLO'), true],
    ['truncating', () => truncate(join(root, 'a.txt'), 1), true],
    ['deleting', () => unlink(join(root, 'a.txt')), true],
    [
      'replacing by the same octets and times',
      async () => {
        await writeFile(join(root, 'b.txt'), 'hello')
        await utimes(join(root, 'b.txt'), 5, 5)
        await rename(join(root, 'b.txt'), join(root, 'a.txt'))
      },
      true,
    ],
  ])('%s', async (_, act, changed) => {
    await utimes(join(root, 'a.txt'), 5, 5)
    const loader = await open()
    const object = (await loader.load('/a.txt')) as CachedObject
    await act()
    expect(await loader.changed(object)).toBe(changed)
  })

  it('a file that was written just now, at every attempt, is not loaded', async () => {
    const { ctimeMs } = await stat(join(root, 'a.txt'))
    const loader = await openWith({ wallMs: () => Math.floor(ctimeMs) + 1 })
    const result = await loader.load('/a.txt')
    expect(result).toMatchObject({ kind: 'unstable', reason: expect.stringContaining('/a.txt') })
    expect(loader.counters.retries).toBeGreaterThan(2)
  })

  it.each([
    ['growing', 'hello, world'],
    ['shrinking', 'hell'],
    ['rewriting', 'HELLO'],
  ])('%s between the first look and the read: the load starts again', async (_, text) => {
    let looks = 0
    const loader = await open(() => {
      // Asked when the size is known and nothing is read yet.
      if (++looks === 1) writeFileSync(join(root, 'a.txt'), text)
      return true
    })
    await settle()
    const object = await loader.load('/a.txt')
    expect(textOf(object)).toBe(text)
    expect(await loader.changed(object as CachedObject)).toBe(false)
    expect(looks).toBe(2)
    expect(loader.counters.retries).toBeGreaterThan(0)
  })

  it('no load is half old and half new', async () => {
    const size = 300_000
    const handle = await openFile(join(root, 'torn'), 'w+')
    await handle.write(Buffer.alloc(size))
    const loader = await open()
    let on = true
    const writing = (async () => {
      for (let version = 1; on; version++) {
        // In place, not by rename: a reader can see it half done.
        await handle.write(Buffer.alloc(size, version % 250), 0, size, 0)
        await new Promise(resolve => setTimeout(resolve, (version % 8) * 5))
      }
    })()
    let loaded = 0
    for (let round = 0; round < 30; round++) {
      const result = await loader.load('/torn')
      if (result.kind !== 'object') continue
      loaded++
      expect(Buffer.from(result.octets).equals(Buffer.alloc(size, result.octets[0]))).toBe(true)
    }
    on = false
    await writing
    await handle.close()
    expect(loaded).toBeGreaterThan(0)
    expect(loader.counters.retries).toBeGreaterThan(0)
  })
})

describe('bounds', () => {
  it('what does not fit is refused with a reason', async () => {
    const full = await open(() => false)
    expect(await full.load('/a.txt')).toMatchObject({
      kind: 'busy',
      reason: expect.stringContaining('5 octets'),
    })
    expect(full.counters.busy).toBe(1)
  })

  it('all who ask for a path while it is loaded share the load', async () => {
    const loader = await open()
    const results = await Promise.all(Array.from({ length: 50 }, () => loader.load('/a.txt')))
    expect(new Set(results).size).toBe(1)
    expect(loader.counters).toMatchObject({ loads: 1, shared: 49 })
    expect(await loader.load('/a.txt')).not.toBe(results[0])
  })

  it('loads wait their turn, and not without end', async () => {
    let loading = 0
    let most = 0
    const loader = await open((_octets, others) => {
      // Each file has one octet: the octets on their way are the loads on their way.
      loading = others + 1
      most = Math.max(most, loading)
      return true
    })
    const count = MAX_PARALLEL_LOADS + MAX_WAITING_LOADS + 10
    for (let at = 0; at < 100; at++) await writeFile(join(root, `f${at}`), 'x')
    await settle()
    const results = await Promise.all(Array.from({ length: count }, (_, at) => loader.load(`/f${at}`)))
    const kinds = (kind: string) => results.filter(result => result.kind === kind).length
    expect(kinds('object')).toBe(100)
    expect(kinds('busy')).toBe(10)
    expect(kinds('missing')).toBe(count - 110)
    expect(most).toBeGreaterThan(1)
    expect(most).toBeLessThanOrEqual(MAX_PARALLEL_LOADS)
    expect(await loader.load('/a.txt')).toMatchObject({ kind: 'object' })
  })
})
