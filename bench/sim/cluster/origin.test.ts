/**
 * Nodes in front of an origin that says something else each time it is asked: a response in the middle of which its
 * connection moves must go on with the very octets that it began with, or stay where they are.
 */
import { createHash } from 'node:crypto'
import { CachedObject, contentKey } from '../../../cache/cached-object.ts'
import { CacheStore } from '../../../cache/store.ts'
import { createResponsePlan, PLAIN_CONTEXT, type ResponseContext } from '../../../node/http/plan.ts'
import { planStored } from '../../../node/http/plan-stored.ts'
import type { Found, OriginResponse } from '../../../node/http/representation.ts'
import { createRequestHead, parseRequestHead } from '../../../node/http/request-head.ts'
import { StoredResponse } from '../../../node/http/stored-response.ts'
import { Contents } from '../../../node/origin/contents.ts'
import { PeerContents } from '../../../node/origin/peer-contents.ts'
import type { Resources } from '../../../node/server/resources.ts'
import type { ShiftResult } from '../../../shift/outgoing.ts'
import type { Scheduler } from '../network/clock/scheduler.ts'
import { duplicate } from '../network/damage.ts'
import { delay, reorder } from '../network/delay.ts'
import { chain } from '../network/element.ts'
import { drop } from '../network/loss.ts'
import { Random } from '../network/random.ts'
import { rate } from '../network/rate.ts'
import { segment } from '../network/segment.ts'
import type { Exchange } from './client.ts'
import { Cluster, EPOCH_SECOND } from './cluster.ts'

const SIZE = 700_000
const FETCH_MS = 5
const PATH = '/large'

/** The octets of each answer, in the order in which the cluster asks. */
class Origin {
  readonly answers: Uint8Array[] = []
  readonly #random: Random

  constructor(seed: number) {
    this.#random = new Random(seed)
  }

  ask(): Uint8Array {
    const octets = this.#random.octets(SIZE)
    this.answers.push(octets)
    return octets
  }
}

function tagOf(octets: Uint8Array): string {
  return `"${createHash('sha256').update(octets).digest('base64url')}"`
}

function objectOf(octets: Uint8Array): CachedObject {
  const facts = { lastModified: 0, lastModifiedStrong: false, mediaType: '', stamp: '' }
  return new CachedObject({ ...facts, path: PATH, etag: tagOf(octets), octets })
}

function responseTo(content: CachedObject): OriginResponse<CachedObject> {
  const freshness = { receivedAt: 0, initialAge: 0, lifetime: 0, whileRevalidate: 0, ifError: 0 }
  const response = new StoredResponse({
    status: 200,
    fields: [['Date', 'Sun, 06 Nov 1994 08:49:37 GMT']],
    freshness: { ...freshness, ifDisconnected: false },
    ...{ vary: [], selecting: '', siteLines: '' },
  })
  return { kind: 'response', response, content, age: undefined, cacheStatus: 'fwd=uri-miss' }
}

/** A node's sources: nothing is kept, so whoever gets a request asks the origin. */
class Front implements Resources {
  readonly store = new CacheStore(1 << 26)
  readonly peers: PeerContents
  fills = 0
  readonly #contents = new Contents()
  readonly #scheduler: Scheduler
  readonly #origin: Origin

  constructor(origin: Origin, scheduler: Scheduler) {
    this.#origin = origin
    this.#scheduler = scheduler
    this.peers = new PeerContents({
      content: key => this.#contents.get(key),
      stored: () => undefined,
      room: () => true,
      after: (ms, call) => {
        const event = scheduler.after(ms, call)
        return () => void scheduler.cancel(event)
      },
      now: () => scheduler.now,
    })
  }

  find(): undefined {
    return undefined
  }

  context(): ResponseContext {
    return PLAIN_CONTEXT
  }

  pathOf(): string {
    return PATH
  }

  heldAs(path: string): string {
    return path
  }

  load(_path: string, done: (resource: Found<CachedObject>) => void): void {
    this.#scheduler.after(FETCH_MS, () => done(responseTo(this.#added(this.#origin.ask()))))
  }

