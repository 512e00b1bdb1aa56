import { createHash } from 'node:crypto'
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { CachedObject } from '../../cache/cached-object.ts'
import { CacheStore } from '../../cache/store.ts'
import { madePath, splitMadePath, Variants } from '../../cache/variants.ts'
import type { Coding } from '../http/content-coding.ts'
import { asciiOctets } from '../http/grammar.ts'
import { DEFAULT_HTTP_SETTINGS, type HttpSettings } from '../http/http-settings.ts'
import { createRequestHead, parseRequestHead } from '../http/request-head.ts'
import { FIRST_PIECE_MS, MAX_MADE_JOBS, MIN_CODED_OCTETS } from './made-limits.ts'
import { MadeVariants } from './made-variants.ts'
import { rankedMakers } from './maker.ts'
import { Sites } from './sites.ts'
import {
  decodeVariantMessage,
  encodeVariantMessage,
  PIECE_OCTETS,
  type VariantMessage,
} from './variant-messages.ts'

const ACCEPTED: readonly Coding[] = ['br', 'gzip', 'identity']

function tagOf(octets: Uint8Array): string {
  return `"${createHash('sha256').update(octets).digest('base64url')}"`
}

function fileOf(length: number, path = '/a.txt'): CachedObject {
  const octets = new Uint8Array(length).fill(0x61)
  const facts = { lastModified: 1, lastModifiedStrong: true, mediaType: 'text/plain', stamp: '' }
  return new CachedObject({ path, etag: tagOf(octets), octets, ...facts })
}

describe('of real files', () => {
  let root: string
  let sites: Sites

  const open = async (http: Partial<HttpSettings> = {}) => {
    const site = { name: '', hosts: [], root, http: { ...DEFAULT_HTTP_SETTINGS, ...http } }
    const serving = { sites: [site] as const, unknownHost: 'default', digest: '' } as const
    sites = await Sites.open(serving, 16 * 1_048_576, () => performance.now())
  }

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'gyre-made-'))
  })
  afterEach(() => rm(root, { recursive: true, force: true }))

  const write = async (name: string, text: string | Uint8Array) => {
    await writeFile(join(root, name), text)
    await utimes(join(root, name), 1_000, 1_000)
  }

  async function get(target: string, codings = ACCEPTED) {
    const octets = asciiOctets(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
    const head = createRequestHead()
    expect(parseRequestHead(octets, 0, octets.length, head)).toBe('complete')
    const found =
      sites.find(head, performance.now()) ??
      (await new Promise<CachedObject>(resolve => sites.load(target, r => resolve(r as CachedObject))))
    const file = found as CachedObject
    return file.variants === undefined ? file : file.variants.select(codings, sites.store)
  }

  /** The representation once it does not change any more. */
  async function settled(target: string, codings = ACCEPTED) {
    const { counters } = sites.made
    const before = counters.made + counters.declined + counters.failed
    for (let attempt = 0; attempt < 500; attempt++) {
      await get(target, codings)
      if (counters.made + counters.declined + counters.failed > before) break
      await sleep(5)
    }
    return get(target, codings)
  }

  it('are made when they are asked for again, in the coding that is liked best, and kept in the cache', async () => {
    const text = 'All work and no play. '.repeat(1_000)
    await write('a.html', text)
    await open()
    const identity = await get('/a.html')
    expect(identity).toMatchObject({ contentEncoding: '', cacheFields: 'Vary: Accept-Encoding\r\n' })
    const br = (await settled('/a.html')) as CachedObject
    expect(br).toMatchObject({
      contentEncoding: 'br',
      mediaType: 'text/html; charset=utf-8',
      cacheFields: 'Vary: Accept-Encoding\r\n',
      lastModified: 1_000,
    })
    expect(brotliDecompressSync(br.octets).toString()).toBe(text)
    expect(br.etag).not.toBe(identity?.etag)
    expect(sites.store.peek('/a.html/.br')?.object).toBe(br)
    const gzip = (await settled('/a.html', ['gzip', 'identity'])) as CachedObject
    expect(gunzipSync(gzip.octets).toString()).toBe(text)
    expect(await get('/a.html', ['identity'])).toMatchObject({ contentEncoding: '' })
    expect(await get('/a.html')).toBe(br)
    expect(sites.made.counters).toMatchObject({ made: 2, declined: 0, failed: 0 })
    // Evicted, it is made anew, of the same octets.
    sites.store.remove('/a.html/.br')
    expect((await get('/a.html'))?.contentEncoding).toBe('gzip')
    expect((await settled('/a.html'))?.etag).toBe(br.etag)
  })

  it.each([
    ['of what does not shrink', 'a.txt', Buffer.from(crypto.getRandomValues(new Uint8Array(4_096))), {}],
    ['of a type that is compressed already', 'a.png', 'a'.repeat(10_000), {}],
    ['of what is small', 'a.txt', 'a'.repeat(MIN_CODED_OCTETS - 1), {}],
    ['where it is off', 'a.txt', 'a'.repeat(10_000), { compress: [] }],
  ] as const)('are not made %s', async (_name, name, content, http) => {
    await write(name, content)
    await open(http)
    for (let attempt = 0; attempt < 5; attempt++) {
      expect((await get(`/${name}`))?.contentEncoding).toBe('')
      await sleep(10)
    }
    expect(sites.made.counters.made).toBe(0)
    expect(sites.made.counters.declined).toBe(name === 'a.txt' && content.length === 4_096 ? 2 : 0)
  })

  it('are of the version that the file has', async () => {
    await write('a.txt', 'one '.repeat(1_000))
    await open()
    await settled('/a.txt')
    await writeFile(join(root, 'a.txt'), 'two '.repeat(1_000))
    await sleep(30)
    await sites.load('/a.txt', () => {})
    await new Promise<void>(resolve => sites.load('/a.txt', () => resolve()))
    expect(sites.store.peek('/a.txt/.br')).toBeUndefined()
    const br = (await settled('/a.txt')) as CachedObject
    expect(brotliDecompressSync(br.octets).toString()).toBe('two '.repeat(1_000))
  })
})

