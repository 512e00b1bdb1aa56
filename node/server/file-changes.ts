/**
 * Tells a site which of its files may have changed, soon after they did: the directories of what is in the cache are
 * watched, and what is noticed is collected until there is a pause, so that a deployment of ten thousand files is a few
 * rounds and not a storm of reads. It only hastens what the site finds out by itself when a file is used.
 */
import type { watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import { SUFFIXES } from '../http/content-coding.ts'
import { INDEX_NAME } from '../http/target.ts'
import { DirectoryWatch } from './directory-watch.ts'

/** Of all sites of a node. The kernel gives a user 8,192 or more, and takes about 1 KiB for each. */
export const MAX_WATCHED_DIRECTORIES = 1_024
/** What is noticed is told when nothing more was for so long, */
const QUIET_MS = 50
/** or so long after the first of it. */
const MAX_HELD_MS = 500
/** Names held; beyond them all that is in the cache is looked at. */
export const MAX_NOTICED = 16_384
/** Files looked at at once: requests have the other threads. */
const MAX_LOOKS = 2
/** In one round: more are not read again but dropped, and read when somebody asks. */
export const MAX_RELOADS = 128

/** What came of watching, of all sites of a node, since its start. */
export interface WatchCounters {
  /** Notices of the kernel. */
  events: number
  /** Those of something that is in the cache, or known to be missing. */
  noticed: number
  rounds: number
  /** Watches that were not to be had, or were lost. */
  failed: number
}

export interface Watching extends Readonly<WatchCounters> {
  /** Directories that are watched now. */
  readonly directories: number
}

export function createWatchCounters(): WatchCounters {
  return { events: 0, noticed: 0, rounds: 0, failed: 0 }
}

export interface FileChangesOptions {
  /** The root, absolute. */
  readonly root: string
  readonly max: number
  /** Paths within the site of all that is in the cache. */
  readonly cached: () => Iterable<string>
  /** What is remembered of paths that had no file may be wrong. */
  readonly forget: () => void
  /** Whether something is known of a path: an object in the cache, or that there is none. */
  readonly isKnown: (path: string) => boolean
  /** Looks at the file of a path that is known; `isMany`: if it changed, it is not worth reading now. */
  readonly look: (path: string, isMany: boolean) => Promise<void>
  /** A round is over, and the cache holds what is true. */
  readonly settled: () => void
  readonly counters: WatchCounters
  readonly watch?: typeof watch
}

export class FileChanges {
  readonly #options: FileChangesOptions
  readonly #directories: DirectoryWatch
  #noticed = new Set<string>()
  #everything = false
  #heldSince = 0
  #timer: NodeJS.Timeout | undefined
  #isDue = false
  #isLooking = false
  #closed: boolean

  constructor(options: FileChangesOptions) {
    this.#options = options
    this.#directories = new DirectoryWatch({
      max: options.max,
      counters: options.counters,
      onEvent: (directory, name, kind) => this.#event(directory, name, kind),
      ...(options.watch === undefined ? {} : { watch: options.watch }),
    })
    // The root of the file system has no name by which it could be replaced, and is nobody's site.
    this.#closed = options.root === ''
    this.#watchRoot()
  }

  get watched(): number {
    return this.#directories.size
  }

  /** An object of this path came into the cache. */
  stored(path: string): void {
    if (this.#closed) return
    this.#watchRoot()
    // And those above it, which tell when it is replaced as a whole.
    for (let end = path.indexOf('/'); end >= 0; end = path.indexOf('/', end + 1)) {
      this.#directories.want(this.#options.root + path.slice(0, end))
    }
  }

  /** A root that is a link is how sites are deployed in one step: the directory that holds it tells of it. */
  #watchRoot(): void {
    if (!this.#closed) this.#directories.want(dirname(this.#options.root))
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#directories.close()
  }

  #event(directory: string, name: string | undefined, kind: 'rename' | 'change'): void {
    const { root } = this.#options
    if (directory === dirname(root) && directory !== root) {
      if (name === undefined || name === basename(root)) this.#moved(root)
      return
    }
    const inside = directory.slice(root.length)
    if (name === undefined) return this.#moved(directory)
    // What is hidden is not served: as the files that rsync writes before it renames them.
    if (name.startsWith('.') && name !== '.well-known') return
    const path = `${inside}/${name}`
    if (kind === 'rename' && this.#directories.below(root + path).length > 0) return this.#moved(root + path)
    for (const suffix of Object.values(SUFFIXES)) {
      if (path.endsWith(suffix)) this.#notice(path.slice(0, -suffix.length))
    }
    if (name === INDEX_NAME || kind === 'rename') this.#notice(`${inside}/`)
    if (name === INDEX_NAME) this.#notice(inside)
    this.#notice(path)
  }

  /** A directory is another one now: what was watched is not what lies there. */
  #moved(directory: string): void {
    for (const one of this.#directories.below(directory)) this.#directories.drop(one)
    this.#everything = true
    this.#soon()
  }

  #notice(path: string): void {
    if (!this.#options.isKnown(path)) return
    this.#options.counters.noticed++
    if (this.#noticed.size >= MAX_NOTICED) this.#everything = true
    else this.#noticed.add(path)
    this.#soon()
  }

  #soon(): void {
    if (this.#closed) return
    const now = performance.now()
    if (this.#timer === undefined) this.#heldSince = now
    else if (now - this.#heldSince > MAX_HELD_MS - QUIET_MS) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#tell(), QUIET_MS).unref()
  }

  /** One round after the other: what is noticed while one goes on is the next one's. */
  async #tell(): Promise<void> {
    this.#timer = undefined
    this.#isDue = true
    if (this.#isLooking) return
    this.#isLooking = true
    while (this.#isDue && !this.#closed) {
      this.#isDue = false
      await this.#look(this.#take())
    }
    this.#isLooking = false
  }

  #take(): readonly string[] {
    if (this.#everything) this.#options.forget()
    const paths = [...(this.#everything ? this.#options.cached() : this.#noticed)]
    this.#noticed = new Set()
    this.#everything = false
    return paths
  }

  async #look(paths: readonly string[]): Promise<void> {
    this.#options.counters.rounds++
    const isMany = paths.length > MAX_RELOADS
    let next = 0
    const work = async () => {
      for (let path = paths[next++]; path !== undefined && !this.#closed; path = paths[next++]) {
        await this.#options.look(path, isMany)
        // Those that did not change keep their place; their directory may be another.
        if (this.#options.isKnown(path)) this.stored(path)
      }
    }
    await Promise.all(Array.from({ length: MAX_LOOKS }, work))
    this.#options.settled()
  }
}
