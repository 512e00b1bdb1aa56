import { createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Dialer, type DialerOptions } from './dialer.ts'
import type { LinkError } from './errors.ts'
import type { Hello } from './hello.ts'
import type { Link } from './link.ts'
import { Listener } from './listener.ts'
import { until } from './test-until.ts'

const base: Hello = {
  protocol: 2,
  cluster: 'test',
  ownerId: 1,
  role: 'node',
  name: 'node1',
  incarnation: '0000000000000001',
  addresses: [],
  capabilities: [],
}
const quiet = { onUp() {}, onMessage() {}, onDown() {} }

interface Log {
  ups: Link[]
  downs: string[]
  failures: { error: LinkError; retryInMs: number }[]
}

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function listen(
  port = 0,
  hello: Hello = { ...base, ownerId: 2, name: 'node2', incarnation: '0000000000000002' },
) {
  const listener = new Listener({ hello: () => hello, handlers: quiet })
  cleanups.push(() => listener.close())
  return { listener, port: (await listener.listen(port, '127.0.0.1')).port }
}

function dial(port: number, options: Partial<DialerOptions> = {}): { dialer: Dialer; log: Log } {
  const log: Log = { ups: [], downs: [], failures: [] }
  const dialer = new Dialer({
    address: `127.0.0.1:${port}`,
    hello: () => base,
    handlers: {
      onUp: link => void log.ups.push(link),
      onMessage() {},
      onDown: (_, reason) => void log.downs.push(reason.code),
    },
    random: () => 0,
    minDelayMs: 10,
    maxDelayMs: 80,
    onFailure: (error, retryInMs) => void log.failures.push({ error, retryInMs }),
    ...options,
  })
  cleanups.push(() => dialer.close())
  return { dialer, log }
}

it('links, and links again each time the peer is gone', async () => {
  const first = await listen()
  const { dialer, log } = dial(first.port)
  await until(() => log.ups.length === 1)
  expect(dialer.link?.peer.ownerId).toBe(2)
  await first.listener.close()
  await until(() => log.downs.length === 1)
  expect(dialer.link).toBeUndefined()
  await until(() => log.failures.length > 0)
  await listen(first.port)
  await until(() => log.ups.length === 2)
  expect(log.downs).toEqual(['PEER_CLOSED'])
  expect(log.failures[0]?.error).toMatchObject({ code: 'CONNECT_FAILED', cause: { code: 'ECONNREFUSED' } })
})

it('pauses longer after each failure, up to the maximum, with jitter', async () => {
  const gone = await listen()
  await gone.listener.close()
  const { log } = dial(gone.port)
  await until(() => log.failures.length >= 5)
  expect(log.failures.slice(0, 5).map(({ retryInMs }) => retryInMs)).toEqual([5, 10, 20, 40, 40])
  const most = dial(gone.port, { random: () => 0.999 })
  await until(() => most.log.failures.length >= 1)
  expect(most.log.failures[0]?.retryInMs).toBeCloseTo(10, 1)
})

it('dials no more once closed: while waiting, while connecting, while up', async () => {
  const { listener, port } = await listen()
  const up = dial(port)
  await until(() => up.log.ups.length === 1)
  up.dialer.close()
  expect(up.log.downs).toEqual(['CLOSED'])
  const connecting = dial(port)
  connecting.dialer.close()
  await listener.close()
  const waiting = dial(port)
  await until(() => waiting.log.failures.length === 1)
  waiting.dialer.close()
  await listen(port)
  await sleep(120)
  expect([up.log.ups.length, connecting.log.ups.length, waiting.log.ups.length]).toEqual([1, 0, 0])
  expect(connecting.log.failures).toEqual([])
})

it('says why it was refused, and keeps trying', async () => {
  const { port } = await listen(0, { ...base, ownerId: 2, incarnation: '00000000000000ff', cluster: 'other' })
  const { log } = dial(port)
  await until(() => log.failures.length === 2)
  expect(log.failures[1]?.error).toMatchObject({
    code: 'CLUSTER_MISMATCH',
    message: 'refused: the peer belongs to cluster "test", we to "other"',
  })
})

it('refuses an address that is another owner', async () => {
  const { port } = await listen()
  const { log } = dial(port, { expectedOwner: 5 })
  await until(() => log.failures.length === 1)
  expect(log.failures[0]?.error.code).toBe('OWNER_UNEXPECTED')
  expect(log.ups).toEqual([])
})

it.each(['no host:1', '127.0.0.1:77000', 'fd78::1:7700', '256.0.0.1:1'])(
  'an address that is none, %j, is a failure like any other',
  async address => {
    const { dialer, log } = dial(1, { address })
    expect(log.failures).toEqual([])
    await until(() => log.failures.length >= 2)
    expect(log.failures[0]?.error).toMatchObject({
      code: 'CONNECT_FAILED',
      message: `${address} is no address`,
    })
    dialer.close()
    const failures = log.failures.length
    await sleep(100)
    expect(log.failures.length).toBe(failures)
  },
)

describe('what is no control port', () => {
  async function serve(answer: string | undefined): Promise<number> {
    const server: Server = createServer(socket => {
      socket.on('error', () => {})
      cleanups.push(() => socket.destroy())
      if (answer !== undefined) socket.end(answer)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    cleanups.push(() => server.close())
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  it.each([
    ['another web server', 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n', 'REFUSED'],
    ['noise', 'SSH-2.0-OpenSSH_9.2\r\n', 'CONNECT_FAILED'],
    [
      'an upgrade to something else',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      'REFUSED',
    ],
    [
      'an upgrade without a hello',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: gyre\r\nConnection: Upgrade\r\n\r\n',
      'HELLO_INVALID',
    ],
    ['silence', undefined, 'CONNECT_TIMEOUT'],
  ])('%s', async (_, answer, code) => {
    const { log } = dial(await serve(answer), { connectTimeoutMs: 200 })
    await until(() => log.failures.length >= 1)
    expect(log.failures[0]?.error.code).toBe(code)
  })
})
