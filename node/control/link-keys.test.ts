/** Control links by TLS with a key of the cluster: who comes in, who does not, and what the other side hears of it. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Dialer } from './dialer.ts'
import type { LinkError } from './errors.ts'
import { createIncarnation, encodeHello, type Hello, PROTOCOL_VERSION, UPGRADE } from './hello.ts'
import type { Link } from './link.ts'
import { createKeyText, dialingTls, type LinkKeys, parseLinkKeys } from './link-keys.ts'
import { Listener, type ListenerOptions } from './listener.ts'
import { until } from './test-until.ts'

const WAIT_MS = 20_000
const LARGE_OCTETS = 3 * 2 ** 20

function keysOf(text: string): LinkKeys {
  const keys = parseLinkKeys(text)
  if (typeof keys === 'string') throw new Error(keys)
  return keys
}

const KEY = createKeyText()
const OTHER_KEY = createKeyText()
const KEYS = keysOf(KEY)
const OTHER = keysOf(OTHER_KEY)

const helloOf = (ownerId: number, more: Partial<Hello> = {}): Hello => ({
  protocol: PROTOCOL_VERSION,
  cluster: 'test',
  ownerId,
  role: ownerId === 0 ? 'dispatcher' : 'node',
  name: `owner${ownerId}`,
  incarnation: createIncarnation(1_800_000_000_000, () => ownerId / 1_000),
  addresses: [],
  capabilities: [],
  ...more,
})

const closing: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

interface Heard {
  readonly ups: Link[]
  readonly messages: unknown[]
  readonly listener: Listener
  readonly port: number
}

async function listening(keys: LinkKeys | undefined, more: Partial<ListenerOptions> = {}): Promise<Heard> {
  const ups: Link[] = []
  const messages: unknown[] = []
  const listener = new Listener({
    hello: () => helloOf(0),
    keys,
    handlers: {
      onUp: link => void ups.push(link),
      onMessage: (link, message) => {
        messages.push(message)
        link.send(['back', message])
      },
      onDown: () => {},
    },
    ...more,
  })
  closing.push(() => listener.close())
  const { port } = await listener.listen(0, '127.0.0.1')
  return { ups, messages, listener, port }
}

interface Dialed {
  readonly failures: LinkError[]
  readonly messages: unknown[]
  readonly dialer: Dialer
}

function dialing(port: number, keys: LinkKeys | undefined, hello = helloOf(3)): Dialed {
  const failures: LinkError[] = []
  const messages: unknown[] = []
  const dialer = new Dialer({
    address: `127.0.0.1:${port}`,
    hello: () => hello,
    keys,
    random: () => 0.5,
    minDelayMs: 20,
    maxDelayMs: 20,
    connectTimeoutMs: WAIT_MS,
    handlers: { onUp: () => {}, onMessage: (_link, message) => messages.push(message), onDown: () => {} },
    onFailure: error => failures.push(error),
  })
  closing.push(() => dialer.close())
  return { failures, messages, dialer }
}

it('both sides with the key are linked, and large messages pass both ways', async () => {
  const { ups, messages, port } = await listening(KEYS)
  const dialed = dialing(port, KEYS)
  await until(() => ups.length === 1)
  const large = new Uint8Array(LARGE_OCTETS).fill(7)
  await until(() => dialed.dialer.link !== undefined)
  dialed.dialer.link?.send([1, large])
  await until(() => dialed.messages.length === 1)
  const [[one, there]] = messages as [[number, Uint8Array]]
  const [[word, [, back]]] = dialed.messages as [[string, [number, Uint8Array]]]
  expect([one, word]).toEqual([1, 'back'])
  for (const octets of [there, back]) expect(Buffer.compare(octets, large)).toBe(0)
  expect(ups[0]?.peer).toEqual(helloOf(3))
})

it.each([
  ['another key', KEYS, OTHER, 'UNAUTHENTICATED', /another key, or none/],
  ['a key where the other side has none', undefined, KEYS, 'UNAUTHENTICATED', /another key, or none/],
  ['no key', KEYS, undefined, 'CONNECT_FAILED', /this side needs the same/],
])('a peer with %s is not linked, and says why', async (_, ours, theirs, code, message) => {
  const { ups, listener, port } = await listening(ours)
  const { failures } = dialing(port, theirs)
  await until(() => failures.length >= 2)
  expect([...new Set(failures.map(failure => failure.code))]).toEqual([code])
  expect(failures[0]?.message).toMatch(message)
  expect(ups).toEqual([])
  if (ours !== undefined) expect(listener.counters.refused.UNAUTHENTICATED).toBeGreaterThanOrEqual(2)
})

it('while keys are replaced, the old one and the new one are both taken', async () => {
  const { ups, port } = await listening(keysOf(`# from tomorrow\n${OTHER_KEY}\n${KEY}`))
  dialing(port, KEYS)
  dialing(port, OTHER, helloOf(4))
  await until(() => ups.length === 2)
})

it('with the key, a hello of another version or cluster is refused as without', async () => {
  const { ups, port } = await listening(KEYS)
  const version = dialing(port, KEYS, { ...helloOf(3), protocol: 9 })
  const cluster = dialing(port, KEYS, helloOf(4, { cluster: 'other' }))
  await until(() => version.failures.length > 0 && cluster.failures.length > 0)
  expect(version.failures[0]?.code).toBe('PROTOCOL_MISMATCH')
  expect(cluster.failures[0]?.code).toBe('CLUSTER_MISMATCH')
  expect(ups).toEqual([])
})

/** Passes a connection on to `port` and keeps what the dialing side says. */
async function eavesdropping(port: number): Promise<{ readonly port: number; readonly heard: Buffer[] }> {
  const heard: Buffer[] = []
  const sockets: Socket[] = []
  const server: Server = createServer(near => {
    const far = connect(port, '127.0.0.1')
    sockets.push(near, far)
    for (const socket of [near, far]) socket.on('error', () => {})
    near.on('data', octets => heard.push(Buffer.from(octets)))
    near.pipe(far).pipe(near)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { port: address.port, heard }
}

it('what was recorded of a link and is played again makes none, and delivers nothing', async () => {
  const { ups, messages, listener, port } = await listening(KEYS)
  const tapped = await eavesdropping(port)
  const { dialer } = dialing(tapped.port, KEYS)
  await until(() => dialer.link !== undefined)
  dialer.link?.send(['once'])
  await until(() => messages.length === 1)
  dialer.close()
  // What a listener hears of a replayed handshake ends at its Finished, which is of other random numbers.
  const again = connect(port, '127.0.0.1')
  again.on('error', () => {})
  let isOver = false
  again.on('close', () => {
    isOver = true
  })
  again.resume()
  again.write(Buffer.concat(tapped.heard))
  await until(() => isOver)
  expect(Buffer.concat(tapped.heard).includes('gyre-hello')).toBe(false)
  expect([ups.length, messages]).toEqual([1, [['once']]])
  expect(listener.counters.refused.UNAUTHENTICATED).toBe(1)
})

it('no certificate stands for the key, whatever the environment allows', () => {
  expect(dialingTls(KEYS)).toMatchObject({ ca: [], rejectUnauthorized: true })
})

it('a plain hello, TLS 1.2 and a stranger who stays silent get nowhere', async () => {
  const { ups, port } = await listening(KEYS, { upgradeTimeoutMs: 300 })
  const strangers = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  strangers[0]?.write(
    `GET / HTTP/1.1\r\nHost: a\r\nUpgrade: ${UPGRADE}\r\nConnection: Upgrade\r\n` +
      `gyre-hello: ${encodeHello(helloOf(5))}\r\n\r\n`,
  )
  strangers.push(
    connectTls({
      ...dialingTls(KEYS),
      port,
      host: '127.0.0.1',
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.2',
      ciphers: 'PSK-AES128-GCM-SHA256',
    }),
  )
  let answered = 0
  let closed = 0
  for (const stranger of strangers) {
    stranger.on('data', octets => {
      answered += octets.includes('HTTP') ? 1 : 0
    })
    stranger.on('error', () => {})
    stranger.on('close', () => closed++)
  }
  await until(() => closed === strangers.length)
  expect([ups.length, answered]).toEqual([0, 0])
})

it.each([
  ['', 'no key'],
  ['# only words\n', 'no key'],
  ['abc', 'key 1 is not 64 hexadecimal digits'],
  [`${KEY}${KEY.replace(/./, 'x')}`, 'key 2 is not 64 hexadecimal digits'],
  [KEY.repeat(5), 'more than 4 keys'],
])('a key file that is none says why (%#)', (text, why) => {
  expect(parseLinkKeys(text)).toBe(why)
})

it('the name of a key tells nothing of it, and is not the same for two', () => {
  const [[ours], [other]] = [KEYS, OTHER]
  expect(ours.identity).toMatch(/^gyre-[0-9a-f]{16}$/)
  expect(ours.identity).not.toBe(other.identity)
  expect(KEY).not.toContain(ours.identity.slice(5))
})
