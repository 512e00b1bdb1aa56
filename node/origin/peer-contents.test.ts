import { CachedObject, contentKey } from '../../cache/cached-object.ts'
import { tagOf } from '../server/content-tag.ts'
import { Contents } from './contents.ts'
import { ANSWER_MS, PART_OCTETS, PeerContents } from './peer-contents.ts'
import { TestFront, TestOrigin } from './test-origin.ts'

type Envelope = unknown[]

/** Nodes that hear one another at once, unless what is said is changed or lost on the way. */
class Nodes {
  readonly all = new Map<number, PeerContents>()
  readonly holders = new Map<string, number[]>()
  said = 0
  change: (envelope: Envelope) => Envelope | undefined = envelope => envelope
  readonly #timers = new Set<() => void>()

  add(id: number, contents: Contents, front?: () => TestFront): PeerContents {
    const peers = new PeerContents({
      content: key => contents.get(key),
      stored: request => front?.().source.stored(request, front().passedMs),
      room: octets => octets < 1 << 30,
      after: (ms, call) => {
        expect(ms).toBe(ANSWER_MS)
        this.#timers.add(call)
        return () => this.#timers.delete(call)
      },
      now: () => front?.().passedMs ?? 0,
    })
    peers.attach({
      id,
      send: (to, envelope) => {
        this.said++
        const changed = this.change(envelope)
        const peer = this.all.get(to)
        if (changed !== undefined) peer?.receive(id, changed)
        return peer !== undefined
      },
      holders: (path, done) => done(this.holders.get(path) ?? []),
    })
    this.all.set(id, peers)
    return peers
  }

  /** The time for answers is over. */
  expire(): void {
    for (const call of [...this.#timers]) call()
  }

  get waiting(): number {
    return this.#timers.size
  }
}

function octetsOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7) % 251)
}

async function contentOf(path: string, octets: Uint8Array): Promise<CachedObject> {
  const facts = { lastModified: 0, lastModifiedStrong: false, mediaType: '', stamp: '' }
  return new CachedObject({ ...facts, path, etag: await tagOf(octets), octets })
}

function asked(peers: PeerContents, from: number, key: string): Promise<Uint8Array | undefined> {
  return new Promise(done => peers.content(from, key, done))
}

describe('a content by its key', () => {
  it.each([0, 1, PART_OCTETS, PART_OCTETS + 1, 3 * PART_OCTETS - 1])(
    'comes whole: %i octets',
    async length => {
      const nodes = new Nodes()
      const contents = new Contents()
      const object = await contentOf('/a', octetsOf(length))
      contents.add(object)
      nodes.add(1, contents)
      const two = nodes.add(2, new Contents())
      // Not by toEqual, which takes a minute for so many octets.
      expect(Buffer.compare((await asked(two, 1, object.key)) as Uint8Array, object.octets)).toBe(0)
      expect(nodes.said).toBe(2 * Math.max(1, Math.ceil(length / PART_OCTETS)))
    },
  )

  it('does not come of a peer that has it not, that is not there, or that falls silent', async () => {
    const nodes = new Nodes()
    nodes.add(1, new Contents())
    const two = nodes.add(2, new Contents())
    const key = contentKey('/a', '"b"')
    expect(await asked(two, 1, key)).toBeUndefined()
    expect(await asked(two, 3, key)).toBeUndefined()
    nodes.change = () => undefined
    const silent = asked(two, 1, key)
    nodes.expire()
    expect(await silent).toBeUndefined()
    expect(nodes.waiting).toBe(0)
  })

  it('is counted as long as it comes, so that many of them find no room', async () => {
    const nodes = new Nodes()
    const contents = new Contents()
    const object = await contentOf('/a', octetsOf(PART_OCTETS + 1))
    contents.add(object)
    nodes.add(1, contents)
    const two = nodes.add(2, new Contents())
    const counted: number[] = []
    nodes.change = envelope => {
      counted.push(two.loadingOctets)
      return counted.length < 4 ? envelope : undefined
    }
    const lost = asked(two, 1, object.key)
    expect(counted).toEqual([0, 0, object.length, object.length])
    nodes.expire()
    expect(await lost).toBeUndefined()
    expect(two.loadingOctets).toBe(0)
  })

  it.each<[string, (envelope: Envelope) => Envelope]>([
    ['more than was announced', ([a, b, c, , part]) => [a, b, c, 2, part]],
    ['more than there is memory for', ([a, b, c, , part]) => [a, b, c, 2 ** 40, part]],
    ['no length', ([a, b, c, , part]) => [a, b, c, 'x', part]],
    ['nothing, again and again', ([a, b, c, total]) => [a, b, c, total, new Uint8Array(0)]],
    ['text for octets', ([a, b, c, total]) => [a, b, c, total, 'abc']],
  ])('does not come of a peer that tells %s', async (_what, change) => {
    const nodes = new Nodes()
    const contents = new Contents()
    const object = await contentOf('/a', octetsOf(100))
    contents.add(object)
    nodes.add(1, contents)
    const two = nodes.add(2, new Contents())
    nodes.change = envelope => (envelope[1] === 1 ? change(envelope) : envelope)
    expect(await asked(two, 1, object.key)).toBeUndefined()
    expect(nodes.waiting).toBe(0)
  })
})

