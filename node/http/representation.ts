/**
 * What the planning of a response needs to know of a resource. The cache and the loader bring such records along;
 * their octets, and how they come into memory, are of no concern to HTTP.
 */
import type { HeadTemplate } from './response-head.ts'

/** One version of one file, complete: two nodes that hold the same path and entity tag hold the same octets. */
export interface Representation {
  readonly kind: 'object'
  /** The normalised path, a directory's being that of its index. */
  readonly path: string
  /** Strong, with its quotes, made from the content (RFC 9110 §8.8.3). */
  readonly etag: string
  /** Seconds since the epoch. */
  readonly lastModified: number
  /** Whether it surely did not change twice in that second (RFC 9110 §8.8.2.2). */
  readonly lastModifiedStrong: boolean
  readonly mediaType: string
  /** '' for the identity. */
  readonly contentEncoding: string
  /** Field lines for caches, each with its line end (Cache-Control, Vary, Expires): also sent with 304 (RFC 9110 §15.4.5). */
  readonly cacheFields: string
  /** Octets. */
  readonly length: number
  /** Heads prepared by plan.ts; made as an empty list. */
  readonly heads: (HeadTemplate | undefined)[]
}

/** The resource is a directory, named without the slash at its end: `path` is the one with it. */
export interface Redirect {
  readonly kind: 'redirect'
  readonly path: string
}

/** There is something that is not to be served: no permission, a link out of the root, a directory without an index. */
export interface Forbidden {
  readonly kind: 'forbidden'
}

/** There are representations, and the client takes none of them. */
export interface Unacceptable {
  readonly kind: 'unacceptable'
}

export interface Missing {
  readonly kind: 'missing'
}

/** The path itself is refused, or the host, with this status. */
export interface Refused {
  readonly kind: 'refused'
  readonly status: 400 | 404 | 421
}

/** It exists but cannot be had: changing under every attempt to read it, too much asked at once. */
export interface Unavailable {
  readonly kind: 'unstable' | 'busy' | 'failed'
  /** For the operator, not for the client. */
  readonly reason: string
}

export type Resource<R extends Representation> =
  | R
  | Redirect
  | Forbidden
  | Missing
  | Unacceptable
  | Refused
  | Unavailable
