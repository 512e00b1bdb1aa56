/**
 * Reads files under a document root into cache objects: whole, one version each, never out of the root. Loads of
 * one path are shared, their number is bounded. It keeps nothing that it has loaded; what is current, and what the
 * cache holds, is decided in representation-source.ts.
 *
 * Whoever can write under the root can replace a directory while it is looked up; so the file that was opened is
 * judged, not the path: by its true name, which the kernel tells for the descriptor (/proc/self/fd).
 */
import { webcrypto } from 'node:crypto'
import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, open, readdir, readlink, realpath, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { CachedObject } from '../../cache/cached-object.ts'
import type { Resource } from '../http/representation.ts'
import { INDEX_NAME, isHidden, representationPath } from '../http/target.ts'
import { listingPage } from './listing.ts'
import { mediaTypeOf } from './media-type.ts'

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
/** Octets of the digest in the entity tag: 128 bits, far beyond accident. */
const TAG_OCTETS = 16
/** Hashed at once. The digest copies its input on this thread before a pool thread takes it: about 0.1 ms. */
const TAG_CHUNK_OCTETS = 1_048_576

export interface LoaderOptions {
  /** The document root; it must be a directory. */
  readonly root: string
  /** What stands before each path in the names of objects: their site. Default: ''. */
  readonly prefix?: string
  /** Whether so many octets may be loaded now, while `loading` others are on their way: the store's answer. */
  readonly room: (octets: number, loading: number) => 'room' | 'too-large' | 'overcommitted'
  /** Field lines of a representation by its path. Default: none. */
  readonly linesOf?: (path: string) => string
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

interface OpenFile {
  readonly kind: 'file'
  readonly handle: FileHandle
  /** As they were before the first octet was read. */
  readonly facts: BigIntStats
}

const MISSING: LoadResult = { kind: 'missing' }
const FORBIDDEN: LoadResult = { kind: 'forbidden' }

export class Loader {
  readonly root: string
  readonly counters: LoaderCounters = { loads: 0, shared: 0, loadedOctets: 0, retries: 0, busy: 0, failed: 0 }
  readonly #prefix: string
  readonly #room: LoaderOptions['room']
  readonly #linesOf: (path: string) => string
  readonly #listing: boolean
  readonly #wallMs: () => number
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
    this.#room = options.room
    this.#linesOf = options.linesOf ?? (() => '')
    this.#listing = options.listing ?? false
    this.#wallMs = options.wallMs ?? Date.now
  }

