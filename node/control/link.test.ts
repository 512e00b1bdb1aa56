import { randomInt } from 'node:crypto'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { MAX_MESSAGE_OCTETS } from './codec.ts'
import { Dialer, type DialerOptions } from './dialer.ts'
import { closeCodeOf, type LinkError, type LinkErrorCode } from './errors.ts'
import {
  CLOSE,
  FrameReader,
  frameHeader,
  MESSAGES,
  PING,
  PING_OCTETS,
  parseClose,
  pingFrame,
} from './frame.ts'
import { encodeHello, type Hello } from './hello.ts'
import { Link, type LinkHandlers, type LinkLimits } from './link.ts'
import { Listener } from './listener.ts'
import { askForLink, frameOf } from './stranger.ts'
import { until } from './test-until.ts'

const hello = (ownerId: number): Hello => ({
  protocol: 2,
  cluster: 'test',
  ownerId,
  role: 'node',
  name: `node${ownerId}`,
  incarnation: ownerId.toString(16).padStart(16, '0'),
  addresses: ['127.0.0.1'],
  capabilities: [],
})

/** One end: everything that was called back, in order. */
class End implements LinkHandlers {
  links: Link[] = []
  messages: unknown[] = []
  downs: LinkError[] = []
  reply: ((link: Link, message: unknown) => void) | undefined
  onUp(link: Link): void {
    this.links.push(link)
  }
  onMessage(link: Link, message: unknown): void {
    this.messages.push(message)
    this.reply?.(link, message)
  }
  onDown(_link: Link, reason: LinkError): void {
    this.downs.push(reason)
  }
  get link(): Link {
    const link = this.links.at(-1)
    if (link === undefined) throw new Error('no link yet')
    return link
  }
}

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function listen(end: End, limits: LinkLimits = {}): Promise<number> {
  const listener = new Listener({ hello: () => hello(1), handlers: end, ...limits })
  cleanups.push(() => listener.close())
  return (await listener.listen(0, '127.0.0.1')).port
}

function dial(end: End, port: number, options: Partial<DialerOptions> = {}): Dialer {
  const dialer = new Dialer({
    address: `127.0.0.1:${port}`,
    hello: () => hello(2),
    handlers: end,
    random: () => 0.5,
    minDelayMs: 10,
    ...options,
  })
  cleanups.push(() => dialer.close())
  return dialer
}

async function pair(serverLimits: LinkLimits = {}, clientLimits: LinkLimits = {}): Promise<[End, End]> {
  const server = new End()
  const client = new End()
  dial(client, await listen(server, serverLimits), clientLimits)
  await until(() => server.links.length === 1 && client.links.length === 1)
  return [server, client]
}

/** A TCP relay in the path, which can be frozen: neither end hears the other, and no connection breaks. */
async function freezer(port: number): Promise<{ port: number; freeze: () => void }> {
  const sockets: Socket[] = []
  const relay: Server = createServer(inside => {
    const outside = connect(port, '127.0.0.1')
    sockets.push(inside, outside)
    for (const socket of [inside, outside]) socket.on('error', () => {})
    inside.pipe(outside).pipe(inside)
  })
  await new Promise<void>(resolve => relay.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    relay.close()
  })
  const address = relay.address()
  if (typeof address !== 'object' || address === null) throw new Error('no address')
  return {
    port: address.port,
    freeze: () => {
      for (const socket of sockets) socket.unpipe().pause()
    },
  }
}

/** A peer that says hello properly and then whatever the test wants. */
async function stranger(port: number): Promise<Socket> {
  const { socket } = await askForLink(port, encodeHello(hello(7)))
  if (socket === undefined) throw new Error('refused')
  cleanups.push(() => socket.destroy())
  return socket
}

/** The code in the close frame that comes, or undefined where the connection ends without one. */
function closeOf(socket: Socket): Promise<number | undefined> {
  const reader = new FrameReader()
  let code: number | undefined
  socket.on('data', octets => {
    reader.read(octets, (kind, payload) => {
      if (kind === CLOSE) code = parseClose(payload).code
      return true
    })
  })
  return new Promise(resolve => socket.once('close', () => resolve(code)))
}

