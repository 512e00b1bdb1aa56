/**
 * What a site says whose content is an origin server's: the stored responses in front, the origin behind them (RFC 9111).
 * Look-ups on the packet path are synchronous; asking peers and the origin, and deciding what may be kept, happen off it.
 * One request asks for all who want the same and may share it.
 */
import { randomBytes } from 'node:crypto'
import { CachedObject, contentKey } from '../../cache/cached-object.ts'
import type { CacheEntry } from '../../cache/policy.ts'
import type { CacheStore } from '../../cache/store.ts'
import { DEFAULT_INDEX_SETS, TargetIndex } from '../../cache/target-index.ts'
import { formatHttpDate } from '../http/date.ts'
import { ageOf, type Freshness, isFresh, mayUseStale, mayUseWhileRevalidating } from '../http/freshness.ts'
import { type HttpSettings, representationLines, responseLines } from '../http/http-settings.ts'
import { IF_MATCH, IF_UNMODIFIED_SINCE } from '../http/known-field.ts'
import { PLAIN_CONTEXT, type ResponseContext } from '../http/plan.ts'
import type { Found, OriginResponse } from '../http/representation.ts'
import { hashPath, type RequestHead } from '../http/request-head.ts'
import { type Field, fieldValue, StoredResponse } from '../http/stored-response.ts'
import { targetOf } from '../http/target.ts'
import { tagOf } from '../server/content-tag.ts'
import type { Fetched, OriginClient } from './client.ts'
import type { Contents } from './contents.ts'
import { createOriginCounters, type OriginCounters } from './counters.ts'
import {
  isCircular,
  merged,
  type OriginRequest,
  originRequest,
  requestFields,
  responseFields,
  selectingIn,
  selectingOf,
  varyNames,
} from './fields.ts'
import type { PeerContents, PeerResponse } from './peer-contents.ts'
import { placeFor, removeAll, responseOf, selectEntry, VARIANT_MARK } from './variants.ts'
import { judge } from './verdict.ts'

/** Longer targets are passed on and not kept: with its site's name a path is to fit the messages about caches. */
const MAX_KEPT_CHARS = 4_096
/** Targets known to give what nobody can share are not waited for in a row; remembered for so long. */
const PASSING_MS = 10_000
const MAX_PASSING = 4_096
/** After an origin was out of reach, what may be used stale is, without another attempt. */
const DOWN_MS = 1_000
/** Validations of what is in use meanwhile (RFC 5861 §3). */
const MAX_RENEWALS = 64
const MIN_INDEX_SETS = 16
const PRIVATE_NAME_OCTETS = 12
/** RFC 9111 §4.3.2: they mean something to the origin alone. */
const BYPASSING = IF_MATCH | IF_UNMODIFIED_SINCE

export interface OriginSourceOptions {
  readonly store: CacheStore
  readonly contents: Contents
  readonly client: OriginClient
  readonly settings: HttpSettings
  /** The site's name: it stands before every target. */
  readonly site: string
  /** How many sources share what is bounded. */
  readonly share: number
  /** Whether there is memory for so many octets more. */
  readonly room: (octets: number) => boolean
  /** The owner's clock, ms. */
  readonly now: () => number
  readonly nowSecond: () => number
  /** Undefined where there is no cluster. */
  readonly peers?: PeerContents | undefined
  readonly counters?: OriginCounters
  /** Told of every failure, for the operator. */
  readonly failed?: (reason: string) => void
}

/** What asking came to, and whether others may have it too: by which values of theirs. */
interface Outcome {
  readonly found: Found<CachedObject>
  readonly sharedWith: ((request: OriginRequest) => boolean) | undefined
}

export class OriginSource {
  readonly context: ResponseContext
  readonly counters: OriginCounters
  readonly #options: OriginSourceOptions
  readonly #store: CacheStore
  readonly #index: TargetIndex
  readonly #pending = new Map<string, Promise<Outcome>>()
  readonly #passing = new Map<string, number>()
  /** Contents on their way from a peer. */
  readonly #fetching = new Map<string, Promise<CachedObject | undefined>>()
  #renewals = 0
  #downUntil = Number.NEGATIVE_INFINITY
  #retired = false

