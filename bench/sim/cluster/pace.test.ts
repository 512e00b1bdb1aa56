import { NO_CLIENT_LIMITS } from '../../../node/server/client-table.ts'
import { DEFAULT_LIMITS, type ServerLimits } from '../../../node/server/limits.ts'
import { DEFAULT_PACE } from '../../../node/server/pace.ts'
import { delay } from '../network/delay.ts'
import type { Client } from './client.ts'
import { Cluster } from './cluster.ts'
import { exchangeOf } from './exchange.ts'
import { ONE_SITE } from './files.ts'

const FILES = { '/index.html': 3_000, '/large.bin': 4_000_000 }
const { headMs, idleMs, bodyMs, readerMs, lingerMs } = DEFAULT_PACE
/** More than the network and the simulated disk take. */
const SLACK_MS = 500

const GET = 'GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n'

function cluster(seed: number, clients = NO_CLIENT_LIMITS): Cluster {
  const limits = { ...DEFAULT_LIMITS, clients }
  return new Cluster({ seed, files: FILES, limits, wan: () => delay(5) })
}

/** Runs until the server has ended the connection, shifting every `shiftMs`; returns how long that took. */
function untilFinished(sim: Cluster, client: Client, ms: number, shiftMs = 0): number {
  const begin = sim.now
  let node = 0
  while (!client.finished && !client.ended && sim.now < begin + ms) {
    sim.runUntil(() => client.finished || client.ended, shiftMs > 0 ? shiftMs : ms)
    if (shiftMs > 0) sim.shift(client, (node++ % sim.nodeCount) + 1)
  }
  expect(client.finished || client.ended).toBe(true)
  return sim.now - begin
}

/** Ends the client's side, and expects that nobody knows it afterwards. */
function leavesNothing(sim: Cluster, client: Client): void {
  client.finish()
  sim.run(130_000)
  expect(sim.ownerOf(client)).toBeUndefined()
}

describe('RFC 9110 §15.5.9: a head that does not come', () => {
  it.each([
    ['nothing', ''],
    ['half of one', 'GET / HTTP/1.1\r\nHost:'],
  ])('%s: 408 from the dispatcher, and the end', (_name, text) => {
    const sim = cluster(1)
    const client = sim.client({ raw: true })
    client.write(text)
    const took = untilFinished(sim, client, 2 * headMs)
    expect(took).toBeGreaterThan(headMs)
    expect(took).toBeLessThan(headMs + SLACK_MS)
    expect(client.transcript).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*\r\nConnection: close\r\n/)
    expect(sim.dispatcher.owner.counters.shifted).toBe(0)
    leavesNothing(sim, client)
  })

  it('the time is total: an octet a second prolongs nothing (Slowloris)', () => {
    const sim = cluster(2)
    const client = sim.client({ raw: true })
    client.write('GET / HTTP/1.1\r\nX: ')
    const begin = sim.now
    while (!client.finished && sim.now < begin + 2 * headMs) {
      client.write('a')
      sim.run(1_000)
    }
    expect(sim.now - begin).toBeLessThan(headMs + 2_000)
    expect(client.transcript).toContain('408 Request Timeout')
    expect(client.resets).toBe(0)
  })

  it.each([
    ['at one node', 0],
    ['shifted again and again', 1_700],
  ])('of a second request: 408 in the same time, %s', (_name, shiftMs) => {
    const sim = cluster(3)
    const client = sim.client({ raw: true })
    client.write(GET)
    sim.run(1_000)
    const received = client.transcript.length
    client.write('GET / HTT')
    const took = untilFinished(sim, client, 2 * headMs, shiftMs)
    expect(took).toBeGreaterThan(headMs - SLACK_MS)
    expect(took).toBeLessThan(headMs + SLACK_MS)
    expect(client.transcript.slice(received)).toMatch(/^HTTP\/1\.1 408 /)
    expect(client.resets).toBe(0)
    leavesNothing(sim, client)
  })
})

describe('RFC 9112 §9.5: an idle connection', () => {
  it.each([
    ['at one node', 0],
    ['shifted again and again', 5_000],
  ])('ends without a word after its time, %s', (_name, shiftMs) => {
    const sim = cluster(4)
    const client = sim.client({ raw: true })
    client.write(GET)
    sim.run(1_000)
    const received = client.transcript.length
    const took = untilFinished(sim, client, 2 * idleMs, shiftMs)
    expect(took).toBeGreaterThan(idleMs - 1_000 - SLACK_MS)
    expect(took).toBeLessThan(idleMs + SLACK_MS)
    expect(client.transcript.length).toBe(received)
    leavesNothing(sim, client)
  })
})

