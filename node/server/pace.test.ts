import { createPace, DEFAULT_PACE, exportPace, importPace, keepPace } from './pace.ts'

const LIMITS = { ...DEFAULT_PACE, headMs: 10, idleMs: 20, bodyMs: 1_000, bodyOctetsPerSecond: 100 }
const NEVER = Number.POSITIVE_INFINITY

describe('the pace of a client', () => {
  it('RFC 9110 §15.5.9: a head has a total time, whatever arrives of it', () => {
    const pace = createPace()
    expect(keepPace(pace, 'head', 0, LIMITS, 100)).toBe(110)
    for (const now of [101, 105, 109]) expect(keepPace(pace, 'head', now, LIMITS, now)).toBe(110)
  })

  it('each debt has its own time, and our own work none', () => {
    const pace = createPace()
    expect(keepPace(pace, 'head', 0, LIMITS, 0)).toBe(10)
    expect(keepPace(pace, 'nothing', 0, LIMITS, 5)).toBe(NEVER)
    expect(keepPace(pace, 'idle', 0, LIMITS, 6)).toBe(26)
    expect(keepPace(pace, 'head', 0, LIMITS, 25)).toBe(35)
  })

  it('a body at its rate never comes due, one below it does, and octets in advance earn no more than the grace', () => {
    const steady = createPace()
    let deadline = keepPace(steady, 'body', 0, LIMITS, 0)
    for (let second = 1; second < 100; second++) {
      deadline = keepPace(steady, 'body', second * 100, LIMITS, second * 1_000 - 1)
      expect(deadline).toBeGreaterThan(second * 1_000)
    }
    const slow = createPace()
    deadline = keepPace(slow, 'body', 0, LIMITS, 0)
    let second = 0
    while (deadline > second * 1_000)
      deadline = keepPace(slow, 'body', ++second * 50, LIMITS, second * 1_000 - 1)
    expect(second).toBe(2)
    const burst = createPace()
    keepPace(burst, 'body', 0, LIMITS, 0)
    expect(keepPace(burst, 'body', 1e6, LIMITS, 10)).toBe(1_010)
  })

  it('travels as time left', () => {
    const pace = createPace()
    keepPace(pace, 'reader', 1_000, LIMITS, 0)
    const plain = exportPace(pace, 59_000)
    const there = createPace()
    expect(importPace(there, plain, 7_000_000)).toBe(true)
    expect(there).toMatchObject({ awaited: 'reader', deadline: 7_001_000 })
    // What was acknowledged elsewhere earns nothing a second time.
    expect(keepPace(there, 'reader', 123, LIMITS, 7_000_001)).toBe(7_001_000)
    expect(importPace(there, exportPace(createPace(), 5), 6)).toBe(true)
    expect(there.deadline).toBe(NEVER)
  })

  it.each([[undefined], [null], [[]], [[9, 1]], [[1]], [[1, -2]], [[1, 0.5]], [['head', 1]], [[1, 1, 1]]])(
    '%j is no pace',
    plain => {
      expect(importPace(createPace(), plain, 0)).toBe(false)
    },
  )
})
