import { mkdir, mkdtemp, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BlockPool } from '../../cache/block-pool.ts'
import type { CachedObject } from '../../cache/cached-object.ts'
import type { CacheEntry } from '../../cache/policy.ts'
import { CacheStore } from '../../cache/store.ts'
import { Streams } from '../../cache/stream.ts'
import type { Variant } from '../../cache/variants.ts'
import type { Coding } from '../http/content-coding.ts'
import { asciiOctets } from '../http/grammar.ts'
import { DEFAULT_HTTP_SETTINGS } from '../http/http-settings.ts'
import { createRequestHead, parseRequestHead, type RequestHead } from '../http/request-head.ts'
import { ContentTags } from './content-tag.ts'
import { Loader, type LoaderOptions } from './loader.ts'
import {
  MAX_PAGE_OCTETS,
  MAX_RECENT,
  RECENT_MS,
  REVALIDATE_MS,
  RepresentationSource,
} from './representation-source.ts'
import { StreamFiles } from './stream-files.ts'

let root: string
let store: CacheStore
let loader: Loader
let source: RepresentationSource
let now = 0

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'gyre-source-'))
  await mkdir(join(root, 'docs'))
  await write('a.txt', 'one')
  await write('docs/index.html', 'index')
  now = 0
  store = new CacheStore(1_000_000)
  loader = await openLoader()
  source = new RepresentationSource({ store, loader, now: () => now })
})

afterEach(() => {
  loader.streamFiles.close()
  return rm(root, { recursive: true, force: true })
})

const openLoader = (options: Partial<LoaderOptions> = {}) =>
  Loader.open({
    root,
    room: (octets, loading) => store.room(octets, loading),
    capacityOctets: store.capacityOctets,
    streamFiles: new StreamFiles(new Streams(new BlockPool(1_000_000))),
    tags: new ContentTags(),
    ...options,
  })

async function write(name: string, text: string, modified = 1_000): Promise<void> {
  await writeFile(join(root, name), text)
  await utimes(join(root, name), modified, modified)
}

function head(target: string): RequestHead {
  const octets = asciiOctets(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
  const into = createRequestHead()
  expect(parseRequestHead(octets, 0, octets.length, into)).toBe('complete')
  return into
}

const textOf = (object: unknown) => Buffer.from((object as CachedObject).octets).toString()
const entryOf = (path: string) => store.peek(path) as CacheEntry

/** Lets a comparison that was started off the packet path come to its end. */
async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 400 && !condition(); turn++) await new Promise(resolve => setTimeout(resolve, 5))
  expect(condition()).toBe(true)
}

describe('lookups', () => {
  it('a miss, a load, a hit', async () => {
    expect(source.find(head('/a.txt'), now)).toBeUndefined()
    const loaded = await source.load('/a.txt')
    expect(loaded).toMatchObject({ kind: 'object', path: '/a.txt' })
    expect(source.find(head('/a.txt'), now)).toBe(loaded)
    expect(source.find(head('/a.txt?query'), now)).toBe(loaded)
    expect(source.find(head('http://a/a.txt'), now)).toBe(loaded)
    expect(source.find(head('/docs/../%61.txt'), now)).toBe(loaded)
    expect(source.find(head('/docs/../%61.txt'), now)).toBe(loaded)
    expect(store.counters).toMatchObject({ hits: 5, misses: 1, inserted: 1 })
  })

  it('a directory and its index are one object', async () => {
    const loaded = await source.load('/docs/')
    expect(source.find(head('/docs/'), now)).toBe(loaded)
    expect(source.find(head('/docs/index.html'), now)).toBe(loaded)
    expect(await source.load('/docs/index.html')).toBe(loaded)
    expect(store.count).toBe(1)
  })

  it('a path that is refused needs no disk', () => {
    expect(source.find(head('/../a'), now)).toEqual({ kind: 'refused', status: 400 })
    expect(source.find(head('/.git/config'), now)).toEqual({ kind: 'refused', status: 404 })
    expect(store.counters.misses).toBe(0)
  })

  it('what is not there is remembered for a while, within bounds', async () => {
    await source.load('/missing')
    await source.load('/docs')
    expect(source.find(head('/missing'), now + RECENT_MS - 1)).toEqual({ kind: 'missing' })
    expect(source.find(head('/docs'), now)).toEqual({ kind: 'redirect', path: '/docs/' })
    expect(source.find(head('/missing'), now + RECENT_MS)).toBeUndefined()
    for (let at = 0; at < MAX_RECENT; at++) await source.load(`/missing-${at}`)
    expect(source.find(head('/docs'), now)).toBeUndefined()
    expect(source.find(head('/missing-0'), now)).toEqual({ kind: 'missing' })
  })

  it('what was missing and came is found at the latest when it is no longer remembered', async () => {
    await source.load('/new.txt')
    await write('new.txt', 'new')
    expect(source.find(head('/new.txt'), now + RECENT_MS)).toBeUndefined()
    expect(textOf(await source.load('/new.txt'))).toBe('new')
    expect(textOf(source.find(head('/new.txt'), now))).toBe('new')
  })
})

