/**
 * Makes cache objects of the files under a document root: one version each, never out of the root; small ones are read
 * whole, large ones become streams once their content was hashed. Loads of one path are shared, their number is bounded. It keeps nothing that it has loaded; what is current, and what the
 * cache holds, is decided in representation-source.ts.
 *
 * Whoever can write under the root can replace a directory while it is looked up; so the file that was opened is
 * judged, not the path: by its true name, which the kernel tells for the descriptor (/proc/self/fd).
 */
import { type BigIntStats, constants, fstatSync, readlinkSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { CachedObject } from '../../cache/cached-object.ts'
import type { Stream } from '../../cache/stream.ts'
import type { Resource } from '../http/representation.ts'
import { INDEX_NAME, isHidden, representationPath } from '../http/target.ts'
import { type ContentTags, type TagOutcome, tagOf, tagOfChunks } from './content-tag.ts'
import { FILE_SYSTEM, type FileAccess, type OpenHandle, stampOf } from './file-access.ts'
import { listingPage } from './listing.ts'
import { mediaTypeOf } from './media-type.ts'
import type { StreamFiles } from './stream-files.ts'

/** Reads at once: libuv has four threads for files and hashes together unless told otherwise. */
export const MAX_PARALLEL_LOADS = 8
/** Paths that wait for their turn; beyond them 'busy'. */
export const MAX_WAITING_LOADS = 1_024
/** Octets asked of the kernel in one read: a thread is never held for longer than these take. */
const READ_OCTETS = 4 * 1_048_576
/** A file that changes under this many attempts is not loaded. */
const MAX_ATTEMPTS = 5
/**
 * The kernel stamps files with a clock of this granularity at most (CONFIG_HZ=100): two writes within it leave one
 * time. A file younger than this is given the time to be told apart. Nobody can help a writer in place that pauses
 * for longer between two halves: sites are best deployed by rename.
 */
const SETTLE_MS = 20
/** How long a request waits for the entity tag of a large file that is seen for the first time, before it is told 503. */
export const MAX_TAG_WAIT_MS = 10_000
/** Larger files are streamed: so many octets, read at once and held whole, are worth sixteen thousand small files. */
export const MAX_WHOLE_OCTETS = 32 * 1_048_576
/** And not more than this part of the cache, so that no file can empty it. */
const WHOLE_DIVISOR = 8

export interface LoaderOptions {
  /** The document root; it must be a directory. */
  readonly root: string
  /** What stands before each path in the names of objects: their site. Default: ''. */
  readonly prefix?: string
  /** Whether so many octets may be loaded now, while `loading` others are on their way: the store's answer. */
  readonly room: (octets: number, loading: number) => boolean
  /** Octets of the cache; a file of more than an eighth of it is streamed. */
  readonly capacityOctets: number
  /** The node's, of all sites. */
  readonly streamFiles: StreamFiles
  readonly tags: ContentTags
  readonly files?: FileAccess
  /** Field lines of a representation by its path. Default: none. */
  readonly linesOf?: (path: string) => string
  /** Of the site, by extension. Default: none. */
  readonly mediaTypes?: Readonly<Record<string, string>>
  /** Whether a directory without an index is represented by a page of what it holds. Default: no. */
  readonly listing?: boolean
  /** Milliseconds since the epoch. */
  readonly wallMs?: () => number
}

export interface LoaderCounters {
  loads: number
  /** Calls that joined a load already under way. */
  shared: number
  loadedOctets: number
  /** Attempts given up because the file changed meanwhile. */
  retries: number
  busy: number
  failed: number
}

export type LoadResult = Resource<CachedObject>

/** What opening a path came to. */
type Opened = OpenFile | { readonly kind: 'directory' } | LoadResult
type Attempt = LoadResult | Untagged | 'changing'

interface OpenFile {
  readonly kind: 'file'
  readonly handle: OpenHandle
  /** As they were before the first octet was read. */
  readonly facts: BigIntStats
  /** The descriptor has a new owner. */
  kept: boolean
}

/** The version has to be hashed first. */
interface Untagged {
  readonly kind: 'untagged'
  readonly path: string
  readonly facts: BigIntStats
}

const MISSING: LoadResult = { kind: 'missing' }
const FORBIDDEN: LoadResult = { kind: 'forbidden' }

/** Names a file without opening it: no device is woken, no writer to a pipe let go on (open(2); not in `fs.constants`). */
const O_PATH = 0o10000000

export class Loader {
  readonly root: string
  readonly counters: LoaderCounters = { loads: 0, shared: 0, loadedOctets: 0, retries: 0, busy: 0, failed: 0 }
  readonly #prefix: string
  readonly tags: ContentTags
  readonly streamFiles: StreamFiles
  /** Told the path of a streamed file that is found to be another one while it is sent. */
  onGone: (path: string) => void = () => {}
  readonly #options: LoaderOptions
  readonly #files: FileAccess
  readonly #linesOf: (path: string) => string
  readonly #listing: boolean
  readonly #wallMs: () => number
  readonly #maxWholeOctets: number
  readonly #loads = new Map<string, Promise<LoadResult>>()
  readonly #waiting: (() => void)[] = []
  /** The root without links, as it was when last looked at. */
  #trueRoot: string
  #active = 0
  #loadingOctets = 0

  private constructor(root: string, trueRoot: string, options: LoaderOptions) {
    this.root = root
    this.#trueRoot = trueRoot
    this.#prefix = options.prefix ?? ''
    this.#options = options
    this.#files = options.files ?? FILE_SYSTEM
    this.#linesOf = options.linesOf ?? (() => '')
    this.#listing = options.listing ?? false
    this.#wallMs = options.wallMs ?? Date.now
    this.#maxWholeOctets = Math.min(MAX_WHOLE_OCTETS, options.capacityOctets / WHOLE_DIVISOR)
    this.streamFiles = options.streamFiles
    this.tags = options.tags
  }

  /** Rejects with the system's error where the root is no directory or cannot be read. */
  static async open(options: LoaderOptions): Promise<Loader> {
    const files = options.files ?? FILE_SYSTEM
    // Opening it as a directory fails with a clear ENOTDIR or EACCES at the start instead of at every request.
    const handle = await files.open(options.root, constants.O_RDONLY | constants.O_DIRECTORY)
    await handle.close()
    const root = resolve(options.root)
    return new Loader(root === '/' ? '' : root, await files.realpath(root), options)
  }

  /** Octets of loads under way. */
  get loadingOctets(): number {
    return this.#loadingOctets
  }

  /**
   * Loads what a normalised path (`normalisePath`) names: the file as it is now, a directory's index, or why there
   * is none. Never rejects. All calls for a path while its load is under way get the same result.
   */
  load(path: string): Promise<LoadResult> {
    const underWay = this.#loads.get(path)
    if (underWay !== undefined) {
      this.counters.shared++
      return underWay
    }
    if (this.#waiting.length >= MAX_WAITING_LOADS) {
      return Promise.resolve(this.#busy(`${MAX_WAITING_LOADS} files are waiting to be read`))
    }
    const load = this.#load(path).finally(() => this.#loads.delete(path))
    this.#loads.set(path, load)
    return load
  }

  /** Whether the file of an object may have changed since it was loaded. Never rejects: what cannot be seen has. */
  async changed(object: CachedObject): Promise<boolean> {
    try {
      const file = this.root + object.path.slice(this.#prefix.length)
      return stampOf(await this.#files.stat(file, { bigint: true })) !== object.stamp
    } catch {
      return true
    }
  }

  /** Loads in turn; a large file that was never seen before is hashed in between, which holds nobody else's turn. */
  async #load(path: string): Promise<LoadResult> {
    const first = await this.#turn(path)
    if (first.kind !== 'untagged') return first
    const { facts } = first
    const job = this.tags.find(stampOf(facts), Number(facts.size), () => this.#hash(first.path, facts))
    if (job === undefined) return this.#busy('too many large files are waiting to be hashed')
    const outcome = await within(MAX_TAG_WAIT_MS, job)
    switch (outcome) {
      case 'late':
        return this.#busy(`${path} is large and being read for the first time`)
      case 'changed':
        return { kind: 'unstable', reason: `${path} changes while it is read` }
      case 'failed':
        this.counters.failed++
        return { kind: 'failed', reason: `${path} cannot be read` }
      case 'known': {
        const second = await this.#turn(path)
        return second.kind === 'untagged' ? this.#busy(`${path} has changed again`) : second
      }
    }
  }

  async #turn(path: string): Promise<LoadResult | Untagged> {
    if (this.#active >= MAX_PARALLEL_LOADS) await new Promise<void>(resolve => this.#waiting.push(resolve))
    else this.#active++
    try {
      this.counters.loads++
      return await this.#loadSettled(path)
    } catch (error) {
      if (isShortage(error)) {
        // Descriptors of idle streams are for those that have none at all; the client comes again.
        this.streamFiles.shed()
        return this.#busy(`${path}: ${(error as Error).message}`)
      }
      this.counters.failed++
      return { kind: 'failed', reason: `${path}: ${(error as Error).message}` }
    } finally {
      // The turn passes to the next that waits, so that the number of active loads never leaves its bound.
      const next = this.#waiting.shift()
      if (next === undefined) this.#active--
      else next()
    }
  }

  #busy(reason: string): LoadResult {
    this.counters.busy++
    return { kind: 'busy', reason }
  }

  async #loadSettled(path: string): Promise<LoadResult | Untagged> {
    for (let attempt = 1; ; attempt++) {
      const result = await this.#attempt(path)
      if (result !== 'changing') return result
      if (attempt === MAX_ATTEMPTS) return { kind: 'unstable', reason: `${path} changes while it is read` }
      this.counters.retries++
      await new Promise(resolve => setTimeout(resolve, SETTLE_MS))
    }
  }

  async #attempt(path: string): Promise<Attempt> {
    let opened = await this.#open(path)
    if (opened.kind === 'directory') {
      if (!path.endsWith('/')) return { kind: 'redirect', path: `${path}/` }
      opened = await this.#open(path + INDEX_NAME)
      // A directory without an index, or whose index is a directory, is there but shows nothing of its own.
      if (opened.kind === 'missing' || opened.kind === 'directory') {
        return this.#listing ? await this.#list(path) : FORBIDDEN
      }
    }
    if (opened.kind !== 'file') return opened as LoadResult
    try {
      return await this.#read(representationPath(path), opened)
    } finally {
      if (!opened.kept) closeSoon(opened.handle)
    }
  }

  /**
   * Opens what the path names and sees that it truly lies under the root; a handle is returned of a regular file alone.
   * What is named is judged before it is opened, through the descriptor that names it: nothing else can be opened.
   */
  async #open(path: string): Promise<Opened> {
    let name: OpenHandle | undefined
    try {
      name = await this.#files.open(this.root + path, O_PATH)
      // What the kernel knows of an open file is at hand: to ask a thread for it would take longer than the answer.
      if (!(await this.#contains(readlinkSync(`/proc/self/fd/${name.fd}`)))) return FORBIDDEN
      const facts = fstatSync(name.fd, { bigint: true })
      if (facts.isDirectory()) return { kind: 'directory' }
      if (!facts.isFile()) return FORBIDDEN
      const handle = await this.#files.open(`/proc/self/fd/${name.fd}`, constants.O_RDONLY)
      return { kind: 'file', handle, facts, kept: false }
    } catch (error) {
      return resultOf(error as NodeJS.ErrnoException)
    } finally {
      closeSoon(name)
    }
  }

  /** The file of a representation, if it is that very version still. */
  async #openVersion(path: string, facts: BigIntStats): Promise<OpenHandle | undefined> {
    const opened = await this.#open(path)
    if (opened.kind !== 'file') return undefined
    if (stampOf(opened.facts) === stampOf(facts)) return opened.handle
    await opened.handle.close()
    return undefined
  }

  /** Whether a true name lies under the root and shows no hidden part: links must not lead where paths cannot. */
  async #contains(trueName: string): Promise<boolean> {
    // A root that is a link is how sites are deployed in one step: it may lead to another directory by now.
    if (!isUnder(this.#trueRoot, trueName)) this.#trueRoot = await this.#files.realpath(`${this.root}/`)
    if (!isUnder(this.#trueRoot, trueName)) return false
    const inside = trueName
      .slice(this.#trueRoot.length)
      .split('/')
      .filter(segment => segment !== '')
    return !inside.some(isHidden)
  }

  /** The page of a directory, under its path with the slash; its stamp is the directory's. */
  async #list(path: string): Promise<LoadResult | 'changing'> {
    const handle = await this.#files.open(this.root + path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      const place = `/proc/self/fd/${handle.fd}`
      if (!(await this.#contains(readlinkSync(place)))) return FORBIDDEN
      const before = await handle.stat({ bigint: true })
      const entries = await readdir(place, { withFileTypes: true })
      if (stampOf(await handle.stat({ bigint: true })) !== stampOf(before)) return 'changing'
      // Links are left out: where they lead may not be served.
      const names = entries
        .filter(entry => entry.isFile() || entry.isDirectory())
        .map(entry => ({ name: entry.name, directory: entry.isDirectory() }))
      const octets = new TextEncoder().encode(listingPage(path, names))
      return new CachedObject({
        path: this.#prefix + path,
        etag: await tagOf(octets),
        lastModified: Math.floor(Math.min(Number(before.mtimeNs / 1_000_000n), this.#wallMs()) / 1_000),
        lastModifiedStrong: false,
        mediaType: 'text/html; charset=utf-8',
        cacheFields: this.#linesOf(path),
        octets,
        stamp: stampOf(before),
      })
    } finally {
      await handle.close()
    }
  }

  async #read(path: string, opened: OpenFile): Promise<Attempt> {
    const { handle, facts: before } = opened
    const startedMs = this.#wallMs()
    const changedMs = Number(before.ctimeNs / 1_000_000n)
    if (changedMs <= startedMs && startedMs - changedMs < SETTLE_MS) return 'changing'
    const size = Number(before.size)
    if (size > this.#maxWholeOctets) return this.#stream(path, opened, startedMs)
    if (!this.#options.room(size, this.#loadingOctets)) {
      return this.#busy(`no memory for the ${size} octets of ${path} while so much is being sent`)
    }
    this.#loadingOctets += size
    try {
      const octets = await readWhole(handle, size)
      const after = fstatSync(handle.fd, { bigint: true })
      if (octets === undefined || stampOf(after) !== stampOf(before)) return 'changing'
      this.counters.loadedOctets += size
      return this.#objectOf(path, octets, await tagOf(octets), before, startedMs)
    } finally {
      this.#loadingOctets -= size
    }
  }

  /** A large file is told by its tag, and then read as it is sent, through the descriptor that is open now. */
  #stream(path: string, opened: OpenFile, startedMs: number): CachedObject | Untagged {
    const { handle, facts } = opened
    const tag = this.tags.get(stampOf(facts))
    if (tag === undefined) return { kind: 'untagged', path, facts }
    opened.kept = true
    const stream = this.streamFiles.create(handle, facts, {
      reopen: version => this.#openVersion(path, version),
      gone: () => this.onGone(this.#prefix + path),
    })
    return this.#objectOf(path, stream, tag, facts, startedMs)
  }

  #objectOf(
    path: string,
    octets: Uint8Array | Stream,
    etag: string,
    facts: BigIntStats,
    startedMs: number,
  ): CachedObject {
    // RFC 9110 §8.8.2.1: never later than the Date of the response.
    const lastModified = Math.floor(Math.min(Number(facts.mtimeNs / 1_000_000n), startedMs) / 1_000)
    return new CachedObject({
      path: this.#prefix + path,
      etag,
      lastModified,
      // §8.8.2.2: a change later in the same second would have gone unnoticed.
      lastModifiedStrong: Math.floor(startedMs / 1_000) > lastModified,
      mediaType: mediaTypeOf(path, this.#options.mediaTypes),
      cacheFields: this.#linesOf(path),
      octets,
      stamp: stampOf(facts),
    })
  }

  /** The tag of a version; undefined where the file is another one by now. */
  async #hash(path: string, facts: BigIntStats): Promise<string | undefined> {
    const handle = await this.#openVersion(path, facts)
    if (handle === undefined) return undefined
    try {
      const tag = await tagOfChunks(Number(facts.size), chunkReader(handle))
      return stampOf(await handle.stat({ bigint: true })) === stampOf(facts) ? tag : undefined
    } finally {
      await handle.close()
    }
  }
}

/** Reads chunks of a file one after the other into the same memory. */
function chunkReader(
  handle: OpenHandle,
): (offset: number, length: number) => Promise<Uint8Array | undefined> {
  let memory = new Uint8Array(0)
  return async (offset, length) => {
    if (memory.length < length) memory = new Uint8Array(length)
    return (await readInto(handle, memory, offset, length)) ? memory.subarray(0, length) : undefined
  }
}

/** What `work` resolves to, or 'late' after `ms`; the work goes on then. */
async function within(ms: number, work: Promise<TagOutcome>): Promise<TagOutcome | 'late'> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>(resolve => {
    timer = setTimeout(() => resolve('late'), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Nobody waits for the end of it. */
function closeSoon(handle: OpenHandle | undefined): void {
  void handle?.close().catch(() => {})
}

/** No descriptors, no memory: for now. */
function isShortage(error: unknown): boolean {
  return ['EMFILE', 'ENFILE', 'ENOMEM'].includes((error as NodeJS.ErrnoException).code ?? '')
}

/** What open(2) says of a path that names nothing that can be served. Other errors are failures, with their cause. */
function resultOf(error: NodeJS.ErrnoException): LoadResult {
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ENAMETOOLONG':
      return MISSING
    case 'EACCES':
    case 'EPERM':
    // A loop of links, a socket, a device without a driver.
    case 'ELOOP':
    case 'ENXIO':
    case 'ENODEV':
      return FORBIDDEN
    default:
      throw error
  }
}

/** Exactly `size` octets, or undefined where there are fewer. */
async function readWhole(handle: OpenHandle, size: number): Promise<Uint8Array | undefined> {
  // Not zeroed first: every octet is either read or the whole is given up.
  const memory = Buffer.allocUnsafeSlow(size)
  // A plain Uint8Array like every other, so that the packet path sees one kind of object.
  const octets = new Uint8Array(memory.buffer, memory.byteOffset, size)
  return (await readInto(handle, octets, 0, size)) ? octets : undefined
}

/** Reads `length` octets at `position` to the beginning of `memory`; false where the file ends before. */
async function readInto(
  handle: OpenHandle,
  memory: Uint8Array,
  position: number,
  length: number,
): Promise<boolean> {
  let at = 0
  while (at < length) {
    const { bytesRead } = await handle.read(memory, at, Math.min(READ_OCTETS, length - at), position + at)
    if (bytesRead === 0) return false
    at += bytesRead
  }
  return true
}

function isUnder(root: string, name: string): boolean {
  return name === root || root === '/' || name.startsWith(`${root}/`)
}