  constructor(options: OriginSourceOptions) {
    this.#options = options
    this.#store = options.store
    this.counters = options.counters ?? createOriginCounters()
    this.context = { lines: responseLines(options.settings), page: PLAIN_CONTEXT.page }
    const sets = Math.max(MIN_INDEX_SETS, DEFAULT_INDEX_SETS / options.share)
    this.#index = new TargetIndex(2 ** Math.floor(Math.log2(sets)))
  }

  /** Octets of bodies that are being received. */
  get loadingOctets(): number {
    return this.#options.client.loadingOctets
  }

  /** The site has another origin now, or none: what comes from now on is its requests' alone. */
  retire(): void {
    this.#retired = true
    this.#options.client.close()
  }

  /** The stored response to a request, if one may be used now. For the packet path. */
  find(head: RequestHead, now: number): Found<CachedObject> | undefined {
    if ((head.method !== 'GET' && head.method !== 'HEAD') || (head.present & BYPASSING) !== 0)
      return undefined
    const { octets, pathStart, pathEnd, targetEnd, pathHash } = head
    const hash = pathEnd === targetEnd ? pathHash : hashPath(octets, pathStart, targetEnd)
    let first = this.#index.find(octets, pathStart, targetEnd, hash)
    if (first === undefined) {
      const target = targetOf(head)
      if (typeof target === 'number') return { kind: 'refused', status: target }
      first = this.#store.peek(this.#options.site + target)
      if (first !== undefined) this.#index.add(octets, pathStart, targetEnd, hash, first)
    }
    const entry = selectEntry(this.#store, first, names => selectingIn(head, names))
    const found = entry && this.#usable(entry, now)
    if (found === undefined) {
      this.#store.counters.misses++
      return undefined
    }
    if (found.cacheStatus !== 'hit') this.#renew(head)
    return found
  }

  /** What a head asks for, to be kept while the answer is awaited. */
  request(head: RequestHead, path: string, client: string): OriginRequest {
    const target = path.slice(this.#options.site.length)
    return originRequest(head, path, target, client, (head.present & BYPASSING) !== 0)
  }

  /** The answer to a request, from memory, a peer, or the origin. Never rejects. */
  async load(request: OriginRequest): Promise<Found<CachedObject>> {
    if (isCircular(request)) return this.#fault(502, 'the origin of the site is the site itself')
    if (request.bypass) return (await this.#ask(request, undefined)).found
    const now = this.#now()
    const held = this.#held(request)
    const usable = held && this.#usable(held, now)
    if (usable !== undefined) return usable
    if (held?.object !== undefined && now < this.#downUntil) {
      const stale = this.#stale(held.object, 'disconnected', now)
      if (stale !== undefined) return stale
    }
    if (isAuthorized(request) || this.#isPassing(request.path, now)) {
      return (await this.#ask(request, held?.object)).found
    }
    const pending = this.#pending.get(request.path)
    if (pending === undefined) return (await this.#askForAll(request, held?.object)).found
    const outcome = await pending
    if (outcome.sharedWith?.(request) === true) {
      this.counters.collapsed++
      return outcome.found
    }
    return (await this.#ask(request, this.#held(request)?.object)).found
  }

  /** The very octets that a connection shall go on with here; those that are not here `from` has. */
  async loadVersion(path: string, tag: string, from?: number): Promise<CachedObject | undefined> {
    const key = contentKey(path, tag)
    const here = this.#options.contents.get(key)
    if (here !== undefined || from === undefined) return here
    // A node that is drained gives away many connections in the middle of one body.
    const name = `${from} ${key}`
    const known = this.#fetching.get(name)
    if (known !== undefined) return known
    const fetching = this.#fetchVersion(path, tag, key, from).finally(() => this.#fetching.delete(name))
    this.#fetching.set(name, fetching)
    return fetching
  }

  async #fetchVersion(
    path: string,
    tag: string,
    key: string,
    from: number,
  ): Promise<CachedObject | undefined> {
    const { peers } = this.#options
    const octets =
      peers && (await new Promise<Uint8Array | undefined>(done => peers.content(from, key, done)))
    if (octets === undefined || (await tagOf(octets)) !== tag) return undefined
    this.counters.peerFills++
    const object = this.#contentOf(path, tag, octets)
    this.#store.outside(object)
    return object
  }

  /** The stored response that a peer's request selects, if it is fresh: for that peer. */
  stored(request: OriginRequest, now: number): CachedObject | undefined {
    const object = this.#held(request)?.object
    return object !== undefined && isFresh(responseOf(object).freshness, now) ? object : undefined
  }

  #now(): number {
    return this.#options.now()
  }

  #held(request: OriginRequest): CacheEntry | undefined {
    const first = this.#store.peek(request.path)
    return selectEntry(this.#store, first, names => selectingOf(request, names))
  }

  /** A use of a stored response, or undefined where it has to be validated first. */
  #usable(entry: CacheEntry, now: number): OriginResponse<CachedObject> | undefined {
    const content = entry.object as CachedObject
    const { freshness } = responseOf(content)
    const fresh = isFresh(freshness, now)
    if (!fresh && !mayUseWhileRevalidating(freshness, now)) return undefined
    this.#store.use(entry)
    if (fresh) this.counters.hits++
    else this.counters.stale++
    return use(content, fresh ? 'hit' : 'hit; detail=stale-while-revalidate', now)
  }

  #stale(
    content: CachedObject,
    cause: 'error' | 'disconnected',
    now: number,
  ): OriginResponse<CachedObject> | undefined {
    if (!mayUseStale(responseOf(content).freshness, cause, now)) return undefined
    this.counters.stale++
    return use(content, `hit; fwd=stale; detail=${cause}`, now)
  }

  /** Validates what is in use meanwhile; the head is borrowed, so what is needed of it is taken now. */
  #renew(head: RequestHead): void {
    const target = targetOf(head)
    if (typeof target === 'number' || this.#renewals >= MAX_RENEWALS) return
    const path = this.#options.site + target
    if (this.#pending.has(path) || this.#now() < this.#downUntil) return
    const request = this.request(head, path, '')
    this.#renewals++
    void this.#askForAll(request, this.#held(request)?.object).finally(() => this.#renewals--)
  }

  async #askForAll(request: OriginRequest, held: CachedObject | undefined): Promise<Outcome> {
    const asked = this.#ask(request, held)
    this.#pending.set(request.path, asked)
    const outcome = await asked.finally(() => this.#pending.delete(request.path))
    if (outcome.sharedWith === undefined) this.#pass(request.path)
    return outcome
  }

  async #ask(request: OriginRequest, held: CachedObject | undefined): Promise<Outcome> {
    const isShared = request.path.length <= MAX_KEPT_CHARS && !request.bypass && !isAuthorized(request)
    if (held === undefined && isShared) {
      const filled = await this.#askPeers(request)
      if (filled !== undefined) return this.#shared(filled, 'fwd=uri-miss; stored; detail=peer')
    }
    const { client, site } = this.#options
    const validators = held === undefined ? [] : validatorsOf(responseOf(held))
    const sentAt = this.#now()
    const answer = await client.get({
      target: request.target,
      fields: requestFields(request, site, validators),
      room: this.#options.room,
    })
    if (answer.kind === 'fault') return this.#failed(answer, held)
    this.#downUntil = Number.NEGATIVE_INFINITY
    const { status } = answer
    const isValidation = held !== undefined && validators.length > 0
    if (
      status < 200 ||
      status > 599 ||
      status === 206 ||
      (status === 304 && !isValidation && !request.bypass)
    ) {
      return this.#failed(refused(`it answers ${status}, which nobody asked for`), held)
    }
    if (held !== undefined && isServerError(status)) {
      const stale = this.#stale(held, 'error', this.#now())
      if (stale !== undefined) return { found: stale, sharedWith: selectedAs(held) }
    }
    const delay = (this.#now() - sentAt) / 1_000
    const fields = responseFields(answer.fields, client.origin, formatHttpDate(this.#options.nowSecond()))
    return isValidation && status === 304
      ? this.#validated(request, held, fields, delay)
      : this.#received(request, held, { ...answer, fields }, delay)
  }

  /** RFC 9111 §4.3.4: the stored response with the fields of the 304. */
  #validated(request: OriginRequest, held: CachedObject, update: readonly Field[], delay: number): Outcome {
    const before = responseOf(held)
    const tag = fieldValue(update, 'etag')
    if (tag !== undefined && before.etag !== '' && weak(tag) !== weak(before.etag)) {
      // §4.3.4: it is about something else that we have not.
      removeAll(this.#store, request.path)
      return this.#failed(refused('it validates what was not asked for'), undefined)
    }
    this.counters.revalidated++
    const fields = merged(before.fields, update)
    const freshness = this.#judge(before.status, fields, request, delay)
    if (freshness === undefined) {
      removeAll(this.#store, request.path)
      const response = this.#response(request, before.status, fields, NEVER_FRESH)
      return { found: firstHand(response, held, 'fwd=stale'), sharedWith: undefined }
    }
    const response = this.#response(request, before.status, fields, freshness)
    response.variants = before.variants
    held.response = response
    return this.#shared(held, `hit; fwd=stale; fwd-status=304`)
  }

  async #received(
    request: OriginRequest,
    held: CachedObject | undefined,
    answer: Extract<Fetched, { kind: 'answer' }>,
    delay: number,
  ): Promise<Outcome> {
    const { status, fields, octets } = answer
    const forward = request.bypass ? 'fwd=bypass' : held === undefined ? 'fwd=uri-miss' : 'fwd=stale'
    const tag = await tagOf(octets)
    const isKept = !request.bypass && !this.#retired && request.path.length <= MAX_KEPT_CHARS
    const freshness = isKept ? this.#judge(status, fields, request, delay) : undefined
    if (freshness === undefined || !isWorthKeeping(freshness, fields)) {
      this.counters.passed++
      // What was stored is not what the origin says now; an error of its own it may get over.
      if (held !== undefined && !isServerError(status)) removeAll(this.#store, request.path)
      const name = `${request.path}${VARIANT_MARK}${randomBytes(PRIVATE_NAME_OCTETS).toString('base64url')}`
      const object = this.#contentOf(name, tag, octets)
      this.#store.outside(object)
      const response = this.#response(request, status, fields, freshness ?? NEVER_FRESH)
      return { found: firstHand(response, object, forward), sharedWith: undefined }
    }
    this.counters.misses++
    const response = this.#response(request, status, fields, freshness)
    return this.#shared(this.#keep(request.path, response, tag, octets), `${forward}; stored`)
  }

  /** Stores a response under what it is asked by. */
  #keep(path: string, response: StoredResponse, tag: string, octets: Uint8Array): CachedObject {
    const name = placeFor(this.#store, path, response)
    const before = this.#store.peek(name)?.object
    if (before?.etag === tag) {
      before.response = response
      return before
    }
    const object = this.#contentOf(name, tag, octets)
    object.response = response
    if (this.#retired || this.#store.put(object, this.#now()) === 'too-large') this.#store.outside(object)
    return object
  }

  #contentOf(path: string, tag: string, octets: Uint8Array): CachedObject {
    const facts = {
      path,
      etag: tag,
      octets,
      lastModified: 0,
      lastModifiedStrong: false,
      mediaType: '',
      stamp: '',
    }
    const object = new CachedObject(facts)
    this.#options.contents.add(object)
    return object
  }

  async #askPeers(request: OriginRequest): Promise<CachedObject | undefined> {
    const { peers } = this.#options
    const filled =
      peers && (await new Promise<PeerResponse | undefined>(done => peers.response(request, done)))
    if (filled === undefined || this.#retired) return undefined
    const { facts, tag, octets } = filled
    const isSelected = selectingOf(request, facts.vary) === facts.selecting
    if (!isSelected || !isFresh(facts.freshness, this.#now()) || (await tagOf(octets)) !== tag)
      return undefined
    this.counters.peerFills++
    const { settings } = this.#options
    const siteLines = representationLines(settings, pathOf(request.target))
    return this.#keep(request.path, new StoredResponse({ ...facts, siteLines }), tag, octets)
  }

  #judge(status: number, fields: readonly Field[], request: OriginRequest, delay: number) {
    const times = { now: this.#now(), nowSecond: this.#options.nowSecond(), delay }
    const hasCookie = fieldValue(request.fields, 'cookie') !== undefined
    return judge({ status, fields }, isAuthorized(request), times, hasCookie)
  }

  #response(
    request: OriginRequest,
    status: number,
    fields: readonly Field[],
    freshness: Freshness,
  ): StoredResponse {
    const vary = varyNames(fields)
    return new StoredResponse({
      status,
      fields: fields.filter(([name]) => name.toLowerCase() !== 'age'),
      freshness,
      vary,
      selecting: selectingOf(request, vary),
      siteLines: representationLines(this.#options.settings, pathOf(request.target)),
    })
  }

  /** Those who waited may have it if they may have it of the store: else each has to ask (RFC 9111 §4, §5.2.2.4). */
  #shared(content: CachedObject, cacheStatus: string): Outcome {
    const now = this.#now()
    const { freshness } = responseOf(content)
    const isUsable = isFresh(freshness, now) || mayUseWhileRevalidating(freshness, now)
    return {
      found: use(content, cacheStatus, now),
      sharedWith: isUsable ? selectedAs(content) : undefined,
    }
  }

  /** RFC 9111 §4.2.4: stale rather than nothing, where that is allowed. */
  #failed(fault: Extract<Fetched, { kind: 'fault' }>, held: CachedObject | undefined): Outcome {
    const { status, disconnected, reason } = fault
    const now = this.#now()
    if (disconnected) this.#downUntil = now + DOWN_MS
    const cause = disconnected ? 'disconnected' : 'error'
    const stale = held?.response === undefined ? undefined : this.#stale(held, cause, now)
    if (held !== undefined && stale !== undefined) return { found: stale, sharedWith: selectedAs(held) }
    return { found: this.#fault(status, reason), sharedWith: () => true }
  }

  #fault(status: 502 | 503 | 504, reason: string): Found<CachedObject> {
    this.counters.errors++
    this.#options.failed?.(reason)
    const kind = status === 502 ? 'bad-gateway' : status === 504 ? 'gateway-timeout' : 'busy'
    return { kind, reason }
  }

  #isPassing(path: string, now: number): boolean {
    const until = this.#passing.get(path)
    if (until === undefined || until > now) return until !== undefined
    this.#passing.delete(path)
    return false
  }

  #pass(path: string): void {
    this.#passing.delete(path)
    this.#passing.set(path, this.#now() + PASSING_MS)
    if (this.#passing.size <= MAX_PASSING) return
    for (const oldest of this.#passing.keys()) {
      this.#passing.delete(oldest)
      break
    }
  }
}

const NEVER_FRESH: Freshness = {
  receivedAt: 0,
  initialAge: 0,
  lifetime: 0,
  whileRevalidate: 0,
  ifError: 0,
  ifDisconnected: false,
}

function use(content: CachedObject, cacheStatus: string, now: number): OriginResponse<CachedObject> {
  const response = responseOf(content)
  return { kind: 'response', response, content, age: ageOf(response.freshness, now), cacheStatus }
}

/** RFC 9111 §5.1: without Age, for it was in no cache of ours. */
function firstHand(
  response: StoredResponse,
  content: CachedObject,
  cacheStatus: string,
): OriginResponse<CachedObject> {
  return { kind: 'response', response, content, age: undefined, cacheStatus }
}

/** Whose requests select the same response. */
function selectedAs(content: CachedObject): (request: OriginRequest) => boolean {
  const { vary, selecting } = responseOf(content)
  return request => selectingOf(request, vary) === selecting
}

function isAuthorized(request: OriginRequest): boolean {
  return fieldValue(request.fields, 'authorization') !== undefined
}

function isServerError(status: number): boolean {
  return [500, 502, 503, 504].includes(status)
}

/** What is never fresh and has nothing to be validated by would only take room. */
function isWorthKeeping(
  { lifetime, whileRevalidate, ifError }: Freshness,
  fields: readonly Field[],
): boolean {
  if (lifetime > 0 || whileRevalidate > 0 || ifError > 0) return true
  return fieldValue(fields, 'etag') !== undefined || fieldValue(fields, 'last-modified') !== undefined
}

/** RFC 9111 §4.3.1. */
function validatorsOf({ etag, fields }: StoredResponse): Field[] {
  const lastModified = fieldValue(fields, 'last-modified')
  return [
    ...(etag === '' ? [] : [['If-None-Match', etag] as const]),
    ...(lastModified === undefined ? [] : [['If-Modified-Since', lastModified] as const]),
  ]
}

function weak(tag: string): string {
  return tag.replace(/^W\//, '')
}

function refused(reason: string): Extract<Fetched, { kind: 'fault' }> {
  return { kind: 'fault', status: 502, disconnected: false, reason }
}

/** Rules of a site are about paths. */
function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}
