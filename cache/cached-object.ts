/**
 * One version of one file in memory: immutable octets with what HTTP says about them, and the content that send
 * queues refer to. An object never changes; a newer version of its file is another object under another tag.
 */
import type { Representation } from '../node/http/representation.ts'
import type { HeadTemplate } from '../node/http/response-head.ts'
import type { Content, Run } from '../node/tcp/content.ts'
import type { Variants } from './variants.ts'

export interface ObjectFacts {
  readonly path: string
  readonly etag: string
  readonly lastModified: number
  readonly lastModifiedStrong: boolean
  readonly mediaType: string
  /** Never written again. */
  readonly octets: Uint8Array
  /** What the source of the file compares to see whether it changed; opaque here. */
  readonly stamp: string
  readonly contentEncoding?: string
  readonly cacheFields?: string
}

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
  readonly octets: Uint8Array
  readonly stamp: string
  readonly heads: (HeadTemplate | undefined)[] = []
  /** What is negotiated instead of the file as it is, where there is something beside it. Set by whoever looked. */
  variants: Variants | undefined = undefined

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
    this.octets = facts.octets
    this.stamp = facts.stamp
  }

  locate(offset: number, run: Run): boolean {
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
