/**
 * The sites of a node: one cache for all of them, and for each the files under its root. A new configuration is made
 * ready beside the old one and takes its place in one step; sites that it does not change keep what they know.
 */
import { isDeepStrictEqual } from 'node:util'
import { BlockPool, MAX_STREAM_OCTETS } from '../../cache/block-pool.ts'
import type { CachedObject } from '../../cache/cached-object.ts'
import { CacheStore } from '../../cache/store.ts'
import { Streams } from '../../cache/stream.ts'
import { splitMadePath } from '../../cache/variants.ts'
import { representationLines } from '../http/http-settings.ts'
import { PLAIN_CONTEXT, type ResponseContext } from '../http/plan.ts'
import type { Found, Resource } from '../http/representation.ts'
import type { RequestHead } from '../http/request-head.ts'
import { type Connector, OriginClient } from '../origin/client.ts'
import { Contents } from '../origin/contents.ts'
import { createOriginCounters, type OriginCounters } from '../origin/counters.ts'
import type { OriginRequest } from '../origin/fields.ts'
import { DEFAULT_ORIGIN_LIMITS, type OriginLimits } from '../origin/limits.ts'
import { PeerContents } from '../origin/peer-contents.ts'
import { OriginSource } from '../origin/source.ts'
import { encode } from './coder.ts'
import { ContentTags, tagOf } from './content-tag.ts'
import { createWatchCounters, FileChanges, MAX_WATCHED_DIRECTORIES, type Watching } from './file-changes.ts'
import { Loader } from './loader.ts'
import { MadeVariants } from './made-variants.ts'
import { RepresentationSource } from './representation-source.ts'
import type { Resources } from './resources.ts'
import type { ServingSettings, SiteSettings } from './settings.ts'
import { SiteTable, splitSitePath } from './site-table.ts'
import { StreamFiles } from './stream-files.ts'

/** Directories that a site may watch, however many sites there are. */
const MIN_WATCHED = 4

/** A site that a reload took away may still be asked for by connections on their way. */
const GONE: Resource<CachedObject> = { kind: 'missing' }

/** A site of files, or one in front of an origin. */
type ServedSite =
  | {
      readonly kind: 'files'
      readonly settings: SiteSettings
      readonly loader: Loader
      readonly source: RepresentationSource
      readonly changes: FileChanges
    }
  | { readonly kind: 'origin'; readonly settings: SiteSettings; readonly source: OriginSource }

/** What sites in front of origins need beside a cache. */
export interface OriginOptions {
  readonly limits?: OriginLimits
  /** Makes the connections to origins, where that is not done as usual. */
  readonly connect?: Connector | undefined
  /** Told of failures of origins. */
  readonly failed?: (reason: string) => void
}

