import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from './errors.ts'
import { findConfig } from './find.ts'
import { loadConfig } from './load.ts'

/** What reads TypeScript has to be read itself first, by a machine that may be busy. */
jest.setTimeout(60_000)

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gyre-config-'))
  mkdirSync(join(folder, 'www'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

async function issuesOf(file: string): Promise<readonly string[]> {
  const error = await loadConfig(file).catch((failure: unknown) => failure)
  expect(error).toBeInstanceOf(ConfigError)
  return (error as ConfigError).issues.map(({ path, message }) => `${path}: ${message}`)
}

describe('a configuration', () => {
  it.each([
    ['gyre.config.json', '{ "port": 8080, "root": "www" }'],
    ['gyre.config.js', 'export default { port: 8080, root: "www" }'],
    ['gyre.config.mjs', 'export default { port: 8080, root: "www" }'],
    ['gyre.config.ts', 'const port: number = 8080\nexport default { port, root: "www" } as const'],
    [
      'gyre.config.ts',
      "import { defineConfig } from 'gyre/config'\nexport default defineConfig({ port: 8080, root: 'www' })",
    ],
  ])('is read of %s', async (name, text) => {
    const file = write(name, text)
    expect(findConfig(folder)).toBe(file)
    expect(await loadConfig(file)).toEqual({ file, config: { port: 8080, root: join(folder, 'www') } })
  })

  it('may import TypeScript beside it, and is run again by each load', async () => {
    write('hosts.ts', 'export enum Port { http = 8081 }')
    const file = write(
      'gyre.config.ts',
      "import { Port } from './hosts.ts'\nexport default { port: Port.http }",
    )
    expect((await loadConfig(file)).config.port).toBe(8081)
    write('hosts.ts', 'export enum Port { http = 8082 }')
    expect((await loadConfig(file)).config.port).toBe(8082)
  })

  it('reads sizes, addresses and hosts', async () => {
    const sites = { 'Bücher.example': { root: 'www', aliases: ['*.Bücher.example.'] } }
    const file = write(
      'gyre.config.json',
      JSON.stringify({ cacheOctets: '64MiB', linkRate: '100mbit', admin: '[::1]:0', wan: 'a,b', sites }),
    )
    expect((await loadConfig(file)).config).toEqual({
      cacheOctets: 67_108_864,
      linkRate: 1e8,
      admin: { host: '::1', port: 0 },
      wan: ['a', 'b'],
      sites: {
        'Bücher.example': { root: join(folder, 'www'), aliases: ['*.xn--bcher-kva.example'] },
      },
    })
  })

  it('is not there', () => {
    expect(findConfig(folder)).toBeUndefined()
  })
})

describe('a wrong configuration', () => {
  it('is refused with everything that is wrong, by path', async () => {
    const file = write(
      'gyre.config.json',
      JSON.stringify({
        prot: 80,
        port: 65_536,
        vip: '127.0.0.1',
        cacheOctets: '1KiB',
        mode: 'move',
        quxQuxQux: 1,
        sites: { 'example.org': { rot: 'www' }, 'http://x': { root: 'www' }, y: 7 },
      }),
    )
    expect(await issuesOf(file)).toEqual([
      'vip: expected an IPv4 address that a host can have, found "127.0.0.1"',
      'port: expected 1 to 65535, found 65536',
      'mode: expected one of shift, clone, found "move"',
      'cacheOctets: expected 1MiB to 1TiB, found "1KiB"',
      'sites["example.org"].rot: unknown setting; did you mean root?',
      'sites["http://x"]: expected a host name, as "example.org" or "*.example.org", without scheme and port',
      'sites.y: expected an object of settings, found 7',
      'prot: unknown setting; did you mean port?',
      expect.stringMatching(/^quxQuxQux: unknown setting; known here: cluster, vip, /),
    ])
  })

  it('says what only the whole tells', async () => {
    const file = write(
      'gyre.config.json',
      JSON.stringify({
        aliases: ['a.example'],
        sites: { 'A.example': { root: 'www' }, b: { aliases: ['a.example', '*.b'], root: 'www' }, c: {} },
      }),
    )
    expect(await issuesOf(file)).toEqual([
      'sites["A.example"]: a.example is a host of aliases[0] already',
      'sites.b.aliases[0]: a.example is a host of aliases[0] already',
      'sites.c.root: expected a folder, found nothing',
    ])
  })

  it('takes a root or an origin of each site, and not both', async () => {
    const both = { root: 'www', origin: 'http://a.example' }
    const file = write('gyre.config.json', JSON.stringify({ ...both, sites: { b: both } }))
    expect(await issuesOf(file)).toEqual([
      'origin: a site has either a root or an origin, not both',
      'sites.b.origin: a site has either a root or an origin, not both',
    ])
    const each = { origin: 'http://a.example', sites: { b: { origin: 'https://b.example:8443' } } }
    const { config } = await loadConfig(write('gyre.config.json', JSON.stringify(each)))
    expect(config).toMatchObject(each)
    const wrong = write('gyre.config.json', JSON.stringify({ origin: 'http://a/b' }))
    expect(await issuesOf(wrong)).toEqual([
      'origin: expected http://HOST[:PORT] or https://HOST[:PORT], found "http://a/b"',
    ])
  })

  it('refuses fields that cannot be sent, and codings that are none', async () => {
    const file = write(
      'gyre.config.json',
      JSON.stringify({
        precompressed: ['br', 'zip'],
        compress: ['zstd'],
        mediaTypes: { '.md': 'text/markdown', md: 'text', js: 'text/javascript\r\nX: y' },
        fields: { 'X-A': 'a\r\nX-B: b' },
        rules: [
          { paths: ['x'], fields: {} },
          { paths: ['/x'], fields: { Date: 'now' } },
          { paths: ['/x'], field: {}, fields: {} },
        ],
      }),
    )
    expect(await issuesOf(file)).toEqual([
      'precompressed[1]: expected one of br, zstd, gzip, found "zip"',
      'compress[0]: expected one of br, gzip, found "zstd"',
      'mediaTypes[".md"]: expected an extension in lower case, without its point',
      expect.stringMatching(/^mediaTypes\.md: expected a media type, as text\/markdown/),
      expect.stringMatching(/^mediaTypes\.js: expected a media type/),
      expect.stringMatching(/^fields: expected what can be sent: "a\\r\\nX-B: b" is no value of X-A/),
      expect.stringMatching(/^rules\[0\]: expected what can be sent: "x" begins neither with/),
      expect.stringMatching(/^rules\[1\]: expected what can be sent: Date is set by the server/),
      'rules[2].field: unknown setting',
    ])
  })

  it('names a root that is no folder', async () => {
    const file = write(
      'gyre.config.json',
      '{ "root": "none", "sites": { "x": { "root": "gyre.config.json" } } }',
    )
    expect(await issuesOf(file)).toEqual([
      `root: expected a folder, found ${JSON.stringify(join(folder, 'none'))}, which is none`,
      `sites["x"].root: expected a folder, found ${JSON.stringify(file)}, which is none`,
    ])
  })

  it.each([
    ['gyre.config.json', '{ "port": }'],
    ['gyre.config.js', 'throw new Error("no such day")'],
    ['gyre.config.ts', 'export default {'],
    ['none.json', undefined],
  ])('is refused where %s cannot be read', async (name, text) => {
    const file = text === undefined ? join(folder, name) : write(name, text)
    expect(await issuesOf(file)).toEqual([expect.stringMatching(/^: cannot be read: ./)])
  })

  it.each(['[]', '7', 'null', '"x"'])('is refused as %s', async text => {
    expect(await issuesOf(write('gyre.config.json', text))).toEqual([
      expect.stringMatching(/^: expected an object of settings/),
    ])
  })
})
