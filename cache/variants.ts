/**
 * The representations of one file: itself, what stands precompressed beside it, and what was made of it in the
 * background. Each has its own entity tag, made from its own content; the octets of a coded one are an object of their
 * own, under a key of its own, so that a response in the middle of it moves like any other. Who looks for files beside
 * files, and who makes variants, is the server's affair.
 */
import type { Coding, ContentCoding } from '../node/http/content-coding.ts'
import type { Representation } from '../node/http/representation.ts'
import type { HeadTemplate } from '../node/http/response-head.ts'
import { CachedObject } from './cached-object.ts'
import type { CacheEntry } from './policy.ts'
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

/** Has variants made that nobody put beside the file. */
export interface VariantMaker {
  /**
   * Clients would take one that is not there; false where there is no room for more work. On the packet path: to be
   * noted, and no more. `take`, `decline` or `retry` of the file's variants is the answer.
   */
  wanted(file: CachedObject, coding: ContentCoding): boolean
}

/** `made`: in the store under an entry of its own, until it is evicted; `asked`: on its way, or not worth having. */
interface Makeable {
  readonly coding: ContentCoding
  made: CacheEntry | undefined
  asked: boolean
  /** Requests that would have been answered with it. */
  wants: number
}

/** What is asked for once is not worth the work: a crawler asks for everything. */
const MIN_WANTS = 2

export class Variants {
  readonly #file: CachedObject
  readonly #all: readonly Variant[]
  readonly #makeable: readonly Makeable[]
  readonly #maker: VariantMaker | undefined

  constructor(
    file: CachedObject,
    coded: readonly { coding: ContentCoding; content: CachedObject }[],
    makeable: readonly ContentCoding[] = [],
    maker?: VariantMaker,
  ) {
    this.#file = file
    this.#all = [
      ...coded.map(({ coding, content }) => new Variant(file, coding, content)),
      new Variant(file, 'identity', file),
    ]
    this.#makeable = makeable.map(coding => ({ coding, made: undefined, asked: false, wants: 0 }))
    this.#maker = maker
  }

  /** What a client likes best of what is there, or undefined where it takes none of it (406). On the packet path. */
  select(codings: readonly Coding[], store: CacheStore): Variant | CachedObject | undefined {
    for (let choice = 0; choice < codings.length; choice++) {
      const coding = codings[choice] as Coding
      for (let index = 0; index < this.#all.length; index++) {
        const variant = this.#all[index] as Variant
        if (variant.coding !== coding) continue
        // A use of it, as the look-up was one of the file. Out of the store it is still whole.
        if (variant.coding !== 'identity') {
          const entry = store.peek(variant.content.path)
          if (entry?.object === variant.content) store.use(entry)
        }
        return variant
      }
      const made = this.#made(coding, store)
      if (made !== undefined) return made
    }
    return undefined
  }

  /** Whether these are the contents that the variants beside the file have. */
  hold(contents: readonly CachedObject[]): boolean {
    return (
      contents.length === this.#all.length - 1 &&
      contents.every((content, index) => this.#all[index]?.content === content)
    )
  }

  /** A variant was made, and is in the store. */
  take(coding: ContentCoding, entry: CacheEntry | undefined): void {
    const one = this.#find(coding)
    if (one !== undefined) one.made = entry
  }

  /** It is hardly smaller than the file: it is not asked for again. */
  decline(coding: ContentCoding): void {
    const one = this.#find(coding)
    if (one !== undefined) one.asked = true
  }

  /** It could not be had now. */
  retry(coding: ContentCoding): void {
    const one = this.#find(coding)
    if (one === undefined) return
    one.asked = false
    one.wants = 0
  }

  #find(coding: ContentCoding): Makeable | undefined {
    return this.#makeable.find(one => one.coding === coding)
  }

  #made(coding: Coding, store: CacheStore): CachedObject | undefined {
    for (let index = 0; index < this.#makeable.length; index++) {
      const one = this.#makeable[index] as Makeable
      if (one.coding !== coding) continue
      const object = one.made?.object
      if (object !== undefined) {
        store.use(one.made as CacheEntry)
        return object
      }
      if (one.made !== undefined) this.#evicted(one)
      if (!one.asked && ++one.wants >= MIN_WANTS) {
        one.asked = this.#maker?.wanted(this.#file, one.coding) === true
      }
    }
    return undefined
  }

  #evicted(one: Makeable): void {
    one.made = undefined
    one.asked = false
    one.wants = 0
  }
}

/** Below a file, and hidden: no request can name it, and no file can be there. */
const MADE = /^(.*)\/\.(br|zstd|gzip)$/s

/** The path of the variant that is made of a file. */
export function madePath(file: string, coding: ContentCoding): string {
  return `${file}/.${coding}`
}

/** The file and the coding of such a path, or undefined where it is none. */
export function splitMadePath(path: string): { file: string; coding: ContentCoding } | undefined {
  const [, file, coding] = MADE.exec(path) ?? []
  return file === undefined ? undefined : { file, coding: coding as ContentCoding }
}

/** What a variant takes over from its file. */
export type CodedFile = Pick<
  CachedObject,
  'path' | 'etag' | 'lastModified' | 'lastModifiedStrong' | 'mediaType' | 'cacheFields'
>

/** A variant of a file, made of it: its stamp names the version that it was made of. */
export function madeObject(
  file: CodedFile,
  coding: ContentCoding,
  octets: Uint8Array,
  etag: string,
): CachedObject {
  const { lastModified, lastModifiedStrong, mediaType, cacheFields } = file
  return new CachedObject({
    path: madePath(file.path, coding),
    etag,
    lastModified,
    lastModifiedStrong,
    mediaType,
    contentEncoding: coding,
    cacheFields: cacheFields + VARY,
    octets,
    stamp: file.etag,
  })
}
