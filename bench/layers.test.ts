import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** The repository: this file stands in `bench`. */
const ROOT = join(__dirname, '..')

/**
 * The layer table of ARCHITECTURE.md: what the modules of a folder may import, by prefix; packages and `node:` count.
 * The longest folder that fits a file holds. `*` is anything.
 */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  'node/wire': ['node/wire'],
  'node/tcp': ['node/tcp', 'node/wire'],
  'node/http': ['node/http'],
  cache: ['cache', 'node/http', 'node/tcp/content.ts'],
  clone: ['clone', 'node/tcp', 'node/http'],
  shift: ['shift', 'clone'],
  'node/tun': ['node/tun', 'node:', 'node-tuntap'],
  'node/control': ['node/control', 'node:', 'msgpackr'],
  'node/stack': ['node/stack', 'node/tun', 'node/tcp', 'node/wire', 'clone', 'shift'],
  'node/origin': [
    'node/origin',
    'node/http',
    'node/server/content-tag.ts',
    'cache',
    'node:',
    'undici',
    'http-cache-semantics',
  ],
  'node/app': ['node/app', 'node/stack', 'node/tcp', 'node/wire', 'shift', 'node:'],
  'node/examples': ['node/examples', 'gyre', 'node:', 'ws'],
  'node/server': [
    'node/',
    'cache',
    'clone',
    'shift',
    'node:',
    'compressible',
    'mrmime',
    'sonic-boom',
    'prom-client',
  ],
  dispatcher: [
    'dispatcher',
    'node/',
    'cache',
    'clone',
    'shift',
    'node:',
    'commander',
    'cli-progress',
    'undici',
    'zod',
    'prom-client',
    'ws',
  ],
  'dispatcher/coordination': ['dispatcher', 'node/', 'node:', '@nats-io/kv', '@nats-io/transport-node'],
  'dispatcher/config': ['dispatcher', 'node/', 'node:', 'commander', 'zod', 'jiti', 'fastest-levenshtein'],
  'www/admin': [
    'www/admin',
    'dispatcher/admin/amounts.ts',
    'dispatcher/admin/api.ts',
    'dispatcher/admin/feed-messages.ts',
  ],
  'dispatcher/main.ts': ['*'],
  'node/main.ts': ['*'],
  bench: ['*'],
}

/** Programs: they join everything, so nothing may import them but the command line. */
const MAINS = ['node/main.ts', 'dispatcher/main.ts', 'bench/main.ts']

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return entry.name === 'build' ? [] : sources(path)
    return /\.tsx?$/.test(path) && !path.endsWith('.d.ts') ? [path] : []
  })
}

function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || /(^|\/)test-[^/]*\.ts$/.test(path)
}

function imports(path: string): string[] {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const found = [...text.matchAll(/(?:^|\n)(?:import|export)\s[^'"]*?from\s+'([^']+)'|import\('([^']+)'\)/g)]
  return found.map(match => {
    const name = (match[1] ?? match[2]) as string
    return name.startsWith('.') ? relative(ROOT, join(ROOT, dirname(path), name)) : name
  })
}

function layerOf(path: string): readonly string[] {
  const folder = Object.keys(LAYERS)
    .filter(prefix => path === prefix || path.startsWith(`${prefix}/`))
    .sort((a, b) => b.length - a.length)[0]
  return folder === undefined ? [] : (LAYERS[folder] as readonly string[])
}

const ALL = ['dispatcher', 'node', 'cache', 'clone', 'shift', 'bench', 'www/admin'].flatMap(sources)

describe('the layers', () => {
  it('are many files', () => {
    expect(ALL.length).toBeGreaterThan(100)
  })

  it.each(ALL.filter(path => !isTest(path)))('%s imports only what its layer may', path => {
    const allowed = layerOf(path)
    const wrong = imports(path).filter(
      name => !allowed.some(prefix => prefix === '*' || name === prefix || name.startsWith(prefix)),
    )
    expect(wrong).toEqual([])
  })

  it('keep programs out of each other', () => {
    const wrong = ALL.filter(path => path !== 'dispatcher/main.ts').filter(path =>
      imports(path).some(name => MAINS.includes(name)),
    )
    expect(wrong).toEqual([])
  })

  it('keep product code out of bench and of tests', () => {
    const wrong = ALL.filter(path => !isTest(path) && !path.startsWith('bench/')).filter(path =>
      imports(path).some(name => name.startsWith('bench/') || isTest(name)),
    )
    expect(wrong).toEqual([])
  })

  it('are small files', () => {
    const long = ALL.filter(path => !isTest(path)).filter(
      path => readFileSync(join(ROOT, path), 'utf8').split('\n').length > 600,
    )
    expect(long).toEqual([])
  })
})