describe('files that change', () => {
  it('are compared on use, no more often than once in a while', async () => {
    const old = await source.load('/a.txt')
    await write('a.txt', 'two', 2_000)
    const changed = jest.spyOn(loader, 'changed')
    now = REVALIDATE_MS - 1
    expect(source.find(head('/a.txt'), now)).toBe(old)
    now = REVALIDATE_MS
    // The packet path is never held up: the old version is served once more.
    for (let use = 0; use < 10; use++) expect(source.find(head('/a.txt'), now)).toBe(old)
    await until(() => store.peek('/a.txt')?.object !== old)
    expect(changed).toHaveBeenCalledTimes(1)
    expect(textOf(source.find(head('/a.txt'), now))).toBe('two')
    expect(textOf(old)).toBe('one')
    expect(store.takeChanges()).toMatchObject({
      have: [{ path: '/a.txt', etag: entryOf('/a.txt').object?.etag }],
    })
  })

  it('and are gone when they are gone', async () => {
    await source.load('/a.txt')
    await unlink(join(root, 'a.txt'))
    await source.revalidate(entryOf('/a.txt'))
    expect(store.peek('/a.txt')).toBeUndefined()
    expect(source.find(head('/a.txt'), now)).toBeUndefined()
    expect(store.takeChanges()).toMatchObject({ have: [], evicted: ['/a.txt'] })
  })

  it('or have become too large for memory', async () => {
    await source.load('/a.txt')
    await write('a.txt', 'x'.repeat(200_000))
    await source.revalidate(entryOf('/a.txt'))
    const streamed = store.peek('/a.txt')?.object
    expect(streamed).toMatchObject({ length: 200_000, memoryOctets: 0 })
    expect(await source.load('/a.txt')).toBe(streamed)
  })

  it('that were only touched keep their tag and have their new date', async () => {
    const old = (await source.load('/a.txt')) as CachedObject
    await write('a.txt', 'one', 2_000)
    await source.revalidate(entryOf('/a.txt'))
    expect(entryOf('/a.txt').object).toMatchObject({
      etag: old.etag,
      lastModified: 2_000,
      lastModifiedStrong: true,
    })
  })

  it('RFC 9110 §8.8.2.2: two versions of one second leave no strong date', async () => {
    await source.load('/a.txt')
    await write('a.txt', 'two', 1_000)
    await source.revalidate(entryOf('/a.txt'))
    expect(entryOf('/a.txt').object).toMatchObject({ lastModified: 1_000, lastModifiedStrong: false })
  })

  it('that did not change are not read again', async () => {
    const object = await source.load('/a.txt')
    await source.revalidate(entryOf('/a.txt'))
    expect(entryOf('/a.txt').object).toBe(object)
    expect(loader.counters.loadedOctets).toBe(3)
  })
})

