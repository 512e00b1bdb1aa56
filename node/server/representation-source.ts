/**
 * What a request's target names on this node: the cache in front, the loader behind it. Lookups on the packet path
 * are synchronous; loading, and noticing that a file changed, happen off it. HTTP semantics are in node/http.
 */
import type { CachedObject } from '../../cache/cached-object.ts'
import type { CacheEntry } from '../../cache/policy.ts'
import type { CacheStore } from '../../cache/store.ts'
import { DEFAULT_INDEX_SETS, TargetIndex } from '../../cache/target-index.ts'
import { madePath, splitMadePath, type VariantMaker, Variants } from '../../cache/variants.ts'
import { CODINGS, type ContentCoding, SUFFIXES } from '../http/content-coding.ts'
import { DEFAULT_HTTP_SETTINGS, type HttpSettings, responseLines } from '../http/http-settings.ts'
import type { ResponseContext } from '../http/plan.ts'
import type { RequestHead } from '../http/request-head.ts'
import { normalisePath, representationPath } from '../http/target.ts'
import type { Loader, LoadResult } from './loader.ts'
import { isCodable } from './made-variants.ts'
import { isNegotiable } from './media-type.ts'

/** A cached object is compared with its file no more often than this, and only when it is used. */
export const REVALIDATE_MS = 1_000
/** Comparisons under way; while there are so many, others wait for their next use. */
export const MAX_PARALLEL_CHECKS = 64
/** Results other than objects are remembered for as long, so that a flood of requests for nothing spares the disk. */
export const RECENT_MS = 1_000
export const MAX_RECENT = 1_024
/** What a source has at least, however many share the limits above. */
const MIN_INDEX_SETS = 16
const MIN_RECENT = 16

interface Recent {
  readonly result: LoadResult
  readonly until: number
}

/** What `loadVersion` found: the version asked for, another one, or none. */
export type VersionResult =
  | { readonly kind: 'equal'; readonly object: CachedObject }
  | { readonly kind: 'different'; readonly etag: string }
  | { readonly kind: 'absent'; readonly reason: string }

export interface RepresentationOptions {
  readonly store: CacheStore
  readonly loader: Loader
  /** Monotonic milliseconds, the clock of every `now` here. */
  readonly now: () => number
  /** Default: DEFAULT_HTTP_SETTINGS. Field lines of files are the loader's. */
  readonly settings?: HttpSettings
  /** What stands before each path in the names of objects: their site. Default: ''. */
  readonly prefix?: string
  /** How many sources share what is bounded. Default: 1. */
  readonly share?: number
  /** Told the path within the site of each object that comes into the cache. */
  readonly stored?: (path: string) => void
  /** Makes variants that nobody put beside their files. Default: none are made. */
  readonly maker?: VariantMaker
}

/** Statuses whose page a site may have in its root, `/404.html` for 404. */
const PAGE_STATUSES = [400, 403, 404, 405, 406, 412, 413, 416, 417, 429, 500, 501, 503]
/** A page is sent by value, in the connection's own state: a larger file is none. */
export const MAX_PAGE_OCTETS = 65_536

export class RepresentationSource {
  readonly store: CacheStore
  readonly #loader: Loader
  readonly #now: () => number
  readonly #settings: HttpSettings
  readonly context: ResponseContext
  readonly #prefix: string
  readonly #index: TargetIndex
  readonly #recent = new Map<string, Recent>()
  readonly #maxRecent: number
  readonly #maker: VariantMaker | undefined
  readonly #stored: (path: string) => void
  #checks = 0
  #retired = false

