/**
 * What nodes ask one another about responses of origins: the octets of a content by its key, for a connection that moves in
 * the middle of them, and a fresh response to a request, so that the origin is asked once by the cluster. Octets come in
 * parts, each asked for when the one before it is here, so that no link is ever full of them. Whoever gets them checks
 * their hash: nothing here is believed.
 */
import type { CachedObject } from '../../cache/cached-object.ts'
import { splitContentKey } from '../../cache/cached-object.ts'
import type { Freshness } from '../http/freshness.ts'
import type { Field, StoredFacts } from '../http/stored-response.ts'
import type { OriginRequest } from './fields.ts'
import { responseOf } from './variants.ts'

/** First number of the envelope, beside those of `node/server/messages.ts`. */
export const CONTENT_PROTOCOL = 7
/** Octets of one part: 1 ms of a link of 2 Gbit/s, which packets of connections on their way have to wait at most. */
export const PART_OCTETS = 262_144
/** A peer answers from memory; a source waits 5 s for the answer to its PREPARE. */
export const ANSWER_MS = 2_000
/** Questions under way; beyond them a shift is refused, and a miss asks the origin. */
export const MAX_ASKED = 256
/** Peers that are asked for a response before the origin is. */
const MAX_HOLDERS = 2
const MAX_FIELDS = 200
const MAX_TEXT_CHARS = 65_536

/** A response as it travels: its facts, but for what each node adds, and its content. */
export interface PeerResponse {
  readonly facts: Omit<StoredFacts, 'siteLines'>
  readonly tag: string
  readonly octets: Uint8Array
}

export interface PeerContentsOptions {
  readonly content: (key: string) => CachedObject | undefined
  /** The fresh response that a request selects here. */
  readonly stored: (request: OriginRequest) => CachedObject | undefined
  /** Whether there is memory for so many octets. */
  readonly room: (octets: number) => boolean
  /** Calls after `ms`, unless what it returns is called before. */
  readonly after: (ms: number, call: () => void) => () => void
  readonly now: () => number
}

/** What the node gives it. */
export interface PeerHost {
  readonly id: number
  /** False where there is no link, or its queue is full. */
  send(to: number, envelope: unknown[]): boolean
  /** The nodes that hold what is known by this path, as far as the dispatcher knows. */
  holders(path: string, done: (owners: readonly number[]) => void): void
}

type Answer = readonly unknown[] | undefined

const ASK_CONTENT = 0
const CONTENT = 1
const ASK_RESPONSE = 2
const RESPONSE = 3

export class PeerContents {
  readonly #options: PeerContentsOptions
  #host: PeerHost | undefined
  readonly #asked = new Map<number, { readonly from: number; readonly answered: (answer: Answer) => void }>()
  #token = 0
  /** Octets of contents that are on their way here. */
  loadingOctets = 0

  constructor(options: PeerContentsOptions) {
    this.#options = options
  }

  attach(host: PeerHost): void {
    this.#host = host
  }

  receive(from: number, envelope: readonly unknown[]): void {
    const [, type, token, ...rest] = envelope
    if (!Number.isSafeInteger(token)) return
    if (type === ASK_CONTENT) return this.#tellContent(from, token, rest)
    if (type === ASK_RESPONSE) return this.#tellResponse(from, token, rest)
    const asked = this.#asked.get(token as number)
    if ((type === CONTENT || type === RESPONSE) && asked?.from === from) asked.answered(rest)
  }