describe('a body below its rate', () => {
  it.each([
    ['Content-Length: 1000', 'a'],
    ['Transfer-Encoding: chunked', '1\r\na\r\n'],
  ])('ends the connection: %s', (field, octets) => {
    const sim = cluster(5)
    const client = sim.client({ raw: true })
    client.write(`POST /index.html HTTP/1.1\r\nHost: a\r\n${field}\r\n\r\n`)
    sim.run(100)
    expect(client.transcript).toMatch(/^HTTP\/1\.1 405 /)
    const received = client.transcript.length
    const begin = sim.now
    let second = 0
    while (!client.finished && sim.now < begin + 3 * bodyMs) {
      if (second++ % 10 === 0) client.write(octets)
      sim.run(1_000)
      sim.shift(client, (second % sim.nodeCount) + 1)
    }
    expect(sim.now - begin).toBeLessThan(bodyMs + 5_000)
    expect(client.transcript.length).toBe(received)
  })

  it('and one above it does not, however long it takes', () => {
    const sim = cluster(6)
    const client = sim.client({ raw: true })
    client.write('POST /index.html HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n')
    for (let second = 0; second < 100; second++) {
      client.write('a'.repeat(600))
      sim.run(1_000)
    }
    client.write(GET)
    sim.run(1_000)
    expect(client.transcript).toMatch(/^HTTP\/1\.1 405 [\s\S]*HTTP\/1\.1 200 OK\r\n/)
    expect(client.finished).toBe(false)
  })
})

describe('a client that does not read', () => {
  it.each([
    ['at one node', 0],
    ['shifted again and again', 7_000],
  ])('is reset after its time, and what was kept for it is freed, %s', (_name, shiftMs) => {
    const sim = cluster(7)
    const client = sim.client({ raw: true })
    client.reading = false
    client.write('GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n')
    sim.run(1_000)
    const begin = sim.now
    for (let node = 0; sim.ownerOf(client) !== undefined && sim.now < begin + 3 * readerMs; node++) {
      sim.run(shiftMs > 0 ? shiftMs : 1_000)
      if (shiftMs > 0) sim.shift(client, (node % sim.nodeCount) + 1)
    }
    expect(sim.now - begin).toBeLessThan(readerMs + 10_000)
    expect(client.failure).toBe('reset by the server')
  })

  it('one that reads slowly but above the rate gets everything', () => {
    const sim = cluster(8)
    const client = sim.client({
      exchanges: [exchangeOf(sim.files, '/large.bin')],
      tcp: { receiveInitialOctets: 8_192, receiveMaxOctets: 8_192 },
    })
    client.reading = false
    const begin = sim.now
    while (!client.done && sim.now < begin + 3_600_000) {
      client.reading = !client.reading
      client.write('')
      sim.run(client.reading ? 40 : 5_000)
    }
    expect(client.failure).toBeUndefined()
    expect(client.done).toBe(true)
    expect(sim.now - begin).toBeGreaterThan(2 * readerMs)
  })
})

describe('RFC 9112 §9.6: after an error the client has time to read it', () => {
  it.each([
    ['at the dispatcher', ''],
    ['at a node', GET],
  ])('octets behind it are thrown away, not reset, %s', (_name, before) => {
    const sim = cluster(9)
    const client = sim.client({ raw: true })
    if (before !== '') client.write(before)
    sim.run(1_000)
    client.write('GET / HTTP/1.1\r\nHost : a\r\n\r\n')
    for (let turn = 0; turn < 10; turn++) {
      client.write('x'.repeat(10_000))
      sim.run(500)
    }
    expect(client.transcript).toMatch(/HTTP\/1\.1 400 Bad Request\r\n[\s\S]*<\/html>\n$/)
    expect(client.finished).toBe(true)
    expect(client.resets).toBe(0)
    leavesNothing(sim, client)
  })

  it('but neither for ever nor without a bound', () => {
    const trickle = cluster(10)
    const slow = trickle.client({ raw: true })
    slow.write('BAD\r\n\r\n')
    const begin = trickle.now
    while (!slow.ended && trickle.now < begin + 3 * lingerMs) {
      slow.write('x')
      trickle.run(1_000)
    }
    expect(trickle.now - begin).toBeLessThan(lingerMs + 3_000)
    expect(trickle.ownerOf(slow)).toBeUndefined()

    const flood = cluster(11)
    const fast = flood.client({ raw: true })
    fast.write('BAD\r\n\r\n')
    const text = 'x'.repeat(500_000)
    for (let turn = 0; turn < 60 && !fast.ended; turn++) {
      fast.write(text)
      flood.run(200)
    }
    expect(fast.failure).toBe('reset by the server')
  })
})

