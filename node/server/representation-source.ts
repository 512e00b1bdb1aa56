/**
 * What a request's target names on this node: the cache in front, the loader behind it. Lookups on the packet path
 * are synchronous; loading, and noticing that a file changed, happen off it. HTTP semantics are in node/http.
 */
import type { CachedObject } from '../../cache/cached-object.ts'
import type { CacheEntry } from '../../cache/policy.ts'
import type { CacheStore } from '../../cache/store.ts'
import { TargetIndex } from '../../cache/target-index.ts'
import { Variants } from '../../cache/variants.ts'
import { CODINGS, type ContentCoding, SUFFIXES } from '../http/content-coding.ts'
import type { RequestHead } from '../http/request-head.ts'
import { normalisePath, representationPath } from '../http/target.ts'
import type { Loader, LoadResult } from './loader.ts'
import { isNegotiable } from './media-type.ts'

/** A cached object is compared with its file no more often than this, and only when it is used. */
export const REVALIDATE_MS = 1_000
/** Comparisons under way; while there are so many, others wait for their next use. */
export const MAX_PARALLEL_CHECKS = 64
/** Results other than objects are remembered for as long, so that a flood of requests for nothing spares the disk. */
export const RECENT_MS = 1_000
export const MAX_RECENT = 1_024

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
  /** Codings whose variants are looked for beside files. Default: all that are known. */
  readonly precompressed?: readonly ContentCoding[]
}

export class RepresentationSource {
  readonly store: CacheStore
  readonly #loader: Loader
  readonly #now: () => number
  readonly #precompressed: readonly ContentCoding[]
  readonly #index = new TargetIndex()
  readonly #recent = new Map<string, Recent>()
  #checks = 0

  constructor(options: RepresentationOptions) {
    this.store = options.store
    this.#loader = options.loader
    this.#now = options.now
    this.#precompressed = options.precompressed ?? CODINGS
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
    const entry = this.store.peek(representationPath(path))
    if (entry === undefined) {
      const recent = this.#recentResult(path, now)
      if (recent === undefined) this.store.counters.misses++
      return recent
    }
    this.store.use(entry)
    this.#index.add(octets, pathStart, pathEnd, pathHash, entry)
    return this.#current(entry, now)
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
    const held = this.store.peek(path)?.object
    if (held !== undefined && held.etag === etag) return { kind: 'equal', object: held }
    const result = await this.load(path)
    if (result.kind !== 'object')
      return { kind: 'absent', reason: 'reason' in result ? result.reason : result.kind }
    if (result.etag !== etag || result.path !== path) return { kind: 'different', etag: result.etag }
    return { kind: 'equal', object: result }
  }

  /** Compares an object with its file now, whenever it was last compared. Resolves when the cache tells the truth. */
  async revalidate(entry: CacheEntry): Promise<void> {
    const object = entry.object
    if (object === undefined) return
    if (!(await this.#loader.changed(object))) return this.#loadVariants(object)
    if (entry.object !== object) return
    const result = await this.#loader.load(object.path)
    if (entry.object !== object) return
    if (result.kind === 'object') await this.#loadVariants(this.#store(result, this.#now()))
    // What is busy or changing right now may be the same again soon; the old version is consistent until then.
    else if (result.kind !== 'busy' && result.kind !== 'unstable') this.store.remove(object.path)
  }

  /** Looks for what stands beside a file, and keeps what is known of it as long as it is unchanged. */
  async #loadVariants(object: CachedObject): Promise<void> {
    if (this.#precompressed.length === 0 || !isNegotiable(object.mediaType)) return
    const found = await Promise.all(this.#precompressed.map(coding => this.#loadVariant(object, coding)))
    const coded = found.filter(variant => variant !== undefined)
    if (coded.length === 0) object.variants = undefined
    else if (object.variants?.hold(coded.map(({ content }) => content)) !== true) {
      object.variants = new Variants(object, coded)
    }
  }

  async #loadVariant(
    object: CachedObject,
    coding: ContentCoding,
  ): Promise<{ coding: ContentCoding; content: CachedObject } | undefined> {
    const path = object.path + SUFFIXES[coding]
    const held = this.store.peek(path)?.object
    if (held !== undefined && !(await this.#loader.changed(held))) return { coding, content: held }
    const result = await this.#loader.load(path)
    if (result.kind === 'object') return { coding, content: this.#store(result, this.#now()) }
    // As in `revalidate`: what is busy or changing is consistent until it can be read again.
    if (held !== undefined && (result.kind === 'busy' || result.kind === 'unstable'))
      return { coding, content: held }
    if (held !== undefined) this.store.remove(path)
    return undefined
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
    const before = this.store.peek(object.path)
    const held = before?.object
    if (before !== undefined && held !== undefined && held.stamp === object.stamp) {
      before.checkedAt = now
      return held
    }
    if (held !== undefined && held.etag !== object.etag && held.lastModified === object.lastModified) {
      object.lastModifiedStrong = false
    }
    this.#recent.delete(object.path)
    this.store.put(object, now)
    return object
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
    if (this.#recent.size <= MAX_RECENT) return
    const oldest = this.#recent.keys().next()
    if (oldest.done !== true) this.#recent.delete(oldest.value)
  }
}