describe('versions for a connection that moves here', () => {
  it('from memory, from the disk, or not at all', async () => {
    const object = (await source.load('/a.txt')) as CachedObject
    expect(await source.loadVersion('/a.txt', object.etag)).toEqual({ kind: 'equal', object })
    store.remove('/a.txt')
    const again = await source.loadVersion('/a.txt', object.etag)
    expect(again).toMatchObject({ kind: 'equal', object: { key: object.key } })
    expect(entryOf('/a.txt').object).toBe((again as { object: CachedObject }).object)
    await write('a.txt', 'two')
    expect(await source.loadVersion('/a.txt', '"other"')).toMatchObject({ kind: 'different' })
    await unlink(join(root, 'a.txt'))
    expect(await source.loadVersion('/a.txt', object.etag)).toEqual({ kind: 'absent', reason: 'missing' })
  })

  it('only by the path of the representation, and never out of the root', async () => {
    const index = (await source.load('/docs/')) as CachedObject
    expect(await source.loadVersion('/docs/index.html', index.etag)).toMatchObject({ kind: 'equal' })
    expect(await source.loadVersion('/docs/', index.etag)).toMatchObject({ kind: 'different' })
    expect(await source.loadVersion('/../../../../etc/passwd', '"x"')).toEqual({
      kind: 'absent',
      reason: 'forbidden',
    })
  })
})

describe('variants beside a file', () => {
  const selected = (codings: readonly Coding[]) => {
    const variants = (source.find(head('/a.txt'), now) as CachedObject).variants
    return variants?.select(codings, store) as Variant | undefined
  }
  const revalidated = () => source.revalidate(entryOf('/a.txt'))

  it('are whole files of their own, each with its tag, under the key of that file', async () => {
    await write('a.txt.br', 'in br', 2_000)
    await write('a.txt.gz', 'in gzip')
    const file = (await source.load('/a.txt')) as CachedObject
    const br = selected(['br', 'gzip', 'identity'])
    expect(br).toMatchObject({
      path: '/a.txt',
      mediaType: 'text/plain; charset=utf-8',
      contentEncoding: 'br',
      cacheFields: 'Vary: Accept-Encoding\r\n',
      length: 5,
      lastModified: 2_000,
    })
    expect(br?.content.path).toBe('/a.txt.br')
    expect(br?.content.key).toBe(`/a.txt.br\0${br?.etag}`)
    expect(textOf(br?.content)).toBe('in br')
    expect(textOf(selected(['zstd', 'gzip', 'identity'])?.content)).toBe('in gzip')
    const identity = selected(['zstd', 'identity'])
    expect(identity).toMatchObject({
      etag: file.etag,
      contentEncoding: '',
      cacheFields: 'Vary: Accept-Encoding\r\n',
    })
    expect(identity?.content).toBe(file)
    expect(new Set([br?.etag, identity?.etag, selected(['gzip'])?.etag]).size).toBe(3)
    expect(selected(['zstd'])).toBeUndefined()
    expect(await source.loadVersion('/a.txt.br', br?.etag ?? '')).toMatchObject({ kind: 'equal' })
  })

  it('come, change and go while the file stays', async () => {
    const file = (await source.load('/a.txt')) as CachedObject
    expect(file.variants).toBeUndefined()
    await write('a.txt.zst', 'first')
    await revalidated()
    const first = selected(['zstd'])
    expect(textOf(first?.content)).toBe('first')
    await revalidated()
    expect(selected(['zstd'])).toBe(first)
    await write('a.txt.zst', 'second')
    await revalidated()
    expect(textOf(selected(['zstd'])?.content)).toBe('second')
    await unlink(join(root, 'a.txt.zst'))
    await revalidated()
    expect(file.variants).toBeUndefined()
    expect(store.peek('/a.txt.zst')).toBeUndefined()
    expect(source.find(head('/a.txt'), now)).toBe(file)
  })

  it('follow a file that changes', async () => {
    await write('a.txt.gz', 'in gzip')
    await source.load('/a.txt')
    await write('a.txt', 'two!')
    await revalidated()
    expect(textOf(selected(['identity'])?.content)).toBe('two!')
    expect(textOf(selected(['gzip'])?.content)).toBe('in gzip')
  })

  it('are whole even when the store has let them go', async () => {
    await write('a.txt.gz', 'in gzip')
    await source.load('/a.txt')
    store.remove('/a.txt.gz')
    expect(textOf(selected(['gzip'])?.content)).toBe('in gzip')
    await revalidated()
    expect(store.peek('/a.txt.gz')?.object).toBe(selected(['gzip'])?.content)
  })

  it('are neither directories nor links out of the root, and none are looked for where the settings say so', async () => {
    await mkdir(join(root, 'a.txt.br'))
    await symlink('/etc/hostname', join(root, 'a.txt.gz'))
    expect(((await source.load('/a.txt')) as CachedObject).variants).toBeUndefined()
    await write('a.txt.zst', 'in zstd')
    const none = new RepresentationSource({
      store: new CacheStore(100_000),
      loader,
      now: () => now,
      settings: { ...DEFAULT_HTTP_SETTINGS, precompressed: [] },
    })
    expect(((await none.load('/a.txt')) as CachedObject).variants).toBeUndefined()
  })
})

