import { once } from 'node:events'
import { WebSocket } from 'ws'
import { Feed } from './feed.ts'
import type { FeedFrame, FeedSocket } from './feed-messages.ts'
import { MAX_SOCKETS } from './feed-messages.ts'
import { FeedServer, MAX_VIEWERS } from './feed-server.ts'
import { type AdminBackend, type AdminServer, createAdminServer } from './server.ts'
import { TestSource } from './test-source.ts'

let source: TestSource
let feed: Feed
let now: number

beforeEach(() => {
  source = new TestSource(3)
  now = 1_800_000_000_000
  feed = new Feed(source, () => now)
})

/** The answers to what one tick asks come before the next. */
async function tick(): Promise<FeedFrame> {
  now += 100
  const frame = feed.tick()
  await new Promise(resolve => setImmediate(resolve))
  return frame
}

/** What a viewer knows who applies each frame to what it knew. */
class Viewed {
  readonly sockets = new Map<number, FeedSocket>()
  readonly words = new Map<number, unknown>()
  readonly shifts: unknown[] = []

  apply(frame: FeedFrame): void {
    if (frame.full) this.sockets.clear()
    for (const row of frame.sockets) {
      this.sockets.set(row[0], row.slice(0, 8) as unknown as FeedSocket)
      if (row.length > 8) this.words.set(row[0], row.slice(8))
    }
    for (const id of frame.ended) this.sockets.delete(id)
    this.shifts.push(...frame.shifts)
  }
}

it('says in deltas what a full frame says', async () => {
  const viewed = new Viewed()
  source.open(30)
  for (let turn = 0; turn < 20; turn++) {
    source.send(1_000)
    if (turn % 3 === 0) source.shift(1 + turn, 1 + (turn % 2))
    if (turn === 10) for (const id of [4, 5, 6]) source.connections.delete(id)
    if (turn === 12) source.open(3)
    viewed.apply(await tick())
  }
  for (let turn = 0; turn < 6; turn++) viewed.apply(await tick())
  const full = feed.full()
  const expected = new Viewed()
  expected.apply(full)
  expect(full.connections).toBe(30)
  expect([...viewed.sockets.values()].sort((a, b) => a[0] - b[0])).toEqual(
    [...expected.sockets.values()].sort((a, b) => a[0] - b[0]),
  )
  for (const [id, words] of expected.words) expect(viewed.words.get(id)).toEqual(words)
  expect(viewed.sockets.has(4)).toBe(false)
})

it('tells every shift with its steps, and counts all of them', async () => {
  source.open(10)
  await tick()
  await tick()
  const ids = [...source.connections.keys()]
  for (const id of ids) source.shift(id, 1 + ((id + 1) % 3))
  source.shift(1, 3, 'NO_OBJECT')
  await tick()
  const frame = await tick()
  expect([frame.shifted, frame.refused, frame.shifts.length]).toEqual([10, 1, 11])
  expect(frame.shifts.find(([connection]) => connection === 3)).toEqual([
    3,
    1,
    2,
    'order',
    '',
    now - 105,
    2,
    1,
    1.5,
  ])
  for (let turn = 0; turn < 10; turn++) await tick()
  const full = feed.full()
  expect(full.matrix).toContainEqual([1, 2, 'order', '', 3])
  expect(full.matrix?.reduce((sum, [, , , , count]) => sum + count, 0)).toBe(11)
  expect(full.figures?.at(-1)).toMatchObject({ pauseP50Ms: 0.5, connections: 10, hitRatio: null })
})

it('samples 100,000 connections, stably, and counts them all', async () => {
  source.open(100_000)
  for (let turn = 0; turn < 4; turn++) await tick()
  const frame = feed.full()
  expect(frame.connections).toBe(100_000)
  expect(frame.sockets.length).toBeLessThanOrEqual(MAX_SOCKETS)
  expect(frame.sockets.length).toBeGreaterThan(MAX_SOCKETS / 2)
  const before = new Set(frame.sockets.map(([id]) => id))
  for (let turn = 0; turn < 8; turn++) await tick()
  expect(feed.full().sockets.every(([id]) => before.has(id))).toBe(true)
  // One by name is there whatever its hash.
  const outside = [...source.connections.keys()].find(id => !before.has(id)) as number
  feed.focus = [outside]
  for (let turn = 0; turn < 3; turn++) await tick()
  expect(feed.full().sockets.some(([id]) => id === outside)).toBe(true)
})

