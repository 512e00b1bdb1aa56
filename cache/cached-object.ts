/**
 * One version of one file: what HTTP says about it, and the content that send queues refer to, whole in memory or as
 * a stream through it. An object never changes; a newer version of its file is another object under another tag.
 */
import type { Representation } from '../node/http/representation.ts'
import type { HeadTemplate } from '../node/http/response-head.ts'
import type { StoredResponse } from '../node/http/stored-response.ts'
import type { Content, Run } from '../node/tcp/content.ts'
import { Stream } from './stream.ts'
import type { Variants } from './variants.ts'

export interface ObjectFacts {
  readonly path: string
  readonly etag: string
  readonly lastModified: number
  readonly lastModifiedStrong: boolean
  readonly mediaType: string
  /** Never written again; or the stream that a large file is. */
  readonly octets: Uint8Array | Stream
  /** What the source of the file compares to see whether it changed; opaque here. */
  readonly stamp: string
  readonly contentEncoding?: string
  readonly cacheFields?: string
}

/** What an object costs beside its octets: records, heads, map slots, measured at about 1,100 octets. */
export const OBJECT_OVERHEAD_OCTETS = 1_024
const NO_OCTETS = new Uint8Array(0)

export class CachedObject implements Representation, Content {
  readonly kind = 'object'
  readonly key: string
  readonly path: string
  readonly etag: string
  readonly lastModified: number
  /** Taken back when two versions of one second were seen. */
  lastModifiedStrong: boolean
  readonly mediaType: string
  readonly contentEncoding: string
  readonly cacheFields: string
  readonly length: number
  /** Empty where there is a stream. */
  readonly octets: Uint8Array
  readonly stream: Stream | undefined
  readonly stamp: string
  readonly heads: (HeadTemplate | undefined)[] = []
  /** What is negotiated instead of the file as it is, where there is something beside it. Set by whoever looked. */
  variants: Variants | undefined = undefined

  /** What the origin said with these octets, where they are no file of ours. Set by whoever asked it. */
  response: StoredResponse | undefined = undefined

  constructor(facts: ObjectFacts) {
    this.key = contentKey(facts.path, facts.etag)
    this.path = facts.path
    this.etag = facts.etag
    this.lastModified = facts.lastModified
    this.lastModifiedStrong = facts.lastModifiedStrong
    this.mediaType = facts.mediaType
    this.contentEncoding = facts.contentEncoding ?? ''
    this.cacheFields = facts.cacheFields ?? ''
    this.length = facts.octets.length
    this.octets = facts.octets instanceof Stream ? NO_OCTETS : facts.octets
    this.stream = facts.octets instanceof Stream ? facts.octets : undefined
    this.stamp = facts.stamp
  }

  /** Octets that it holds in memory for as long as it lives. */
  get memoryOctets(): number {
    return this.octets.length
  }

  locate(offset: number, run: Run): boolean {
    if (this.stream !== undefined) return this.stream.locate(offset, run)
    run.octets = this.octets
    run.start = offset
    run.length = this.length - offset
    return true
  }
}

/** `Content.key` of a version: no normalised path and no entity tag holds the octet between them. */
export function contentKey(path: string, etag: string): string {
  return `${path}\0${etag}`
}

/** The path and the entity tag of a key, or undefined where it is none. */
export function splitContentKey(key: string): { path: string; etag: string } | undefined {
  const at = key.indexOf('\0')
  return at < 0 ? undefined : { path: key.slice(0, at), etag: key.slice(at + 1) }
}
