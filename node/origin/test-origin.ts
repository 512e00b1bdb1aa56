/** A real origin server on loopback and a source in front of it, for tests: requests in, what would be sent out. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import type { CachedObject } from '../../cache/cached-object.ts'
import { CacheStore } from '../../cache/store.ts'
import { asciiOctets } from '../http/grammar.ts'
import { DEFAULT_HTTP_SETTINGS } from '../http/http-settings.ts'
import { createResponsePlan, plan } from '../http/plan.ts'
import { planStored } from '../http/plan-stored.ts'
import type { Found } from '../http/representation.ts'
import { createRequestHead, parseRequestHead, type RequestHead } from '../http/request-head.ts'
import { targetOf } from '../http/target.ts'
import { OriginClient } from './client.ts'
import { Contents } from './contents.ts'
import { DEFAULT_ORIGIN_LIMITS, type OriginLimits } from './limits.ts'
import type { PeerContents } from './peer-contents.ts'
import { OriginSource } from './source.ts'

export interface Sent {
  readonly status: number
  readonly head: string
  readonly body: string
  /** By name in lower case; lines of one name are joined. */
  readonly fields: Readonly<Record<string, string>>
}

/** What `handle` makes of each request, in order. */
export class TestOrigin {
  readonly requests: IncomingMessage[] = []
  handle: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) =>
    response.end()
  /** Its clock. */
  nowSecond: () => number = () => Math.floor(Date.now() / 1_000)
  readonly #server: Server
  port = 0

  constructor() {
    this.#server = createServer((request, response) => {
      this.requests.push(request)
      response.setHeader('Date', new Date(this.nowSecond() * 1_000).toUTCString())
      this.handle(request, response)
    })
  }

  async start(port = 0): Promise<void> {
    await new Promise<void>(resolve => this.#server.listen(port, '127.0.0.1', resolve))
    this.port = (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>(resolve => this.#server.close(() => resolve()))
  }
}

/** An origin that sends octets as they are, for what no decent server would send. */
export async function rawOrigin(
  answer: (socket: Socket) => void,
): Promise<{ url: string; stop(): Promise<void> }> {
  const sockets = new Set<Socket>()
  const server = createTcpServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => answer(socket))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>(resolve => server.close(() => resolve()))
    },
  }
}

export interface FrontOptions {
  readonly limits?: Partial<OriginLimits>
  readonly site?: string
  readonly cacheOctets?: number
  readonly peers?: PeerContents
  readonly contents?: Contents
  readonly fields?: Readonly<Record<string, string>>
}

/** A source with a clock that stands until it is moved. */
export class TestFront {
  readonly store: CacheStore
  readonly contents: Contents
  readonly source: OriginSource
  readonly site: string
  /** Milliseconds that have passed beyond the wall clock's of the beginning. */
  passedMs = 0
  readonly failures: string[] = []
  readonly #startSecond = Math.floor(Date.now() / 1_000)

  constructor(url: string, options: FrontOptions = {}) {
    const {
      limits,
      site = '',
      cacheOctets = 16 * 1_048_576,
      peers,
      contents = new Contents(),
      fields = {},
    } = options
    this.store = new CacheStore(cacheOctets)
    this.contents = contents
    this.site = site
    this.source = new OriginSource({
      ...{ store: this.store, contents, site, peers, share: 1 },
      client: new OriginClient(url, { ...DEFAULT_ORIGIN_LIMITS, ...limits }),
      settings: { ...DEFAULT_HTTP_SETTINGS, fields },
      room: octets => this.store.room(octets),
      now: () => this.passedMs,
      nowSecond: () => this.nowSecond,
      failed: reason => this.failures.push(reason),
    })
  }

  get nowSecond(): number {
    return this.#startSecond + Math.floor(this.passedMs / 1_000)
  }

  head(target: string, fields: Readonly<Record<string, string>> = {}, method = 'GET'): RequestHead {
    const lines = Object.entries({ Host: 'front.example', ...fields }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    )
    const octets = asciiOctets(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`)
    const into = createRequestHead()
    expect(parseRequestHead(octets, 0, octets.length, into)).toBe('complete')
    return into
  }

  /** As the site does it: from memory, else by asking. */
  async found(head: RequestHead): Promise<Found<CachedObject>> {
    const known = this.source.find(head, this.passedMs)
    if (known !== undefined) return known
    const path = this.site + targetOf(head)
    return this.source.load(this.source.request(head, path, '192.0.2.7'))
  }

  async get(target: string, fields: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<Sent> {
    const head = this.head(target, fields, method)
    return this.sent(head, await this.found(head))
  }

  sent(head: RequestHead, found: Found<CachedObject>): Sent {
    const into = createResponsePlan<CachedObject>()
    if (found.kind === 'response') planStored(head, found, this.nowSecond, into, this.source.context)
    else plan(head, found, this.nowSecond, into, this.source.context)
    return sentOf(into)
  }
}

function sentOf(into: ReturnType<typeof createResponsePlan<CachedObject>>): Sent {
  const text = (octets: Uint8Array) => Buffer.from(octets).toString('latin1')
  const head = text(into.head)
  const content = into.content?.octets ?? new Uint8Array(0)
  let body = ''
  if (into.bodyKind === 'octets') body = text(into.octets)
  if (into.bodyKind === 'content')
    body = text(content.subarray(into.bodyOffset, into.bodyOffset + into.bodyLength))
  if (into.bodyKind === 'parts') {
    const parts = into.parts.map(
      part => text(part.head) + text(content.subarray(part.offset, part.offset + part.length)),
    )
    body = parts.join('') + text(into.tail)
  }
  const fields: Record<string, string> = {}
  for (const line of head.split('\r\n').slice(1)) {
    const at = line.indexOf(':')
    if (at < 0) continue
    const name = line.slice(0, at).toLowerCase()
    const value = line.slice(at + 1).trim()
    fields[name] = fields[name] === undefined ? value : `${fields[name]}, ${value}`
  }
  return { status: into.status, head, body, fields }
}
