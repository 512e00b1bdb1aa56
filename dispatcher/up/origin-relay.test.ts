import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OriginClient } from '../../node/origin/client.ts'
import { DEFAULT_ORIGIN_LIMITS } from '../../node/origin/limits.ts'
import { relayConnector } from '../../node/origin/relay.ts'
import { rawOrigin, TestOrigin } from '../../node/origin/test-origin.ts'
import { OriginRelay } from './origin-relay.ts'

let folder: string
let path: string
let relay: OriginRelay

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gyre-relay-'))
  path = join(folder, 'origin.sock')
  relay = await OriginRelay.open(path)
})

afterEach(async () => {
  await relay.close()
  rmSync(folder, { recursive: true, force: true })
})

async function get(url: string, connectMs = 5_000) {
  const client = new OriginClient(url, DEFAULT_ORIGIN_LIMITS, relayConnector(path, connectMs))
  try {
    return await client.get({ target: '/', fields: [], room: () => true })
  } finally {
    client.close()
  }
}

it('reaches an origin, and is its user’s alone', async () => {
  const origin = new TestOrigin()
  await origin.start()
  origin.handle = (_request, response) => response.end(Buffer.alloc(1_000_000, 'a'))
  const answer = await get(origin.url)
  expect(answer).toMatchObject({ kind: 'answer', status: 200 })
  expect(answer.kind === 'answer' && answer.octets.length).toBe(1_000_000)
  expect(origin.requests[0]?.headers.host).toBe(`127.0.0.1:${origin.port}`)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  await origin.stop()
})

it('says that nobody listens, and that it is gone itself', async () => {
  const fault = { kind: 'fault', status: 502, disconnected: true }
  expect(await get('http://127.0.0.1:1')).toMatchObject(fault)
  await relay.close()
  expect(await get('http://127.0.0.1:1')).toMatchObject(fault)
  relay = await OriginRelay.open(path)
})

it.each([
  ['before its length', 'Content-Length: 10\r\n'],
  ['before its last chunk', 'Transfer-Encoding: chunked\r\n'],
  // Whether it was cut nobody can tell: the relay's socket has no reset.
  ['with its connection', ''],
])('takes no body that was cut %s', async (_when, fields) => {
  const origin = await rawOrigin(socket => {
    socket.write(`HTTP/1.1 200 OK\r\n${fields}\r\n3\r\nabc\r\n`)
    setTimeout(() => socket.resetAndDestroy(), 20)
  })
  expect(await get(origin.url)).toMatchObject({ kind: 'fault', status: 502 })
  await origin.stop()
})

it.each([
  '\n',
  'host\n',
  'host port\n',
  'host 80 more\n',
  'host 99999\n',
  '127.0.0.1 80\nmore',
  'a'.repeat(400),
])('ends a connection that says %j', async line => {
  const socket = connect(path)
  socket.write(line)
  socket.resume()
  const closed = await new Promise<boolean>(resolve => {
    socket.once('error', () => resolve(true))
    socket.once('close', () => resolve(true))
  })
  expect(closed).toBe(true)
})

it('passes TLS on unread', async () => {
  const [key, cert] = ['key.pem', 'cert.pem'].map(name => join(folder, name)) as [string, string]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '2']
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', cert, ...subject], {
    stdio: 'ignore',
  })
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_request, response) => {
    response.end('secret')
  })
  await new Promise<void>(resolve => server.listen(0, 'localhost', resolve))
  const url = `https://localhost:${(server.address() as AddressInfo).port}`
  // Nobody has signed it: an origin that cannot show who it is is none.
  expect(await get(url)).toMatchObject({ kind: 'fault', status: 502 })
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
})
