/**
 * The files of a simulated cluster, with brotli's beside them: the same on every node, read with a delay, held by a real
 * cache, or streamed through a real pool.
 */
import { createHash } from 'node:crypto'
import { brotliCompressSync, constants } from 'node:zlib'
import { BLOCK_OCTETS, BlockPool } from '../../../cache/block-pool.ts'
import { CachedObject } from '../../../cache/cached-object.ts'
import { CacheStore } from '../../../cache/store.ts'
import { type StreamRead, Streams } from '../../../cache/stream.ts'
import { splitMadePath, Variants } from '../../../cache/variants.ts'
import { DEFAULT_HTTP_SETTINGS } from '../../../node/http/http-settings.ts'
import { PLAIN_CONTEXT, type ResponseContext } from '../../../node/http/plan.ts'
import type { Resource } from '../../../node/http/representation.ts'
import type { RequestHead } from '../../../node/http/request-head.ts'
import { representationPath } from '../../../node/http/target.ts'
import { MadeVariants } from '../../../node/server/made-variants.ts'
import type { Resources } from '../../../node/server/resources.ts'
import type { ServingSettings } from '../../../node/server/settings.ts'
import { SiteTable } from '../../../node/server/site-table.ts'
import type { Scheduler } from '../network/clock/scheduler.ts'
import { Random } from '../network/random.ts'

/** One site for every host. */
export const ONE_SITE: ServingSettings = {
  sites: [{ name: '', hosts: [], root: '/', http: DEFAULT_HTTP_SETTINGS }],
  unknownHost: 'default',
  digest: '',
}

const CACHE_OCTETS = 1 << 30
const READ_MS = 1

/** Octets by path, which begins with the site's name; the octets are the seed's, so that every node has the same. */
export function simulatedFiles(
  seed: number,
  sizes: Readonly<Record<string, number>>,
): Map<string, Uint8Array> {
  const key = `${seed} ${JSON.stringify(sizes)}`
  if (latest.key !== key) {
    const random = new Random(seed)
    const octets = (path: string, size: number) =>
      path.endsWith('.txt') ? textOctets(random, size) : random.octets(size)
    const files = new Map(Object.entries(sizes).map(([path, size]) => [path, octets(path, size)]))
    latest = { key, files }
  }
  return new Map(latest.files)
}

/** Many runs in a row have the same files; their octets are never changed. */
let latest: { readonly key: string; readonly files: ReadonlyMap<string, Uint8Array> } = {
  key: '',
  files: new Map(),
}

/** What can be compressed, to about a half. */
function textOctets(random: Random, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, () => 0x61 + random.int(16))
}

export function objectOf(path: string, octets: Uint8Array, streams?: Streams): CachedObject {
  return new CachedObject({
    path,
    etag: `"${octets.length}-${octets[0] ?? 0}"`,
    lastModified: 1_700_000_000,
    lastModifiedStrong: true,
    mediaType: 'application/octet-stream',
    octets: streams?.create(octets.length) ?? octets,
    stamp: '',
  })
}

/** How a node makes variants of text in the background. */
export interface Compressing {
  /** Each node has a library of its own, which makes other octets. */
  readonly quality: number
  /** How long that takes. */
  readonly codeMs: number
}

/** Larger files are streamed, through a pool of so many blocks. */
export interface Streaming {
  readonly aboveOctets: number
  readonly blocks: number
  /** How long a read takes. */
  readonly readMs: number
}

/** A node with little memory, and a disk that reads one file after the other. */
export interface Disk {
  readonly cacheOctets: number
  readonly readMs: number
}

export class SimulatedResources implements Resources {
  readonly store: CacheStore
  readonly streams: Streams
  /** Reads of streams so far, and of files that were not in memory. */
  reads = 0
  fileReads = 0
  /** Every read of a stream from now on finds another version. */
  changed = false
  readonly #files: ReadonlyMap<string, Uint8Array>
  readonly #scheduler: Scheduler
  readonly #sites: SiteTable
  readonly #streaming: Streaming
  readonly #paths = new WeakMap<object, string>()
  readonly made: MadeVariants
  readonly #isCompressing: boolean
  readonly #disk: Disk | undefined
  #diskFreeAt = 0