describe('with other nodes', () => {
  const sent: { to: number; message: VariantMessage }[] = []
  let store: CacheStore
  let made: MadeVariants
  let now = 0
  let up: number[]
  const file = fileOf(200_000)
  const coded = new Uint8Array(PIECE_OCTETS + 100).fill(0x62)
  const name = `br ${file.path}\0${file.etag}`

  beforeEach(() => {
    sent.length = 0
    now = 0
    store = new CacheStore(10_000_000)
    file.variants = undefined
    store.put(file, 0)
    made = new MadeVariants({
      store,
      now: () => now,
      soon: work => work(),
      code: (_octets, _coding, done) => done(Uint8Array.from(coded)),
      tag: (octets, done) => done(tagOf(octets)),
      load: (_path, etag, done) => done(etag === file.etag ? file : undefined),
    })
    up = [1, 2, 3]
    // We are the last to make it ourselves.
    const ranked = rankedMakers(name, up)
    made.join({
      id: ranked[2] as number,
      up: () => up,
      send: (to, envelope) => {
        const message = decodeVariantMessage(JSON.parse(JSON.stringify(envelope), revive).slice(1))
        sent.push({ to, message: message as VariantMessage })
        return true
      },
      wake: () => {},
    })
    file.variants = new Variants(file, [], ['br'], made)
  })

  const revive = (_key: string, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Uint8Array.from(Object.values(value as Record<string, number>))
      : value
  const select = () => file.variants?.select(['br', 'identity'], store)
  const want = () => {
    select()
    select()
    return sent.at(-1) as { to: number; message: Extract<VariantMessage, { type: 'WANT' }> }
  }
  const piece = (octets: Uint8Array, more: object = {}) =>
    encodeVariantMessage({
      type: 'PIECE',
      token: sent.at(-1)?.message.token ?? -1,
      fileTag: file.etag,
      tag: tagOf(coded),
      total: coded.length,
      octets,
      ...more,
    }).slice(1)

  it('is fetched from its maker in pieces, and is what its name says', () => {
    const { to, message } = want()
    expect(to).toBe(rankedMakers(name, up)[0])
    expect(message).toMatchObject({ path: '/a.txt', coding: 'br', fileTag: file.etag, tag: '', offset: 0 })
    made.receive(to, piece(coded.subarray(0, PIECE_OCTETS)), now)
    expect(sent.at(-1)?.message).toMatchObject({ tag: tagOf(coded), offset: PIECE_OCTETS })
    made.receive(to, piece(coded.subarray(PIECE_OCTETS)), now)
    expect(select()).toMatchObject({ contentEncoding: 'br', etag: tagOf(coded), length: coded.length })
    expect(made.counters).toMatchObject({ fetched: 1, made: 0 })
  })

  it.each([
    ['of another total', { total: 5 }],
    ['of a total beyond all bounds', { total: 2 ** 40 }],
    ['of another file', { fileTag: '"x"' }],
    ['without a tag', { tag: '' }],
    ['of other octets than its tag says', { total: 10, octets: new Uint8Array(10) }],
    ['without octets', { octets: new Uint8Array(0) }],
  ])('a piece %s is not believed: the next node is asked', (_name, more) => {
    const { to } = want()
    made.receive(to, piece(coded.subarray(0, PIECE_OCTETS), more), now)
    expect(sent.at(-1)).toMatchObject({ to: rankedMakers(name, up)[1], message: { type: 'WANT', offset: 0 } })
  })

  it('an answer of somebody else, or to nothing, is overlooked', () => {
    const { to, message } = want()
    made.receive(rankedMakers(name, up)[1] as number, piece(coded.subarray(0, 10)), now)
    made.receive(to, piece(coded.subarray(0, 10), { token: message.token + 7 }), now)
    made.receive(to, ['x', {}, null], now)
    expect(sent).toHaveLength(1)
  })

  it('who is silent, or dies, is passed over; the last makes it itself', () => {
    const { to } = want()
    expect(made.pollAt()).toBe(FIRST_PIECE_MS)
    now = FIRST_PIECE_MS
    made.poll(now)
    const second = sent.at(-1) as { to: number }
    expect(second.to).not.toBe(to)
    made.peerDown(second.to)
    expect(made.counters).toMatchObject({ made: 1 })
    expect(select()?.etag).toBe(tagOf(coded))
    expect(made.pollAt()).toBe(Number.POSITIVE_INFINITY)
  })

  it('what its maker declines is not asked for again', () => {
    const { to, message } = want()
    made.receive(
      to,
      encodeVariantMessage({ type: 'NONE', token: message.token, declined: true }).slice(1),
      now,
    )
    for (let request = 0; request < 10; request++) select()
    expect(sent).toHaveLength(1)
    expect(made.counters).toMatchObject({ declined: 1, made: 0 })
  })

  it('gives others pieces of what it makes because they ask, and nothing of versions that it has not', () => {
    const ask = (more: object) =>
      made.receive(
        9,
        encodeVariantMessage({
          type: 'WANT',
          token: 4,
          path: '/a.txt',
          coding: 'br',
          fileTag: file.etag,
          tag: '',
          offset: 0,
          ...more,
        }).slice(1),
        now,
      )
    ask({})
    expect(sent.at(-1)?.message).toMatchObject({ type: 'PIECE', tag: tagOf(coded), total: coded.length })
    ask({ tag: tagOf(coded), offset: PIECE_OCTETS })
    expect(sent.at(-1)?.message).toMatchObject({ octets: coded.subarray(PIECE_OCTETS) })
    ask({ fileTag: '"other"' })
    expect(sent.at(-1)?.message).toMatchObject({ type: 'NONE', declined: false })
    ask({ tag: '"other"' })
    expect(sent.at(-1)?.message).toMatchObject({ type: 'NONE', declined: false })
    expect(made.counters.made).toBe(1)
  })

  it('is fetched once for all connections that move in the middle of it', () => {
    const got: (CachedObject | undefined)[] = []
    for (let moved = 0; moved < 100; moved++) {
      made.version('/a.txt/.br', tagOf(coded), object => got.push(object), 7)
    }
    expect(sent).toHaveLength(1)
    made.receive(7, piece(coded.subarray(0, PIECE_OCTETS)), now)
    made.receive(7, piece(coded.subarray(PIECE_OCTETS)), now)
    expect(sent).toHaveLength(2)
    expect(got).toHaveLength(100)
    expect(new Set(got).size).toBe(1)
    expect(got[0]?.etag).toBe(tagOf(coded))
  })

  it('is asked for again of a file that was read anew while the same was made', () => {
    const pending: (() => void)[] = []
    const soon: (() => void)[] = []
    const alone = new MadeVariants({
      store,
      now: () => now,
      soon: work => void soon.push(work),
      code: (_octets, _coding, done) => void pending.push(() => done(Uint8Array.from(coded))),
      tag: (octets, done) => done(tagOf(octets)),
      load: (_path, _etag, done) => done(undefined),
    })
    const [before, after] = [fileOf(100_000, '/t.txt'), fileOf(100_000, '/t.txt')]
    for (const one of [before, after]) {
      store.put(one, 0)
      one.variants = new Variants(one, [], ['br'], alone)
      for (let request = 0; request < 2; request++) one.variants.select(ACCEPTED, store)
      soon.shift()?.()
    }
    pending.shift()?.()
    for (let request = 0; request < 2; request++) after.variants?.select(ACCEPTED, store)
    soon.shift()?.()
    pending.shift()?.()
    expect(after.variants?.select(ACCEPTED, store)?.contentEncoding).toBe('br')
  })

  it('are bounded in number', () => {
    up = [made === undefined ? 0 : (rankedMakers(name, up)[2] as number)]
    const pending: (() => void)[] = []
    const many = new MadeVariants({
      store,
      now: () => now,
      soon: work => work(),
      code: (_octets, _coding, done) => void pending.push(() => done(Uint8Array.from(coded))),
      tag: (octets, done) => done(tagOf(octets)),
      load: (_path, _etag, done) => done(undefined),
    })
    const wanted = (index: number) => many.wanted(fileOf(100_000, `/${index}.txt`), 'br')
    for (let index = 0; index < MAX_MADE_JOBS; index++) expect(wanted(index)).toBe(true)
    expect(wanted(MAX_MADE_JOBS)).toBe(false)
    // One at a time.
    expect(pending).toHaveLength(1)
    pending.shift()?.()
    expect(pending).toHaveLength(1)
    expect(wanted(MAX_MADE_JOBS)).toBe(true)
  })
})

it('their paths are ones that no request can have', () => {
  expect(madePath('/a/b.css', 'br')).toBe('/a/b.css/.br')
  expect(splitMadePath('x.org/a/b.css/.gzip')).toEqual({ file: 'x.org/a/b.css', coding: 'gzip' })
  expect(splitMadePath('/a/b.css.br')).toBeUndefined()
})
