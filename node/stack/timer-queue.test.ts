import fc from 'fast-check'
import { MAX_ENTRIES_PER_ITEM, type Timed, TimerQueue } from './timer-queue.ts'

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

  it('keeps a bounded number of entries, and loses none that counts', () => {
    const queue = new TimerQueue<Item>()
    const items = Array.from({ length: 500 }, () => new Item())
    // As with delayed acknowledgements: a far deadline, a near one, and the far one again.
    for (let now = 0; now < 1_000; now++) {
      for (const item of items) {
        item.due = now + 60_000
        queue.update(item)
        item.due = now
        queue.update(item)
      }
      for (let item = queue.next(now); item !== undefined; item = queue.next(now)) {
        item.due = now + 60_000
        queue.update(item)
      }
      expect(queue.length).toBeLessThanOrEqual(MAX_ENTRIES_PER_ITEM * items.length + 1)
    }
    items.forEach((item, index) => {
      item.due = 70_000 + index
      queue.update(item)
    })
    const due: Item[] = []
    for (let item = queue.next(80_000); item !== undefined; item = queue.next(80_000)) {
      item.due = Number.POSITIVE_INFINITY
      due.push(item)
    }
    expect(new Set(due).size).toBe(items.length)
    expect(due).toHaveLength(items.length)
    expect(queue.length).toBe(0)
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

  it('lets go of what was removed, without waiting for its time', () => {
    const queue = new TimerQueue<Item>()
    const items = Array.from({ length: 10_000 }, (_, index) => {
      const item = new Item()
      item.due = 1_000_000 + index
      queue.update(item)
      return item
    })
    const kept = items.filter((_, index) => index % 10 === 0)
    for (const [index, item] of items.entries()) if (index % 10 !== 0) queue.forget(item)
    expect(queue.length).toBeLessThanOrEqual(4 * kept.length)
    const given: Item[] = []
    for (let item = queue.next(2_000_000); item !== undefined; item = queue.next(2_000_000)) {
      item.due = Number.POSITIVE_INFINITY
      given.push(item)
    }
    expect(given).toEqual(kept)
    expect(queue.length).toBe(0)
  })
})
