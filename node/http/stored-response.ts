/**
 * A response of an origin server as a cache keeps it (RFC 9111 §3): status and fields; its body is a content of its own,
 * whose octets the whole cluster knows by their hash. It never changes; a validation makes another one for the same body.
 */
import { parseHttpDate } from './date.ts'
import type { Freshness } from './freshness.ts'
import { asciiOctets } from './grammar.ts'
import { type ConnectionField, reasonOf } from './response-head.ts'

/** Name and value, in the order and the letters of the origin. */
export type Field = readonly [name: string, value: string]

export interface StoredFacts {
  readonly status: number
  /** End-to-end fields of the origin, Date among them; without Content-Length and Age, which are said anew. */
  readonly fields: readonly Field[]
  readonly freshness: Freshness
  /** Field names in lower case by whose values in the request the response was selected (RFC 9110 §12.5.5). */
  readonly vary: readonly string[]
  /** Those values. */
  readonly selecting: string
  /** Field lines of the site, each with its line end; they stand instead of the origin's of the same names. */
  readonly siteLines: string
}

/** RFC 9110 §15.4.5: what a 304 says too. */
const NOT_MODIFIED_FIELDS = ['date', 'etag', 'cache-control', 'content-location', 'expires', 'vary', 'via']
/** §8.8.2.2: a Last-Modified is strong for a cache where Date is later by so much that clocks do not matter. */
const STRONG_SECONDS = 60

export class StoredResponse {
  readonly status: number
  readonly fields: readonly Field[]
  readonly freshness: Freshness
  readonly vary: readonly string[]
  readonly selecting: string
  /** As the origin wrote it, `W/` included; '' where there is none. */
  readonly etag: string
  readonly lastModified: number | undefined
  readonly lastModifiedStrong: boolean
  /** '' where the origin names none. */
  readonly mediaType: string
  /** Whose octets are told apart by Accept-Encoding and the like: paths of the others, kept with the first. */
  variants: readonly string[] = []
  readonly #siteLines: string
  /** Names in lower case that the site says instead. */
  readonly #hidden: ReadonlySet<string>
  /** Heads of 200 and the like in the three forms of Connection, for one age and one Cache-Status. */
  #heads: (Uint8Array | undefined)[] = [undefined, undefined, undefined]
  #headsOf = ''

  constructor({ status, fields, freshness, vary, selecting, siteLines }: StoredFacts) {
    const ruled = siteLines
      .split('\r\n')
      .map(line => line.slice(0, line.indexOf(':')).toLowerCase())
      .filter(name => name !== '')
    this.status = status
    this.fields = fields
    this.freshness = freshness
    this.vary = vary
    this.selecting = selecting
    this.#siteLines = siteLines
    this.etag = fieldValue(fields, 'etag') ?? ''
    this.mediaType = fieldValue(fields, 'content-type') ?? ''
    const date = parseHttpDate(fieldValue(fields, 'date') ?? '', 0)
    this.lastModified = parseHttpDate(fieldValue(fields, 'last-modified') ?? '', 0)
    this.lastModifiedStrong =
      date !== undefined && this.lastModified !== undefined && date - this.lastModified >= STRONG_SECONDS
    this.#hidden = new Set(ruled)
  }

  /** The head of the whole response; shared, never written again. `ending`: what changes from one use to the next. */
  fullHead(length: number, ending: string, connection: ConnectionField): Uint8Array {
    if (ending !== this.#headsOf) {
      this.#heads = [undefined, undefined, undefined]
      this.#headsOf = ending
    }
    const index = connection === '' ? 0 : connection === 'close' ? 1 : 2
    let head = this.#heads[index]
    if (head === undefined) {
      const ranges = this.status === 200 ? 'Accept-Ranges: bytes\r\n' : ''
      head = headOctets(
        this.status,
        this.lines() + lengthLine(this.status, length) + ranges + ending,
        connection,
      )
      this.#heads[index] = head
    }
    return head
  }

  /** Field lines without those of `replaced`, in lower case, and of 304 those alone that it may have. */
  lines(replaced = '', notModified = false): string {
    const kept = this.fields.filter(([name]) => {
      const lower = name.toLowerCase()
      if (lower === replaced || this.#hidden.has(lower)) return false
      return !notModified || NOT_MODIFIED_FIELDS.includes(lower)
    })
    return kept.map(([name, value]) => `${name}: ${value}\r\n`).join('') + this.#siteLines
  }
}

/** RFC 9110 §8.6: no Content-Length where there can be no content; a 304 need not have one. */
function lengthLine(status: number, length: number): string {
  return status === 204 || status === 304 ? '' : `Content-Length: ${length}\r\n`
}

export function headOctets(status: number, lines: string, connection: ConnectionField): Uint8Array {
  const last = connection === '' ? '' : `Connection: ${connection}\r\n`
  return asciiOctets(`HTTP/1.1 ${status} ${reasonOf(status)}\r\n${lines}${last}\r\n`)
}

/** The value of a field by its name in lower case, its lines joined (RFC 9110 §5.3); undefined where absent. */
export function fieldValue(fields: readonly Field[], name: string): string | undefined {
  const values = fields.filter(([known]) => known.toLowerCase() === name).map(([, value]) => value)
  return values.length === 0 ? undefined : values.join(', ')
}