  loadVersion(
    path: string,
    tag: string,
    done: (object: CachedObject | undefined) => void,
    from: number,
  ): void {
    const here = this.#contents.get(contentKey(path, tag))
    if (here !== undefined) return done(here)
    this.peers.content(from, contentKey(path, tag), octets => {
      if (octets === undefined || tagOf(octets) !== tag) return done(undefined)
      this.fills++
      done(this.#added(octets))
    })
  }

  read(_object: CachedObject, _offset: number, done: (ok: boolean) => void): void {
    done(true)
  }

  #added(octets: Uint8Array): CachedObject {
    const object = objectOf(octets)
    this.#contents.add(object)
    return object
  }
}

/** What a client must get of the first answer of the origin. */
function firstAnswer(seed: number): Exchange {
  const request = new TextEncoder().encode(`GET ${PATH} HTTP/1.1\r\nHost: a\r\n\r\n`)
  const head = createRequestHead()
  expect(parseRequestHead(request, 0, request.length, head)).toBe('complete')
  const octets = new Origin(seed).ask()
  const response = createResponsePlan<CachedObject>()
  planStored(head, responseTo(objectOf(octets)), EPOCH_SECOND, response, PLAIN_CONTEXT)
  return { request, response: Buffer.concat([response.head, octets]) }
}

const goodWan = () => chain([segment(1_500), rate(50e6, 500_000), delay(1)])
const badWan = () => chain([segment(1_500), drop(0.02), duplicate(0.01), reorder(0.05, 12), delay(10, 1)])

function stand(seed: number, wan = goodWan) {
  const origin = new Origin(seed)
  const fronts: Front[] = []
  const servedBy = (_id: number, scheduler: Scheduler) => {
    const front = new Front(origin, scheduler)
    fronts.push(front)
    return front
  }
  const sim = new Cluster({ seed, wan, servedBy })
  const client = sim.client({ exchanges: [firstAnswer(seed)] })
  // Until then a move would only have another node ask.
  expect(sim.runUntil(() => origin.answers.length === 1, 30_000)).toBe(true)
  return { sim, origin, fronts, client }
}

function elsewhere(sim: Cluster, own: number): number {
  return (own % sim.nodeCount) + 1
}

it.each([
  ['a good network', goodWan],
  ['a bad network', badWan],
] as const)('over %s a response that is moved all the time is the one that began', (_name, wan) => {
  const { sim, origin, fronts, client } = stand(17, wan)
  const results: ShiftResult[] = []
  while (!client.done && sim.now < 200_000) {
    sim.run(8)
    const own = sim.ownerOf(client)?.owner.config.id
    if (own !== undefined) sim.shift(client, elsewhere(sim, own), result => results.push(result))
  }
  expect({ done: client.done, failure: client.failure, resets: client.resets }).toEqual({
    ...{ done: true, failure: undefined, resets: 0 },
  })
  expect(results.filter(({ ok }) => ok).length).toBeGreaterThan(5)
  expect(origin.answers).toHaveLength(1)
  expect(fronts.reduce((sum, { fills }) => sum + fills, 0)).toBeGreaterThan(0)
})

it('stays where its octets are when the target cannot have them', () => {
  const { sim, origin, client, fronts } = stand(18)
  // Another version, under the name of the first: the hash tells.
  for (const front of fronts) {
    const { content } = front.peers
    front.peers.content = (from, key, done) =>
      content.call(front.peers, from, key, octets => done(octets?.map(octet => octet ^ 1)))
  }
  const results: ShiftResult[] = []
  const first = sim.ownerOf(client)?.owner.config.id ?? 0
  while (!client.done && sim.now < 60_000) {
    sim.run(10)
    sim.shift(client, elsewhere(sim, first), result => results.push(result))
  }
  expect(client).toMatchObject({ done: true, failure: undefined, resets: 0 })
  expect(results.length).toBeGreaterThan(1)
  // The last one comes when everything is sent, and nothing is needed any more.
  expect(results[0]).toMatchObject({ ok: false, reason: 'NO_OBJECT' })
  expect(origin.answers).toHaveLength(1)
})
