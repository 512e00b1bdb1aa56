/**
 * A program for the client's namespace: many kept-alive connections that fetch random files until it is told to end, and compare
 * every one with its digest. Arguments: origin, connections, requests that must be, seed, and a JSON file of paths to SHA-256.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Pool } from 'undici'
import { Random } from '../sim/network/random.ts'
import { Told } from './told.ts'

export interface Swarm {
  readonly requests: number
  readonly octets: number
  readonly errors: Readonly<Record<string, number>>
  readonly connects: number
}

const [origin = '', connections = '1', least = '1', seed = '1', list = ''] = process.argv.slice(2)
const digests = new Map(Object.entries(JSON.parse(readFileSync(list, 'utf8')) as Record<string, string>))
const paths = [...digests.keys()]
const errors: Record<string, number> = {}
let requests = 0
let octets = 0
let connects = 0

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
  const { statusCode, body } = await pool.request({ path, method: 'GET' })
  const content = Buffer.from(await body.arrayBuffer())
  requests++
  octets += content.length
  if (statusCode !== 200) throw new Error(`status ${statusCode}`)
  if (createHash('sha256').update(content).digest('hex') !== digests.get(path))
    throw new Error('wrong octets')
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
process.stdout.write(`${JSON.stringify({ requests, octets, errors, connects } satisfies Swarm)}\n`)
process.exit(0)
