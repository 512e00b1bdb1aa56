/**
 * A program for the client's namespace: long downloads, each read at a steady pace, and users who ask for something short, again
 * and again, until SIGTERM. Every octet is compared as it comes. Argument: `ClientOptions` in JSON. Prints `ready` when all
 * downloads are under way, and `ClientCounts` in JSON at the end.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { Client } from 'undici'
import type { ClientCounts, ClientOptions } from './counts.ts'

/** Between two reads of a download. */
const READ_EVERY_MS = 100
/** A download, or an answer, that does not go on for so long has failed. */
const PATIENCE_MS = 10_000
/** Before a download that broke is begun again, as somebody would. */
const AGAIN_MS = 1_000

const options = JSON.parse(process.argv[2] ?? '') as ClientOptions
const { host, port, downloads, octetsPerSecond, users, everyMs } = options
const [long, short] = [readFileSync(options.long.file), readFileSync(options.short.file)]
const counts = { begun: 0, whole: 0, broken: 0, requests: 0, failed: 0, repeated: 0 }
const faults: Record<string, number> = {}
const latencies: number[] = []
/** Downloads that are under way: has one read on without a pace. */
const hurries = new Set<() => void>()
let flowing = 0
let isOver = false

function fault(what: string): void {
  faults[what] = (faults[what] ?? 0) + 1
}

/** Undefined: it came whole; else what was wrong. */
function download(): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connect({ host, port })
    const reader = new Reader()
    let heardAt = performance.now()
    socket.pause()
    socket.write(`GET ${options.long.path} HTTP/1.1\r\nHost: rolling\r\nConnection: close\r\n\r\n`)
    const ends = (what: string | undefined) => {
      clearInterval(timer)
      hurries.delete(hurry)
      socket.destroy()
      resolve(what)
    }
    const take = (octets: Buffer) => {
      heardAt = performance.now()
      const wrong = reader.take(octets)
      if (wrong !== undefined || reader.isWhole) ends(wrong)
    }
    const timer = setInterval(() => {
      const octets = isOver ? null : readSome(socket)
      if (octets !== null) take(octets)
      else if (performance.now() - heardAt > PATIENCE_MS) ends('stalled')
    }, READ_EVERY_MS)
    const hurry = () => void socket.on('data', take).resume()
    hurries.add(hurry)
    socket.on('end', () => ends('ended early'))
    socket.on('error', (error: NodeJS.ErrnoException) => ends(error.code ?? error.message))
  })
}

/** What its pace allows of what is there. */
function readSome(socket: Socket): Buffer | null {
  const most = (octetsPerSecond * READ_EVERY_MS) / 1_000
  const there = Math.min(socket.readableLength, most)
  // A read of nothing asks the kernel for more.
  return socket.read(there) as Buffer | null
}

/** Takes a response apart, and compares it with the file as far as it is here. */
class Reader {
  #head = ''
  #at = -1

  get isWhole(): boolean {
    return this.#at === long.length
  }

  /** What is wrong with it. */
  take(octets: Buffer): string | undefined {
    if (this.#at >= 0) return this.#compare(octets)
    this.#head += octets.toString('latin1')
    const end = this.#head.indexOf('\r\n\r\n')
    if (end < 0) return undefined
    if (!this.#head.startsWith('HTTP/1.1 200 ')) return this.#head.slice(0, 12)
    this.#at = 0
    if (++flowing === downloads) process.stdout.write('ready\n')
    return this.#compare(Buffer.from(this.#head.slice(end + 4), 'latin1'))
  }

  #compare(octets: Buffer): string | undefined {
    const from = this.#at
    this.#at += octets.length
    return octets.equals(long.subarray(from, this.#at)) ? undefined : 'wrong octets'
  }
}

async function downloadOnAndOn(): Promise<void> {
  while (!isOver) {
    counts.begun++
    const wrong = await download()
    if (wrong === undefined) counts.whole++
    else {
      counts.broken++
      fault(`download: ${wrong}`)
      await new Promise(resolve => setTimeout(resolve, AGAIN_MS))
    }
  }
}

function createClient(): Client {
  const timeouts = { headersTimeout: PATIENCE_MS, bodyTimeout: PATIENCE_MS }
  return new Client(`http://${host}:${port}`, { ...timeouts, connect: { timeout: PATIENCE_MS } })
}

/** Undefined: it was answered; else what was wrong. */
async function ask(client: Client, isLast: boolean): Promise<string | undefined> {
  try {
    const { path } = options.short
    const { statusCode, body } = await client.request({ path, method: 'GET', reset: isLast })
    const octets = Buffer.from(await body.arrayBuffer())
    if (statusCode !== 200) return `status ${statusCode}`
    return octets.equals(short) ? undefined : 'wrong octets'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  }
}

/** The server ended a kept connection while the request was on its way: clients ask again unseen (RFC 9112 §9.3.1). */
const ENDED = ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']

/** Keeps its connection, or has one for each request. */
async function user(keeps: boolean, number: number): Promise<void> {
  const client = createClient()
  let isKept = false
  await new Promise(resolve => setTimeout(resolve, (everyMs * number) / users))
  for (;;) {
    const askedAt = performance.now()
    let wrong = await ask(client, !keeps)
    if (isKept && wrong !== undefined && ENDED.includes(wrong)) {
      counts.repeated++
      fault(`repeated: ${wrong}`)
      wrong = await ask(client, !keeps)
    }
    isKept = keeps && wrong === undefined
    counts.requests++
    if (wrong !== undefined) {
      counts.failed++
      fault(`request: ${wrong}`)
    }
    const took = performance.now() - askedAt
    latencies.push(took)
    await new Promise(resolve => setTimeout(resolve, Math.max(0, everyMs - took)))
  }
}

process.once('SIGUSR1', () => {
  Object.assign(counts, { begun: downloads, whole: 0, broken: 0, requests: 0, failed: 0, repeated: 0 })
  for (const what of Object.keys(faults)) delete faults[what]
  latencies.length = 0
})
process.once('SIGUSR2', async () => {
  isOver = true
  latencies.sort((a, b) => a - b)
  const of = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))]
  const asked = { ...counts, p50Ms: of(0.5) ?? 0, p99Ms: of(0.99) ?? 0, maxMs: of(1) ?? 0 }
  for (const hurry of hurries) hurry()
  await all
  const { begun, whole, broken } = counts
  const told: ClientCounts = { ...asked, begun, whole, broken, faults }
  process.stdout.write(`${JSON.stringify(told)}\n`, () => process.exit(0))
})
for (let number = 0; number < users; number++) void user(number % 2 === 0, number)
const all = Promise.all(Array.from({ length: downloads }, downloadOnAndOn))
