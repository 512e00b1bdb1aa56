/** The commands against a real admin server, as a user at the terminal meets them. */
import { Command, CommanderError } from 'commander'
import type {
  ConnectionReport,
  ConnectionsQuery,
  OwnerReport,
  ShiftReport,
  ShiftRequest,
  StatusReport,
} from '../admin/api.ts'
import { sumCounters } from '../admin/api.ts'
import { selectConnections } from '../admin/connection-query.ts'
import { AdminError } from '../admin/errors.ts'
import { type AdminBackend, createAdminServer } from '../admin/server.ts'
import { TestPlacement } from '../admin/test-placement.ts'
import { registerConnections } from './connections.ts'
import { formatDrain, registerDrain, registerUndrain } from './drain.ts'
import { registerExplain } from './explain.ts'
import { registerPolicy } from './policy.ts'
import { registerReload } from './reload.ts'
import { registerShift } from './shift.ts'
import { formatStatus, registerStatus } from './status.ts'

const none = sumCounters([])
const owners: OwnerReport[] = [
  {
    id: 0,
    name: 'dispatcher',
    role: 'dispatcher',
    pid: 100,
    state: 'up',
    address: '10.77.1.1',
    address6: 'fd77:1::1',
    connections: 0,
    cacheOctets: 0,
    cacheObjects: 0,
    config: 'aaaaaaaaaaaa',
    links: [
      { peer: 1, up: true, roundTripMs: 0.1, queuedOctets: 0 },
      { peer: 2, up: false, roundTripMs: null, queuedOctets: 0 },
    ],
    counters: { ...none, accepted: 12, relayedPackets: 40 },
    limits: { halfOpen: { used: 4_000, max: 4_096 }, connections: { used: 0, max: 100 } },
    nstat: { TcpExt: { SyncookiesSent: 9 } },
    origin: {},
    device: { packetsIn: 5 },
  },
  {
    id: 1,
    name: 'node1',
    role: 'node',
    pid: 101,
    state: 'up',
    address: '10.77.1.2',
    address6: null,
    connections: 2,
    cacheOctets: 1536,
    cacheObjects: 3,
    config: 'aaaaaaaaaaaa',
    links: [],
    counters: { ...none, adopted: 8, shifted: 2, aborted: { NO_OBJECT: 3, TIMEOUT: 1 } },
    limits: {},
    nstat: {},
    origin: {},
    device: {},
  },
  {
    id: 2,
    name: 'node2',
    role: 'node',
    pid: null,
    state: 'down',
    address: '10.77.1.3',
    address6: null,
    connections: 0,
    cacheOctets: 0,
    cacheObjects: 0,
    config: 'aaaaaaaaaaaa',
    links: [],
    counters: none,
    limits: {},
    nstat: {},
    origin: {},
    device: {},
  },
]
const connections: ConnectionReport[] = [
  {
    id: 7,
    client: '10.77.9.2:40001',
    owner: 1,
    ownerName: 'node1',
    state: 'ESTABLISHED',
    srttMs: 1.5,
    octetsSent: 123_456,
    shifts: 3,
    request: 'GET /film.bin HTTP/1.1',
    since: Date.now() - 7_205_000,
  },
  {
    id: 8,
    client: '[fd77::9]:40002',
    owner: 1,
    ownerName: 'node1',
    state: 'CLOSE-WAIT',
    srttMs: null,
    octetsSent: 0,
    shifts: 0,
    request: 'GET /\u001b]0;owned\u0007',
    since: null,
  },
]

class Cluster extends TestPlacement implements AdminBackend {
  wrong = false
  requests: ShiftRequest[] = []
  async status(): Promise<StatusReport> {
    const counters = sumCounters(owners.map(owner => owner.counters))
    return {
      cluster: 'gyre',
      mode: 'shift',
      steering: 'nft',
      vips: ['10.77.0.1', 'fd77::1'],
      port: 80,
      uptimeMs: 61_000,
      owners,
      counters,
      crashes: { recovered: 7, lost: { NO_RECORD: 2 }, records: 5, recovering: 1 },
      coordination: { engine: 'embedded', awayMs: null },
    }
  }
  async connections(query: ConnectionsQuery) {
    return selectConnections(connections, query)
  }
  async metrics() {
    return '# HELP gyre_owner_up Whether the owner answers.\n'
  }
  async reopen() {
    return { owners: 2 }
  }
  async reload() {
    if (this.wrong) throw new AdminError('CONFIG_REFUSED', 'node1: x.ts: port: expected 1 to 65535')
    return { owners: [{ id: 1, name: 'node1', config: 'aaaaaaaaaaaa', fault: null }] }
  }
  async shift(request: ShiftRequest): Promise<ShiftReport> {
    this.requests.push(request)
    if (request.to === 'node2') throw new AdminError('OWNER_DOWN', 'node2 is down')
    const refused = request.to === 'node3'
    const requested = request.connection === 'all' ? 2 : 1
    return {
      to: 1,
      toName: request.to,
      requested,
      shifted: refused ? 0 : 1,
      failed: refused ? { NO_OBJECT: requested } : requested === 2 ? { TIMEOUT: 1 } : {},
      totalMs: 1.24,
      results: [],
    }
  }
}