describe('messages', () => {
  it('arrive whole and in order, many in a frame, both ways', async () => {
    const [server, client] = await pair()
    server.reply = (link, message) => link.send(message)
    const sent = Array.from({ length: 3000 }, (_, i) => ({
      i,
      octets: new Uint8Array(randomInt(i % 50 === 0 ? 90_000 : 200)).fill(i),
    }))
    for (let i = 0; i < sent.length; i += 100) {
      for (const message of sent.slice(i, i + 100)) expect(client.link.send(message)).toBe(true)
      await sleep(0)
    }
    await until(() => client.messages.length === sent.length)
    for (const [i, message] of (client.messages as typeof sent).entries()) {
      expect(message.i).toBe(i)
      expect(Buffer.compare(message.octets, sent[i]?.octets ?? new Uint8Array())).toBe(0)
    }
    expect(server.link.counters).toMatchObject({ messagesReceived: 3000, messagesSent: 3000, refused: 0 })
    expect(client.link.counters.framesSent).toBeLessThan(300)
    expect(client.link.queuedOctets).toBe(0)
  })

  it('of several MiB pass', async () => {
    const [server, client] = await pair()
    const octets = new Uint8Array(MAX_MESSAGE_OCTETS - 100).map((_, i) => i * 7)
    expect(client.link.send({ octets })).toBe(true)
    expect(client.link.send('after')).toBe(true)
    await until(() => server.messages.length === 2)
    expect(Buffer.from(octets).equals((server.messages[0] as { octets: Uint8Array }).octets)).toBe(true)
    expect(server.messages[1]).toBe('after')
  })

  it('above the limit are refused by send, and the link stays up', async () => {
    const [server, client] = await pair()
    expect(client.link.send(new Uint8Array(MAX_MESSAGE_OCTETS))).toBe(false)
    expect(client.link.send('still here')).toBe(true)
    await until(() => server.messages.length === 1)
    expect(client.link.counters.refused).toBe(1)
  })

  it('are not joined across close: what was queued before is written, nothing after', async () => {
    const [server, client] = await pair()
    const { link } = client
    link.send('last words')
    link.close()
    expect(link.send('too late')).toBe(false)
    await until(() => server.downs.length === 1)
    expect(server.messages).toEqual(['last words'])
  })

  it('behind a close in the same frame are not delivered', async () => {
    const [server, client] = await pair()
    server.reply = link => link.close()
    for (let i = 0; i < 10; i++) client.link.send(i)
    await until(() => client.downs.length === 1)
    expect(server.messages).toEqual([0])
  })

  it('can be written before the turn ends', async () => {
    const [server, client] = await pair()
    client.link.send('now')
    client.link.flush()
    expect(client.link.counters.framesSent).toBe(1)
    await until(() => server.messages.length === 1)
  })
})

describe('the queue', () => {
  it('is bounded in octets; droppable messages stop long before', async () => {
    const server = new End()
    const client = new End()
    const path = await freezer(await listen(server))
    dial(client, path.port)
    await until(() => client.links.length === 1 && server.links.length === 1)
    path.freeze()
    const { link } = client
    const packet = { packet: new Uint8Array(65_536) }
    let droppable = 0
    // The kernel's socket buffers take some before anything queues.
    for (let i = 0; i < 1000 && link.sendDroppable(packet); i++) {
      droppable++
      await sleep(0)
    }
    expect(droppable * 65_536).toBeLessThan(32 * 1024 * 1024)
    expect(link.counters.dropped).toBe(1)
    expect(link.queuedOctets).toBeGreaterThan(2 * 1024 * 1024)
    let sent = 0
    while (link.send(packet)) sent++
    expect(sent).toBeGreaterThan(400)
    expect(link.queuedOctets).toBeLessThanOrEqual(32 * 1024 * 1024)
    expect(link.counters.refused).toBe(1)
    expect(link.isUp).toBe(true)
  })

  it('of a peer that only asks, and does not read, is not filled with answers', async () => {
    const end = new End()
    const transport = new Duplex({ read() {}, write() {} })
    cleanups.push(() => transport.destroy())
    const link = new Link(transport, hello(7), end, { maxDroppableOctets: 1_000, pingIntervalMs: 10 })
    const ping = pingFrame(PING, Buffer.alloc(PING_OCTETS))
    for (let times = 0; times < 1_000; times++) transport.push(ping)
    transport.push(frameOf(Uint8Array.of(1)))
    await until(() => end.messages.length === 1, 20_000)
    expect(link.queuedOctets).toBeGreaterThan(900)
    expect(link.queuedOctets).toBeLessThan(1_100)
    expect(link.isUp).toBe(true)
  })

  it('is bounded in messages, and takes more once the peer has read', async () => {
    const [server, client] = await pair({}, { maxQueuedMessages: 100 })
    const { link } = client
    for (let i = 0; i < 100; i++) expect(link.send(i)).toBe(true)
    expect(link.send(100)).toBe(false)
    await until(() => server.messages.length === 100)
    expect(link.send(100)).toBe(true)
  })
})

