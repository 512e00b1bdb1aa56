/**
 * A program for the client's namespace: many kept-alive connections that fetch random files until it is told to end, and compare
 * every one with its digest. Arguments: origin, connections, requests that must be, seed, a JSON file of paths to SHA-256, and
 * the octets a second that each connection reads, if not all that come.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { Random } from '../sim/network/random.ts'
import { Told } from './told.ts'

export interface Swarm {
  readonly requests: number
  readonly octets: number
  readonly errors: Readonly<Record<string, number>>
  readonly connects: number
  /** For a head, or for more octets of a body. */
  readonly longestWaitMs: number
}

const [origin = '', connections = '1', least = '1', seed = '1', list = '', rate] = process.argv.slice(2)
const digests = new Map(Object.entries(JSON.parse(readFileSync(list, 'utf8')) as Record<string, string>))
const paths = [...digests.keys()]
const errors: Record<string, number> = {}
let requests = 0
let octets = 0
let connects = 0
let longestWaitMs = 0

/** Of an idle connection; longer than any test, because those that were opened are counted. */
const KEEP_ALIVE_MS = 600_000
const told = new Told()
const pool = new Pool(origin, {
  connections: Number(connections),
  pipelining: 1,
  keepAliveTimeout: KEEP_ALIVE_MS,
  keepAliveMaxTimeout: KEEP_ALIVE_MS,
})
pool.on('connect', () => {
  connects++
})

async function fetchOne(random: Random): Promise<void> {
  const path = random.pick(paths)
  const { statusCode, body } = await awaited(pool.request({ path, method: 'GET' }))
  const hash = createHash('sha256')
  const chunks: AsyncIterator<Buffer> = body[Symbol.asyncIterator]()
  for (;;) {
    const { value, done } = await awaited(chunks.next())
    if (done === true) break
    hash.update(value)
    octets += value.length
    if (rate !== undefined) await sleep((1_000 * value.length) / Number(rate))
  }
  requests++
  if (statusCode !== 200) throw new Error(`status ${statusCode}`)
  if (hash.digest('hex') !== digests.get(path)) throw new Error('wrong octets')
}

async function awaited<T>(what: Promise<T>): Promise<T> {
  const began = performance.now()
  const it = await what
  longestWaitMs = Math.max(longestWaitMs, performance.now() - began)
  return it
}

async function user(random: Random): Promise<void> {
  while (!told.isOver || requests < Number(least)) {
    try {
      await fetchOne(random)
    } catch (error) {
      const name = error instanceof Error ? error.message : String(error)
      errors[name] = (errors[name] ?? 0) + 1
    }
  }
}

const random = new Random(Number(seed))
await Promise.all(Array.from({ length: Number(connections) }, () => user(random.fork())))
await pool.close()
const swarm: Swarm = { requests, octets, errors, connects, longestWaitMs }
process.stdout.write(`${JSON.stringify(swarm)}\n`)
process.exit(0)