const cluster = new Cluster()
const TOKEN = 'a-token-of-this-test'
const server = createAdminServer(cluster, { token: TOKEN })
let address: string
beforeAll(async () => {
  process.env.GYRE_ADMIN_TOKEN = TOKEN
  address = await server.listen({ host: '127.0.0.1', port: 0 })
})
afterAll(() => {
  delete process.env.GYRE_ADMIN_TOKEN
  return server.close()
})

interface Result {
  out: string
  err: string
  exitCode: number
}

async function gyre(...words: string[]): Promise<Result> {
  const result: Result = { out: '', err: '', exitCode: 0 }
  const program = new Command('gyre')
  program.exitOverride().configureOutput({
    writeOut: text => {
      result.out += text
    },
    writeErr: text => {
      result.err += text
    },
  })
  const registers = [
    registerStatus,
    registerConnections,
    registerShift,
    registerDrain,
    registerUndrain,
    registerReload,
    registerPolicy,
    registerExplain,
  ]
  for (const register of registers) register(program)
  try {
    await program.parseAsync(words, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    result.exitCode = error.exitCode
  }
  return result
}

it('status', async () => {
  const { out, err, exitCode } = await gyre('status', '--admin', address)
  expect([err, exitCode]).toEqual(['', 0])
  expect(out).toBe(
    [
      'cluster gyre  mode shift  steering nft  vips 10.77.0.1 fd77::1  port 80  up 1 min 1 s',
      '',
      'ID  NAME        ROLE        PID  STATE  ADDRESS    ADDRESS6   CONNECTIONS    CACHE  OBJECTS  LINKS',
      ' 0  dispatcher  dispatcher  100  up     10.77.1.1  fd77:1::1            0      0 B        0  1/2 up',
      ' 1  node1       node        101  up     10.77.1.2  -                    2  1.5 KiB        3  0/0 up',
      ' 2  node2       node          -  down   10.77.1.3  -                    0      0 B        0  0/0 up',
      '',
      'OWNER       ACCEPTED  REQUESTS  CLONED  ADOPTED  SHIFTED  ABORTED  RELAYED PACKETS  TOMBSTONES  RESETS SENT',
      'dispatcher        12         0       0        0        0        0               40           0            0',
      'node1              0         0       0        8        2        4                0           0            0',
      'node2              0         0       0        0        0        0                0           0            0',
      'total             12         0       0        8        2        4               40           0            0',
      '',
      'aborted: NO_OBJECT 3, TIMEOUT 1',
      '',
      'of nodes that died: 7 recovered, 1 being recovered, lost: NO_RECORD 2',
      '',
      'dispatcher: halfOpen 4000 of 4096',
      '',
    ].join('\n'),
  )
})

it('connections', async () => {
  const { out } = await gyre('connections', '--admin', address)
  expect(out).toBe(
    [
      'ID  CLIENT           OWNER  STATE          SRTT     SENT  SHIFTS        AGE  REQUEST',
      ' 7  10.77.9.2:40001  node1  ESTABLISHED  1.5 ms  121 KiB       3  2 h 0 min  GET /film.bin HTTP/1.1',
      ' 8  [fd77::9]:40002  node1  CLOSE-WAIT        -      0 B       0          -  GET /?]0;owned?',
      '',
    ].join('\n'),
  )
  const page = await gyre('connections', '--admin', address, '--limit', '1', '--sort', 'id', '--descending')
  expect(page.out).toMatch(/\n 8 .*\n\n1 to 1 of 2\n$/)
  const empty = await gyre('connections', '--admin', address, '--filter', 'nothing')
  expect(empty.out).toBe('ID  CLIENT  OWNER  STATE  SRTT  SENT  SHIFTS  AGE  REQUEST\n')
})

it('shift', async () => {
  expect(await gyre('shift', '7', '--to', 'node1', '--admin', address)).toEqual({
    out: 'shifted 1 of 1 to node1 in 1.2 ms\n',
    err: '',
    exitCode: 0,
  })
  const all = await gyre('shift', '--all', '--to', '1', '--admin', address)
  expect(all.out).toBe('shifted 1 of 2 to 1 in 1.2 ms, not shifted: TIMEOUT 1\n')
  expect(cluster.requests).toEqual([
    { connection: 7, to: 'node1' },
    { connection: 'all', to: '1' },
  ])
})

it('policy: which, and another', async () => {
  expect((await gyre('policy', '--admin', address)).out).toBe(
    'requests are placed by locality (others: lard-r, round-robin, least-loaded, hash)\n\n' +
      'DECISIONS  REASON\n' +
      '       12  it holds the object\n' +
      '        3  nobody holds the object; it is the least loaded, and reads it\n',
  )
  expect((await gyre('policy', '--admin', address, 'hash')).out).toMatch(/^requests are placed by hash /)
  expect((await gyre('policy', '--admin', address)).out).toMatch(/^requests are placed by hash /)
  expect((await gyre('policy', '--admin', address, 'locality')).exitCode).toBe(0)
  expect((await gyre('policy', '--admin', address, 'best')).err).toMatch(/Allowed choices are locality/)
})

it('explain', async () => {
  const { out, err, exitCode } = await gyre('explain', '--admin', address, '/a.css')
  expect([err, exitCode]).toEqual(['', 0])
  expect(out).toBe(
    '/a.css: 1 node holds it; policy locality\n' +
      'a new connection goes to node1: it holds the object\n\n' +
      '   NODE   STATE  HOLDS IT  CONNECTIONS  LOAD  WAIT  READ  SHIFT  COST\n' +
      '>  node1  up     yes                 3   3.2   0.2     0      0   0.2\n' +
      '   node2  up     no                  3   3.2     -     -      -     -\n\n' +
      'last decisions\n' +
      '      AGO  FROM   TO     POLICY    REASON\n' +
      '    1.5 s  new    node1  locality  nobody holds the object; it is the least loaded, and reads it\n' +
      '1 min 1 s  node2  node1  locality  it holds the object\n',
  )
  expect(JSON.parse((await gyre('explain', '--admin', address, '--json', '/a.css')).out)).toMatchObject({
    ...{ to: 1, reason: 'holder', replicas: 1 },
    nodes: [
      { id: 1, holds: 'yes' },
      { id: 2, holds: 'no' },
    ],
  })
  expect((await gyre('explain', '--admin', address, '/a.css', '--from', 'node2')).out).toContain(
    '\na connection of node2 goes to node1: it holds the object\n',
  )
  expect((await gyre('explain', '--admin', address, 'http://unknown/')).err).toBe(
    'error: requests for unknown are answered by 421\n',
  )
  expect((await gyre('explain', '--admin', address, 'a.css')).err).toMatch(/must be a path/)
})

it('drain names those that stayed, or says that the node is silent', () => {
  const report = { node: 3, state: 'expired', total: 30, shifted: 5, elapsedMs: 9, remaining: [] } as const
  expect(formatDrain('node3', { ...report, left: 0 })).toBe(
    'node3 is not drained: 5 connections moved in 9.0 ms, and it does not answer\n',
  )
  const remaining = Array.from({ length: 25 }, (_, connection) => ({ connection, code: 'TIMEOUT' }))
  const lines = formatDrain('node3', { ...report, left: 25, remaining }).split('\n')
  expect(lines[0]).toBe('node3 is not drained: 5 connections moved in 9.0 ms, 25 stay (TIMEOUT 25)')
  expect(lines.slice(20)).toEqual(['18          TIMEOUT', '19          TIMEOUT', 'and 5 more', ''])
})

it('drain and undrain', async () => {
  const exitCode = process.exitCode
  try {
    expect((await gyre('drain', '--admin', address, 'node1', '--deadline', '2s')).out).toBe(
      'node1 is drained: 3 connections moved in 12 ms\n',
    )
    expect(cluster.drains.at(-1)).toEqual({ node: 'node1', deadlineMs: 2_000 })
    expect(process.exitCode).toBe(exitCode)
    expect((await gyre('drain', '--admin', address, 'node3')).out).toBe(
      'node3 is not drained: 2 connections moved in 12 ms, 1 stays (TIMEOUT 1)\n' +
        'CONNECTION  REASON\n9           TIMEOUT\n',
    )
    expect(process.exitCode).toBe(1)
  } finally {
    process.exitCode = exitCode
  }
  expect((await gyre('undrain', '--admin', address, 'node3')).out).toBe('node3 takes connections again\n')
  expect(await gyre('undrain', '--admin', address, 'node3')).toMatchObject({
    exitCode: 1,
    err: 'error: node3 does not drain\n',
  })
  expect(await gyre('drain', '--admin', address, 'node9')).toMatchObject({ exitCode: 1, out: '' })
  expect((await gyre('drain', '--admin', address, 'node1', '--deadline', '2')).err).toMatch(/Not a time/)
})

it.each([['status'], ['connections'], ['shift --all --to node1']])('%s --json', async words => {
  const { out, err, exitCode } = await gyre(...words.split(' '), '--json', '--admin', address)
  expect([err, exitCode, typeof JSON.parse(out)]).toEqual(['', 0, 'object'])
})

it.each([
  ['status', 'error: cluster "gyre-absent" is not running'],
  ['connections', 'error: cluster "gyre-absent" is not running'],
  ['shift --all --to node1', 'error: cluster "gyre-absent" is not running'],
])('%s without a cluster', async (words, line) => {
  expect(await gyre(...words.split(' '), '--name', 'gyre-absent')).toEqual({
    out: '',
    err: `${line}\n`,
    exitCode: 1,
  })
})

it('takes ids of connections up to 2^53', async () => {
  const { out, exitCode } = await gyre('shift', '9007199254740991', '--to', 'node1', '--admin', address)
  expect([out, exitCode]).toEqual(['shifted 1 of 1 to node1 in 1.2 ms\n', 0])
  cluster.requests.pop()
})

it('an act without the token, or with a wrong one', async () => {
  const wrong = await gyre('shift', '7', '--to', 'node1', '--admin', address, '--admin-token', 'x')
  expect(wrong).toEqual({ out: '', err: 'error: the admin token is wrong\n', exitCode: 1 })
  delete process.env.GYRE_ADMIN_TOKEN
  try {
    const none = await gyre('drain', 'node1', '--admin', address)
    expect([none.exitCode, none.err]).toEqual([1, expect.stringMatching(/^error: acts need the admin token/)])
  } finally {
    process.env.GYRE_ADMIN_TOKEN = TOKEN
  }
})

it.each([
  ['an owner that is down', 'shift 7 --to node2', 'error: node2 is down'],
  ['nothing shifted', 'shift --all --to node3', 'error: nothing was shifted to node3: NO_OBJECT 2'],
  ['neither a connection nor --all', 'shift --to node1', 'error: give either a connection or --all'],
  ['both', 'shift 7 --all --to node1', 'error: give either a connection or --all'],
  ['no number', 'shift seven --to node1', 'error: a connection is a number, as "gyre connections" shows it'],
  ['no target', 'shift 7', "error: required option '--to <owner>' not specified"],
  [
    'a limit that the server refuses',
    'connections --limit 5000',
    'error: limit: Too big: expected number to be <=1000',
  ],
  [
    'a limit that is no number',
    'connections --limit x',
    "error: option '--limit <count>' argument 'x' is invalid. It must be a number.",
  ],
])('%s', async (_, words, line) => {
  expect(await gyre(...words.split(' '), '--admin', address)).toEqual({
    out: '',
    err: `${line}\n`,
    exitCode: 1,
  })
})

it('nobody at the address', async () => {
  const { out, err, exitCode } = await gyre('status', '--admin', '127.0.0.1:1')
  expect([out, exitCode]).toEqual(['', 1])
  expect(err).toMatch(/^error: cannot reach 127\.0\.0\.1:1: [^\n]+\n$/)
})

describe('reload', () => {
  afterEach(() => {
    cluster.wrong = false
  })

  it('says what each owner runs now', async () => {
    const { out, err, exitCode } = await gyre('reload', '--admin', address)
    expect([err, exitCode]).toEqual(['', 0])
    expect(out).toBe('OWNER  CONFIG        FAULT\nnode1  aaaaaaaaaaaa\n')
  })

  it('says why nothing has changed', async () => {
    cluster.wrong = true
    const { out, err, exitCode } = await gyre('reload', '--admin', address)
    expect([out, exitCode]).toEqual(['', 1])
    expect(err).toBe('error: node1: x.ts: port: expected 1 to 65535\n')
  })
})

/** Of a cluster of two owners, with what is said of it besides. */
function statusText(more: Partial<StatusReport>): string {
  return formatStatus({
    cluster: 'gyre',
    mode: 'shift',
    steering: 'nft',
    vips: [],
    port: 80,
    uptimeMs: 0,
    owners,
    counters: none,
    crashes: { recovered: 0, lost: {}, records: 0, recovering: 0 },
    coordination: { engine: 'embedded', awayMs: null },
    ...more,
  })
}

it('status says where owners run different configurations', () => {
  const [dispatcher, node] = owners as [OwnerReport, OwnerReport]
  const text = statusText({ owners: [dispatcher, { ...node, config: 'bbbbbbbbbbbb' }] })
  expect(text).toContain(
    'configurations differ: dispatcher aaaaaaaaaaaa, node1 bbbbbbbbbbbb; see gyre reload\n',
  )
})

it('status says that the engine is away, and nothing of one that answers', () => {
  const away = statusText({ coordination: { engine: 'nats', awayMs: 61_000 } })
  expect(away).toMatch(/ {2}engine nats, away for 1 min 1 s\n/)
  expect(statusText({ coordination: { engine: 'nats', awayMs: null } })).toMatch(/ {2}engine nats\n/)
  expect(statusText({})).not.toContain('engine')
})