it('knows the clients of its sample also where more came at once than there was room for', async () => {
  source.open(400)
  for (let turn = 0; turn < 3; turn++) await tick()
  source.open(3_000)
  for (let turn = 0; turn < 12; turn++) await tick()
  const { sockets } = feed.full()
  expect(sockets.length).toBeGreaterThan(MAX_SOCKETS / 2)
  expect(sockets.filter(([, , , , , , , , client]) => client === '')).toEqual([])
  // And does not go on asking for what it knows.
  source.queries.length = 0
  for (let turn = 0; turn < 3; turn++) await tick()
  expect(source.queries.some(([, { fresh }]) => fresh)).toBe(false)
})

it('counts octets beyond 4 GiB, and does not believe an older owner', async () => {
  source.open(1)
  for (let turn = 0; turn < 12; turn++) {
    source.send(2 ** 30)
    if (turn % 4 === 0) source.shift(1, 1 + ((turn / 4) % 3))
    await tick()
  }
  await tick()
  // The first that was seen is where it is counted from.
  expect(feed.full().sockets[0]?.slice(0, 6)).toEqual([1, 3, 3, 12 * 2 ** 30, 0.25, 3])
})

it('begins anew with an owner that was started again, and drops the sockets of one that is down', async () => {
  source.open(9)
  source.shift(3, 2)
  for (let turn = 0; turn < 12; turn++) await tick()
  source.pids.set(2, 999)
  await tick()
  await tick()
  expect(source.queries.filter(([owner]) => owner === 2).at(-1)?.[1].fresh).toBe(true)
  for (const connection of source.connections.values()) {
    if (connection.owner === 2) source.connections.delete(connection.id)
  }
  source.down.add(2)
  const ended: number[] = []
  for (let turn = 0; turn < 25; turn++) ended.push(...(await tick()).ended)
  expect(ended.length).toBe(4)
  const { owners, sockets } = feed.full()
  expect(owners?.find(({ id }) => id === 2)).toMatchObject({ state: 'down', connections: 0 })
  expect(sockets.some(([, owner]) => owner === 2)).toBe(false)
})

it('keeps a socket whose owner died in the picture until another has taken it up', async () => {
  source.open(9)
  for (let turn = 0; turn < 3; turn++) await tick()
  source.down.add(2)
  const ended: number[] = []
  for (let turn = 0; turn < 8; turn++) ended.push(...(await tick()).ended)
  for (const connection of source.connections.values()) {
    if (connection.owner === 2) Object.assign(connection, { owner: 1, shifts: connection.shifts + 1 })
  }
  for (let turn = 0; turn < 25; turn++) ended.push(...(await tick()).ended)
  expect(ended).toEqual([])
  expect(feed.full().sockets.length).toBe(9)
  expect(feed.full().sockets.some(([, owner]) => owner === 2)).toBe(false)
})

it('hears what an owner has to say before it ends', async () => {
  source.open(9)
  await tick()
  await tick()
  source.shift(3, 2)
  await feed.farewell(1)
  source.down.add(1)
  const frame = await tick()
  expect(frame.shifts.map(([connection, from, to]) => [connection, from, to])).toEqual([[3, 1, 2]])
})

it('tells a shift once, also where it was asked for it twice at a time', async () => {
  source.open(9)
  await tick()
  await tick()
  source.shift(3, 2)
  const { shifts } = feed.tick()
  await feed.farewell(1)
  expect([...shifts, ...(await tick()).shifts].map(([connection]) => connection)).toEqual([3])
})

it('asks no more than 32 owners in a period', async () => {
  source = new TestSource(200)
  feed = new Feed(source, () => now)
  for (let turn = 0; turn < 7; turn++) {
    source.queries.length = 0
    await tick()
    expect(source.queries.length).toBeLessThanOrEqual(32)
    expect(source.queries.length).toBeGreaterThan(20)
  }
  source.queries.length = 0
  for (let turn = 0; turn < 7; turn++) await tick()
  expect(new Set(source.queries.map(([owner]) => owner)).size).toBe(201)
})

