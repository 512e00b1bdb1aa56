/**
 * A program for the client's namespace: downloads one URL over the kernel's own TCP at a bounded rate and prints, as lines of
 * JSON, how far it is and what came of it. Arguments: URL, octets a second. It ends with its standard input.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, get, type IncomingMessage } from 'node:http'
import { finished } from 'node:stream/promises'

const REPORT_MS = 100
const TIMEOUT_MS = 30_000
const SHA256 = /^[0-9a-f]{64}/

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

function request(target: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = get(target, { agent: new Agent({ keepAlive: true }) }, resolve)
    sent.setTimeout(TIMEOUT_MS, () => sent.destroy(new Error('nothing came for 30 s')))
    sent.on('error', reject)
  })
}

/** The checksum that the site tells of the file, if it tells one. */
async function expectedSum(): Promise<string> {
  const response = await request(`${url}.sha256`)
  let text = ''
  for await (const chunk of response) text += chunk
  return response.statusCode === 200 ? (SHA256.exec(text)?.[0] ?? '') : ''
}

async function download(): Promise<object> {
  const expected = await expectedSum()
  const before = resets()
  const hash = createHash('sha256')
  const startedAt = performance.now()
  let octets = 0
  const response = await request(url)
  const { socket } = response
  const size = Number(response.headers['content-length'])
  const host = socket.localAddress ?? ''
  const client = `${host.includes(':') ? `[${host}]` : host}:${socket.localPort}`
  if (response.statusCode !== 200) throw new Error(`the site says ${response.statusCode} to ${url}`)
  say({ client, size, expected })
  const timer = setInterval(() => say({ octets, resets: resets() - before }), REPORT_MS)
  response.on('data', (chunk: Buffer) => {
    octets += chunk.length
    hash.update(chunk)
    const aheadMs = (octets / Number(rate)) * 1000 - (performance.now() - startedAt)
    if (aheadMs <= 1) return
    response.pause()
    setTimeout(() => response.resume(), aheadMs)
  })
  let error = ''
  await finished(response).catch((cause: Error) => {
    error = cause.message
  })
  clearInterval(timer)
  const sha256 = hash.digest('hex')
  const whole = error === '' && response.complete && (expected === '' || sha256 === expected)
  return { octets, sha256, error, resets: resets() - before, state: whole ? 'whole' : 'broken' }
}

say(await download().catch((error: Error) => ({ state: 'broken', error: error.message })))
process.exit(0)
