/**
 * What the planning of a response needs to know of a resource. The cache and the loader bring such records along;
 * their octets, and how they come into memory, are of no concern to HTTP.
 */
import type { HeadTemplate } from './response-head.ts'
import type { StoredResponse } from './stored-response.ts'

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

/** The origin server of the site did not answer, or not with anything that can be passed on. */
export interface OriginFault {
  readonly kind: 'bad-gateway' | 'gateway-timeout'
  /** For the operator, not for the client. */
  readonly reason: string
}

/** A response of the site's origin server, from the cache or as it came. */
export interface OriginResponse<R extends Representation> {
  readonly kind: 'response'
  readonly response: StoredResponse
  /** Its body: of `R` only the octets count. */
  readonly content: R
  /** Seconds; undefined where it was not in a cache (RFC 9111 §5.1). */
  readonly age: number | undefined
  /** The parameters of Cache-Status (RFC 9211 §2), as `hit`. */
  readonly cacheStatus: string
}

export type Resource<R extends Representation> =
  | R
  | OriginFault
  | Redirect
  | Forbidden
  | Missing
  | Unacceptable
  | Refused
  | Unavailable

/** What a request is answered with: a file of ours or what stands for it, or what an origin said. */
export type Found<R extends Representation> = Resource<R> | OriginResponse<R>