describe('a cluster in front of an origin', () => {
  let origin: TestOrigin
  let nodes: Nodes
  let fronts: TestFront[]

  beforeEach(async () => {
    origin = new TestOrigin()
    await origin.start()
    nodes = new Nodes()
    fronts = [1, 2].map((id, index) => {
      const contents = new Contents()
      const peers = nodes.add(id, contents, () => fronts[index] as TestFront)
      return new TestFront(origin.url, { peers, contents })
    })
    origin.handle = (_request, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=60', ETag: '"v"', 'X-A': 'b' }).end('content')
    }
  })

  afterEach(async () => {
    for (const front of fronts) front.source.retire()
    await origin.stop()
  })

  const [first, second] = [() => fronts[0] as TestFront, () => fronts[1] as TestFront]

  it('asks it once, and has what a peer has, with its age', async () => {
    await first().get('/a')
    nodes.holders.set('/a', [2, 1])
    first().passedMs += 20_000
    const filled = await second().get('/a')
    expect(filled).toMatchObject({
      ...{ status: 200, body: 'content' },
      fields: { age: '20', 'x-a': 'b', 'cache-status': 'gyre; fwd=uri-miss; stored; detail=peer' },
    })
    second().passedMs += 20_000
    expect((await second().get('/a')).fields).toMatchObject({ age: '40', 'cache-status': 'gyre; hit' })
    expect(origin.requests).toHaveLength(1)
    expect(second().source.counters).toMatchObject({ peerFills: 1, misses: 0, hits: 1 })
  })

  it('asks it again where the peer’s is stale, another variant, or not what its hash says', async () => {
    await first().get('/a')
    nodes.holders.set('/a', [1])
    nodes.change = envelope =>
      envelope[4] instanceof Uint8Array ? [...envelope.slice(0, 4), octetsOf(7)] : envelope
    expect((await second().get('/a')).body).toBe('content')
    expect(origin.requests).toHaveLength(2)
    nodes.change = envelope => envelope
    first().passedMs += 70_000
    second().passedMs += 70_000
    second().store.remove('/a')
    await second().get('/a')
    expect(origin.requests).toHaveLength(3)
  })

  it.each<[string, (facts: unknown[]) => unknown[]]>([
    ['is stale', facts => [...facts.slice(0, 4), [70, 60, 0, 0, true]]],
    ['another request selects', facts => [...facts.slice(0, 2), ['x-who'], 'x-who: b', facts[4]]],
  ])('asks it again where what a peer tells %s', async (_what, change) => {
    await first().get('/a')
    nodes.holders.set('/a', [1])
    nodes.change = envelope =>
      envelope[1] === 3 ? [...envelope.slice(0, 4), change(envelope[4] as unknown[])] : envelope
    expect((await second().get('/a')).fields['cache-status']).toBe('gyre; fwd=uri-miss; stored')
    expect(origin.requests).toHaveLength(2)
  })

  it('counts the time that a peer takes to send it (RFC 9111 §4.2.3)', async () => {
    await first().get('/a')
    nodes.holders.set('/a', [1])
    nodes.change = envelope => {
      if (envelope[1] === 1) second().passedMs += 5_000
      return envelope
    }
    expect((await second().get('/a')).fields.age).toBe('5')
  })

  it('RFC 9112 §11.1: takes no line end from a peer into a head', async () => {
    await first().get('/a')
    nodes.holders.set('/a', [1])
    nodes.change = envelope => {
      if (envelope[1] !== 3) return envelope
      const facts = envelope[4] as unknown[]
      return [...envelope.slice(0, 4), [facts[0], [['X-A', 'b\r\nSet-Cookie: c=d']], ...facts.slice(2)]]
    }
    expect((await second().get('/a')).head).not.toContain('Set-Cookie')
    expect(origin.requests).toHaveLength(2)
  })

  it('fetches a body once for all connections that move in the middle of it', async () => {
    const found = await first().found(first().head('/a'))
    const [path = '', tag = ''] = (found.kind === 'response' ? found.content.key : '').split('\0')
    nodes.said = 0
    const all = await Promise.all(
      Array.from({ length: 100 }, () => second().source.loadVersion(path, tag, 1)),
    )
    expect(nodes.said).toBe(2)
    expect(new Set(all).size).toBe(1)
    expect(all[0]?.etag).toBe(tag)
    expect(second().store.outsideOctets).toBe(all[0]?.memoryOctets)
  })

  it('goes on with the very octets of a response that is nobody else’s', async () => {
    origin.handle = (_request, response) =>
      response.writeHead(200, { 'Cache-Control': 'private' }).end('mine')
    const found = await first().found(first().head('/me'))
    const key = found.kind === 'response' ? found.content.key : ''
    const [path = '', tag = ''] = key.split('\0')
    const moved = await second().source.loadVersion(path, tag, 1)
    expect(moved?.key).toBe(key)
    expect(Buffer.from(moved?.octets ?? []).toString()).toBe('mine')
    expect(await second().source.loadVersion(path, '"another"', 1)).toBeUndefined()
    expect(second().store.count).toBe(0)
  })
})