export class Sites implements Resources {
  readonly store: CacheStore
  readonly #now: () => number
  readonly #streamFiles = new StreamFiles(new Streams(new BlockPool(MAX_STREAM_OCTETS)))
  readonly #tags = new ContentTags()
  readonly made: MadeVariants
  /** Files were seen to have changed, and the cache holds what is true. */
  onNoticed: () => void = () => {}
  readonly #contents = new Contents()
  readonly #origins: OriginOptions
  readonly #originCounters = createOriginCounters()
  readonly #watchCounters = createWatchCounters()
  readonly peers = new PeerContents({
    content: key => this.#contents.get(key),
    stored: request => this.#storedFor(request),
    room: octets => this.store.room(octets, this.#loading()),
    after: (ms, call) => {
      const timer = setTimeout(call, ms)
      return () => clearTimeout(timer)
    },
    now: () => this.#now(),
  })
  #table: SiteTable
  #sites: ReadonlyMap<string, ServedSite> = new Map()

  private constructor(
    serving: ServingSettings,
    cacheOctets: number,
    now: () => number,
    origins: OriginOptions,
  ) {
    this.#origins = origins
    this.store = new CacheStore(cacheOctets)
    this.#now = now
    this.#table = new SiteTable(serving)
    this.made = new MadeVariants({
      store: this.store,
      now,
      soon: setImmediate,
      code: encode,
      tag: (octets, done) => void tagOf(octets).then(done),
      load: (path, etag, done) => this.#loadVersion(path, etag, done),
    })
  }

  /** Rejects with the system's error where the root of a site is no directory that can be read. */
  static async open(
    serving: ServingSettings,
    cacheOctets: number,
    now: () => number,
    origins: OriginOptions = {},
  ): Promise<Sites> {
    const sites = new Sites(serving, cacheOctets, now, origins)
    const apply = await sites.prepare(serving)
    apply()
    await sites.#warm()
    return sites
  }

  get serving(): ServingSettings {
    return this.#table.serving
  }

  /** Makes everything ready that can fail; what it returns puts the settings in force, at once and whole. */
  async prepare(serving: ServingSettings): Promise<() => void> {
    const before = this.#sites
    const all = await Promise.all(
      serving.sites.map(async settings => {
        const site = before.get(settings.name)
        const isSame = site !== undefined && isDeepStrictEqual(site.settings, settings)
        return isSame ? site : this.#open(settings, serving.sites.length)
      }),
    )
    const table = new SiteTable(serving)
    return () => {
      // Another reload was faster, and what was kept for this one may be gone.
      if (this.#sites !== before) throw new Error('the configuration has changed meanwhile')
      for (const site of this.#sites.values()) if (!all.includes(site)) this.#close(site)
      this.#sites = new Map(all.map(site => [site.settings.name, site]))
      this.#table = table
    }
  }

  find(head: RequestHead, now: number): Found<CachedObject> | undefined {
    const name = this.#table.siteOf(head)
    if (typeof name === 'number') return { kind: 'refused', status: name }
    return this.#site(name)?.source.find(head, now)
  }

  context(head: RequestHead): ResponseContext {
    const name = this.#table.siteOf(head)
    return (typeof name === 'number' ? undefined : this.#site(name)?.source.context) ?? PLAIN_CONTEXT
  }

  pathOf(head: RequestHead): string | 400 | 404 | 421 {
    return this.#table.pathOf(head)
  }

  originCounters(): OriginCounters | undefined {
    const hasOne = this.serving.sites.some(({ origin }) => origin !== undefined)
    return hasOne ? this.#originCounters : undefined
  }

  watching(): Watching | undefined {
    const files = [...this.#sites.values()].filter(served => served.kind === 'files')
    if (files.length === 0) return undefined
    const directories = files.reduce((sum, { changes }) => sum + changes.watched, 0)
    return { ...this.#watchCounters, directories }
  }

  loadVersion(
    path: string,
    etag: string,
    done: (object: CachedObject | undefined) => void,
    from: number,
  ): void {
    const isOrigin = this.#site(splitSitePath(path).site)?.kind === 'origin'
    if (isOrigin || splitMadePath(path) === undefined) this.#loadVersion(path, etag, done, from)
    else this.made.version(path, etag, done, from)
  }

  heldAs(path: string): string {
    return this.#table.heldAs(path)
  }

  originRequest(head: RequestHead, path: string, client: string): OriginRequest | undefined {
    const served = this.#site(splitSitePath(path).site)
    return served?.kind === 'origin' ? served.source.request(head, path, client) : undefined
  }

  load(
    path: string,
    done: (resource: Found<CachedObject>) => void,
    request?: OriginRequest | undefined,
  ): void {
    const { site, path: inside } = splitSitePath(path)
    const served = this.#site(site)
    if (served?.kind === 'files' && request === undefined) void served.source.load(inside).then(done)
    else if (served?.kind === 'origin' && request !== undefined) void served.source.load(request).then(done)
    // A reload has made another site of it since the request came.
    else done(GONE)
  }

  #loadVersion(
    path: string,
    etag: string,
    done: (object: CachedObject | undefined) => void,
    from?: number,
  ): void {
    const { site, path: inside } = splitSitePath(path)
    const served = this.#site(site)
    if (served === undefined) return done(undefined)
    if (served.kind === 'origin') return void served.source.loadVersion(path, etag, from).then(done)
    void served.source
      .loadVersion(inside, etag)
      .then(version => done(version.kind === 'equal' ? version.object : undefined))
  }

  read(object: CachedObject, offset: number, done: (ok: boolean) => void): void {
    if (object.stream === undefined) done(true)
    else object.stream.want(offset, done)
  }

  /** Ends the watching of files. */
  close(): void {
    for (const served of this.#sites.values()) if (served.kind === 'files') served.changes.close()
  }

  #site(name: string): ServedSite | undefined {
    return this.#sites.get(name)
  }

  async #open(settings: SiteSettings, share: number): Promise<ServedSite> {
    const { name: prefix, root, origin, http } = settings
    if (origin !== undefined) return this.#openOrigin(settings, origin, share)
    const loader = await Loader.open({
      root,
      prefix,
      room: octets => this.store.room(octets, this.#loading()),
      capacityOctets: this.store.capacityOctets,
      streamFiles: this.#streamFiles,
      tags: this.#tags,
      linesOf: path => representationLines(http, path),
      listing: http.listing,
      mediaTypes: http.mediaTypes,
    })
    const { store, made: maker } = this
    const common = { store, loader, now: this.#now, maker, stored: (path: string) => changes.stored(path) }
    const source = new RepresentationSource({ ...common, settings: http, prefix, share })
    const changes = new FileChanges({
      root: loader.root,
      max: Math.max(MIN_WATCHED, Math.floor(MAX_WATCHED_DIRECTORIES / share)),
      cached: () => source.cached(),
      forget: () => source.forgetRecent(),
      isKnown: path => source.isKnown(path),
      look: (path, isMany) => source.look(path, isMany),
      settled: () => this.onNoticed(),
      counters: this.#watchCounters,
    })
    return { kind: 'files', settings, loader, source, changes }
  }

  #openOrigin(settings: SiteSettings, origin: string, share: number): ServedSite {
    const { limits = DEFAULT_ORIGIN_LIMITS, connect, failed } = this.#origins
    const { name: site, http } = settings
    const source = new OriginSource({
      ...{ store: this.store, contents: this.#contents, settings: http, site, share },
      client: new OriginClient(origin, limits, connect),
      room: octets => this.store.room(octets, this.#loading()),
      now: this.#now,
      nowSecond: () => Math.floor(Date.now() / 1_000),
      peers: this.peers,
      counters: this.#originCounters,
      failed: reason => failed?.(`${origin}: ${reason}`),
    })
    return { kind: 'origin', settings, source }
  }

  /** What a peer may have of ours. */
  #storedFor(request: OriginRequest): CachedObject | undefined {
    const served = this.#site(splitSitePath(request.path).site)
    return served?.kind === 'origin' ? served.source.stored(request, this.#now()) : undefined
  }

  /** Brings the pages for errors into the cache, so that the first error has its page. */
  async #warm(): Promise<void> {
    await Promise.all(
      [...this.#sites.values()].map(served => served.kind === 'files' && served.source.warm()),
    )
  }

  /** Octets that are being read, of all sites. */
  #loading(): number {
    let octets = this.peers.loadingOctets
    for (const served of this.#sites.values()) {
      octets += served.kind === 'files' ? served.loader.loadingOctets : served.source.loadingOctets
    }
    return octets
  }

  /** What it put into the cache is another site's by now, or nobody's. */
  #close(served: ServedSite): void {
    const { settings, source } = served
    if (served.kind === 'files') served.changes.close()
    source.retire()
    const start = `${settings.name}/`
    const paths = [...this.store.all()].map(({ path }) => path).filter(path => path.startsWith(start))
    for (const path of paths) this.store.remove(path)
  }
}
