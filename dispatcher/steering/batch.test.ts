import { setTimeout as sleep } from 'node:timers/promises'
import { Batch } from './batch.ts'

/** A batch whose work ends when the test says so. */
function heldBatch(maxPending?: number) {
  const batches: (readonly string[])[] = []
  const ends: ((error?: Error) => void)[] = []
  const apply = (items: readonly string[]) => {
    batches.push(items)
    return new Promise<void>((resolve, reject) => {
      ends.push(error => (error === undefined ? resolve() : reject(error)))
    })
  }
  return { batch: new Batch(apply, 2, maxPending), batches, ends }
}

describe('Batch', () => {
  it('hands on together what comes within a few milliseconds', async () => {
    const { batch, batches, ends } = heldBatch()
    const all = [batch.add('a', 1), batch.add('b', 1), batch.add('c', 1)]
    await sleep(10)
    expect(batches).toEqual([['a', 'b', 'c']])
    ends[0]?.()
    await Promise.all(all)
  })

  it('runs one batch at a time; what comes meanwhile is the next one', async () => {
    const { batch, batches, ends } = heldBatch()
    const first = batch.add('a', 1)
    await sleep(10)
    const second = batch.add('b', 1)
    await sleep(10)
    expect(batches).toEqual([['a']])
    ends[0]?.()
    await first
    await sleep(0)
    expect(batches).toEqual([['a'], ['b']])
    ends[1]?.()
    await second
  })

  it('rejects every item of a batch that fails, and goes on', async () => {
    const { batch, ends } = heldBatch()
    const all = Promise.allSettled([batch.add('a', 1), batch.add('b', 1)])
    await sleep(10)
    ends[0]?.(new Error('no'))
    expect((await all).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    const next = batch.add('c', 1)
    await sleep(10)
    ends[1]?.()
    await next
  })

  it('is bounded, but takes one item of any weight', async () => {
    const { batch, ends } = heldBatch(10)
    const large = batch.add('large', 100)
    await expect(batch.add('b', 1)).rejects.toMatchObject({ code: 'STEERING_BUSY' })
    await sleep(10)
    // What is under way does not wait any more.
    const next = batch.add('c', 10)
    await expect(batch.add('d', 1)).rejects.toMatchObject({ code: 'STEERING_BUSY' })
    ends[0]?.()
    await large
    await sleep(0)
    ends[1]?.()
    await next
  })

  it('rejects what waits when it is closed, and waits for what is under way', async () => {
    const { batch, ends } = heldBatch()
    const first = batch.add('a', 1)
    await sleep(10)
    const second = batch.add('b', 1)
    const refused = expect(second).rejects.toThrow('closed')
    let closed = false
    const closing = batch.close(new Error('closed')).then(() => {
      closed = true
    })
    await refused
    expect(closed).toBe(false)
    ends[0]?.()
    await Promise.all([first, closing])
  })
})
