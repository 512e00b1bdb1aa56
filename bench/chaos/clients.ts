/**
 * A program for the client's namespace: the load of `npm run bench -- chaos`. Slow and fast downloads on connections of their own,
 * and small requests on kept ones, over both families, each compared with its digest, until the end of its standard input. What
 * failed is told with all that explains it. Argument: `ClientsOptions` as JSON.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Told } from '../acceptance/told.ts'
import { Random } from '../sim/network/random.ts'
import type { ClientsOptions, ClientsReport, Failure, Wait } from './load.ts'

/** A connection on which nothing comes for so long, while something is owed, is wedged. Far above every time-out of ours. */
const WEDGED_MS = 60_000
/** Shorter waits are not told. */
const TOLD_WAIT_MS = 100
const MAX_TOLD = 100_000
const SLOW_READ_MS = 400
const [FAST_PAUSE_MS, KEPT_PAUSE_MS] = [40, 100]
const MAX_REQUESTS_KEPT = 60
/** After a failure, so that a server that refuses is not flooded. */
const RETRY_MS = 100

const options = JSON.parse(process.argv[2] ?? '') as ClientsOptions
const digests = JSON.parse(readFileSync(options.list, 'utf8')) as Record<string, string>
const paths = { download: [] as string[], kept: [] as string[] }
for (const path of Object.keys(digests)) paths[path.startsWith('/small') ? 'kept' : 'download'].push(path)

const told = new Told()
const failures: Failure[] = []
const waits: Wait[] = []
const done = { download: 0, kept: 0 }
let octets = 0
let connects = 0

class Line {
  readonly #kind: Failure['kind']
  readonly #socket: Socket
  readonly #chunks: AsyncIterator<Buffer>
  #at: Failure['at'] = 'connecting'
  /** When something was last heard, or the connection was begun. */
  #heardAt = Date.now()
  #responses = 0

  constructor(kind: Failure['kind'], host: string) {
    connects++
    this.#kind = kind
    this.#socket = connect({ host, port: options.port, noDelay: true })
    this.#socket.setTimeout(WEDGED_MS, () => this.#socket.destroy(new Error('wedged')))
    this.#chunks = this.#socket[Symbol.asyncIterator]()
  }

  failure(error: unknown): Failure {
    const [kind, at, since] = [this.#kind, this.#at, this.#heardAt]
    const text = error instanceof Error ? error.message : String(error)
    return { kind, at, since, until: Date.now(), isFirst: this.#responses === 0, error: text }
  }

  async connected(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#socket.once('connect', resolve)
      this.#socket.once('error', reject)
    })
    this.#heardAt = Date.now()
  }

  /** Throws where the response is not the one that it should be. */
  async fetch(path: string, pauseMs: number): Promise<void> {
    this.#at = 'asked'
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: chaos\r\n\r\n`)
    let received = Buffer.alloc(0)
    let end = -1
    while (end < 0) {
      received = Buffer.concat([received, await this.#more()])
      end = received.indexOf('\r\n\r\n')
    }
    const [head, body] = [received.toString('latin1', 0, end + 2), received.subarray(end + 4)]
    if (!head.startsWith('HTTP/1.1 200 ')) throw new Error(head.slice(0, head.indexOf('\r\n')))
    this.#at = 'answered'
    const hash = createHash('sha256').update(body)
    let left = Number(/^content-length: (\d+)/im.exec(head)?.[1]) - body.length
    while (left > 0) {
      if (pauseMs > 0) await sleep(pauseMs)
      const more = await this.#more()
      hash.update(more)
      left -= more.length
      octets += more.length
    }
    if (left < 0 || hash.digest('hex') !== digests[path]) throw new Error('wrong octets')
    this.#responses++
    this.#at = 'idle'
  }

  close(): void {
    this.#socket.destroy()
  }

  async #more(): Promise<Buffer> {
    const began = Date.now()
    const { value, done } = await this.#chunks.next()
    if (done === true) throw new Error('ended early')
    this.#heardAt = Date.now()
    const ms = this.#heardAt - began
    if (ms >= TOLD_WAIT_MS && waits.length < MAX_TOLD) waits.push({ kind: this.#kind, began, ms })
    return value
  }
}

/** One connection with some requests; false where it failed. */
async function visit(kind: Failure['kind'], host: string, random: Random, readMs: number): Promise<boolean> {
  const line = new Line(kind, host)
  try {
    await line.connected()
    const many = kind === 'download' ? 1 : 1 + random.int(MAX_REQUESTS_KEPT)
    for (let request = 0; request < many && !told.isOver; request++) {
      if (request > 0) await sleep(KEPT_PAUSE_MS * 2 * random.next())
      await line.fetch(random.pick(paths[kind]), readMs)
      done[kind]++
    }
    return true
  } catch (error) {
    if (failures.length < MAX_TOLD) failures.push(line.failure(error))
    return false
  } finally {
    line.close()
  }
}

async function user(kind: Failure['kind'], index: number, random: Random, isSlow: boolean): Promise<void> {
  const host = options.hosts[index % options.hosts.length] as string
  // Not all of them in step.
  await sleep(1_000 * random.next())
  while (!told.isOver) {
    const isWell = await visit(kind, host, random, isSlow ? SLOW_READ_MS : 0)
    await sleep(isWell ? FAST_PAUSE_MS : RETRY_MS)
  }
}

const random = new Random(options.seed)
const users = (kind: Failure['kind'], many: number, isSlow: boolean) =>
  Array.from({ length: many }, (_, index) => user(kind, index, random.fork(), isSlow))
await Promise.all([
  ...users('download', options.slow, true),
  ...users('download', options.fast, false),
  ...users('kept', options.kept, false),
])
const report: ClientsReport = {
  ...{ downloads: done.download, requests: done.kept, octets, connects, failures, waits },
}
process.stdout.write(`${JSON.stringify(report)}\n`)
process.exit(0)
