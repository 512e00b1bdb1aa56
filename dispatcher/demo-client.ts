/**
 * A program for the client's namespace: downloads one URL over the kernel's own TCP at a bounded rate and prints, as lines of
 * JSON, how far it is and what came of it. Arguments: URL, octets a second. It ends with its standard input.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { connect, type Socket } from 'node:net'

const REPORT_MS = 100
const TIMEOUT_MS = 30_000
const SHA256 = /^[0-9a-f]{64}/
/**
 * Read at a time. The kernel widens its receive window when much is read in one round trip; with a wide one it would take most
 * of the file at once, and acknowledge it long before it is read.
 */
const READ_OCTETS = 4_096
const MAX_HEAD_OCTETS = 16_384

const [url = '', rate = ''] = process.argv.slice(2)
process.stdin.on('end', () => process.exit(1)).resume()

function say(report: object): void {
  process.stdout.write(`${JSON.stringify(report)}\n`)
}

/** Connections of this namespace that ended by a reset (RFC 4022 tcpEstabResets). */
function resets(): number {
  const [names = [], values = []] = readFileSync('/proc/net/snmp', 'utf8')
    .split('\n')
    .filter(line => line.startsWith('Tcp:'))
    .map(line => line.split(' '))
  return Number(values[names.indexOf('EstabResets')])
}

/** The checksum that the site tells of the file, if it tells one. */
function expectedSum(): Promise<string> {
  return new Promise((resolve, reject) => {
    get(`${url}.sha256`, { agent: new Agent(), timeout: TIMEOUT_MS }, response => {
      let text = ''
      response.on('data', chunk => {
        text += chunk
      })
      response.on('end', () => resolve(response.statusCode === 200 ? (SHA256.exec(text)?.[0] ?? '') : ''))
    }).on('error', reject)
  })
}

/** Reads one response of HTTP/1.1 with a length, no faster than it is told. */
class Download {
  readonly #hash = createHash('sha256')
  readonly #startedAt = performance.now()
  #head = ''
  #size = -1
  octets = 0
  readonly done: Promise<string>
  #end: (error: string) => void = () => {}
  readonly #socket: Socket

  constructor(started: (client: string, size: number) => void) {
    const { hostname, port, pathname, host } = new URL(url)
    this.done = new Promise(resolve => {
      this.#end = resolve
    })
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port || 80),
      onread: {
        buffer: Buffer.alloc(READ_OCTETS),
        callback: (count, buffer) => this.#read(buffer.subarray(0, count), started),
      },
    })
    this.#socket = socket
    socket.setTimeout(TIMEOUT_MS, () => this.#end('nothing came for 30 s'))
    socket.on('connect', () => socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\n\r\n`))
    socket.on('error', error => this.#end(error.message))
    socket.on('close', () => this.#end('the connection ended early'))
  }

  get sha256(): string {
    return this.#hash.copy().digest('hex')
  }

  /** False: nothing more is read until `resume`. */
  #read(octets: Uint8Array, started: (client: string, size: number) => void): boolean {
    let body = octets
    if (this.#size < 0) {
      this.#head += Buffer.from(octets).toString('latin1')
      const end = this.#head.indexOf('\r\n\r\n')
      if (end < 0 && this.#head.length < MAX_HEAD_OCTETS) return true
      const fields = this.#head.slice(0, Math.max(end, 0))
      this.#size = Number(/\r\ncontent-length: *(\d+)/i.exec(fields)?.[1] ?? Number.NaN)
      if (!/^HTTP\/1\.1 200 /.test(fields) || Number.isNaN(this.#size)) {
        this.#end(`the site says "${fields.split('\r\n')[0]}" to ${url}`)
        return false
      }
      started(clientOf(this.#socket), this.#size)
      body = octets.subarray(octets.length - (this.#head.length - end - 4))
    }
    this.octets += body.length
    this.#hash.update(body)
    if (this.octets >= this.#size) this.#end('')
    const aheadMs = (this.octets / Number(rate)) * 1000 - (performance.now() - this.#startedAt)
    if (aheadMs < 1) return true
    setTimeout(() => this.#socket.resume(), aheadMs)
    return false
  }
}

function clientOf({ localAddress = '', localPort }: Socket): string {
  return `${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${localPort}`
}

async function run(): Promise<object> {
  const expected = await expectedSum()
  const before = resets()
  const download = new Download((client, size) => say({ client, size, expected }))
  const timer = setInterval(() => say({ octets: download.octets, resets: resets() - before }), REPORT_MS)
  const error = await download.done
  clearInterval(timer)
  const { octets, sha256 } = download
  const whole = error === '' && (expected === '' || sha256 === expected)
  return { octets, sha256, error, resets: resets() - before, state: whole ? 'whole' : 'broken' }
}

say(await run().catch((error: Error) => ({ state: 'broken', error: error.message })))
process.exit(0)
