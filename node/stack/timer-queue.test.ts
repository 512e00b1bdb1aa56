import fc from 'fast-check'
import { type Timed, TimerQueue } from './timer-queue.ts'

class Item implements Timed {
  queuedAt = Number.POSITIVE_INFINITY
  due = Number.POSITIVE_INFINITY
  deadline(): number {
    return this.due
  }
}

describe('the timer queue', () => {
  it('gives every item when it is due and never earlier, however its deadline moved', () => {
    const move = fc.record({
      item: fc.nat(9),
      due: fc.integer({ min: 0, max: 100 }),
      cancel: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(fc.array(move, { maxLength: 5 }), { maxLength: 100 }), rounds => {
        const queue = new TimerQueue<Item>()
        const items = Array.from({ length: 10 }, () => new Item())
        rounds.forEach((moves, now) => {
          for (const { item, due, cancel } of moves) {
            const moved = items[item] as Item
            moved.due = cancel ? Number.POSITIVE_INFINITY : now + due
            queue.update(moved)
          }
          for (let item = queue.next(now); item !== undefined; item = queue.next(now)) {
            expect(item.due).toBeLessThanOrEqual(now)
            item.due = Number.POSITIVE_INFINITY
          }
          for (const item of items) expect(item.due).toBeGreaterThan(now)
          expect(queue.earliest()).toBeLessThanOrEqual(Math.min(...items.map(item => item.due)))
        })
      }),
    )
  })

  it('adds no entry when a deadline moves later', () => {
    const queue = new TimerQueue<Item>()
    const item = new Item()
    for (let due = 10; due < 1_000; due++) {
      item.due = due
      queue.update(item)
    }
    expect(queue.length).toBe(1)
    expect(queue.next(998)).toBeUndefined()
    expect(queue.next(999)).toBe(item)
  })
})
