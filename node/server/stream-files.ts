/**
 * The reading behind streams: descriptors of large files, bounded in number, and the reads that streams ask for. After
 * every read the open file is compared with the version that the stream is, so that no response is half of one
 * version and half of another. A file that was replaced by rename goes on to be read through its descriptor.
 */
import type { BigIntStats } from 'node:fs'
import type { ReadOutcome, Stream, StreamRead, Streams } from '../../cache/stream.ts'
import { isUnchanged, type OpenHandle } from './file-access.ts'
import { poolThreads, streamReads } from './threads.ts'

/** Reads under way, of all files. */
const MAX_PARALLEL_READS = streamReads(poolThreads(process.env))
/** Descriptors of streams, below the usual limit of 1,024 for a process; past it the one used least recently is closed. */
export const MAX_STREAM_FILES = 512
/**
 * A descriptor is closed when nothing was read through it for so long, and opened again by its path when needed; a
 * version that was replaced meanwhile is lost then. The slowest reader whom the site bears (500 octets a second, 60 s of
 * grace) has had a block within this time.
 */
export const IDLE_FILE_MS = 200_000

/** What the loader of a file does for its stream. */
export interface StreamSource {
  /** Opens the file if it is the version that `facts` are of, else undefined. */
  reopen(facts: BigIntStats): Promise<OpenHandle | undefined>
  /** The version was found to be gone. */
  gone(): void
}

interface StreamFile {
  readonly source: StreamSource
  /** As it was when it was hashed. A name that it loses is noted in it. */
  facts: BigIntStats
  handle: OpenHandle | undefined
  opening: Promise<OpenHandle | undefined> | undefined
  reads: number
  usedAt: number
}

export class StreamFiles {
  readonly counters = { reads: 0, readOctets: 0, failed: 0, gone: 0, reopened: 0 }
  readonly #streams: Streams
  readonly #files = new WeakMap<Stream, StreamFile>()
  /** With an open descriptor; the least recently used first. */
  readonly #open = new Set<StreamFile>()
  #reading = 0
  #pumping = false
  #sweep: NodeJS.Timeout | undefined

  constructor(streams: Streams) {
    this.#streams = streams
    streams.onWork = () => this.#soon()
  }

  get openFiles(): number {
    return this.#open.size
  }

  /** Makes the file of an open descriptor a stream; the descriptor is ours from now on. */
  create(handle: OpenHandle, facts: BigIntStats, source: StreamSource): Stream {
    const stream = this.#streams.create(Number(facts.size))
    const file: StreamFile = { source, facts, handle: undefined, opening: undefined, reads: 0, usedAt: 0 }
    this.#files.set(stream, file)
    this.#keep(file, handle)
    return stream
  }

  /** A stream that nobody has used and nobody will. */
  discard(stream: Stream): void {
    const file = this.#files.get(stream)
    if (file !== undefined) this.#close(file)
  }

  /** Whether the version can be read still; if so, it can for `IDLE_FILE_MS`. */
  async alive(stream: Stream): Promise<boolean> {
    const file = this.#files.get(stream)
    if (file === undefined || stream.gone) return false
    try {
      const handle = await this.#handleOf(file)
      return handle !== undefined && isUnchanged(file.facts, await handle.stat({ bigint: true }))
    } catch {
      return false
    }
  }

