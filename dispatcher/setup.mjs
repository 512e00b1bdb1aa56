/**
 * Makes a checkout ready to run: system tools, npm packages, the native addon, the compiled TypeScript. It does
 * only what is missing, and is run before `npm start` and `npm test`, so it must be fast when nothing is. It is plain
 * JavaScript without dependencies, because nothing else is there yet.
 *
 *     node dispatcher/setup.mjs          everything that running needs
 *     node dispatcher/setup.mjs test     and what the tests need besides
 *     node dispatcher/setup.mjs bench    and what the benchmarks need besides
 *     node dispatcher/setup.mjs addon    the addon only: the hook of `npm install`, which has the rest
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const MIN_NODE = 20
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const ADDON = join(ROOT, 'node', 'tun')
const DIST = join(ROOT, 'dist')
const SOURCE_FOLDERS = ['dispatcher', 'node', 'cache', 'clone', 'shift', 'bench', join('www', 'admin')]
/** The programs, and the pages of the dashboard. */
const PROJECTS = ['.tsconfig.build.json', '.tsconfig.www.json']
/** Says from what `dist` was compiled. */
const MARKER = join(DIST, '.sources')
/** Lines of a failed command's output that are shown. */
const MAX_SHOWN_LINES = 40
const APT_TIMEOUT_MS = 10 * 60_000

/** Commands that are needed to run, and the packages of Debian that have them. */
const RUN_TOOLS = { ip: 'iproute2', nft: 'nftables', curl: 'curl' }
/** Real peers that the tests talk to, the checker of the protocol's model, and who reads the files of `dispatcher/deploy`. */
const TEST_TOOLS = {
  ping: 'iputils-ping',
  tshark: 'tshark',
  spin: 'spin',
  gcc: 'gcc',
  chromium: 'chromium',
  'systemd-analyze': 'systemd',
  keepalived: 'keepalived',
  bird: 'bird2',
  'nats-server': 'nats-server',
}
/** Whom the benchmarks measure us beside, and what they make load with. */
const BENCH_TOOLS = { gcc: 'gcc', wrk: 'wrk', nginx: 'nginx-light', haproxy: 'haproxy' }
/** The addon is C; node-gyp needs the C++ compiler's make rules and Python. */
const BUILD_TOOLS = { make: 'make', 'g++': 'g++', python3: 'python3' }

class SetupError extends Error {}

function main() {
  const major = Number(process.versions.node.split('.')[0])
  if (major < MIN_NODE)
    throw new SetupError(`gyre needs Node.js ${MIN_NODE} or newer, this is ${process.version}`)
  if (process.platform !== 'linux') throw new SetupError('gyre runs on Linux only: it needs TUN devices')
  if (process.argv[2] === 'addon') return setUpAddon()
  setUpTools({
    ...RUN_TOOLS,
    ...(addonIsStale() ? BUILD_TOOLS : {}),
    ...(process.argv[2] === 'test' ? { ...TEST_TOOLS, ...BENCH_TOOLS } : {}),
    ...(process.argv[2] === 'bench' ? BENCH_TOOLS : {}),
  })
  setUpPackages()
  setUpAddon()
  setUpDist()
}

function setUpTools(tools) {
  const missing = missingOf(tools)
  if (missing.length === 0) return
  const packages = missing.map(tool => tools[tool]).join(' ')
  const hint = `missing: ${missing.join(', ')}; install with: apt-get install ${packages}`
  if (process.getuid() !== 0 || missingOf({ 'apt-get': '' }).length > 0) return say(hint)
  say(`installing ${packages}`)
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, timeout: APT_TIMEOUT_MS }
  run('apt-get', ['-qq', 'update'], options)
  const done = run(
    'apt-get',
    ['-qq', 'install', '-y', '--no-install-recommends', ...packages.split(' ')],
    options,
  )
  // Without them the site cannot be served, but much of the tests can run: whoever needs them says so again.
  if (done.status !== 0) say(`${hint} (apt-get failed: ${lastLine(done)})`)
}

function setUpPackages() {
  const lock = mtimeOf(join(ROOT, 'package-lock.json'))
  const installed = mtimeOf(join(ROOT, 'node_modules', '.package-lock.json'))
  // An install without the development packages cannot compile.
  if (installed >= lock && existsSync(join(ROOT, 'node_modules', 'typescript'))) return
  say('installing npm packages')
  const npm = process.env.npm_execpath
  const [command, before] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []]
  // Not `npm ci`: it refuses a lock that was written where packages of other platforms were not to be had. The versions
  // are the lock's all the same, and nothing is saved.
  const args = [
    'install',
    '--no-save',
    '--ignore-scripts',
    '--include=dev',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]
  mustRun(command, [...before, ...args], ROOT, 'npm install failed')
}

