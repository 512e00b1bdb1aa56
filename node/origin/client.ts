/**
 * Asks an origin server over HTTP, by undici: one response, whole and within limits, or why there is none. It knows no
 * cache. A body that ends before its time is no response (RFC 9112 §8).
 */
import { Agent, type Dispatcher, errors } from 'undici'
import type { Field } from '../http/stored-response.ts'
import type { OriginLimits } from './limits.ts'

/** Octets of a head: what nginx (8 KiB), Apache (8 KiB a line) and Node (16 KiB) send and more, but an end to it. */
export const MAX_HEAD_OCTETS = 65_536
/** Requests that wait for one of those under way to end; beyond them 503. */
export const MAX_WAITING = 1_024
/** However steadily it flows, a response is over by then: 64 MiB at 110 kB/s. */
const MAX_BODY_MS = 600_000
/** An idle connection is kept for less than origins keep theirs: Node 5 s, Apache 5 s, nginx 75 s. */
const KEEP_ALIVE_MS = 4_000

export type Fetched =
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly fields: Field[]
      readonly octets: Uint8Array
    }
  /** `disconnected`: the origin was not reached, or fell silent. */
  | {
      readonly kind: 'fault'
      readonly status: 502 | 503 | 504
      readonly disconnected: boolean
      readonly reason: string
    }

export interface FetchOptions {
  /** Whether there is memory for so many octets now. */
  readonly room: (octets: number) => boolean
  readonly fields: readonly Field[]
  readonly target: string
}

/** Makes the connections, where they are not made as usual. */
export type Connector = Agent.Options['connect']

export class OriginClient {
  readonly origin: string
  readonly #limits: OriginLimits
  readonly #agent: Agent
  /** A Unix socket has no reset: what was cut before it looks as if it had ended. */
  readonly #isRelayed: boolean
  readonly #waiting: (() => void)[] = []
  #active = 0
  /** Octets of bodies under way. */
  loadingOctets = 0

  /** `origin`: `https://example.org:8443`. */
  constructor(origin: string, limits: OriginLimits, connect?: Connector) {
    this.origin = origin
    this.#limits = limits
    this.#isRelayed = connect !== undefined
    this.#agent = new Agent({
      connect: connect ?? { timeout: limits.connectMs },
      connections: limits.parallel,
      pipelining: 1,
      headersTimeout: limits.headMs,
      bodyTimeout: limits.bodyMs,
      maxHeaderSize: MAX_HEAD_OCTETS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
    })
  }

  /** Never rejects. */
  async get(options: FetchOptions): Promise<Fetched> {
    if (this.#active >= this.#limits.parallel) {
      if (this.#waiting.length >= MAX_WAITING) {
        return {
          kind: 'fault',
          status: 503,
          disconnected: false,
          reason: `${MAX_WAITING} requests wait for the origin`,
        }
      }
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    } else this.#active++
    try {
      return await this.#get(options)
    } catch (error) {
      return faultOf(error)
    } finally {
      // The turn passes on, so that their number never leaves its bound.
      const next = this.#waiting.shift()
      if (next === undefined) this.#active--
      else next()
    }
  }

  /** Takes nothing new; what is under way ends as it would have. */
  close(): void {
    void this.#agent.close().catch(() => {})
  }

  async #get({ fields, target, room }: FetchOptions): Promise<Fetched> {
    const total = new AbortController()
    // From the beginning to the end of the head, however it trickles in.
    let timer = setTimeout(() => total.abort(new Silence()), this.#limits.connectMs + this.#limits.headMs)
    try {
      const ask = () =>
        this.#agent.request({
          origin: this.origin,
          path: target,
          method: 'GET',
          headers: fields.flat(),
          signal: total.signal,
          responseHeaders: 'raw',
        })
      // An idle connection may have ended while the request was on its way: GET may be repeated (RFC 9110 §9.2.2).
      const response = await ask().catch(error => {
        if (ENDED.includes((error as { code?: string }).code ?? '')) return ask()
        throw error
      })
      clearTimeout(timer)
      timer = setTimeout(() => total.abort(new Silence()), MAX_BODY_MS)
      const { statusCode: status } = response
      const raw = pairsOf(response.headers as unknown as string[])
      const octets = await this.#collect(response, raw, room)
      return { kind: 'answer', status, fields: raw, octets }
    } finally {
      clearTimeout(timer)
    }
  }

  async #collect(
    { body, statusCode }: Dispatcher.ResponseData,
    fields: readonly Field[],
    room: (octets: number) => boolean,
  ): Promise<Uint8Array> {
    const { objectOctets } = this.#limits
    const said = fields.find(([name]) => name.toLowerCase() === 'content-length')?.[1]
    const announced = said === undefined || statusCode === 304 ? 0 : Number(said)
    const isFramed = said !== undefined || fields.some(([name]) => name.toLowerCase() === 'transfer-encoding')
    if (this.#isRelayed && !isFramed && statusCode !== 204 && statusCode !== 304) {
      body.destroy()
      throw new Refusal(502, 'a body that only its connection ends, which behind a relay may have been cut')
    }
    const chunks: Uint8Array[] = []
    let octets = 0
    try {
      for await (const chunk of body) {
        octets += (chunk as Uint8Array).length
        this.loadingOctets += (chunk as Uint8Array).length
        if (Math.max(announced, octets) > objectOctets) {
          throw new Refusal(502, `a response of more than ${objectOctets} octets`)
        }
        if (!room(Math.max(0, announced - octets))) throw new Refusal(503, 'no memory for its response now')
        chunks.push(chunk as Uint8Array)
      }
      if (said !== undefined && statusCode !== 304 && announced !== octets) {
        throw new Refusal(502, `${octets} octets of a body of ${said}`)
      }
    } finally {
      this.loadingOctets -= octets
      // Whatever is left of it is of no use; undici closes the connection then.
      if (!body.readableEnded) body.destroy()
    }
    return joined(chunks, octets)
  }
}

/** The origin took too long. */
class Silence extends Error {}

class Refusal extends Error {
  readonly status: 502 | 503

  constructor(status: 502 | 503, message: string) {
    super(message)
    this.status = status
  }
}

const TIMEOUTS = ['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT']
/** A connection that stood does no more. */
const ENDED = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']
/** Nothing that the origin said: the way there, or its end. */
const DISCONNECTED = [...ENDED, 'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN']

function faultOf(error: unknown): Fetched {
  const { code = '', message = String(error) } = error as { code?: string; message?: string }
  if (error instanceof Refusal) {
    return { kind: 'fault', status: error.status, disconnected: false, reason: message }
  }
  if (error instanceof Silence || TIMEOUTS.includes(code)) {
    return { kind: 'fault', status: 504, disconnected: true, reason: message || 'it took too long' }
  }
  const isEnd = DISCONNECTED.includes(code) || error instanceof errors.SocketError
  return {
    kind: 'fault',
    status: 502,
    disconnected: isEnd,
    reason: code === '' ? message : `${code}: ${message}`,
  }
}

function pairsOf(raw: readonly (string | Buffer)[]): Field[] {
  const pairs: Field[] = []
  for (let at = 0; at + 1 < raw.length; at += 2) pairs.push([text(raw[at]), text(raw[at + 1])])
  return pairs
}

function text(value: string | Buffer | undefined): string {
  return typeof value === 'string' ? value : (value?.toString('latin1') ?? '')
}

/** A plain Uint8Array of its own, like every other content. */
function joined(chunks: readonly Uint8Array[], octets: number): Uint8Array {
  const whole = new Uint8Array(octets)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}