  /** Rejects with the system's error where the root is no directory or cannot be read. */
  static async open(options: LoaderOptions): Promise<Loader> {
    // Opening it as a directory fails with a clear ENOTDIR or EACCES at the start instead of at every request.
    const handle = await open(options.root, constants.O_RDONLY | constants.O_DIRECTORY)
    await handle.close()
    const root = resolve(options.root)
    return new Loader(root === '/' ? '' : root, await realpath(root), options)
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
      this.counters.busy++
      return Promise.resolve({ kind: 'busy', reason: `${MAX_WAITING_LOADS} files are waiting to be read` })
    }
    const load = this.#turn(path)
    this.#loads.set(path, load)
    return load
  }

  /** Whether the file of an object may have changed since it was loaded. Never rejects: what cannot be seen has. */
  async changed(object: CachedObject): Promise<boolean> {
    try {
      const file = this.root + object.path.slice(this.#prefix.length)
      return stampOf(await stat(file, { bigint: true })) !== object.stamp
    } catch {
      return true
    }
  }

  async #turn(path: string): Promise<LoadResult> {
    if (this.#active >= MAX_PARALLEL_LOADS) await new Promise<void>(resolve => this.#waiting.push(resolve))
    else this.#active++
    try {
      this.counters.loads++
      return await this.#loadSettled(path)
    } catch (error) {
      this.counters.failed++
      return { kind: 'failed', reason: `${path}: ${(error as Error).message}` }
    } finally {
      this.#loads.delete(path)
      // The turn passes to the next that waits, so that the number of active loads never leaves its bound.
      const next = this.#waiting.shift()
      if (next === undefined) this.#active--
      else next()
    }
  }

  async #loadSettled(path: string): Promise<LoadResult> {
    for (let attempt = 1; ; attempt++) {
      const result = await this.#attempt(path)
      if (result !== 'changing') return result
      if (attempt === MAX_ATTEMPTS) return { kind: 'unstable', reason: `${path} changes while it is read` }
      this.counters.retries++
      await new Promise(resolve => setTimeout(resolve, SETTLE_MS))
    }
  }

  async #attempt(path: string): Promise<LoadResult | 'changing'> {
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
      await opened.handle.close()
    }
  }

  /** Opens what the path names and sees that it truly lies under the root; a handle is returned of a regular file alone. */
  async #open(path: string): Promise<Opened> {
    let handle: FileHandle
    try {
      // O_NONBLOCK: a named pipe would hold the thread until somebody writes into it.
      handle = await open(this.root + path, constants.O_RDONLY | constants.O_NONBLOCK)
    } catch (error) {
      return resultOf(error as NodeJS.ErrnoException)
    }
    let keep = false
    try {
      const trueName = await readlink(`/proc/self/fd/${handle.fd}`)
      if (!(await this.#contains(trueName))) return FORBIDDEN
      const facts = await handle.stat({ bigint: true })
      if (facts.isDirectory()) return { kind: 'directory' }
      if (!facts.isFile()) return FORBIDDEN
      keep = true
      return { kind: 'file', handle, facts }
    } finally {
      if (!keep) await handle.close()
    }
  }

  /** Whether a true name lies under the root and shows no hidden part: links must not lead where paths cannot. */
  async #contains(trueName: string): Promise<boolean> {
    // A root that is a link is how sites are deployed in one step: it may lead to another directory by now.
    if (!isUnder(this.#trueRoot, trueName)) this.#trueRoot = await realpath(`${this.root}/`)
    if (!isUnder(this.#trueRoot, trueName)) return false
    const inside = trueName
      .slice(this.#trueRoot.length)
      .split('/')
      .filter(segment => segment !== '')
    return !inside.some(isHidden)
  }

  /** The page of a directory, under its path with the slash; its stamp is the directory's. */
  async #list(path: string): Promise<LoadResult | 'changing'> {
    const handle = await open(this.root + path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      const place = `/proc/self/fd/${handle.fd}`
      if (!(await this.#contains(await readlink(place)))) return FORBIDDEN
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

  async #read(path: string, { handle, facts: before }: OpenFile): Promise<LoadResult | 'changing'> {
    const startedMs = this.#wallMs()
    const changedMs = Number(before.ctimeNs / 1_000_000n)
    if (changedMs <= startedMs && startedMs - changedMs < SETTLE_MS) return 'changing'
    const size = Number(before.size)
    const room = this.#room(size, this.#loadingOctets)
    if (room !== 'room') return this.#refuse(path, size, room)
    this.#loadingOctets += size
    try {
      const octets = await readWhole(handle, size)
      const after = await handle.stat({ bigint: true })
      if (octets === undefined || stampOf(after) !== stampOf(before)) return 'changing'
      this.counters.loadedOctets += size
      // RFC 9110 §8.8.2.1: never later than the Date of the response.
      const lastModified = Math.floor(Math.min(Number(before.mtimeNs / 1_000_000n), startedMs) / 1_000)
      return new CachedObject({
        path: this.#prefix + path,
        etag: await tagOf(octets),
        lastModified,
        // §8.8.2.2: a change later in the same second would have gone unnoticed.
        lastModifiedStrong: Math.floor(startedMs / 1_000) > lastModified,
        mediaType: mediaTypeOf(path),
        cacheFields: this.#linesOf(path),
        octets,
        stamp: stampOf(after),
      })
    } finally {
      this.#loadingOctets -= size
    }
  }

  #refuse(path: string, size: number, room: 'too-large' | 'overcommitted'): LoadResult {
    if (room === 'too-large') {
      return { kind: 'too-large', reason: `${path} has ${size} octets, more than the cache may hold` }
    }
    this.counters.busy++
    return { kind: 'busy', reason: `no memory for the ${size} octets of ${path} while so much is being sent` }
  }
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

/** Equal stamps: the same file, not written since. The change time tells even where the modification time was set back. */
function stampOf(facts: BigIntStats): string {
  return `${facts.dev}.${facts.ino}.${facts.size}.${facts.mtimeNs}.${facts.ctimeNs}`
}

/** Exactly `size` octets and the end of the file after them, or undefined. */
async function readWhole(handle: FileHandle, size: number): Promise<Uint8Array | undefined> {
  // Not zeroed first: every octet is either read or the whole is given up.
  const memory = Buffer.allocUnsafeSlow(size)
  let at = 0
  while (at < size) {
    const { bytesRead } = await handle.read(memory, at, Math.min(READ_OCTETS, size - at), at)
    if (bytesRead === 0) return undefined
    at += bytesRead
  }
  // A plain Uint8Array like every other, so that the packet path sees one kind of object.
  return new Uint8Array(memory.buffer, memory.byteOffset, size)
}

/**
 * A strong entity tag from the content alone: equal on every node, and in every run (RFC 9110 §8.8.3). Content of
 * several chunks is named by the digest of their digests, so that no file keeps this thread from its packets.
 */
async function tagOf(octets: Uint8Array): Promise<string> {
  let digest: ArrayBuffer
  if (octets.length <= TAG_CHUNK_OCTETS) digest = await webcrypto.subtle.digest('SHA-256', octets)
  else {
    const digests: Buffer[] = []
    for (let at = 0; at < octets.length; at += TAG_CHUNK_OCTETS) {
      const chunk = octets.subarray(at, at + TAG_CHUNK_OCTETS)
      digests.push(Buffer.from(await webcrypto.subtle.digest('SHA-256', chunk)))
    }
    digest = await webcrypto.subtle.digest('SHA-256', Buffer.concat(digests))
  }
  return `"${Buffer.from(digest, 0, TAG_OCTETS).toString('base64url')}"`
}

function isUnder(root: string, name: string): boolean {
  return name === root || root === '/' || name.startsWith(`${root}/`)
}
