import fc from 'fast-check'
import { MAX_EVENTS_PER_INSTANT, type ScheduledEvent, Scheduler } from './scheduler.ts'

test('events run in the order of their time, equals in the order of their making, as a sorted list would', () => {
  const operations = fc.array(fc.record({ at: fc.nat(20), cancels: fc.option(fc.nat(50)) }), {
    maxLength: 100,
  })
  fc.assert(
    fc.property(operations, list => {
      const scheduler = new Scheduler()
      const events: ScheduledEvent[] = []
      const expected: { id: number; at: number }[] = []
      const ran: { id: number; at: number }[] = []
      list.forEach(({ at, cancels }, id) => {
        events.push(scheduler.at(at, () => ran.push({ id, at: scheduler.now })))
        expected.push({ id, at })
        const victim = cancels === null ? undefined : events[cancels]
        if (victim === undefined) return
        const place = expected.findIndex(entry => entry.id === events.indexOf(victim))
        expect(scheduler.cancel(victim)).toBe(place >= 0)
        if (place >= 0) expected.splice(place, 1)
      })
      expect(scheduler.pending).toBe(expected.length)
      scheduler.run(100)
      expect(ran).toEqual(expected.sort((one, other) => one.at - other.at || one.id - other.id))
      expect([scheduler.now, scheduler.pending]).toEqual([100, 0])
    }),
    { numRuns: 500 },
  )
})

test('run stops at its end, and time stands there', () => {
  const scheduler = new Scheduler(5)
  const ran: number[] = []
  for (const at of [7, 10, 10.5]) scheduler.at(at, () => ran.push(at))
  expect(scheduler.run(10)).toBe(2)
  expect([ran, scheduler.now, scheduler.nextAt]).toEqual([[7, 10], 10, 10.5])
})

test('an event in the past runs now, after what was due before', () => {
  const scheduler = new Scheduler(10)
  const ran: string[] = []
  scheduler.after(0, () => ran.push('due'))
  scheduler.at(3, () => ran.push(`late at ${scheduler.now}`))
  scheduler.run(10)
  expect(ran).toEqual(['due', 'late at 10'])
})

test('an event may schedule others in its own instant', () => {
  const scheduler = new Scheduler()
  let left = 5
  const again = () => {
    if (--left > 0) scheduler.after(0, again)
  }
  scheduler.after(1, again)
  expect(scheduler.run(1)).toBe(5)
})

test('an event at Infinity never runs, and a run to Infinity leaves the time of the last event', () => {
  const scheduler = new Scheduler()
  scheduler.at(Infinity, () => {
    throw new Error('never')
  })
  scheduler.at(4, () => {})
  expect(scheduler.run(Infinity)).toBe(1)
  expect(scheduler.now).toBe(4)
})

test('runUntil stops at the condition or at the time', () => {
  const scheduler = new Scheduler()
  let count = 0
  const tick = () => {
    count++
    scheduler.after(1, tick)
  }
  scheduler.after(1, tick)
  expect(scheduler.runUntil(() => count === 3, 100)).toBe(true)
  expect(scheduler.now).toBe(3)
  expect(scheduler.runUntil(() => count > 100, 10.5)).toBe(false)
  expect([scheduler.now, count]).toEqual([10.5, 10])
})

test('a simulation that stands still is noticed, and one without a time', () => {
  const scheduler = new Scheduler()
  let count = 0
  const forever = () => {
    count++
    scheduler.after(0, forever)
  }
  scheduler.after(1, forever)
  expect(() => scheduler.run(2)).toThrow('time stands still at 1 ms')
  expect(count).toBeGreaterThanOrEqual(MAX_EVENTS_PER_INSTANT)
  expect(() => scheduler.at(Number.NaN, forever)).toThrow('needs a time')
})