  /** The octets of a content that `from` has, unchecked; undefined where they cannot be had in time. */
  content(from: number, key: string, done: (octets: Uint8Array | undefined) => void): void {
    let whole: Uint8Array | undefined
    const end = (octets: Uint8Array | undefined) => {
      this.loadingOctets -= whole?.length ?? 0
      done(octets)
    }
    const next = (offset: number) => {
      this.#ask(from, [ASK_CONTENT], [key, offset], answer => {
        const [total, part] = answer ?? []
        if (!isCount(total) || !(part instanceof Uint8Array)) return end(undefined)
        if (whole === undefined) {
          if (!this.#options.room(total)) return end(undefined)
          whole = new Uint8Array(total)
          this.loadingOctets += total
        }
        const upTo = offset + part.length
        if (whole.length !== total || upTo > total || (part.length === 0 && total > 0)) return end(undefined)
        whole.set(part, offset)
        if (upTo === total) end(whole)
        else next(upTo)
      })
    }
    next(0)
  }

  /** A fresh response to a request, from whoever has one. */
  response(request: OriginRequest, done: (response: PeerResponse | undefined) => void): void {
    const host = this.#host
    if (host === undefined) return done(undefined)
    host.holders(request.path, owners => {
      const others = owners.filter(owner => owner !== host.id).slice(0, MAX_HOLDERS)
      const next = () => {
        const from = others.shift()
        if (from === undefined) return done(undefined)
        this.#responseFrom(from, request, response => (response === undefined ? next() : done(response)))
      }
      next()
    })
  }

  #responseFrom(
    from: number,
    request: OriginRequest,
    done: (response: PeerResponse | undefined) => void,
  ): void {
    const { path, target, fields } = request
    this.#ask(from, [ASK_RESPONSE], [path, target, fields], answer => {
      const [key, plain] = answer ?? []
      const facts = importFacts(plain, this.#options.now())
      const split = typeof key === 'string' ? splitContentKey(key) : undefined
      if (facts === undefined || split === undefined) return done(undefined)
      this.content(from, key as string, octets => {
        done(octets === undefined ? undefined : { facts, tag: split.etag, octets })
      })
    })
  }

  #tellContent(from: number, token: unknown, [key, offset]: readonly unknown[]): void {
    const object = typeof key === 'string' ? this.#options.content(key) : undefined
    if (object === undefined || !isCount(offset) || offset > object.length) {
      this.#host?.send(from, [CONTENT_PROTOCOL, CONTENT, token, -1])
      return
    }
    const part = object.octets.subarray(offset, offset + PART_OCTETS)
    this.#host?.send(from, [CONTENT_PROTOCOL, CONTENT, token, object.length, part])
  }

  #tellResponse(from: number, token: unknown, [path, target, fields]: readonly unknown[]): void {
    const pairs = importFields(fields)
    const isAsked = isText(path) && isText(target) && pairs !== undefined
    const request = isAsked && { path, target, fields: pairs, client: '', bypass: false }
    const object = request ? this.#options.stored(request) : undefined
    const rest = object === undefined ? [null, null] : [object.key, exportFacts(object, this.#options.now())]
    this.#host?.send(from, [CONTENT_PROTOCOL, RESPONSE, token, ...rest])
  }

  #ask(from: number, head: unknown[], rest: unknown[], done: (answer: Answer) => void): void {
    if (this.#asked.size >= MAX_ASKED) return done(undefined)
    const token = this.#token++
    const cancel = this.#options.after(ANSWER_MS, () => answered(undefined))
    const answered = (answer: Answer) => {
      if (!this.#asked.delete(token)) return
      cancel()
      done(answer)
    }
    // Before it is sent: the answer may come within the call.
    this.#asked.set(token, { from, answered })
    if (this.#host?.send(from, [CONTENT_PROTOCOL, ...head, token, ...rest]) !== true) answered(undefined)
  }
}

/** Times travel as ages: clocks are each owner's own. */
function exportFacts(object: CachedObject, now: number): unknown[] {
  const { status, fields, freshness, vary, selecting } = responseOf(object)
  const { receivedAt, initialAge, lifetime, whileRevalidate, ifError, ifDisconnected } = freshness
  const age = initialAge + Math.max(0, now - receivedAt) / 1_000
  return [status, fields, vary, selecting, [age, lifetime, whileRevalidate, ifError, ifDisconnected]]
}

function importFacts(plain: unknown, now: number): PeerResponse['facts'] | undefined {
  if (!Array.isArray(plain) || plain.length !== 5) return undefined
  const [status, exported, vary, selecting, times] = plain
  const fields = importFields(exported)
  const freshness = importFreshness(times, now)
  if (!isCount(status) || status < 200 || status > 599 || fields === undefined || freshness === undefined) {
    return undefined
  }
  if (!Array.isArray(vary) || !vary.every(isText) || vary.length > MAX_FIELDS || !isText(selecting)) {
    return undefined
  }
  return { status, fields, freshness, vary, selecting }
}

function importFreshness(plain: unknown, now: number): Freshness | undefined {
  if (!Array.isArray(plain) || plain.length !== 5) return undefined
  const [initialAge, lifetime, whileRevalidate, ifError, ifDisconnected] = plain
  const times = [initialAge, lifetime, whileRevalidate, ifError]
  if (!times.every(time => Number.isFinite(time) && time >= 0)) return undefined
  if (typeof ifDisconnected !== 'boolean') return undefined
  return { receivedAt: now, initialAge, lifetime, whileRevalidate, ifError, ifDisconnected }
}

/** Nothing but octets of a field can stand in what a peer has told: a line end would be a field of its own to a client. */
function importFields(plain: unknown): Field[] | undefined {
  if (!Array.isArray(plain) || plain.length > MAX_FIELDS) return undefined
  const isField = (field: unknown) =>
    Array.isArray(field) &&
    field.length === 2 &&
    field.every(text => isText(text) && /^[\t -~\x80-\xff]*$/.test(text))
  return plain.every(isField) ? (plain as Field[]) : undefined
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT_CHARS
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