describe('RFC 6585 §4: a client that asks for too much', () => {
  const limits = { connections: 3, requestsPerSecond: 10, requestBurst: 5 }

  it('has its connections beyond the limit refused, by the dispatcher where they wait and by the node where they stay', () => {
    const sim = cluster(12, limits)
    const waiting = Array.from({ length: 5 }, () => sim.client({ raw: true }))
    sim.run(1_000)
    expect(waiting.map(client => client.transcript.slice(9, 12))).toEqual(['', '', '', '429', '429'])
    expect(waiting.map(client => client.finished)).toEqual([false, false, false, true, true])
    const [first, second] = waiting as [Client, Client]
    first.write(GET)
    sim.run(500)
    expect(first.transcript).toMatch(/^HTTP\/1\.1 200 /)
    // What is refused counts until its client has ended it; placed, the first leaves room at the dispatcher.
    for (const client of waiting.slice(3)) client.finish()
    sim.run(100)
    const late = sim.client({ raw: true })
    late.write(GET)
    sim.run(500)
    expect(late.transcript).toMatch(/^HTTP\/1\.1 200 /)
    second.write(GET)
    sim.run(500)
    const held = [first, second, late].map(client => sim.ownerOf(client)?.owner.config.id)
    expect(held).not.toContain(0)
    expect([first, second, late].every(client => client.resets === 0)).toBe(true)
  })

  it('at one node: the fourth connection is told so with its first response, and ended', () => {
    const sim = new Cluster({
      seed: 13,
      files: FILES,
      nodes: 1,
      limits: { ...DEFAULT_LIMITS, clients: limits },
    })
    const clients = Array.from({ length: 4 }, () => {
      const client = sim.client({ raw: true })
      client.write(GET)
      sim.run(500)
      return client
    })
    expect(clients.map(client => client.transcript.slice(9, 12))).toEqual(['200', '200', '200', '429'])
    expect(clients[3]?.finished).toBe(true)
    for (const client of [clients[0], clients[3]]) client?.finish()
    sim.run(500)
    const next = sim.client({ raw: true })
    next.write(GET)
    sim.run(500)
    expect(next.transcript).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('gets 429 and keeps its connection for requests above the rate', () => {
    const sim = cluster(14, limits)
    const client = sim.client({ raw: true })
    client.write(GET.repeat(20))
    sim.run(500)
    const statuses = () => [...client.transcript.matchAll(/HTTP\/1\.1 (\d+)/g)].map(match => match[1])
    expect(statuses().filter(status => status === '200').length).toBeGreaterThanOrEqual(6)
    expect(statuses().filter(status => status === '429').length).toBeGreaterThan(10)
    expect(statuses()).toHaveLength(20)
    expect(client.transcript).toContain('Retry-After: 1')
    sim.run(1_000)
    client.write(GET)
    sim.run(500)
    expect(statuses().at(-1)).toBe('200')
  })
})

describe('limits that a reload changes', () => {
  const configure = (sim: Cluster, limits: ServerLimits) => {
    sim.dispatcher.configure({ ...ONE_SITE, limits })
    for (let id = 1; id <= sim.nodeCount; id++) sim.node(id).site.configure(limits)
  }

  it('hold for what happens from then on, on connections old and new', () => {
    const sim = cluster(31)
    const client = sim.client({ raw: true })
    client.write(GET)
    sim.runUntil(() => client.transcript.length > 3_000, 5_000)
    configure(sim, { ...DEFAULT_LIMITS, pace: { ...DEFAULT_PACE, idleMs: 2_000 } })
    client.write(GET)
    const took = untilFinished(sim, client, idleMs)
    expect(took).toBeGreaterThan(2_000)
    expect(took).toBeLessThan(2_000 + SLACK_MS)
    leavesNothing(sim, client)
  })

  it('count connections from then on, and the end of one from before frees no place', () => {
    const sim = cluster(32)
    const before = sim.client({ raw: true })
    before.write(GET)
    sim.runUntil(() => before.transcript.length > 3_000, 5_000)
    configure(sim, { ...DEFAULT_LIMITS, clients: { ...NO_CLIENT_LIMITS, connections: 1 } })
    const first = sim.client({ raw: true })
    first.write(GET)
    sim.runUntil(() => first.transcript.length > 3_000, 5_000)
    before.finish()
    sim.run(5_000)
    const second = sim.client({ raw: true })
    second.write(GET)
    sim.run(5_000)
    expect(first.transcript).toMatch(/^HTTP\/1\.1 200 /)
    expect(second.transcript).toMatch(/^HTTP\/1\.1 429 /)
    configure(sim, DEFAULT_LIMITS)
    const third = sim.client({ raw: true })
    third.write(GET)
    sim.run(5_000)
    expect(third.transcript).toMatch(/^HTTP\/1\.1 200 /)
  })
})
