/** Every kind of response is the same octets whether or not its connection moves before, between and in the middle. */
import { delay } from '../network/delay.ts'
import { chain } from '../network/element.ts'
import { rate } from '../network/rate.ts'
import { segment } from '../network/segment.ts'
import type { Client, Exchange } from './client.ts'
import { Cluster } from './cluster.ts'
import { type ExchangeOptions, exchangeOf } from './exchange.ts'
import { eachSeed, seedBlocks } from './seeds.ts'

const FILES = {
  '/index.html': 3_000,
  '/large.bin': 120_000,
  '/style.css': 40_000,
  '/style.css.br': 9_000,
}
/** Slow enough that a response takes many round trips, so that shifts fall into the middle of it. */
const wan = () => chain([segment(1_500), rate(20e6, 200_000), delay(2)])

const CHUNKED = 'Transfer-Encoding: chunked\r\n'
const KINDS: readonly (readonly [string, string, ExchangeOptions])[] = [
  ['a file', '/large.bin', {}],
  ['HEAD', '/large.bin', { method: 'HEAD' }],
  ['OPTIONS', '/large.bin', { method: 'OPTIONS' }],
  ['one range', '/large.bin', { fields: 'Range: bytes=500-99999\r\n' }],
  ['a suffix', '/large.bin', { fields: 'Range: bytes=-70000\r\n' }],
  ['many ranges', '/large.bin', { fields: 'Range: bytes=0-29999,40000-69999,80000-,70001-70100\r\n' }],
  ['many small ranges', '/large.bin', { fields: `Range: bytes=${smallRanges(32)}\r\n` }],
  ['ranges beyond the end', '/large.bin', { fields: 'Range: bytes=120000-\r\n' }],
  ['nothing new', '/large.bin', { fields: 'If-Modified-Since: Fri, 01 Jan 2027 00:00:00 GMT\r\n' }],
  ['a failed condition', '/large.bin', { fields: 'If-Match: "other"\r\n' }],
  ['nothing there', '/none', {}],
  ['a coded variant', '/style.css', { fields: 'Accept-Encoding: br\r\n', coding: 'br' }],
  [
    'a range of a coded variant',
    '/style.css',
    { fields: 'Accept-Encoding: gzip, br\r\nRange: bytes=100-8000\r\n', coding: 'br' },
  ],
  [
    'ranges of a coded variant',
    '/style.css',
    { fields: 'Accept-Encoding: br\r\nRange: bytes=0-4000,5000-\r\n', coding: 'br' },
  ],
  ['a refused method', '/large.bin', { method: 'DELETE' }],
  ['a body with a length', '/large.bin', { method: 'POST', ...bodyOf(30_000) }],
  ['a chunked body', '/large.bin', { fields: CHUNKED, body: chunks(40, 1_000) }],
  [
    'a chunked body with trailers',
    '/index.html',
    { fields: CHUNKED, body: chunks(3, 10, 'X-Sum: 1\r\nX: 2\r\n') },
  ],
  ['an unknown expectation', '/index.html', { fields: 'Expect: 200-maybe\r\n' }],
]

function smallRanges(count: number): string {
  return Array.from({ length: count }, (_, index) => `${index * 1_000}-${index * 1_000 + 300}`).join()
}

function bodyOf(octets: number): ExchangeOptions {
  return { fields: `Content-Length: ${octets}\r\n`, body: 'b'.repeat(octets) }
}

function chunks(count: number, octets: number, trailers = ''): string {
  return `${`${octets.toString(16)};x=y\r\n${'c'.repeat(octets)}\r\n`.repeat(count)}0\r\n${trailers}\r\n`
}

function cluster(seed: number): Cluster {
  return new Cluster({ seed, files: FILES, wan })
}

function exchanges(sim: Cluster, kinds = KINDS): Exchange[] {
  return kinds.map(([, path, options]) => exchangeOf(sim.files, path, options))
}

function succeeded(client: Client): void {
  expect(client.failure).toBeUndefined()
  expect(client.resets).toBe(0)
  expect(client.done).toBe(true)
}

/** Runs until the client is done, moving its connection after random times; returns how often it moved. */
function runShifting(sim: Cluster, client: Client, everyMs: number): number {
  const { random } = sim.world
  let moved = 0
  const until = sim.now + 120_000
  while (!client.done && client.failure === undefined && sim.now < until) {
    sim.run(random.int(everyMs))
    sim.shift(client, 1 + random.int(sim.nodeCount), result => {
      if (result.ok) moved++
    })
  }
  succeeded(client)
  return moved
}

describe('without a shift', () => {
  it.each(KINDS)('%s', (_name, path, options) => {
    const sim = cluster(1)
    const client = sim.client({
      exchanges: [exchangeOf(sim.files, path, options), ...exchanges(sim, KINDS.slice(0, 1))],
    })
    expect(sim.runUntil(() => client.done, 20_000)).toBe(true)
    succeeded(client)
  })
})

describe('with shifts at random times', () => {
  it.each(seedBlocks(20, 20))('one request after the other (SEED=%i and on)', (...seeds) => {
    eachSeed(seeds, seed => {
      const sim = cluster(seed)
      const client = sim.client({ exchanges: exchanges(sim) })
      expect(runShifting(sim, client, 8)).toBeGreaterThan(10)
    })
  })

  it.each(seedBlocks(60, 20))('all requests at once (SEED=%i and on)', (...seeds) => {
    eachSeed(seeds, seed => {
      const sim = cluster(seed)
      const client = sim.client({ exchanges: exchanges(sim), pipelined: true })
      expect(runShifting(sim, client, 8)).toBeGreaterThan(10)
    })
  })

  it.each([
    ['a request that is none', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n', 400],
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['a body too long', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n', 413],
    ['fields too long', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(17_000)}\r\n\r\n`, 431],
    ['a target too long', `GET /${'x'.repeat(8_001)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
    ['another version', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505],
  ])('%s behind a download: the same error, the same end', (_name, text, status) => {
    const transcripts = [0, 1, 2, 3].map(seed => {
      const sim = cluster(30 + seed)
      const client = sim.client({ raw: true })
      client.write('GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n')
      client.write(text)
      const until = sim.now + 10_000
      while (!client.finished && sim.now < until) {
        sim.run(1 + sim.world.random.int(6))
        if (seed > 0) sim.shift(client, 1 + sim.world.random.int(sim.nodeCount))
      }
      expect(client.finished).toBe(true)
      expect(client.resets).toBe(0)
      return client.transcript.slice(client.transcript.lastIndexOf('HTTP/1.1 '))
    })
    expect(transcripts[0]).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*\\r\\nConnection: close\\r\\n`))
    expect(new Set(transcripts).size).toBe(1)
  })
})