  constructor(
    files: ReadonlyMap<string, Uint8Array>,
    scheduler: Scheduler,
    serving: ServingSettings,
    streaming?: Streaming,
    compressing?: Compressing,
    disk?: Disk,
  ) {
    this.store = new CacheStore(disk?.cacheOctets ?? CACHE_OCTETS)
    this.#disk = disk
    this.#isCompressing = compressing !== undefined
    this.made = this.#createMade(compressing ?? { quality: 1, codeMs: 0 })
    this.#sites = new SiteTable(serving)
    this.#files = files
    this.#scheduler = scheduler
    this.#streaming = streaming ?? { aboveOctets: Number.POSITIVE_INFINITY, blocks: 1, readMs: READ_MS }
    this.streams = new Streams(new BlockPool(this.#streaming.blocks * BLOCK_OCTETS))
    this.streams.onWork = () => scheduler.after(0, () => this.#readOn())
  }

  #createMade({ quality, codeMs }: Compressing): MadeVariants {
    return new MadeVariants({
      store: this.store,
      now: () => this.#scheduler.now,
      soon: work => void this.#scheduler.after(0, work),
      code: (octets, _coding, done) => {
        const params = { [constants.BROTLI_PARAM_QUALITY]: quality }
        this.#scheduler.after(codeMs, () => done(Uint8Array.from(brotliCompressSync(octets, { params }))))
      },
      tag: (octets, done) => done(`"${createHash('sha256').update(octets).digest('base64url')}"`),
      load: (path, etag, done) => this.loadVersion(path, etag, done, 0),
    })
  }

  #readOn(): void {
    for (let read = this.streams.nextRead(); read !== undefined; read = this.streams.nextRead()) {
      const begun = read
      this.#scheduler.after(this.#streaming.readMs, () => this.#finish(begun))
    }
  }

  #finish(read: StreamRead): void {
    this.reads++
    const octets = this.#files.get(this.#paths.get(read.stream) as string) as Uint8Array
    for (const [index, block] of read.blocks.entries()) {
      const from = read.offset + index * BLOCK_OCTETS
      block.octets.set(octets.subarray(from, from + BLOCK_OCTETS))
    }
    this.streams.finished(read, this.changed ? 'gone' : 'read')
  }

  pathOf(head: RequestHead): string | 400 | 404 | 421 {
    return this.#sites.pathOf(head)
  }

  heldAs(path: string): string {
    return this.#sites.heldAs(path)
  }

  find(head: RequestHead): Resource<CachedObject> | undefined {
    const path = this.pathOf(head)
    if (typeof path === 'number') return { kind: 'refused', status: path }
    const entry = this.store.peek(representationPath(path))
    if (entry !== undefined) this.store.use(entry)
    return entry?.object
  }

  context(): ResponseContext {
    return PLAIN_CONTEXT
  }

  load(path: string, done: (resource: Resource<CachedObject>) => void): void {
    this.#afterRead(() => done(this.#read(representationPath(path)) ?? { kind: 'missing' }))
  }

  loadVersion(
    path: string,
    etag: string,
    done: (object: CachedObject | undefined) => void,
    from: number,
  ): void {
    if (splitMadePath(path) !== undefined) return this.made.version(path, etag, done, from)
    this.#afterRead(() => {
      const object = this.#read(path)
      done(object?.etag === etag ? object : undefined)
    })
  }

  read(object: CachedObject, offset: number, done: (ok: boolean) => void): void {
    if (object.stream === undefined) done(true)
    else object.stream.want(offset, done)
  }

  #afterRead(done: () => void): void {
    if (this.#disk === undefined) {
      this.#scheduler.after(READ_MS, done)
      return
    }
    const { now } = this.#scheduler
    this.#diskFreeAt = Math.max(now, this.#diskFreeAt) + this.#disk.readMs
    this.#scheduler.after(this.#diskFreeAt - now, done)
  }

  #read(path: string): CachedObject | undefined {
    const held = this.store.peek(path)?.object
    if (held !== undefined) return held
    const octets = this.#files.get(path)
    if (octets === undefined) return undefined
    this.fileReads++
    const streamed = octets.length > this.#streaming.aboveOctets
    const object = objectOf(path, octets, streamed ? this.streams : undefined)
    if (object.stream !== undefined) this.#paths.set(object.stream, path)
    this.store.put(object, this.#scheduler.now)
    if (this.#isCompressing && path.endsWith('.txt')) {
      object.variants = new Variants(object, [], ['br'], this.made)
    }
    const content = path.endsWith('.br') ? undefined : this.#read(`${path}.br`)
    if (content !== undefined) object.variants = new Variants(object, [{ coding: 'br', content }])
    return object
  }
}