describe('over a WebSocket', () => {
  let server: AdminServer
  let feeds: FeedServer
  let address: string
  const sockets: WebSocket[] = []

  beforeEach(async () => {
    feeds = new FeedServer(new Feed(source))
    server = createAdminServer({} as AdminBackend, { token: 'a-token-of-this-test', feed: feeds })
    address = await server.listen({ host: '127.0.0.1', port: 0 })
  })
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.terminate()
    await server.close()
  })

  function watch(path = '/api/v1/feed', headers: Record<string, string> = {}): WebSocket {
    const socket = new WebSocket(`ws://${address}${path}`, { headers })
    sockets.push(socket)
    return socket
  }

  async function frameOf(socket: WebSocket): Promise<FeedFrame> {
    const [data] = await once(socket, 'message')
    return JSON.parse(String(data)) as FeedFrame
  }

  it('sends a full frame, then deltas, to each who watches', async () => {
    source.open(5)
    const first = watch()
    expect((await frameOf(first)).full).toBe(true)
    expect((await frameOf(first)).full).toBe(false)
    const second = watch()
    const full = await frameOf(second)
    expect([full.version, full.full, full.sockets.length]).toEqual([1, true, 5])
    expect(full.sockets[0]?.length).toBe(11)
    second.send('{"focus":4}')
    await frameOf(second)
    await frameOf(second)
    expect(source.queries.at(-1)?.[1].focus).toEqual([4])
    second.close()
    await once(second, 'close')
    await frameOf(first)
    await frameOf(first)
    expect(source.queries.at(-1)?.[1].focus).toEqual([])
  })

  it('asks nobody while nobody watches', async () => {
    const socket = watch()
    await frameOf(socket)
    socket.close()
    await once(socket, 'close')
    await new Promise(resolve => setTimeout(resolve, 20))
    source.queries.length = 0
    await new Promise(resolve => setTimeout(resolve, 250))
    expect([source.queries, feeds.viewers]).toEqual([[], 0])
  })

  it('drops frames for who does not read, and then tells everything again', async () => {
    source.open(500)
    const socket = watch()
    await frameOf(socket)
    socket.pause()
    // 500 sockets change in every frame: some 20 kB each, and the kernel's buffers are far smaller than this.
    for (let waited = 0; ; waited += 50) {
      source.send(1_000)
      await new Promise(resolve => setTimeout(resolve, 5))
      if (feeds.dropped > 3) break
      if (waited > 30_000) throw new Error('no frame was dropped')
      feeds.tick()
    }
    const frames: FeedFrame[] = []
    socket.on('message', data => frames.push(JSON.parse(String(data)) as FeedFrame))
    socket.resume()
    for (let waited = 0; !frames.some(({ full }) => full); waited += 20) {
      if (waited > 10_000) throw new Error('no full frame came')
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }, 30_000)

  it.each([
    ['another path', '/api/v1/other', {}, 404],
    ['a page of another site', '/api/v1/feed', { origin: 'http://evil.example' }, 403],
    ['a name that was made to point here', '/api/v1/feed', { host: 'evil.example' }, 403],
  ])('refuses %s', async (_, path, headers, status) => {
    const socket = watch(path, headers as unknown as Record<string, string>)
    const [error] = await once(socket, 'error')
    expect(String(error)).toContain(`${status}`)
    expect(feeds.viewers).toBe(0)
  })

  it('refuses more than it has room for, and cuts who says anything else', async () => {
    const all = Array.from({ length: MAX_VIEWERS }, () => watch())
    await Promise.all(all.map(socket => once(socket, 'open')))
    const [error] = await once(watch(), 'error')
    expect(String(error)).toContain('503')
    for (const [index, text] of [
      '{',
      '{"focus":"x"}',
      '{"focus":-1}',
      '[]',
      `"${'x'.repeat(300)}"`,
    ].entries()) {
      const socket = all[index] as WebSocket
      socket.send(text)
      await once(socket, 'close')
    }
    expect(feeds.viewers).toBe(MAX_VIEWERS - 5)
  })
})

it('says whether the engine of the cluster is away', async () => {
  source.isEngineAway = true
  expect((await tick()).engineAway).toBe(true)
  source.isEngineAway = false
  expect([(await tick()).engineAway, feed.full().engineAway]).toEqual([false, false])
})
