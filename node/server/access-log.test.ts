import { mkdtempSync, readFileSync, renameSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asciiOctets } from '../http/grammar.ts'
import { createRequestHead, parseRequestHead } from '../http/request-head.ts'
import { AccessLog, type AccessLogSettings, combinedLine, jsonLine, MAX_WAITING } from './access-log.ts'
import {
  type Access,
  entryOf,
  exportTrail,
  importTrail,
  MAX_OWNERS,
  MAX_PENDING,
  sentOctets,
} from './access-trail.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gyre-log-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const FLOW = {
  family: 4 as const,
  remote0: 0,
  remote1: 0,
  remote2: 0xffff,
  remote3: 0x0a4f0002,
  remotePort: 40_001,
  localPort: 80,
}

function access(more: Partial<Access['entry']> = {}): Access {
  return {
    entry: {
      ...{ second: 1_800_000_000, line: 'GET /a HTTP/1.1', host: 'a.example', referer: '', agent: 'curl/8' },
      ...{ status: 200, headOctets: 100, octets: 1_100, startedAt: 0, end: 1_100 },
      ...more,
    },
    ...{ sentOctets: 1_100, durationMs: 12.3456, shifts: 2, owners: [1, 3], flow: FLOW },
  }
}

describe('a line', () => {
  it('is combined, with host, duration, shifts and owners behind it', () => {
    expect(combinedLine(access())).toBe(
      '10.79.0.2 - - [15/Jan/2027:08:00:00 +0000] "GET /a HTTP/1.1" 200 1000 "-" "curl/8" "a.example" 12.346 2 1,3\n',
    )
  })

  it('is JSON', () => {
    expect(JSON.parse(jsonLine(access()))).toEqual({
      ...{ time: '2027-01-15T08:00:00.000Z', client: '10.79.0.2:40001', host: 'a.example' },
      ...{ request: 'GET /a HTTP/1.1', status: 200, bodyOctets: 1_000, sentOctets: 1_100, complete: true },
      ...{ durationMs: 12.346, referer: '', agent: 'curl/8', shifts: 2, owners: [1, 3] },
    })
  })

  it.each(['"', '\\', '\r\n127.0.0.1 - - [', '\0', '\x1b[31m', '\x7f', '\x85', '\u2028', '\xff'])(
    'is one line of printable ASCII whatever a client says (%j)',
    said => {
      const hostile = access({ line: said, host: said, referer: said, agent: said })
      for (const text of [combinedLine(hostile), jsonLine(hostile)]) expect(text).toMatch(/^[ -~]+\n$/)
      expect(combinedLine(hostile).split(/(?<!\\)"/)).toHaveLength(9)
      expect(JSON.parse(jsonLine(hostile))).toMatchObject({ request: said, host: said, agent: said })
    },
  )
})

describe('a log', () => {
  const settings = (more: Partial<AccessLogSettings> = {}): AccessLogSettings => ({
    ...{ format: 'combined', file: join(folder, '{name}.log'), bufferOctets: 1 << 20 },
    ...more,
  })
  const errors: Error[] = []
  const open = (more: Partial<AccessLogSettings> = {}) =>
    AccessLog.open(settings(more), 'node1', error => void errors.push(error)) as AccessLog
  const linesOf = (name: string) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1)

  it('is none when it is off', () => {
    expect(AccessLog.open(settings({ format: 'off' }), 'node1', () => {})).toBeUndefined()
  })

  it('is written at its end, and appended to', () => {
    for (let run = 1; run <= 2; run++) {
      const log = open()
      for (let count = 0; count < 1_000; count++) log.add(access())
      log.close()
      expect(log.counters).toEqual({ written: 1_000, dropped: 0, errors: 0 })
      expect(linesOf('node1.log')).toHaveLength(run * 1_000)
    }
  })

  it('goes on in a new file after it was moved away', async () => {
    const log = open()
    log.add(access({ line: 'first' }))
    renameSync(join(folder, 'node1.log'), join(folder, 'node1.log.1'))
    log.reopen()
    log.add(access({ line: 'second' }))
    log.close()
    await until(() => linesOf('node1.log.1').length === 1)
    expect(linesOf('node1.log.1')[0]).toContain('"first"')
    expect(linesOf('node1.log')).toEqual([expect.stringContaining('"second"')])
  })

  it('goes on at the new end of a file that was copied and truncated', async () => {
    const log = open()
    log.add(access({ line: 'first' }))
    await until(() => linesOf('node1.log').length === 1)
    truncateSync(join(folder, 'node1.log'))
    log.add(access({ line: 'second' }))
    log.close()
    expect(linesOf('node1.log')).toEqual([expect.stringContaining('"second"')])
  })

  it('drops and counts lines when the disk is full, says so once, and goes on', async () => {
    errors.length = 0
    const log = open({ file: '/dev/full', bufferOctets: 4_096 })
    for (let round = 0; round < 3; round++) {
      for (let count = 0; count < 100; count++) log.add(access())
      await until(() => log.counters.written + log.counters.dropped === 100 * (round + 1))
    }
    expect(log.counters.dropped).toBeGreaterThan(200)
    await until(() => log.counters.errors > 1)
    expect(errors).toEqual([expect.objectContaining({ code: 'ENOSPC' })])
    log.close()
  })

  it('drops and counts what comes faster than lines are made', () => {
    const log = open()
    for (let count = 0; count < MAX_WAITING + 10; count++) log.add(access())
    expect(log.counters.dropped).toBe(10)
    log.close()
  })

  it('does not start where its file cannot be', () => {
    expect(() => open({ file: join(folder, 'none', 'x.log') })).toThrow(/ENOENT/)
  })
})

describe('the trail of a connection', () => {
  const head = () => {
    const octets = asciiOctets('GET /a?b HTTP/1.1\r\nHost: A.example\r\nReferer: r\r\nUser-Agent: u\r\n\r\n')
    const into = createRequestHead()
    expect(parseRequestHead(octets, 0, octets.length, into)).toBe('complete')
    return into
  }

  it('tells what was asked', () => {
    const told = entryOf(head(), 7, 3)
    expect(told).toEqual({
      ...{ second: 7, line: 'GET /a?b HTTP/1.1', host: 'A.example', referer: 'r', agent: 'u', startedAt: 3 },
    })
    expect(entryOf(undefined, 7, 3)).toMatchObject({ line: '', host: '' })
  })

  it('travels with ages and distances', () => {
    const entry = { ...entryOf(head(), 7, 100), status: 200, headOctets: 10, octets: 50, end: 1_050 }
    const plain = structuredClone(exportTrail({ pending: [entry], owners: [1, 2] }, 1_020, 130))
    const trail = importTrail(plain, 3, 5, 1_000)
    expect(trail?.owners).toEqual([1, 2, 3])
    expect(trail?.pending).toEqual([{ ...entry, startedAt: 970, end: 35 }])
    const [moved] = trail?.pending ?? []
    expect(moved && sentOctets(moved, 5)).toBe(sentOctets(entry, 1_020))
    expect(sentOctets(entry, 1_020)).toBe(20)
    expect(sentOctets(entry, 0)).toBe(0)
    expect(sentOctets(entry, 9_999)).toBe(50)
  })

  it('writes a text once that requests have in common', () => {
    const first = { ...entryOf(head(), 7, 100), status: 200, headOctets: 10, octets: 50, end: 1_050 }
    const second = { ...first, startedAt: 110.125, end: 1_100 }
    const third = { ...second, agent: 'another', line: '', end: 1_150 }
    const plain = exportTrail({ pending: [first, second, third], owners: [1] }, 1_020, 130) as unknown[][]
    expect(plain[1]?.map(entry => (entry as unknown[]).slice(1, 5))).toEqual([
      ['GET /a?b HTTP/1.1', 'A.example', 'r', 'u'],
      [null, null, null, null],
      ['', null, null, 'another'],
    ])
    expect(importTrail(plain, 1, 1_020, 130)?.pending).toEqual([first, second, third])
  })

  it('keeps the last owners', () => {
    const owners = Array.from({ length: MAX_OWNERS }, (_, index) => index)
    expect(importTrail([owners, []], 99, 0, 0)?.owners).toEqual([...owners.slice(1), 99])
  })

  it('names an owner once that put the connection away', () => {
    expect(importTrail([[1, 2], []], 2, 0, 0)?.owners).toEqual([1, 2])
    expect(importTrail([[1, 2], []], 1, 0, 0)?.owners).toEqual([1, 2, 1])
  })

  it.each([
    7,
    [],
    [[1]],
    [['x'], []],
    [Array(MAX_OWNERS + 1).fill(1), []],
    [[1], Array(MAX_PENDING + 1).fill([])],
    [[1], [[1, '', '', '', '', 200, 1, 1, -1, 1]]],
    [[1], [[1, '', '', '', 'x'.repeat(513), 200, 1, 1, 1, 1]]],
    [[1], [[1, '', '', '', '', 200, 1, 1, 1, -1]]],
    [[1], [[1, '', '', '', '', 200, 1, 1, 1.5, 1]]],
    [[1], [[1, null, '', '', '', 200, 1, 1, 1, 1]]],
  ])('is none: %j', plain => {
    expect(importTrail(plain, 1, 0, 0)).toBeUndefined()
  })
})

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 4_000 && !condition(); turn++)
    await new Promise(resolve => setTimeout(resolve, 5))
  expect(condition()).toBe(true)
}
