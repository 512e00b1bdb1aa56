/** The benchmark's own machinery: every system serves the trace from its nodes, limited as they are said to be. No timing. */
import { spawnSync } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { goalsOf, measure } from './command.ts'
import { type Counters, figuresOf } from './counters.ts'
import { Storage } from './storage.ts'
import { SYSTEMS } from './systems.ts'
import { createWorkload, memoryOf } from './workload.ts'

const TOOLS = ['wrk', 'nginx', 'haproxy']
const missing = TOOLS.filter(tool => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0)
const lacking = process.getuid?.() !== 0 ? 'needs root' : missing.length > 0 ? `no ${missing}` : undefined
const where = lacking === undefined ? describe : describe.skip

where(`a small cluster${lacking === undefined ? '' : ` (skipped: ${lacking})`}`, () => {
  it('serves without a failure, from disks and over links that are counted', async () => {
    const run = {
      ...{ nodes: [2], rate: 100, diskMs: 1, objects: 2_000, connections: 2 },
      ...{ seconds: 2, warm: 1, rounds: 1, only: '' },
    }
    // One of each kind: ours, the steering by hash with peers behind it, and the proxy.
    const chosen = SYSTEMS.filter(({ name }) => ['gyre shift', 'nginx cooperative', 'HAProxy'].includes(name))
    const { rows } = await measure(run, chosen)
    expect(rows.map(({ system, errors }) => [system, errors])).toEqual(chosen.map(({ name }) => [name, 0]))
    for (const { system, figures } of rows) {
      const of = (column: string) => figures[column]?.[0] as number
      expect([system, of('requests') > 0]).toEqual([system, true])
      // What the client got came over the nodes' links. Cooperating nodes send it to each other first.
      expect([system, of('links used') > 0]).toEqual([system, true])
      // Only a proxy has responses of about 6 kB pass its machine.
      expect([system, of('dispatcher sends') > 3_000]).toEqual([system, system.startsWith('HAProxy')])
    }
  }, 300_000)
})

describe('the workload', () => {
  it('has responses of about 6.2 kB, and memory for a twelfth of them', () => {
    const trace = createWorkload(4_000)
    const total = trace.sizes.reduce((sum, size) => sum + size, 0)
    const asked = trace.requests.reduce((sum, object) => sum + (trace.sizes[object] as number), 0)
    expect(Math.abs(total / trace.sizes.length - 6_200)).toBeLessThan(400)
    expect(Math.abs(asked / trace.requests.length - 6_200)).toBeLessThan(1_500)
    const { gyre, nginx } = memoryOf(trace)
    expect(gyre).toBeGreaterThan(total / 12)
    expect(nginx).toBeGreaterThan(total / 12)
  })
})

describe('the storage', () => {
  const ask = (storage: Storage, url: string) => {
    const told = { status: 200, octets: 0 }
    const response = {
      writeHead: (status: number) => {
        told.status = status
        return response
      },
      end: (octets?: Buffer) => {
        told.octets = octets?.length ?? 0
      },
    }
    storage.answer({ url } as IncomingMessage, response as unknown as ServerResponse)
    return told
  }

  it('reads as many files at a time as it has disks, and counts them', () => {
    jest.useFakeTimers()
    const storage = new Storage({ sizes: [10, 20, 30], disks: 2 })
    ask(storage, '/read-ms?40')
    const told = [0, 1, 2].map(name => ask(storage, `/${name}`))
    jest.advanceTimersByTime(41)
    expect(told.map(({ octets }) => octets)).toEqual([10, 20, 0])
    jest.advanceTimersByTime(40)
    expect(told.map(({ octets }) => octets)).toEqual([10, 20, 30])
    expect([storage.reads, ask(storage, '/9').status, ask(storage, '/x').status]).toEqual([3, 404, 404])
    jest.useRealTimers()
  })
})

describe('figures', () => {
  it('are of the window, by what was available in it', () => {
    const counters = (at: number, linkOctets: number, reads: number): Counters => {
      const rest = { dispatcherOctets: at * 10, dispatcherSeconds: at / 10_000, idleSeconds: 0 }
      return { at, linkOctets, reads, ...rest }
    }
    const client = { requestsPerSecond: 100, octetsPerSecond: 900_000 }
    const figures = figuresOf(client, counters(0, 0, 50), counters(2_000, 1_900_000, 70), 4e6, 2)
    expect(figures).toMatchObject({
      'links used': 95,
      'links useful': 90,
      'without a disk': 90,
      requests: 100,
    })
    expect(figures).toMatchObject({ 'dispatcher CPU': 10, 'dispatcher sends': 100 })
  })

  it('say what was reached, against everybody', () => {
    const row = (group: string, system: string, requests: number) => {
      const figures = { requests: [requests], 'links used': [99], 'dispatcher sends': [300] }
      return { group, system, figures, errors: 0 }
    }
    const rows = [
      row('8 nodes', 'gyre shift', 1),
      row('12 nodes', 'gyre shift', 3),
      row('12 nodes', 'L4 hash', 2),
    ]
    const goals = new Map(goalsOf(rows).map(({ text, value }) => [text, value]))
    expect(goals.get('links used with 8 nodes')).toBe(99)
    expect(goals.get('requests/s with 12 nodes, against L4 hash')).toBe(1.5)
    expect(goals.get('requests/s with 12 nodes, against HAProxy')).toBeNaN()
  })
})