function addonIsStale() {
  const built = mtimeOf(join(ADDON, 'build', 'Release', 'tuntap.node'))
  return ['binding.gyp', ...readdirSync(ADDON).filter(name => /\.[ch]$/.test(name))].some(
    name => mtimeOf(join(ADDON, name)) > built,
  )
}

function setUpAddon() {
  if (!addonIsStale()) return
  const missing = missingOf(BUILD_TOOLS)
  if (missing.length > 0) {
    const packages = missing.map(tool => BUILD_TOOLS[tool]).join(' ')
    throw new SetupError(
      `building the TUN addon needs ${missing.join(', ')}; install: apt-get install ${packages}`,
    )
  }
  say('building the TUN addon')
  const args = [nodeGyp(), 'rebuild', '--release', ...nodeHeaders()]
  mustRun(process.execPath, args, ADDON, 'the TUN addon does not build')
}

/** Our own; in an install from the registry npm's, which has no development packages. */
function nodeGyp() {
  const candidates = [
    join(ROOT, 'node_modules', 'node-gyp', 'bin', 'node-gyp.js'),
    process.env.npm_config_node_gyp,
    join(prefix(), 'lib', 'node_modules', 'npm', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js'),
  ]
  const found = candidates.find(path => path !== undefined && existsSync(path))
  if (found === undefined) throw new SetupError('node-gyp is missing: run npm install')
  return found
}

/** The headers that came with this Node.js, so that none are downloaded. */
function nodeHeaders() {
  return existsSync(join(prefix(), 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix()}`] : []
}

function prefix() {
  return dirname(dirname(process.execPath))
}

function setUpDist() {
  const sources = sourceFiles()
  const state = stateOf(sources)
  if (existsSync(MARKER) && readFileSync(MARKER, 'utf8') === state) return
  say('compiling')
  // Also for a compile that fails: what it left is of these sources no more.
  rmSync(MARKER, { force: true })
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc')
  for (const project of PROJECTS) mustRun(tsc, ['-p', project], ROOT, 'the TypeScript does not compile')
  removeOrphans(new Set(sources.map(path => relative(ROOT, path).replace(/\.tsx?$/, ''))))
  chmodSync(join(DIST, 'dispatcher', 'main.js'), 0o755)
  mkdirSync(DIST, { recursive: true })
  writeFileSync(MARKER, state)
}

/** Everything that tsc compiles, and what it compiles by. */
function sourceFiles() {
  const files = []
  for (const folder of SOURCE_FOLDERS) {
    const path = join(ROOT, folder)
    if (!existsSync(path)) continue
    for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
      const isSource = /\.[cm]?tsx?$/.test(entry.name) && !entry.name.endsWith('.test.ts')
      if (entry.isFile() && isSource) files.push(join(entry.parentPath ?? entry.path, entry.name))
    }
  }
  return files.sort()
}

function stateOf(sources) {
  const hash = createHash('sha256')
  const settings = ['tsconfig.json', ...PROJECTS, 'package-lock.json'].map(name => join(ROOT, name))
  for (const path of [...sources, ...settings]) {
    const { mtimeMs, size } = statSync(path)
    hash.update(`${relative(ROOT, path)} ${mtimeMs} ${size}\n`)
  }
  return hash.digest('hex')
}

/** What was compiled from sources that are gone: an import of it would still seem to work. */
function removeOrphans(modules) {
  for (const entry of readdirSync(DIST, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name)
    const module = relative(DIST, path).replace(/\.js(\.map)?$/, '')
    if (entry.isFile() && /\.js(\.map)?$/.test(path) && !modules.has(module)) rmSync(path)
  }
}

/** Tools that no folder has where commands are. */
function missingOf(tools) {
  const folders = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`.split(delimiter)
  return Object.keys(tools).filter(tool => !folders.some(folder => isExecutable(join(folder, tool))))
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** 0 where there is no such file. */
function mtimeOf(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function run(command, args, options) {
  return spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...options })
}

/** The output of a command matters only when it fails. */
function mustRun(command, args, cwd, failure) {
  const done = run(command, args, { cwd, maxBuffer: 64 * 1024 * 1024 })
  if (done.status === 0) return
  const output = `${done.stdout ?? ''}${done.stderr ?? ''}`.trimEnd().split('\n').slice(-MAX_SHOWN_LINES)
  if (output.join('') !== '') console.error(output.join('\n'))
  throw new SetupError(`${failure} (${done.error?.message ?? `status ${done.status ?? done.signal}`})`)
}

function lastLine({ stderr, error }) {
  return error?.message ?? (stderr ?? '').trim().split('\n').at(-1) ?? ''
}

function say(text) {
  console.error(`gyre: ${text}`)
}

try {
  main()
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  say(error.message)
  process.exitCode = 1
}