describe('liveness', () => {
  it('measures the round trip', async () => {
    const [server, client] = await pair({ pingIntervalMs: 20, deadAfterMs: 100 })
    await until(() => server.link.roundTripMs >= 0 && client.link.roundTripMs >= 0)
    // What comes later is no answer to a ping.
    expect(server.link.roundTripMs).toBeLessThanOrEqual(120)
  })

  it('keeps an idle link up', async () => {
    const limits = { pingIntervalMs: 20, deadAfterMs: 60 }
    const [server, client] = await pair(limits, limits)
    await sleep(300)
    expect([server.downs, client.downs]).toEqual([[], []])
  })

  it('declares a silent peer dead, at both ends', async () => {
    const limits = { pingIntervalMs: 20, deadAfterMs: 100 }
    const server = new End()
    const client = new End()
    const path = await freezer(await listen(server, limits))
    // Dialed again before the server noticed, the new link would replace the old.
    dial(client, path.port, { ...limits, minDelayMs: 2000 })
    await until(() => client.links.length === 1 && server.links.length === 1)
    path.freeze()
    const frozenAt = performance.now()
    await until(() => client.downs.length === 1 && server.downs.length === 1)
    expect(performance.now() - frozenAt).toBeGreaterThanOrEqual(60)
    expect(performance.now() - frozenAt).toBeLessThan(3000)
    expect([client.downs[0]?.code, server.downs[0]?.code]).toEqual(['PEER_SILENT', 'PEER_SILENT'])
  })

  it('gives no verdict when this process itself was stopped', async () => {
    const limits = { pingIntervalMs: 20, deadAfterMs: 60 }
    const [server, client] = await pair(limits, limits)
    const until = performance.now() + 300
    while (performance.now() < until);
    await sleep(100)
    expect([server.downs, client.downs]).toEqual([[], []])
  })
})

describe('the end', () => {
  it('is told once at each end, with who did it', async () => {
    const [server, client] = await pair()
    server.link.close()
    server.link.close()
    expect(server.downs.map(reason => reason.code)).toEqual(['CLOSED'])
    await until(() => client.downs.length === 1)
    await sleep(50)
    expect(client.downs.map(reason => reason.code)).toEqual(['PEER_CLOSED'])
  })

  it.each<[string, (peer: Socket) => void, LinkErrorCode]>([
    ['text', peer => peer.write('text of another protocol'), 'FRAME_INVALID'],
    ['a frame of no kind', peer => peer.write(Uint8Array.of(0, 0, 0, 0, 0)), 'FRAME_INVALID'],
    ['garbage', peer => peer.write(frameOf(Uint8Array.of(1, 0xc1, 2))), 'MESSAGE_MALFORMED'],
    ['a truncated message', peer => peer.write(frameOf(Uint8Array.of(0x92, 1))), 'MESSAGE_MALFORMED'],
    ['too deep', peer => peer.write(frameOf(new Uint8Array(99).fill(0x91))), 'MESSAGE_TOO_DEEP'],
    [
      'a frame too large',
      peer => peer.write(frameHeader(MESSAGES, MAX_MESSAGE_OCTETS + 1)),
      'MESSAGE_TOO_LARGE',
    ],
  ])('%s', async (_, act, code) => {
    const server = new End()
    const peer = await stranger(await listen(server))
    const closed = closeOf(peer)
    act(peer)
    await until(() => server.downs.length === 1)
    expect(server.downs[0]?.code).toBe(code)
    expect(await closed).toBe(closeCodeOf(code))
  })

  it.each<[string, (peer: Socket) => void]>([
    ['a reset', peer => peer.resetAndDestroy()],
    ['an end without a word', peer => peer.end()],
    ['an end in the middle of a frame', peer => peer.end(frameHeader(MESSAGES, 5))],
  ])('%s', async (_, act) => {
    const server = new End()
    const peer = await stranger(await listen(server))
    act(peer)
    await until(() => server.downs.length === 1)
    expect(server.downs[0]?.code).toBe('CONNECTION_LOST')
  })

  it('does not wait for ever for a peer that reads, and ends nothing', async () => {
    const server = new End()
    const { socket } = await askForLink(await listen(server), encodeHello(hello(7)))
    if (socket === undefined) throw new Error('refused')
    cleanups.push(() => socket.destroy())
    socket.allowHalfOpen = true
    const closed = closeOf(socket)
    server.link.close()
    // While the server waits it reads; once it has given up, it answers with a reset.
    const talking = setInterval(() => socket.write('more'), 50)
    cleanups.push(() => clearInterval(talking))
    expect(await closed).toBe(closeCodeOf('CLOSED'))
    clearInterval(talking)
  })

  it('delivers what came whole before the garbage', async () => {
    const server = new End()
    const peer = await stranger(await listen(server))
    peer.write(frameOf(Uint8Array.of(1, 2, 0xc1)))
    await until(() => server.downs.length === 1)
    expect(server.messages).toEqual([1, 2])
  })
})