  constructor(options: RepresentationOptions) {
    this.store = options.store
    this.#loader = options.loader
    this.#now = options.now
    this.#settings = options.settings ?? DEFAULT_HTTP_SETTINGS
    this.context = {
      lines: responseLines(this.#settings),
      page: status => this.#page(status, this.#now()),
    }
    this.#prefix = options.prefix ?? ''
    this.#maker = options.maker
    this.#stored = options.stored ?? (() => {})
    const share = options.share ?? 1
    const sets = Math.max(MIN_INDEX_SETS, DEFAULT_INDEX_SETS / share)
    this.#index = new TargetIndex(2 ** Math.floor(Math.log2(sets)))
    this.#maxRecent = Math.max(MIN_RECENT, Math.floor(MAX_RECENT / share))
    options.loader.onGone = path => {
      if (!this.#retired) this.store.remove(path)
    }
  }

  /** The site has other settings now, or none: what is loaded here from now on is kept by its requests alone. */
  retire(): void {
    this.#retired = true
  }

  /**
   * What the target of a parsed head names, if that is known now; undefined: call `load` with the path of the head.
   * For the packet path: a target used before costs no string and no allocation.
   */
  find(head: RequestHead, now: number): LoadResult | undefined {
    const { octets, pathStart, pathEnd, pathHash } = head
    const known = this.#index.find(octets, pathStart, pathEnd, pathHash)
    if (known !== undefined) {
      this.store.use(known)
      return this.#current(known, now)
    }
    const path = normalisePath(octets, pathStart, pathEnd)
    if (typeof path === 'number') return { kind: 'refused', status: path }
    const entry = this.#peek(representationPath(path)) ?? this.#peek(path)
    if (entry === undefined) {
      const recent = this.#recentResult(path, now)
      if (recent === undefined) this.store.counters.misses++
      return recent
    }
    this.store.use(entry)
    this.#index.add(octets, pathStart, pathEnd, pathHash, entry)
    return this.#current(entry, now)
  }

  /** Brings the site's pages for errors into the cache, so that the first error has its page. Never rejects. */
  async warm(): Promise<void> {
    if (!this.#settings.errorPages) return
    await Promise.all(PAGE_STATUSES.map(status => this.load(pagePath(status))))
  }

  /** Loads what a normalised path names, into the cache where it is an object. Never rejects. */
  async load(path: string): Promise<LoadResult> {
    const result = await this.#loader.load(path)
    const now = this.#now()
    if (result.kind !== 'object') {
      this.#remember(path, result, now)
      return result
    }
    const object = this.#store(result, now)
    await this.#loadVariants(object)
    return object
  }

  /**
   * The version of a path that a connection shall go on with here. From memory if it is there, else from the disk,
   * where the file may be a different one by now: then a shift to this node has to be refused.
   */
  async loadVersion(path: string, etag: string): Promise<VersionResult> {
    const held = this.#peek(path)?.object
    if (held !== undefined && held.etag === etag && (await this.#readable(held)))
      return { kind: 'equal', object: held }
    const result = await this.load(path)
    if (result.kind !== 'object')
      return { kind: 'absent', reason: 'reason' in result ? result.reason : result.kind }
    if (result.etag !== etag || result.path !== this.#prefix + path) {
      return { kind: 'different', etag: result.etag }
    }
    return { kind: 'equal', object: result }
  }

  /** Compares an object with its file now, whenever it was last compared. Resolves when the cache tells the truth. */
  async revalidate(entry: CacheEntry): Promise<void> {
    const object = entry.object
    if (object === undefined) return
    if (!(await this.#loader.changed(object))) return this.#loadVariants(object)
    if (entry.object !== object) return
    const result = await this.#loader.load(this.#pathOf(object))
    if (entry.object !== object || this.#retired) return
    if (result.kind === 'object' && result.path !== object.path) this.#drop(object)
    if (result.kind === 'object') await this.#loadVariants(this.#store(result, this.#now()))
    // What is busy or changing right now may be the same again soon; the old version is consistent until then.
    else if (result.kind !== 'busy' && result.kind !== 'unstable') this.#drop(object)
  }

  /** Whether an object is in memory for this path, or it is remembered why there is none. */
  isKnown(path: string): boolean {
    return this.#peek(path) !== undefined || this.#recent.has(path)
  }

  /** The paths within the site of all objects in memory that are files, and not made of files. */
  *cached(): Generator<string> {
    for (const { path } of this.store.all()) {
      if (path.startsWith(`${this.#prefix}/`) && splitMadePath(path) === undefined) {
        yield path.slice(this.#prefix.length)
      }
    }
  }

  /** The file of a path may have changed. With `isMany` others an object that did is dropped, not read again. */
  async look(path: string, isMany: boolean): Promise<void> {
    this.#recent.delete(path)
    const entry = this.#peek(path)
    const object = entry?.object
    if (entry === undefined || object === undefined) return
    if (!isMany) return this.revalidate(entry)
    if (!(await this.#loader.changed(object)) || entry.object !== object || this.#retired) return
    this.#drop(object)
  }

  /** Paths that had no file may have one now. */
  forgetRecent(): void {
    this.#recent.clear()
  }

  /** The site's page for an error, as far as it is in memory; what is not is looked for, for the next time. */
  #page(status: number, now: number): Uint8Array | undefined {
    if (!this.#settings.errorPages || !PAGE_STATUSES.includes(status)) return undefined
    const path = pagePath(status)
    const entry = this.#peek(path)
    if (entry !== undefined) {
      this.store.use(entry)
      const { octets, length, stream } = this.#current(entry, now)
      return stream === undefined && length <= MAX_PAGE_OCTETS ? octets : undefined
    }
    if (this.#recentResult(path, now) === undefined && this.#checks < MAX_PARALLEL_CHECKS) {
      this.#checks++
      setImmediate(() => void this.load(path).finally(() => this.#checks--))
    }
    return undefined
  }

  /** Looks for what stands beside a file, and keeps what is known of it as long as it is unchanged. */
  async #loadVariants(object: CachedObject): Promise<void> {
    const { precompressed, compress } = this.#settings
    if (precompressed.length + compress.length === 0 || !isNegotiable(object.mediaType)) return
    // The page of a directory is no file that something could stand beside.
    if (object.path.endsWith('/')) return
    const found = await Promise.all(
      this.#settings.precompressed.map(coding => this.#loadVariant(object, coding)),
    )
    const coded = found.filter(variant => variant !== undefined)
    const makeable =
      this.#maker !== undefined && isCodable(object)
        ? compress.filter(coding => !coded.some(one => one.coding === coding))
        : []
    if (coded.length + makeable.length === 0) object.variants = undefined
    else if (object.variants?.hold(coded.map(({ content }) => content)) !== true) {
      object.variants = new Variants(object, coded, makeable, this.#maker)
    }
  }

  async #loadVariant(
    object: CachedObject,
    coding: ContentCoding,
  ): Promise<{ coding: ContentCoding; content: CachedObject } | undefined> {
    const path = this.#pathOf(object) + SUFFIXES[coding]
    const held = this.#peek(path)?.object
    if (held !== undefined && !(await this.#loader.changed(held))) return { coding, content: held }
    const result = await this.#loader.load(path)
    if (result.kind === 'object') return { coding, content: this.#store(result, this.#now()) }
    // As in `revalidate`: what is busy or changing is consistent until it can be read again.
    if (held !== undefined && (result.kind === 'busy' || result.kind === 'unstable'))
      return { coding, content: held }
    if (held !== undefined) this.store.remove(held.path)
    return undefined
  }

  /** A version in memory can be sent whatever becomes of its file; a stream needs it. */
  async #readable(object: CachedObject): Promise<boolean> {
    return object.stream === undefined || (await this.#loader.streamFiles.alive(object.stream))
  }

  #current(entry: CacheEntry, now: number): CachedObject {
    if (now - entry.checkedAt >= REVALIDATE_MS && this.#checks < MAX_PARALLEL_CHECKS) {
      entry.checkedAt = now
      this.#checks++
      // Only queued here: even the asking of the kernel waits until the packets at hand are answered.
      setImmediate(() => void this.#check(entry))
    }
    return entry.object as CachedObject
  }

  async #check(entry: CacheEntry): Promise<void> {
    try {
      await this.revalidate(entry)
    } finally {
      this.#checks--
    }
  }

  /** Puts a loaded object in the store and returns the one that represents this version from now on. */
  #store(object: CachedObject, now: number): CachedObject {
    if (this.#retired) return object
    const before = this.store.peek(object.path)
    const held = before?.object
    if (
      before !== undefined &&
      held !== undefined &&
      held.stamp === object.stamp &&
      held.stream?.gone !== true
    ) {
      before.checkedAt = now
      if (object.stream !== undefined && object !== held) this.#loader.streamFiles.discard(object.stream)
      return held
    }
    if (held !== undefined && held.etag !== object.etag && held.lastModified === object.lastModified) {
      object.lastModifiedStrong = false
    }
    this.#recent.delete(this.#pathOf(object))
    // What was made of the version before is nobody's any more.
    if (held !== undefined && held.etag !== object.etag) this.#removeMade(held)
    this.store.put(object, now)
    this.#stored(this.#pathOf(object))
    return object
  }

  #drop(object: CachedObject): void {
    this.store.remove(object.path)
    this.#removeMade(object)
  }

  #removeMade({ path }: CachedObject): void {
    for (const coding of CODINGS) this.store.remove(madePath(path, coding))
  }

  /** The path within the site. */
  #pathOf(object: CachedObject): string {
    return object.path.slice(this.#prefix.length)
  }

  #peek(path: string): CacheEntry | undefined {
    return this.store.peek(this.#prefix + path)
  }

  #recentResult(path: string, now: number): LoadResult | undefined {
    const recent = this.#recent.get(path)
    if (recent === undefined || recent.until > now) return recent?.result
    this.#recent.delete(path)
    return undefined
  }

  #remember(path: string, result: LoadResult, now: number): void {
    if (result.kind === 'busy' || result.kind === 'unstable') return
    // Renewed, it becomes the youngest: a Map keeps the order of insertion, and the oldest goes.
    this.#recent.delete(path)
    this.#recent.set(path, { result, until: now + RECENT_MS })
    if (this.#recent.size <= this.#maxRecent) return
    const oldest = this.#recent.keys().next()
    if (oldest.done !== true) this.#recent.delete(oldest.value)
  }
}

function pagePath(status: number): string {
  return `/${status}.html`
}
