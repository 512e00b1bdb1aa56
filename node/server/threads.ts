/**
 * The threads that files are read, hashed and compressed by: libuv's pool, whose size a process is given when it starts.
 * Without a word it has four, and a few large files on a slow disk would hold them all; whoever starts us says more, and
 * the share of each kind of work follows from what there is.
 */
import { MAX_READS_PER_STREAM } from '../../cache/stream.ts'

/** libuv's own variable; read when the first work is given to the pool, which Node.js does before any of our code runs. */
export const THREADS_VARIABLE = 'UV_THREADPOOL_SIZE'
/** For the loads, the reads of streams, and the hashing and compressing that may go on at once. Idle they cost a stack each. */
export const POOL_THREADS = 16
/** libuv's default, and its most. */
const DEFAULT_THREADS = 4
const MAX_THREADS = 1_024

/** What a process that serves files is to be started with: the operator's own choice stands. */
export function threadsEnvironment(own: NodeJS.ProcessEnv): Record<string, string> {
  return { [THREADS_VARIABLE]: own[THREADS_VARIABLE] ?? `${POOL_THREADS}` }
}

/** The threads that this process has. */
export function poolThreads(own: NodeJS.ProcessEnv): number {
  const said = Number.parseInt(own[THREADS_VARIABLE] ?? '', 10)
  return Number.isNaN(said) ? DEFAULT_THREADS : Math.min(Math.max(said, 1), MAX_THREADS)
}

/**
 * Reads of large files at once: half of the threads, so that small files are read however slow the disk of large ones,
 * but more than one file may have, so that a slow one holds up no other.
 */
export function streamReads(threads: number): number {
  return Math.max(MAX_READS_PER_STREAM + 1, Math.floor(threads / 2))
}
