import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CachedObject } from '../../cache/cached-object.ts'
import { asciiOctets } from '../http/grammar.ts'
import { DEFAULT_HTTP_SETTINGS } from '../http/http-settings.ts'
import type { Found } from '../http/representation.ts'
import { createRequestHead, parseRequestHead, type RequestHead } from '../http/request-head.ts'
import type { ServingSettings, SiteSettings, UnknownHost } from './settings.ts'
import { Sites } from './sites.ts'

const CACHE_OCTETS = 1_000_000

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gyre-sites-'))
  for (const site of ['first', 'a', 'b']) {
    await mkdir(join(folder, site, 'docs'), { recursive: true })
    await writeFile(join(folder, site, 'index.html'), `index of ${site}`)
  }
})

afterEach(() => rm(folder, { recursive: true, force: true }))

function site(name: string, root: string, hosts: readonly string[] = [name]): SiteSettings {
  return { name, hosts, root: join(folder, root), http: DEFAULT_HTTP_SETTINGS }
}

function serving(others: readonly SiteSettings[], unknownHost: UnknownHost = 'default'): ServingSettings {
  return { sites: [site('', 'first', []), ...others], unknownHost, digest: '' }
}

function open(settings: ServingSettings): Promise<Sites> {
  return Sites.open(settings, CACHE_OCTETS, () => performance.now())
}

const both = () => serving([site('a.example', 'a'), site('*.b.example', 'b')])

function head(host: string, target = '/'): RequestHead {
  const line = host === '' ? `GET ${target} HTTP/1.0` : `GET ${target} HTTP/1.1\r\nHost: ${host}`
  const octets = asciiOctets(`${line}\r\n\r\n`)
  const into = createRequestHead()
  expect(parseRequestHead(octets, 0, octets.length, into)).toBe('complete')
  return into
}

function load(sites: Sites, path: string): Promise<Found<CachedObject>> {
  return new Promise(resolve => sites.load(path, resolve))
}

async function get(sites: Sites, of: RequestHead): Promise<string> {
  const found = sites.find(of, performance.now()) ?? (await load(sites, sites.pathOf(of) as string))
  if (found.kind !== 'object') return found.kind === 'refused' ? String(found.status) : found.kind
  return `${found.path}: ${Buffer.from(found.octets)}`
}

describe('sites', () => {
  it.each([
    ['a.example', '/', 'a.example/index.html: index of a'],
    ['A.Example.:8080', '/index.html', 'a.example/index.html: index of a'],
    ['x.b.example', '/', '*.b.example/index.html: index of b'],
    ['b.example', '/', '/index.html: index of first'],
    ['other', '/', '/index.html: index of first'],
    ['', '/', '/index.html: index of first'],
    ['a.example', 'http://a.example/', 'a.example/index.html: index of a'],
    ['a.example', '/docs', 'redirect'],
    ['a.example', '/a.example/index.html', 'missing'],
    ['other', '/../a.example/index.html', '400'],
    ['other', '/%61.example/index.html', 'missing'],
    ['other', '//a.example/index.html', 'missing'],
  ])('RFC 9110 §7.2: a request for host %p and target %s gets %s', async (host, target, answer) => {
    const sites = await open(both())
    expect(await get(sites, head(host, target))).toBe(answer)
    // Once more from memory, or from what is remembered.
    expect(await get(sites, head(host, target))).toBe(answer)
  })

  it('hold one path of several sites apart in one cache', async () => {
    const sites = await open(both())
    for (const host of ['a.example', 'x.b.example', 'other']) await get(sites, head(host))
    expect([...sites.store.all()].map(({ path }) => path).sort()).toEqual([
      '*.b.example/index.html',
      '/index.html',
      'a.example/index.html',
    ])
    const object = sites.find(head('a.example'), performance.now()) as CachedObject
    const version = (path: string) =>
      new Promise<CachedObject | undefined>(resolve => sites.loadVersion(path, object.etag, resolve, 0))
    expect(await version('a.example/index.html')).toBe(object)
    expect(await version('/index.html')).toBeUndefined()
    expect(await version('c.example/index.html')).toBeUndefined()
  })

  it.each([404, 421] as const)('RFC 9110 §15.5.20: refuse a host of no site with %i', async status => {
    const sites = await open({ ...both(), unknownHost: status })
    expect(await get(sites, head('other'))).toBe(String(status))
    expect(await get(sites, head(''))).toBe(String(status))
    expect(await get(sites, head('a.example'))).toBe('a.example/index.html: index of a')
  })

  it('do not open where a root is none', async () => {
    await expect(open(serving([site('a', 'none')]))).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('a reload', () => {
  it('changes what is to change, at once, and leaves the rest', async () => {
    const sites = await open(both())
    const of = (host: string) => get(sites, head(host))
    await Promise.all(['a.example', 'x.b.example', 'other'].map(of))
    const kept = sites.find(head('x.b.example'), performance.now())
    const apply = await sites.prepare(serving([site('a.example', 'b'), site('*.b.example', 'b')], 421))
    expect(await of('a.example')).toBe('a.example/index.html: index of a')
    apply()
    expect(sites.find(head('x.b.example'), performance.now())).toBe(kept)
    expect(await of('a.example')).toBe('a.example/index.html: index of b')
    expect(await of('other')).toBe('421')
  })

  it('takes a site away with what it had in memory', async () => {
    const sites = await open(both())
    await get(sites, head('a.example'))
    ;(await sites.prepare(serving([])))()
    expect(await get(sites, head('a.example'))).toBe('/index.html: index of first')
    expect(await load(sites, 'a.example/')).toEqual({ kind: 'missing' })
    expect([...sites.store.all()].map(({ path }) => path)).toEqual(['/index.html'])
  })

  it('changes nothing where it cannot be had', async () => {
    const sites = await open(both())
    await expect(sites.prepare(serving([site('a.example', 'none')]))).rejects.toMatchObject({
      code: 'ENOENT',
    })
    expect(await get(sites, head('a.example'))).toBe('a.example/index.html: index of a')
  })

  it('that was overtaken by another changes nothing', async () => {
    const sites = await open(both())
    const late = await sites.prepare(serving([site('a.example', 'b')]))
    ;(await sites.prepare(serving([])))()
    expect(late).toThrow(/meanwhile/)
    expect(await get(sites, head('a.example'))).toBe('/index.html: index of first')
  })

  it('lets a file that is being read be answered, but not kept', async () => {
    const sites = await open(both())
    const reading = load(sites, 'a.example/')
    ;(await sites.prepare(serving([site('a.example', 'b')])))()
    expect(await reading).toMatchObject({ kind: 'object' })
    expect(await get(sites, head('a.example'))).toBe('a.example/index.html: index of b')
  })
})

it('gives files the media types of their site', async () => {
  const types = {
    ...site('', 'first', []),
    http: { ...DEFAULT_HTTP_SETTINGS, mediaTypes: { html: 'text/x-own' } },
  }
  const sites = await open({ sites: [types], unknownHost: 'default', digest: '' })
  await get(sites, head('a'))
  expect(sites.store.peek('/index.html')?.object?.mediaType).toBe('text/x-own')
})
