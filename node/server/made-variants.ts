/**
 * Coded variants of files that nobody put beside them: made in the background, once for the cluster. Coders differ
 * between versions of their libraries, so a variant is named by the digest of its octets, and every node sends those of
 * one maker: of the nodes that are up, the one that the file's name and version point to. The others fetch the octets
 * from it; a connection that moves in the middle of one brings its name, and the target fetches it from the source.
 * Whoever cannot have a variant sends the file as it is. Sans-IO: coding, hashing and links are the caller's.
 */
import type { CachedObject } from '../../cache/cached-object.ts'
import type { CacheStore } from '../../cache/store.ts'
import {
  type CodedFile,
  madeObject,
  madePath,
  splitMadePath,
  type VariantMaker,
} from '../../cache/variants.ts'
import type { ContentCoding } from '../http/content-coding.ts'
import {
  FIRST_PIECE_MS,
  MAX_CODED_OCTETS,
  MAX_CODED_PATH_CHARS,
  MAX_CODING,
  MAX_MADE_JOBS,
  MAX_MADE_WAITERS,
  MIN_CODED_OCTETS,
  NEXT_PIECE_MS,
  WORTH_SHARE,
} from './made-limits.ts'
import { rankedMakers } from './maker.ts'
import { VariantDownload } from './variant-download.ts'
import {
  decodeVariantMessage,
  encodeVariantMessage,
  PIECE_OCTETS,
  type VariantMessage,
} from './variant-messages.ts'

/** The other nodes. */
export interface VariantPeers {
  readonly id: number
  /** The nodes that can be reached, and ourselves. */
  up(): readonly number[]
  send(to: number, envelope: unknown[]): boolean
  /** `pollAt` may have moved earlier. */
  wake(): void
}

export interface MadeOptions {
  readonly store: CacheStore
  readonly now: () => number
  /** Soon, but never within the call: what is wanted on the packet path begins then. */
  readonly soon: (work: () => void) => void
  /** Away from the packet path; undefined where it failed. */
  readonly code: (
    octets: Uint8Array,
    coding: ContentCoding,
    done: (coded: Uint8Array | undefined) => void,
  ) => void
  readonly tag: (octets: Uint8Array, done: (etag: string) => void) => void
  /** That version of a file. */
  readonly load: (path: string, etag: string, done: (file: CachedObject | undefined) => void) => void
}

export interface MadeCounters {
  /** Made here. */
  made: number
  fetched: number
  declined: number
  failed: number
  /** Of files that were coded here, and of what came of them. */
  fileOctets: number
  codedOctets: number
}

/** What came of a job: a variant, or that it is not worth having, or that it could not be had. */
type Outcome = CachedObject | 'declined' | 'failed'

interface Job {
  readonly file: CachedObject
  readonly coding: ContentCoding
  readonly waiters: ((outcome: Outcome) => void)[]
}

interface Fetch {
  readonly path: string
  readonly coding: ContentCoding
  /** The file's version; '' where the variant's own tag is what is asked for. */
  readonly fileTag: string
  readonly from: number
  readonly download: VariantDownload
  readonly done: (result: VariantDownload | 'declined' | 'failed') => void
  deadline: number
}

const ALONE: VariantPeers = { id: 0, up: () => [0], send: () => false, wake: () => {} }

export class MadeVariants implements VariantMaker {
  readonly counters: MadeCounters = {
    made: 0,
    fetched: 0,
    declined: 0,
    failed: 0,
    fileOctets: 0,
    codedOctets: 0,
  }
  readonly #options: MadeOptions
  #peers = ALONE
  /** By the path and version of the file, and the coding. */
  readonly #jobs = new Map<string, Job>()
  readonly #fetches = new Map<number, Fetch>()
  /** Who waits for that very variant from that node. */
  readonly #versions = new Map<string, ((object: CachedObject | undefined) => void)[]>()
  /** By key, as long as anybody holds them: what left the store is still sent, and may have to move. */
  readonly #living = new Map<string, WeakRef<CachedObject>>()
  readonly #toCode: (() => void)[] = []
  #coding = 0
  #waiters = 0
  #noted = 0
  #token = 0

  constructor(options: MadeOptions) {
    this.#options = options
  }

  /** There are other nodes. */
  join(peers: VariantPeers): void {
    this.#peers = peers
  }

