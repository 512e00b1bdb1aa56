/**
 * Entity tags from the content of files alone (RFC 9110 §8.8.3): equal on every node, and in every run. Content of
 * several chunks is named by the digest of their digests, so that a file of any length is read once in small pieces,
 * and no digest keeps this thread from its packets.
 */
import { createHash, webcrypto } from 'node:crypto'

/** Octets of the digest in the entity tag: 128 bits, far beyond accident. */
const TAG_OCTETS = 16
/** Hashed at once. The digest copies its input on this thread before a pool thread takes it: about 0.1 ms. */
const TAG_CHUNK_OCTETS = 1_048_576
/** Hashed on this thread: 20 µs. */
const MAX_SYNC_OCTETS = 16_384
/** Files hashed at once: each holds up to two of the threads that files are read by. */
export const MAX_PARALLEL_TAGS = 2
/** Files that wait to be hashed. */
export const MAX_WAITING_TAGS = 256
/** Tags remembered by version: about 20 MB. What is forgotten is hashed again. */
export const MAX_REMEMBERED_TAGS = 65_536

/** The tag of octets in memory. */
export async function tagOf(octets: Uint8Array): Promise<string> {
  // A thread would have to be woken for it, and this one after it.
  if (octets.length <= MAX_SYNC_OCTETS) return tagText(createHash('sha256').update(octets).digest())
  if (octets.length <= TAG_CHUNK_OCTETS) return tagText(await webcrypto.subtle.digest('SHA-256', octets))
  return tagOfChunks(octets.length, async (offset, length) =>
    octets.subarray(offset, offset + length),
  ) as Promise<string>
}

/** Reads what is hashed: exactly `length` octets at `offset`, or undefined where there are not so many. */
type ReadChunk = (offset: number, length: number) => Promise<Uint8Array | undefined>

/** The tag of `size` octets that are read in turn; undefined where they are fewer. A chunk's memory may be reused for the next. */
export async function tagOfChunks(size: number, read: ReadChunk): Promise<string | undefined> {
  const all = createHash('sha256')
  let digest: Promise<ArrayBuffer> | undefined
  for (let at = 0; at < size || at === 0; at += TAG_CHUNK_OCTETS) {
    // The next chunk is read while this one is hashed.
    const chunk = await read(at, Math.min(TAG_CHUNK_OCTETS, size - at))
    if (digest !== undefined) all.update(Buffer.from(await digest))
    if (chunk === undefined) return undefined
    digest = webcrypto.subtle.digest('SHA-256', chunk)
  }
  const last = (await digest) as ArrayBuffer
  if (size <= TAG_CHUNK_OCTETS) return tagText(last)
  return tagText(all.update(Buffer.from(last)).digest())
}

function tagText(digest: ArrayBuffer | Buffer): string {
  return `"${Buffer.from(digest as ArrayBuffer).toString('base64url', 0, TAG_OCTETS)}"`
}

/** What hashing a version came to: 'changed' where the file is another one by now. */
export type TagOutcome = 'known' | 'changed' | 'failed'

interface TagJob {
  readonly stamp: string
  readonly size: number
  readonly run: () => Promise<string | undefined>
  readonly done: (outcome: TagOutcome) => void
}

/** The tags of versions that are too large to be hashed while they are loaded: hashed once each, a few at a time. */
export class ContentTags {
  readonly #known = new Map<string, string>()
  readonly #jobs = new Map<string, Promise<TagOutcome>>()
  readonly #waiting: TagJob[] = []
  #active = 0
  /** For the operator: how much was hashed, and in how much time. */
  readonly counters = { hashedOctets: 0, hashMs: 0, hashed: 0 }

  /** The tag of a version, if it was hashed before. */
  get(stamp: string): string | undefined {
    const tag = this.#known.get(stamp)
    if (tag === undefined) return undefined
    this.#known.delete(stamp)
    this.#known.set(stamp, tag)
    return tag
  }

  /**
   * Has a version hashed by `run`, which resolves to its tag, or to undefined where the file changed meanwhile. One
   * job a version, whoever asks; undefined where too many wait.
   */
  find(stamp: string, size: number, run: () => Promise<string | undefined>): Promise<TagOutcome> | undefined {
    const job = this.#jobs.get(stamp)
    if (job !== undefined) return job
    if (this.#waiting.length >= MAX_WAITING_TAGS) return undefined
    const promise = new Promise<TagOutcome>(done => this.#waiting.push({ stamp, size, run, done }))
    this.#jobs.set(stamp, promise)
    this.#next()
    return promise
  }

  /** The smallest first, so that a huge file keeps only others of its kind waiting. */
  #next(): void {
    if (this.#active >= MAX_PARALLEL_TAGS || this.#waiting.length === 0) return
    const smallest = this.#waiting.reduce((least, job) => (job.size < least.size ? job : least))
    this.#waiting.splice(this.#waiting.indexOf(smallest), 1)
    this.#active++
    void this.#run(smallest)
  }

  async #run(job: TagJob): Promise<void> {
    const startedMs = performance.now()
    let outcome: TagOutcome = 'failed'
    try {
      const tag = await job.run()
      outcome = tag === undefined ? 'changed' : 'known'
      if (tag !== undefined) this.#remember(job.stamp, tag)
    } catch {
      // Reported by whoever opens the file next: it has the path and the cause.
    }
    this.counters.hashed++
    this.counters.hashedOctets += job.size
    this.counters.hashMs += performance.now() - startedMs
    this.#active--
    this.#jobs.delete(job.stamp)
    job.done(outcome)
    this.#next()
  }

  #remember(stamp: string, tag: string): void {
    this.#known.set(stamp, tag)
    if (this.#known.size <= MAX_REMEMBERED_TAGS) return
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest)
      break
    }
  }
}
