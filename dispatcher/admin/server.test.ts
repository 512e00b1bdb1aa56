import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConnectionsQuery, ShiftReport, ShiftRequest, StatusReport } from './api.ts'
import { AdminClient, findAdmin, findToken } from './client.ts'
import { selectConnections } from './connection-query.ts'
import { AdminError } from './errors.ts'
import { type AdminBackend, type AdminServer, type AdminServerOptions, createAdminServer } from './server.ts'
import { TestPlacement } from './test-placement.ts'

const counters = {
  accepted: 3,
  requests: 5,
  cloned: 2,
  adopted: 2,
  shifted: 2,
  aborted: { TIMEOUT: 1 },
  relayedPackets: 9,
  tombstones: 1,
  resetsSent: 0,
}
const owner = {
  pid: 10,
  address: '10.77.1.2',
  address6: null,
  connections: 1,
  cacheOctets: 2048,
  cacheObjects: 2,
  config: null,
  links: [],
  counters,
  limits: { halfOpen: { used: 1, max: 4_096 } },
  nstat: { Tcp: { PassiveOpens: 1 } },
  device: { packetsIn: 5 },
  origin: {},
}
const status: StatusReport = {
  cluster: 'gyre',
  mode: 'shift',
  steering: 'nft',
  vips: ['10.77.0.1', 'fd77::1'],
  port: 80,
  uptimeMs: 61_000,
  owners: [
    { ...owner, id: 0, name: 'dispatcher', role: 'dispatcher', state: 'up' },
    { ...owner, id: 1, name: 'node1', role: 'node', state: 'up' },
  ],
  counters,
  crashes: { recovered: 0, lost: {}, records: 0, recovering: 0 },
  coordination: { engine: 'embedded', awayMs: null },
}
const connection = {
  id: 7,
  client: '10.77.9.2:40001',
  owner: 1,
  ownerName: 'node1',
  state: 'ESTABLISHED',
  srttMs: 1.5,
  octetsSent: 100,
  shifts: 1,
  request: 'GET /',
  since: 1,
}

/** A cluster of one connection, which can be moved to node2; `asked` is what the server made of the requests. */
class Cluster extends TestPlacement implements AdminBackend {
  wrong = false
  asked: unknown[] = []
  current: StatusReport = status
  stuck = false
  async status(): Promise<StatusReport> {
    if (this.stuck) return new Promise(() => {})
    return this.current
  }
  async connections(query: ConnectionsQuery) {
    this.asked.push(query)
    return selectConnections([connection], query)
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
    this.asked.push(request)
    if (request.to === 'node9') throw new AdminError('UNKNOWN_OWNER', 'there is no owner "node9"')
    if (request.to === 'node3') throw new AdminError('OWNER_DRAINING', 'node3 is draining')
    if (request.to === 'node4') throw new AdminError('OWNER_FULL', 'node4 is full')
    if (request.to === 'broken') throw new Error('secret details')
    if (request.connection !== 'all' && request.connection !== 7) {
      throw new AdminError('UNKNOWN_CONNECTION', `there is no connection ${request.connection}`)
    }
    return {
      to: 2,
      toName: 'node2',
      requested: 1,
      shifted: 1,
      failed: {},
      totalMs: 0.4,
      results: [{ connection: 7, from: 1, code: null, ms: 0.3 }],
    }
  }
}

let cluster: Cluster
let server: AdminServer
let address: string
let faults: unknown[]

const TOKEN = 'a-token-of-this-test'

async function start(options: Partial<AdminServerOptions> = {}): Promise<void> {
  cluster = new Cluster()
  faults = []
  server = createAdminServer(cluster, { token: TOKEN, onFault: fault => void faults.push(fault), ...options })
  address = await server.listen({ host: '127.0.0.1', port: 0 })
}

afterEach(() => server.close())