  /** Closes descriptors that nobody reads through, for others that need them; returns how many. */
  shed(): number {
    const before = this.#open.size
    for (const file of [...this.#open].slice(0, Math.ceil(before / 2))) this.#close(file)
    return before - this.#open.size
  }

  /** Ends all reading; streams fail from now on. */
  close(): void {
    clearTimeout(this.#sweep)
    for (const file of this.#open) this.#close(file)
  }

  /** Never within a call of the packet path: blocks may be taken whose octets a batch at hand refers to. */
  #soon(): void {
    if (this.#pumping) return
    this.#pumping = true
    setImmediate(() => {
      this.#pumping = false
      this.#pump()
    })
  }

  #pump(): void {
    while (this.#reading < MAX_PARALLEL_READS) {
      const read = this.#streams.nextRead()
      if (read === undefined) return
      this.#reading++
      void this.#read(read)
    }
  }

  async #read(read: StreamRead): Promise<void> {
    const file = this.#files.get(read.stream) as StreamFile
    let outcome: ReadOutcome = 'failed'
    try {
      outcome = await this.#fill(file, read)
    } catch {
      // The device, or no descriptor to be had: the readers that wait end, and others may be luckier.
    }
    this.#reading--
    this.counters.reads++
    if (outcome === 'read') this.counters.readOctets += read.octets
    else if (outcome === 'failed') this.counters.failed++
    else if (!read.stream.gone) {
      this.counters.gone++
      file.source.gone()
    }
    this.#streams.finished(read, outcome)
    // Whichever of its reads ends last.
    if (read.stream.gone) this.#close(file)
    this.#pump()
  }

  async #fill(file: StreamFile, read: StreamRead): Promise<ReadOutcome> {
    const handle = await this.#handleOf(file)
    if (handle === undefined) return 'gone'
    file.reads++
    try {
      if (!(await readBlocks(handle, read))) return 'gone'
      const after = await handle.stat({ bigint: true })
      if (!isUnchanged(file.facts, after)) return 'gone'
      if (after.ctimeNs > file.facts.ctimeNs) file.facts = after
      return 'read'
    } finally {
      file.reads--
    }
  }

  async #handleOf(file: StreamFile): Promise<OpenHandle | undefined> {
    if (file.handle !== undefined) {
      this.#keep(file, file.handle)
      return file.handle
    }
    file.opening ??= this.#reopen(file)
    return file.opening
  }

  async #reopen(file: StreamFile): Promise<OpenHandle | undefined> {
    try {
      const handle = await file.source.reopen(file.facts)
      if (handle !== undefined) this.#keep(file, handle)
      this.counters.reopened++
      return handle
    } finally {
      file.opening = undefined
    }
  }

  /** Most recently used from now on. */
  #keep(file: StreamFile, handle: OpenHandle): void {
    file.handle = handle
    file.usedAt = performance.now()
    this.#open.delete(file)
    this.#open.add(file)
    for (const oldest of this.#open) {
      if (this.#open.size <= MAX_STREAM_FILES) break
      if (oldest !== file) this.#close(oldest)
    }
    this.#sweepLater()
  }

  /** Not while something is read through it: then it is soon used again anyway. */
  #close(file: StreamFile): void {
    const { handle } = file
    if (handle === undefined || file.reads > 0) return
    file.handle = undefined
    this.#open.delete(file)
    void handle.close().catch(() => {})
  }

  #sweepLater(): void {
    this.#sweep ??= setTimeout(() => {
      this.#sweep = undefined
      const before = performance.now() - IDLE_FILE_MS
      for (const file of this.#open) if (file.usedAt <= before) this.#close(file)
      if (this.#open.size > 0) this.#sweepLater()
    }, IDLE_FILE_MS / 2).unref()
  }
}

/** Fills the blocks of a read; false where the file is shorter than it was. */
async function readBlocks(handle: OpenHandle, read: StreamRead): Promise<boolean> {
  let views: Uint8Array[] = read.blocks.map(block => block.octets)
  let left = read.octets
  while (left > 0) {
    views = trimmed(views, left)
    const { bytesRead } = await handle.readv(views, read.offset + read.octets - left)
    if (bytesRead === 0) return false
    left -= bytesRead
    views = without(views, bytesRead)
  }
  return true
}

/** The first `octets` of the views. */
function trimmed(views: Uint8Array[], octets: number): Uint8Array[] {
  const kept: Uint8Array[] = []
  let left = octets
  for (const view of views) {
    if (left <= 0) break
    kept.push(view.length > left ? view.subarray(0, left) : view)
    left -= view.length
  }
  return kept
}

/** The views without their first `octets`. */
function without(views: Uint8Array[], octets: number): Uint8Array[] {
  const kept: Uint8Array[] = []
  let skip = octets
  for (const view of views) {
    if (skip < view.length) kept.push(skip > 0 ? view.subarray(skip) : view)
    skip = Math.max(0, skip - view.length)
  }
  return kept
}
