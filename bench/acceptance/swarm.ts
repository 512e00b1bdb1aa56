/**
 * A program for the client's namespace: many kept-alive connections that fetch random files for some seconds and compare
 * every one with its digest. Arguments: origin, connections, seconds, seed, and a JSON file of paths to SHA-256.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Pool } from 'undici'
import { Random } from '../sim/network/random.ts'

export interface Swarm {
  readonly requests: number
  readonly octets: number
  readonly errors: Readonly<Record<string, number>>
  readonly connects: number
}

const [origin = '', connections = '1', seconds = '1', seed = '1', list = ''] = process.argv.slice(2)
const digests = new Map(Object.entries(JSON.parse(readFileSync(list, 'utf8')) as Record<string, string>))
const paths = [...digests.keys()]
const errors: Record<string, number> = {}
let requests = 0
let octets = 0
let connects = 0

const pool = new Pool(origin, { connections: Number(connections), pipelining: 1 })
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

async function user(random: Random, until: number): Promise<void> {
  while (performance.now() < until) {
    try {
      await fetchOne(random)
    } catch (error) {
      const name = error instanceof Error ? error.message : String(error)
      errors[name] = (errors[name] ?? 0) + 1
    }
  }
}

const random = new Random(Number(seed))
const until = performance.now() + Number(seconds) * 1000
await Promise.all(Array.from({ length: Number(connections) }, () => user(random.fork(), until)))
await pool.close()
process.stdout.write(`${JSON.stringify({ requests, octets, errors, connects } satisfies Swarm)}\n`)
process.exit(0)