  wanted(file: CachedObject, coding: ContentCoding): boolean {
    if (this.#jobs.size + this.#noted >= MAX_MADE_JOBS) return false
    this.#noted++
    this.#options.soon(() => {
      this.#noted--
      const name = nameOf(file.path, file.etag, coding)
      // Another node may have asked for it meanwhile; or it is made of what the file was before it was read anew.
      const job = this.#jobs.get(name)
      if (job === undefined) this.#begin(name, { file, coding, waiters: [] }, this.#makers(name))
      else if (job.file !== file) file.variants?.retry(coding)
    })
    return true
  }

  /** The variant of such a path under that very tag, from memory or from the node that `from` is; else undefined. */
  version(path: string, etag: string, done: (object: CachedObject | undefined) => void, from: number): void {
    const split = splitMadePath(path)
    const held = this.#held(path, etag)
    if (held !== undefined || split === undefined) return done(held)
    // A node that is drained gives away many connections in the middle of one.
    const name = `${from} ${path}\0${etag}`
    const waiting = this.#versions.get(name)
    if (waiting !== undefined) {
      waiting.push(done)
      return
    }
    const all = [done]
    this.#versions.set(name, all)
    this.#fetchVersion(split, etag, from, object => {
      this.#versions.delete(name)
      for (const one of all) one(object)
    })
  }

  #fetchVersion(
    { file, coding }: { readonly file: string; readonly coding: ContentCoding },
    etag: string,
    from: number,
    done: (object: CachedObject | undefined) => void,
  ): void {
    const download = new VariantDownload(etag)
    this.#fetch({ path: file, coding, fileTag: '', from, download }, result => {
      if (typeof result === 'string') return done(undefined)
      this.#verified(result, octets => {
        if (octets === undefined) return done(undefined)
        this.counters.fetched++
        const current = this.#options.store.peek(file)?.object
        // Without its file it is good for the rest of one response, and for nothing else.
        done(this.#keep(current?.etag === result.fileTag ? current : undefined, file, coding, octets, etag))
      })
    })
  }

  receive(from: number, plain: readonly unknown[], now: number): void {
    const message = decodeVariantMessage(plain)
    if (message?.type === 'WANT') this.#serve(from, message)
    else if (message !== undefined) this.#answered(from, message, now)
  }

  peerDown(id: number): void {
    for (const [token, fetch] of this.#fetches) if (fetch.from === id) this.#settle(token, fetch, 'failed')
  }

  pollAt(): number {
    let at = Number.POSITIVE_INFINITY
    for (const { deadline } of this.#fetches.values()) at = Math.min(at, deadline)
    return at
  }

  poll(now: number): void {
    for (const [token, fetch] of this.#fetches)
      if (fetch.deadline <= now) this.#settle(token, fetch, 'failed')
  }

  #makers(name: string): readonly number[] {
    return rankedMakers(name, this.#peers.up())
  }

  /** Asks one maker after the other, ourselves when it is our turn. */
  #begin(name: string, job: Job, makers: readonly number[]): void {
    this.#jobs.set(name, job)
    this.#next(name, job, makers)
  }

  #next(name: string, job: Job, makers: readonly number[]): void {
    const { file, coding } = job
    const held = this.#options.store.peek(madePath(file.path, coding))?.object
    if (held?.stamp === file.etag) return this.#finish(name, job, held)
    const [maker = this.#peers.id, ...others] = makers
    if (maker === this.#peers.id) return this.#make(name, job)
    const download = new VariantDownload('')
    this.#fetch({ path: file.path, coding, fileTag: file.etag, from: maker, download }, result => {
      if (result === 'declined') return this.#finish(name, job, 'declined')
      if (result === 'failed') return this.#next(name, job, others)
      this.#verified(result, octets => {
        if (octets === undefined) return this.#next(name, job, others)
        this.counters.fetched++
        this.#finish(name, job, this.#keep(file, file.path, coding, octets, result.tag))
      })
    })
  }

  #make(name: string, job: Job): void {
    this.#toCode.push(() => {
      const { file, coding } = job
      this.#options.code(file.octets, coding, coded => {
        this.#coding--
        this.#codeNext()
        if (coded === undefined) return this.#finish(name, job, 'failed')
        if (coded.length > file.length * WORTH_SHARE) return this.#finish(name, job, 'declined')
        this.#options.tag(coded, etag => {
          this.counters.made++
          this.counters.fileOctets += file.length
          this.counters.codedOctets += coded.length
          this.#finish(name, job, this.#keep(file, file.path, coding, coded, etag))
        })
      })
    })
    this.#codeNext()
  }

  #codeNext(): void {
    if (this.#coding >= MAX_CODING) return
    const work = this.#toCode.shift()
    if (work === undefined) return
    this.#coding++
    work()
  }

  #finish(name: string, job: Job, outcome: Outcome): void {
    const { file, coding, waiters } = job
    this.#jobs.delete(name)
    if (outcome === 'declined') {
      this.counters.declined++
      file.variants?.decline(coding)
    } else if (outcome === 'failed') {
      this.counters.failed++
      file.variants?.retry(coding)
    } else file.variants?.take(coding, this.#options.store.peek(outcome.path))
    for (const waiter of waiters) waiter(outcome)
  }

  /** The octets of a download, if they are what their tag says. */
  #verified(download: VariantDownload, done: (octets: Uint8Array | undefined) => void): void {
    const octets = download.octets as Uint8Array
    this.#options.tag(octets, etag => done(etag === download.tag ? octets : undefined))
  }

  /** Into the store where the file is the one that it was made of. */
  #keep(
    file: CachedObject | undefined,
    path: string,
    coding: ContentCoding,
    octets: Uint8Array,
    etag: string,
  ): CachedObject {
    const object = madeObject(file ?? unknownFile(path), coding, octets, etag)
    const { store } = this.#options
    if (file !== undefined && store.peek(path)?.object === file) {
      store.put(object, this.#options.now())
      file.variants?.take(coding, store.peek(object.path))
    }
    for (const [key, living] of this.#living) if (living.deref() === undefined) this.#living.delete(key)
    this.#living.set(object.key, new WeakRef(object))
    return object
  }

  #held(path: string, etag: string): CachedObject | undefined {
    const object = this.#options.store.peek(path)?.object
    return object?.etag === etag ? object : this.#living.get(`${path}\0${etag}`)?.deref()
  }

  #fetch(fetch: Omit<Fetch, 'done' | 'deadline'>, done: Fetch['done']): void {
    if (this.#fetches.size >= 2 * MAX_MADE_JOBS) return done('failed')
    const token = this.#token++
    const asked: Fetch = { ...fetch, done, deadline: this.#options.now() + FIRST_PIECE_MS }
    this.#fetches.set(token, asked)
    this.#ask(token, asked)
  }

  #ask(token: number, fetch: Fetch): void {
    const { path, coding, fileTag, from, download } = fetch
    const { tag, offset } = download
    const want = { type: 'WANT', token, path, coding, fileTag, tag, offset } as const
    if (this.#peers.send(from, encodeVariantMessage(want))) this.#peers.wake()
    else this.#settle(token, fetch, 'failed')
  }

  #answered(from: number, message: Exclude<VariantMessage, { type: 'WANT' }>, now: number): void {
    const fetch = this.#fetches.get(message.token)
    if (fetch === undefined || fetch.from !== from) return
    if (message.type === 'NONE') {
      return this.#settle(message.token, fetch, message.declined ? 'declined' : 'failed')
    }
    const { download } = fetch
    const isOther = fetch.fileTag !== '' && message.fileTag !== fetch.fileTag
    switch (isOther ? 'foreign' : download.took(message)) {
      case 'foreign':
        return this.#settle(message.token, fetch, 'failed')
      case 'whole':
        return this.#settle(message.token, fetch, download)
      case 'more':
        fetch.deadline = now + NEXT_PIECE_MS
        this.#ask(message.token, fetch)
    }
  }

  #settle(token: number, fetch: Fetch, result: VariantDownload | 'declined' | 'failed'): void {
    this.#fetches.delete(token)
    fetch.done(result)
  }

  /** Answers another node: with a piece of what there is, or of what is made now because it asks. */
  #serve(to: number, want: Extract<VariantMessage, { type: 'WANT' }>): void {
    const { token, path, coding, fileTag, tag, offset } = want
    const made = madePath(path, coding)
    const known = this.#options.store.peek(made)?.object
    const held = tag !== '' ? this.#held(made, tag) : known?.stamp === fileTag ? known : undefined
    if (held !== undefined) return this.#sendPiece(to, token, held, offset)
    // Not a piece of something else: what was being fetched is gone.
    if (tag !== '' || offset > 0 || this.#waiters >= MAX_MADE_WAITERS) return this.#sendNone(to, token, false)
    this.#waiters++
    this.#options.load(path, fileTag, file => {
      if (file === undefined || !isCodable(file)) {
        this.#waiters--
        return this.#sendNone(to, token, false)
      }
      this.#await(file, coding, outcome => {
        this.#waiters--
        if (typeof outcome === 'string') this.#sendNone(to, token, outcome === 'declined')
        else this.#sendPiece(to, token, outcome, 0)
      })
    })
  }

  /** Made here, whoever else is thought to be its maker: two nodes may not yet agree who is up. */
  #await(file: CachedObject, coding: ContentCoding, done: (outcome: Outcome) => void): void {
    const name = nameOf(file.path, file.etag, coding)
    const job = this.#jobs.get(name)
    if (job !== undefined) job.waiters.push(done)
    else if (this.#jobs.size >= MAX_MADE_JOBS) done('failed')
    else this.#begin(name, { file, coding, waiters: [done] }, [])
  }

  #sendPiece(to: number, token: number, object: CachedObject, offset: number): void {
    const octets = object.octets.subarray(offset, offset + PIECE_OCTETS)
    const { stamp: fileTag, etag: tag, length: total } = object
    this.#peers.send(to, encodeVariantMessage({ type: 'PIECE', token, fileTag, tag, total, octets }))
  }

  #sendNone(to: number, token: number, declined: boolean): void {
    this.#peers.send(to, encodeVariantMessage({ type: 'NONE', token, declined }))
  }
}

/** Whether a variant of the file may be worth having. */
export function isCodable({ stream, length, path }: CachedObject): boolean {
  const hasSize = length >= MIN_CODED_OCTETS && length <= MAX_CODED_OCTETS
  return stream === undefined && hasSize && path.length <= MAX_CODED_PATH_CHARS
}

function nameOf(path: string, etag: string, coding: ContentCoding): string {
  return `${coding} ${path}\0${etag}`
}

function unknownFile(path: string): CodedFile {
  return { path, lastModified: 0, lastModifiedStrong: false, mediaType: '', cacheFields: '', etag: '' }
}
