/**
 * The representations of one file: itself, and what stands precompressed beside it. Each has its own entity tag, made
 * from its own content; the octets of a coded one are those of the other file, under that file's key, so that a
 * response in the middle of it moves like any other. Who looks for files beside files is the server's affair.
 */
import type { Coding, ContentCoding } from '../node/http/content-coding.ts'
import type { Representation } from '../node/http/representation.ts'
import type { HeadTemplate } from '../node/http/response-head.ts'
import type { CachedObject } from './cached-object.ts'
import type { CacheStore } from './store.ts'

/** RFC 9110 §12.5.5: of every response that another Accept-Encoding could have changed, 304 and 406 included. */
const VARY = 'Vary: Accept-Encoding\r\n'

export class Variant implements Representation {
  readonly kind = 'object'
  readonly path: string
  readonly etag: string
  readonly lastModified: number
  readonly mediaType: string
  readonly contentEncoding: string
  readonly cacheFields: string
  readonly length: number
  readonly heads: (HeadTemplate | undefined)[] = []
  readonly coding: Coding
  /** Whose octets they are. */
  readonly content: CachedObject

  /** `file`: what the request names; `content`: the same, or the file beside it. */
  constructor(file: CachedObject, coding: Coding, content: CachedObject) {
    this.path = file.path
    this.etag = content.etag
    this.lastModified = content.lastModified
    this.mediaType = file.mediaType
    this.contentEncoding = coding === 'identity' ? '' : coding
    this.cacheFields = file.cacheFields + VARY
    this.length = content.length
    this.coding = coding
    this.content = content
  }

  get lastModifiedStrong(): boolean {
    return this.content.lastModifiedStrong
  }
}

export class Variants {
  readonly #all: readonly Variant[]

  constructor(file: CachedObject, coded: readonly { coding: ContentCoding; content: CachedObject }[]) {
    this.#all = [
      ...coded.map(({ coding, content }) => new Variant(file, coding, content)),
      new Variant(file, 'identity', file),
    ]
  }

  /** The variant that a client likes best, or undefined where it takes none (406). On the packet path. */
  select(codings: readonly Coding[], store: CacheStore): Variant | undefined {
    for (let choice = 0; choice < codings.length; choice++) {
      for (let index = 0; index < this.#all.length; index++) {
        const variant = this.#all[index] as Variant
        if (variant.coding !== codings[choice]) continue
        // A use of it, as the look-up was one of the file. Out of the store it is still whole.
        if (variant.coding !== 'identity') {
          const entry = store.peek(variant.content.path)
          if (entry?.object === variant.content) store.use(entry)
        }
        return variant
      }
    }
    return undefined
  }

  /** Whether these are the contents that the coded variants have. */
  hold(contents: readonly CachedObject[]): boolean {
    return (
      contents.length === this.#all.length - 1 &&
      contents.every((content, index) => this.#all[index]?.content === content)
    )
  }
}