describe('pages for errors', () => {
  const page = (status: number) => {
    const octets = source.context.page(status)
    return octets === undefined ? undefined : Buffer.from(octets).toString()
  }

  it('are the files of the root that have the name of their status', async () => {
    await write('404.html', 'not here')
    await write('200.html', 'fine')
    await source.warm()
    expect(page(404)).toBe('not here')
    expect(page(403)).toBeUndefined()
    expect(page(200)).toBeUndefined()
    expect(page(301)).toBeUndefined()
  })

  it('come and change while the site is served', async () => {
    await source.warm()
    expect(page(404)).toBeUndefined()
    await write('404.html', 'first')
    now += RECENT_MS
    await until(() => page(404) === 'first')
    await write('404.html', 'second')
    now += REVALIDATE_MS
    await until(() => page(404) === 'second')
    await unlink(join(root, '404.html'))
    now += REVALIDATE_MS
    await until(() => page(404) === undefined)
  })

  it('are small, and none where the settings say so', async () => {
    await write('404.html', 'x'.repeat(MAX_PAGE_OCTETS + 1))
    await source.warm()
    expect(page(404)).toBeUndefined()
    // One after the other: both at once are more than this store holds.
    await unlink(join(root, '404.html'))
    await write('403.html', 'x'.repeat(MAX_PAGE_OCTETS))
    now += RECENT_MS
    await source.warm()
    expect(page(403)).toHaveLength(MAX_PAGE_OCTETS)
    const settings = { ...DEFAULT_HTTP_SETTINGS, errorPages: false }
    const without = new RepresentationSource({ store, loader, now: () => now, settings })
    await without.warm()
    expect(without.context.page(403)).toBeUndefined()
  })
})

describe('a directory without an index', () => {
  beforeEach(async () => {
    await mkdir(join(root, 'files/sub'), { recursive: true })
    await write('files/b', 'b')
    await write('files/.hidden', 'h')
    await symlink('/etc/hostname', join(root, 'files/link'))
  })

  const open = async () => {
    loader = await openLoader({ listing: true, linesOf: path => `X-Path: ${path}\r\n` })
    source = new RepresentationSource({ store, loader, now: () => now })
  }

  it('shows nothing unless the settings say so', async () => {
    expect(await source.load('/files/')).toEqual({ kind: 'forbidden' })
  })

  it('is represented by a page of what it holds, which moves like any file', async () => {
    await open()
    const listed = (await source.load('/files/')) as CachedObject
    expect(listed).toMatchObject({
      path: '/files/',
      mediaType: 'text/html; charset=utf-8',
      cacheFields: 'X-Path: /files/\r\n',
    })
    expect([...textOf(listed).matchAll(/href="([^"]*)"/g)].map(match => match[1])).toEqual([
      '../',
      './b',
      './sub/',
    ])
    expect(source.find(head('/files/'), now)).toBe(listed)
    expect(await source.load('/files')).toEqual({ kind: 'redirect', path: '/files/' })
    expect(await source.loadVersion('/files/', listed.etag)).toEqual({ kind: 'equal', object: listed })
    expect(await source.load('/files/sub/')).toMatchObject({ kind: 'object' })
  })

  it('is listed anew when it changes, and gives way to an index', async () => {
    await open()
    await source.load('/files/')
    await write('files/c', 'c')
    await source.revalidate(entryOf('/files/'))
    expect(textOf(source.find(head('/files/'), now))).toContain('href="./c"')
    await write('files/index.html', 'index')
    await source.revalidate(entryOf('/files/'))
    expect(textOf(source.find(head('/files/'), now))).toBe('index')
    expect(store.peek('/files/')).toBeUndefined()
  })
})