const ask = (path: string, init: RequestInit = {}) => fetch(`http://${address}${path}`, init)
const post = (body: unknown, headers: Record<string, string> = {}) =>
  ask('/api/v1/shift', {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}`, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

async function outcome(response: Response): Promise<[number, unknown]> {
  return [response.status, await response.json()]
}

describe('answers', () => {
  it('the status', async () => {
    await start()
    const response = await ask('/api/v1/status')
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    expect(await outcome(response)).toEqual([200, status])
  })

  it('connections, as the query asks', async () => {
    await start()
    const [code, page] = await outcome(await ask('/api/v1/connections?limit=5&filter=GET%20%2F&sort=-shifts'))
    expect([code, page]).toEqual([200, { total: 1, offset: 0, limit: 5, connections: [connection] }])
    expect(cluster.asked).toEqual([
      { limit: 5, offset: 0, filter: 'GET /', sort: 'shifts', descending: true },
    ])
  })

  it('a shift', async () => {
    await start()
    expect((await outcome(await post({ connection: 7, to: 2 })))[1]).toMatchObject({
      shifted: 1,
      toName: 'node2',
    })
    expect(cluster.asked).toEqual([{ connection: 7, to: '2' }])
  })

  it('by what requests are placed, and where one would go', async () => {
    await start()
    const act = (body: unknown) => ({
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify(body),
    })
    const policies = ['locality', 'lard-r', 'round-robin', 'least-loaded', 'hash']
    const decisions = { holder: 12, first: 3 }
    expect(await outcome(await ask('/api/v1/policies'))).toEqual([
      200,
      { policy: 'locality', policies, decisions },
    ])
    expect(await outcome(await ask('/api/v1/policy', act({ policy: 'hash' })))).toEqual([
      200,
      { policy: 'hash', policies, decisions },
    ])
    expect((await outcome(await ask('/api/v1/policy', act({ policy: 'best' }))))[0]).toBe(400)
    const target = encodeURIComponent('http://example.org/a?b')
    expect((await outcome(await ask(`/api/v1/explain?target=${target}`)))[1]).toMatchObject({
      ...{ target: 'http://example.org/a?b', policy: 'hash', to: 1, reason: 'holder' },
    })
  })

  it('drains, and how far they are', async () => {
    await start()
    const act = (path: string, body: unknown) =>
      ask(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` },
        body: JSON.stringify(body),
      })
    const none = { code: 'NOT_DRAINING', message: 'node2 does not drain' }
    expect(await outcome(await ask('/api/v1/drains?node=node2'))).toEqual([404, none])
    expect((await outcome(await act('/api/v1/drain', { node: 'node2' })))[1]).toMatchObject({
      state: 'draining',
    })
    expect((await outcome(await act('/api/v1/drain', { node: 3, deadlineMs: 5 })))[1]).toMatchObject({
      left: 1,
    })
    expect(cluster.drains).toEqual([
      { node: 'node2', deadlineMs: 30_000 },
      { node: '3', deadlineMs: 5 },
    ])
    expect((await outcome(await ask('/api/v1/drains?node=node2')))[1]).toMatchObject({ state: 'drained' })
    expect((await outcome(await act('/api/v1/undrain', { node: 'node2' })))[1]).toMatchObject({
      state: 'cancelled',
    })
    expect(await outcome(await act('/api/v1/undrain', { node: 'node2' }))).toEqual([404, none])
    for (const body of [
      {},
      { node: '' },
      { node: 'a', deadlineMs: -1 },
      { node: 'a', deadlineMs: 864e5 + 1 },
    ]) {
      expect((await outcome(await act('/api/v1/drain', body)))[0]).toBe(400)
    }
  })

  it('health and readiness', async () => {
    await start()
    expect(await outcome(await ask('/api/v1/healthz'))).toEqual([200, { status: 'ok' }])
    expect(await outcome(await ask('/api/v1/readyz'))).toEqual([200, { status: 'ready' }])
    cluster.current = { ...status, owners: status.owners.slice(0, 1) }
    expect(await outcome(await ask('/api/v1/readyz'))).toEqual([
      503,
      { code: 'NOT_READY', message: 'no node is up' },
    ])
  })

  it('HEAD without a body', async () => {
    await start()
    const response = await ask('/api/v1/status', { method: 'HEAD' })
    expect([response.status, await response.text()]).toEqual([200, ''])
    expect(Number(response.headers.get('content-length'))).toBeGreaterThan(100)
  })
})

