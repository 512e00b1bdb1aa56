import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LinkError } from './errors.ts'
import { decodeHello, decodeRefusal, encodeHello, type Hello, NO_OWNER } from './hello.ts'
import type { Link } from './link.ts'
import { Listener, type ListenerOptions } from './listener.ts'
import { askForLink } from './stranger.ts'

const dispatcher: Hello = {
  protocol: 2,
  cluster: 'test',
  ownerId: 0,
  role: 'dispatcher',
  name: 'dispatcher',
  incarnation: '00000000000000aa',
  addresses: [],
  capabilities: ['x'],
}
const node = (ownerId: number, incarnation = ownerId): Hello => ({
  ...dispatcher,
  ownerId,
  role: 'node',
  name: `node${ownerId}`,
  incarnation: incarnation.toString(16).padStart(16, '0'),
})

const events: string[] = []
let listener: Listener
let port: number
const peers: Socket[] = []

async function start(options: Partial<ListenerOptions> = {}): Promise<void> {
  const name = (link: Link) => `${link.peer.name}/${Number.parseInt(link.peer.incarnation, 16)}`
  listener = new Listener({
    hello: () => dispatcher,
    handlers: {
      onUp: link => void events.push(`up ${name(link)}`),
      onMessage: (link, message) => void events.push(`message ${name(link)} ${message}`),
      onDown: (link, reason: LinkError) => void events.push(`down ${name(link)} ${reason.code}`),
    },
    ...options,
  })
  port = (await listener.listen(0, '127.0.0.1')).port
}

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.destroy()
  await listener.close()
  events.length = 0
})

/** The code of the refusal, or the listener's hello. */
async function join(header: string | undefined, protocol?: string): Promise<string | Hello> {
  const { response, socket } = await askForLink(port, header, protocol)
  if (socket === undefined)
    return decodeRefusal(response.headers['gyre-refused'], response.statusCode ?? 0).code
  peers.push(socket)
  const hello = decodeHello(response.headers['gyre-hello'])
  if (hello instanceof Error) throw hello
  return hello
}

it('tells a peer who it is and takes it', async () => {
  await start()
  expect(await join(encodeHello(node(3)))).toEqual(dispatcher)
  expect(events).toEqual(['up node3/3'])
  expect(listener.owner(3)?.peer).toEqual(node(3))
  expect([listener.size, listener.counters.accepted, [...listener.all].length]).toEqual([1, 1, 1])
})

it.each([
  ['no hello', undefined, 'HELLO_INVALID'],
  ['another version', Buffer.from('{"protocol":9}').toString('base64url'), 'PROTOCOL_MISMATCH'],
  ['another cluster', encodeHello({ ...node(3), cluster: 'other' }), 'CLUSTER_MISMATCH'],
  ['our own owner id', encodeHello(node(0, 5)), 'OWNER_CONFLICT'],
  ['ourselves', encodeHello(dispatcher), 'SELF_CONNECTION'],
])('refuses %s', async (_, header, code) => {
  await start()
  expect(await join(header)).toBe(code)
  expect(events).toEqual([])
  expect(listener.counters.refused).toEqual({ [code]: 1 })
})

it('refuses an upgrade to another protocol', async () => {
  await start()
  expect(await join(encodeHello(node(3)), 'websocket')).toBe('PROTOCOL_MISMATCH')
  expect(listener.size).toBe(0)
})

it('replaces the link of an owner by that of its newer run, and of the same run', async () => {
  await start()
  await join(encodeHello(node(3, 10)))
  await join(encodeHello(node(3, 11)))
  await join(encodeHello(node(3, 11)))
  expect(events).toEqual([
    'up node3/10',
    'down node3/10 REPLACED',
    'up node3/11',
    'down node3/11 REPLACED',
    'up node3/11',
  ])
  expect(listener.size).toBe(1)
  await sleep(50)
  expect(listener.owner(3)?.isUp).toBe(true)
})

it('refuses an older run of an owner while the newer one is up, and takes it after', async () => {
  await start()
  await join(encodeHello(node(3, 10)))
  expect(await join(encodeHello(node(3, 9)))).toBe('OWNER_CONFLICT')
  listener.owner(3)?.close()
  expect(listener.owner(3)).toBeUndefined()
  expect(await join(encodeHello(node(3, 9)))).toEqual(dispatcher)
})

it('takes several peers that own nothing', async () => {
  await start()
  for (const name of ['a', 'b'])
    await join(encodeHello({ ...node(3), ownerId: NO_OWNER, role: 'gateway', name }))
  expect(listener.size).toBe(2)
})

it('holds no more than maxLinks, but lets an owner come back', async () => {
  await start({ maxLinks: 2 })
  await join(encodeHello(node(1)))
  await join(encodeHello(node(2)))
  expect(await join(encodeHello(node(3)))).toBe('TOO_MANY_LINKS')
  expect(await join(encodeHello(node(2)))).toEqual(dispatcher)
})

it('answers what is no upgrade with 426', async () => {
  await start()
  const response = await fetch(`http://127.0.0.1:${port}/`)
  expect([response.status, response.headers.get('upgrade')]).toEqual([426, 'gyre'])
})

it('cuts a connection that does not ask', async () => {
  await start({ upgradeTimeoutMs: 150 })
  const socket = connect(port, '127.0.0.1')
  const started = performance.now()
  await new Promise(resolve => socket.on('error', resolve).on('close', resolve).resume())
  expect(performance.now() - started).toBeLessThan(2000)
})

it('closes with links and idle connections, and listens no more', async () => {
  await start()
  await join(encodeHello(node(1)))
  const idle = connect(port, '127.0.0.1')
  await new Promise(resolve => idle.once('connect', resolve))
  await listener.close()
  expect(events.at(-1)).toBe('down node1/1 CLOSED')
  await expect(join(encodeHello(node(1)))).rejects.toThrow('ECONNREFUSED')
})

it('reports an address that is taken', async () => {
  await start()
  const second = new Listener({
    hello: () => dispatcher,
    handlers: { onUp() {}, onMessage() {}, onDown() {} },
  })
  await expect(second.listen(port, '127.0.0.1')).rejects.toMatchObject({ code: 'EADDRINUSE' })
})