describe('refuses', () => {
  it.each([
    ['GET', '/', 404, 'NOT_FOUND'],
    ['GET', '/api/v1/status/', 404, 'NOT_FOUND'],
    ['GET', '/api/v2/status', 404, 'NOT_FOUND'],
    ['GET', '/api/v1/__proto__', 404, 'NOT_FOUND'],
    ['POST', '/api/v1/status', 405, 'METHOD_NOT_ALLOWED'],
    ['GET', '/api/v1/shift', 405, 'METHOD_NOT_ALLOWED'],
    ['GET', '/api/v1/drain', 405, 'METHOD_NOT_ALLOWED'],
    ['GET', '/api/v1/drains', 400, 'INVALID_REQUEST'],
    ['GET', '/api/v1/policy', 405, 'METHOD_NOT_ALLOWED'],
    ['GET', '/api/v1/explain', 400, 'INVALID_REQUEST'],
    ['GET', '/api/v1/explain?target=index.html', 400, 'INVALID_REQUEST'],
    ['GET', '/api/v1/explain?target=%2Fa%0d%0aHost:%20b', 400, 'INVALID_REQUEST'],
    ['GET', '/api/v1/explain?target=http%3A%2F%2Funknown%2F', 404, 'UNKNOWN_HOST'],
    ['GET', '/api/v1/connections?limit=0', 400, 'INVALID_REQUEST'],
    ['GET', '/api/v1/connections?sort=x', 400, 'INVALID_REQUEST'],
    ['GET', '/api/v1/connections?limit=1&limit=2', 400, 'INVALID_REQUEST'],
    ['GET', '/api/v1/connections?__proto__=1', 400, 'INVALID_REQUEST'],
  ])('%s %s: %i %s', async (method, path, code, name) => {
    await start()
    expect(await outcome(await ask(path, { method }))).toEqual([
      code,
      { code: name, message: expect.any(String) },
    ])
  })

  it.each([
    [
      'another origin',
      { connection: 'all', to: '2' },
      { origin: 'http://evil.example' },
      403,
      'FORBIDDEN_ORIGIN',
    ],
    [
      'a form',
      'connection=all',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    ['text', '{}', { 'content-type': 'text/plain' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['no JSON', '{', {}, 400, 'INVALID_REQUEST'],
    ['a wrong body', { connection: 'x', to: '2' }, {}, 400, 'INVALID_REQUEST'],
    ['a large body', ' '.repeat(20_000), {}, 413, 'BODY_TOO_LARGE'],
    ['an unknown owner', { connection: 'all', to: 'node9' }, {}, 404, 'UNKNOWN_OWNER'],
    ['an unknown connection', { connection: 8, to: '2' }, {}, 404, 'UNKNOWN_CONNECTION'],
    ['a draining owner', { connection: 7, to: 'node3' }, {}, 409, 'OWNER_DRAINING'],
    ['a full owner', { connection: 7, to: 'node4' }, {}, 409, 'OWNER_FULL'],
  ])('%s', async (_, body, headers, code, name) => {
    await start()
    const [status, report] = await outcome(await post(body, headers as Record<string, string>))
    expect([status, report]).toEqual([code, { code: name, message: expect.stringMatching(/^[^\n]{5,}$/) }])
    expect(faults).toEqual([])
  })

  it.each([
    ['no token', '', 'acts need the admin token'],
    ['a wrong token', 'Bearer another-token-of-this-test', 'wrong'],
    ['the beginning of the token', `Bearer ${TOKEN.slice(0, -1)}`, 'wrong'],
    ['more than the token', `Bearer ${TOKEN}x`, 'wrong'],
    ['another scheme', `Basic ${TOKEN}`, 'acts need the admin token'],
  ])('acts with %s', async (_, authorization, message) => {
    await start()
    const acts = ['shift', 'drain', 'undrain', 'reload', 'reopen', 'token']
    for (const act of acts) {
      const response = await ask(`/api/v1/${act}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization },
        body: '{}',
      })
      expect(response.headers.get('www-authenticate')).toBe('Bearer')
      expect(await outcome(response)).toEqual([
        401,
        { code: 'UNAUTHORIZED', message: expect.stringContaining(message) },
      ])
    }
    expect(cluster.asked).toEqual([])
  })

  it('names that may be made to point here (DNS rebinding)', async () => {
    await start({ host: 'gyre.internal' })
    const askAs = (host: string, path: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const headers = { host }
        get(`http://${address}${path}`, { headers }, ({ statusCode }) => resolve(statusCode)).on(
          'error',
          reject,
        )
      })
    for (const host of [
      'evil.example',
      'evil.example:80',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
    ]) {
      expect([host, await askAs(host, '/api/v1/status')]).toEqual([host, 403])
      expect([host, await askAs(host, '/metrics')]).toEqual([host, 200])
    }
    for (const host of [
      address,
      'localhost',
      'localhost:1',
      '[::1]:8800',
      '10.1.2.3',
      'GYRE.internal:8800',
    ]) {
      expect([host, await askAs(host, '/api/v1/status')]).toEqual([host, 200])
    }
  })

  it('takes the same origin', async () => {
    await start()
    expect((await post({ connection: 7, to: '2' }, { origin: `http://${address}` })).status).toBe(200)
  })

  it('names the field that is wrong', async () => {
    await start()
    const [, report] = await outcome(await post({ connection: 7, to: '' }))
    expect(report).toEqual({ code: 'INVALID_REQUEST', message: "to: must be an owner's id or name" })
  })

  it('tells nothing of a fault of ours, but to us', async () => {
    await start()
    expect(await outcome(await post({ connection: 7, to: 'broken' }))).toEqual([
      500,
      { code: 'INTERNAL', message: 'internal error' },
    ])
    expect(faults).toEqual([new Error('secret details')])
  })
})

describe('stays up', () => {
  it('when the cluster does not answer, and with too many such requests', async () => {
    await start({ statusTimeoutMs: 200 })
    cluster.stuck = true
    const codes = await Promise.all(
      Array.from({ length: 70 }, async () => (await ask('/api/v1/status')).status),
    )
    expect(new Set(codes)).toEqual(new Set([503, 504]))
    cluster.stuck = false
    expect((await ask('/api/v1/status')).status).toBe(200)
  })

  it('when a client breaks off in its body, or sends garbage', async () => {
    await start()
    for (const text of [
      `POST /api/v1/shift HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"a"`,
      'gar\0bage\r\n\r\n',
    ]) {
      const socket = connect(Number(address.split(':')[1]), '127.0.0.1')
      await new Promise(resolve => socket.once('connect', resolve))
      socket.write(text)
      await new Promise(resolve => setTimeout(resolve, 30))
      socket.destroy()
    }
    await new Promise(resolve => setTimeout(resolve, 30))
    expect([(await ask('/api/v1/healthz')).status, faults]).toEqual([200, []])
  })

  it('until it is closed, also with open connections', async () => {
    await start()
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1')
    await new Promise(resolve => socket.once('connect', resolve))
    const closed = new Promise(resolve => socket.once('close', resolve))
    await server.close()
    await closed
    await expect(ask('/api/v1/healthz')).rejects.toThrow()
  })

  it('ignores an Upgrade to what it does not speak (RFC 9110 §7.8)', async () => {
    await start()
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1')
    const fields =
      'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n'
    socket.write(`GET /healthz HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`)
    let told = ''
    for await (const chunk of socket) told += chunk
    expect(told).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(told).toMatch(/\r\nConnection: close\r\n/)
    expect(told).toMatch(/\{"status":"ok"\}$/)
  })

  it('cuts who asked for another protocol and does not read the answer when it closes', async () => {
    await start()
    // More than the kernel keeps for a reader.
    cluster.metrics = async () => 'x'.repeat(64 * 1024 * 1024)
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1')
    socket.pause()
    socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n')
    const ended = new Promise(resolve => socket.once('close', resolve))
    socket.on('error', () => {})
    while (socket.readableLength === 0) {
      socket.read(0)
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    await server.close()
    socket.resume()
    await ended
  })

  it('keeps nobody who was refused a WebSocket and does not hang up', async () => {
    await start()
    const socket = connect({ port: Number(address.split(':')[1]), host: '127.0.0.1', allowHalfOpen: true })
    socket.write('GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    let answer = ''
    socket.on('data', octets => {
      answer += octets
    })
    await new Promise(resolve => socket.once('end', resolve))
    expect(answer).toMatch(/^HTTP\/1\.1 404 Not Found\r\n[\s\S]*"NOT_FOUND"/)
    await server.close()
    socket.destroy()
  })
})

it('rejects an address that is taken', async () => {
  await start()
  const port = Number(address.split(':')[1])
  const second = createAdminServer(cluster, { token: TOKEN })
  await expect(second.listen({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
})

it('listens on an inherited socket', async () => {
  await start()
  const listening = createServer()
  await new Promise<void>(resolve => listening.listen(0, '127.0.0.1', resolve))
  const { port } = listening.address() as { port: number }
  const { fd } = (listening as unknown as { _handle: { fd: number } })._handle
  const script = `
    const { transformFileSync } = require('@swc/core')
    require.extensions['.ts'] = (module, file) => module._compile(transformFileSync(file, {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'commonjs' },
    }).code, file)
    const { createAdminServer } = require('./server.ts')
    createAdminServer({ status: async () => ({ cluster: 'inherited', owners: [] }) }, { token: 'x' }).listen({ fd: 3 }).then(console.log)
  `
  const child = spawn(process.execPath, ['-e', script], {
    cwd: __dirname,
    stdio: ['ignore', 'pipe', 'inherit', fd],
  })
  try {
    const line = await new Promise<Buffer>(resolve => child.stdout?.once('data', resolve))
    expect(line.toString().trim()).toBe(`127.0.0.1:${port}`)
    listening.close()
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/status`)
    expect(await response.json()).toMatchObject({ cluster: 'inherited' })
  } finally {
    child.kill('SIGKILL')
    listening.close()
  }
})

describe('AdminClient', () => {
  async function withClient<T>(use: (client: AdminClient) => Promise<T>, to = address): Promise<T> {
    const client = new AdminClient(to, TOKEN)
    try {
      return await use(client)
    } finally {
      await client.close()
    }
  }

  it('asks and is answered', async () => {
    await start()
    expect(await withClient(client => client.status())).toEqual(status)
    expect((await withClient(client => client.shift({ connection: 'all', to: '2' }))).shifted).toBe(1)
    const page = await withClient(client =>
      client.connections({ limit: 3, filter: 'a&b=c', sort: 'shifts', descending: true }),
    )
    expect(page.total).toBe(0)
    expect(cluster.asked.at(-1)).toEqual({
      limit: 3,
      offset: 0,
      filter: 'a&b=c',
      sort: 'shifts',
      descending: true,
    })
  })

  it('throws what the server refuses', async () => {
    await start()
    const refused = withClient(client => client.shift({ connection: 8, to: '2' }))
    await expect(refused).rejects.toMatchObject({
      code: 'UNKNOWN_CONNECTION',
      message: 'there is no connection 8',
    })
  })

  it('says that nobody is there', async () => {
    await start()
    await server.close()
    const failed = withClient(client => client.status())
    await expect(failed).rejects.toMatchObject({
      code: 'ADMIN_UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    })
  })

  it('says that somebody else is there', async () => {
    await start()
    const other = createServer(socket => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'))
    await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as { port: number }
    const failed = withClient(client => client.status(), `127.0.0.1:${port}`)
    await expect(failed).rejects.toMatchObject({ code: 'BAD_ANSWER' })
    other.close()
  })

  it.each([['no port:x'], ['']])('refuses the address "%s"', async text => {
    await start()
    expect(() => new AdminClient(text)).toThrow(AdminError)
  })
})

describe('findAdmin', () => {
  let runDirectory: string
  beforeEach(async () => {
    await start()
    runDirectory = await mkdtemp(join(tmpdir(), 'gyre-run-'))
    for (const [name, text] of [
      ['good', '{"admin":"127.0.0.1:8800","pid":1}'],
      ['none', '{}'],
      ['broken', '{'],
    ] as const) {
      await mkdir(join(runDirectory, name))
      await writeFile(join(runDirectory, name, 'up.json'), text)
    }
  })
  afterEach(() => rm(runDirectory, { recursive: true }))

  it('reads it from the file of the cluster', async () => {
    expect(await findAdmin({ name: 'good', runDirectory })).toBe('127.0.0.1:8800')
    expect(await findAdmin({ name: 'good', admin: '[::1]:9', runDirectory })).toBe('[::1]:9')
  })

  it.each([
    ['absent', 'CLUSTER_NOT_RUNNING', 'cluster "absent" is not running'],
    ['none', 'CLUSTER_NOT_RUNNING', 'names no admin address'],
    ['broken', 'CLUSTER_NOT_RUNNING', 'names no admin address'],
    ['../good', 'INVALID_REQUEST', 'no name of a cluster'],
    ['', 'INVALID_REQUEST', 'no name of a cluster'],
  ])('"%s": %s', async (name, code, message) => {
    await expect(findAdmin({ name, runDirectory })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    })
  })
})

describe('findToken', () => {
  it('reads it from the run folder, for the address of that cluster alone', async () => {
    await start()
    const runDirectory = await mkdtemp(join(tmpdir(), 'gyre-run-'))
    await mkdir(join(runDirectory, 'good'))
    await writeFile(join(runDirectory, 'good', 'up.json'), '{"admin":"127.0.0.1:8800"}')
    const at = (more: { name?: string; admin?: string; token?: string }) =>
      findToken({ name: 'good', runDirectory, ...more })
    expect(await at({})).toBeUndefined()
    await writeFile(join(runDirectory, 'good', 'admin-token'), `${TOKEN}\n`)
    expect(await at({})).toBe(TOKEN)
    expect(await at({ admin: '127.0.0.1:8800' })).toBe(TOKEN)
    expect(await at({ admin: '192.0.2.1:8800' })).toBeUndefined()
    expect(await at({ admin: '192.0.2.1:8800', token: 'given' })).toBe('given')
    expect(await at({ name: 'absent' })).toBeUndefined()
    expect(await at({ name: '../good' })).toBeUndefined()
    await rm(runDirectory, { recursive: true })
  })
})

it('reloads, or says why not', async () => {
  await start()
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` }
  const init = { method: 'POST', headers, body: '{}' }
  const done = await ask('/api/v1/reload', init)
  expect(done.status).toBe(200)
  expect(await done.json()).toMatchObject({ owners: [{ name: 'node1', fault: null }] })
  cluster.wrong = true
  const refused = await ask('/api/v1/reload', init)
  expect(refused.status).toBe(409)
  expect(await refused.json()).toMatchObject({ code: 'CONFIG_REFUSED' })
  expect((await ask('/api/v1/reload')).status).toBe(405)
})

it('tells Prometheus, and says whether it is healthy and ready', async () => {
  await start()
  const metrics = await ask('/metrics')
  expect(metrics.status).toBe(200)
  expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(await metrics.text()).toMatch(/^# HELP gyre_owner_up /)
  expect((await ask('/healthz')).status).toBe(200)
  expect((await ask('/readyz')).status).toBe(200)
  cluster.current = { ...status, owners: [] }
  expect((await ask('/readyz')).status).toBe(503)
  expect((await ask('/healthz')).status).toBe(200)
})
