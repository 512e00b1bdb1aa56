import { setTimeout as sleep } from 'node:timers/promises'
import { Drains } from './drains.ts'

/** A node with some connections, of which a round moves at most `room`; those in `stuck` never move. */
class Node {
  connections = new Set<number>()
  stuck = new Set<number>()
  room = Number.POSITIVE_INFINITY
  draining = false
  silent = false
  asked: unknown[] = []
  targets: readonly number[] = [2, 3]
  leftAt: number[] = []

  constructor(count: number) {
    for (let id = 1; id <= count; id++) this.connections.add(id)
  }

  readonly drains = new Drains({
    ask: async (_node, what, details) => {
      if (this.silent) return undefined
      this.asked.push([what, details])
      if (what === 'drain') {
        this.draining = details === true
        return true
      }
      const targets = details as readonly number[]
      const moving =
        targets.length === 0
          ? []
          : [...this.connections].filter(id => !this.stuck.has(id)).slice(0, this.room)
      for (const id of moving) this.connections.delete(id)
      const stayed = [...this.connections].filter(id => this.stuck.has(id)).map(id => [id, 'TIMEOUT'])
      return { left: this.connections.size, shifted: moving.length, stayed }
    },
    targets: () => this.targets,
    left: node => void this.leftAt.push(node),
    now: () => performance.now(),
    pause: sleep,
  })

  async end(): Promise<ReturnType<Drains['report']>> {
    for (let waited = 0; this.drains.report(1)?.state === 'draining'; waited++) {
      if (waited > 500) throw new Error('drains for ever')
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    return this.drains.report(1)
  }
}

it('moves everything away in rounds, and the node takes nothing new', async () => {
  const node = new Node(25)
  node.room = 10
  expect(node.drains.start(1, 10_000)).toMatchObject({ state: 'draining', left: 0 })
  expect(await node.end()).toMatchObject({ state: 'drained', shifted: 25, left: 0, total: 25, remaining: [] })
  expect(node.draining).toBe(true)
  expect(node.asked.slice(0, 2)).toEqual([
    ['drain', true],
    ['spread', [2, 3]],
  ])
})

it('names what could not be moved when the time is over, and cuts nothing', async () => {
  const node = new Node(3)
  node.stuck.add(2)
  node.drains.start(1, 250)
  expect(await node.end()).toMatchObject({
    ...{ state: 'expired', shifted: 2, left: 1, total: 3 },
    remaining: [{ connection: 2, code: 'TIMEOUT' }],
  })
  expect([...node.connections]).toEqual([2])
})

it('goes on with another time when it is asked again', async () => {
  const node = new Node(1)
  node.stuck.add(1)
  node.drains.start(1, 60_000)
  node.drains.start(1, 0)
  expect(await node.end()).toMatchObject({ state: 'expired', left: 1 })
})

it('is cancelled, and the node takes connections again', async () => {
  const node = new Node(1)
  node.stuck.add(1)
  node.drains.start(1, 60_000)
  expect(await node.drains.cancel(1)).toBe('cancelled')
  expect(node.draining).toBe(false)
  expect(node.drains.report(1)).toBeUndefined()
})

it('can be cancelled again where the node did not hear it', async () => {
  const node = new Node(1)
  node.stuck.add(1)
  node.drains.start(1, 60_000)
  node.silent = true
  expect(await node.drains.cancel(1)).toBe('silent')
  expect(node.drains.report(1)).toMatchObject({ state: 'cancelled', left: 0 })
  node.silent = false
  expect(await node.drains.cancel(1)).toBe('cancelled')
  expect([node.draining, node.drains.report(1)]).toEqual([false, undefined])
})

it('is cancelled also where it was begun by a dispatcher before this one', async () => {
  const node = new Node(1)
  node.draining = true
  expect(await node.drains.cancel(1)).toBe('cancelled')
  expect(node.draining).toBe(false)
})

it('waits for a node that does not answer no longer than it was told to', async () => {
  const node = new Node(1)
  node.silent = true
  node.drains.start(1, 150)
  expect(await node.end()).toMatchObject({ state: 'expired' })
  expect(await node.drains.cancel(1)).toBe('silent')
})

describe('a node that ends', () => {
  it('is told when it is empty', async () => {
    const node = new Node(5)
    node.drains.leave(1, 10_000)
    expect((await node.end())?.state).toBe('drained')
    expect(node.leftAt).toEqual([1])
  })

  it('is told at once where nobody could take its connections', async () => {
    const node = new Node(5)
    node.targets = []
    node.drains.leave(1, 60_000)
    expect(await node.end()).toMatchObject({ state: 'expired', left: 5 })
    expect(node.leftAt).toEqual([1])
  })

  it('is told at once where it was drained before', async () => {
    const node = new Node(0)
    node.drains.start(1, 1_000)
    await node.end()
    node.drains.leave(1, 10_000)
    await node.end()
    expect(node.leftAt).toEqual([1])
  })

  it('is not to be had back: who cancels that would cut what is left', async () => {
    const node = new Node(1)
    node.stuck.add(1)
    node.drains.leave(1, 300)
    expect(await node.drains.cancel(1)).toBe('leaving')
    expect([node.leftAt, node.draining]).toEqual([[], true])
    expect(await node.end()).toMatchObject({ state: 'expired', left: 1 })
    expect(node.leftAt).toEqual([1])
  })

  it('is forgotten with its next run', async () => {
    const node = new Node(1)
    node.stuck.add(1)
    node.drains.start(1, 60_000)
    node.drains.forget(1)
    expect(node.drains.report(1)).toBeUndefined()
  })
})

it('asks another node each round for what has stayed', async () => {
  const node = new Node(1)
  node.stuck.add(1)
  node.drains.start(1, 350)
  expect(await node.end()).toMatchObject({ state: 'expired', left: 1 })
  expect(node.asked.slice(1, 4)).toEqual([
    ['spread', [2, 3]],
    ['spread', [3, 2]],
    ['spread', [2, 3]],
  ])
})

it('gives nothing to a node that is emptied as well, before that has said so itself', async () => {
  const node = new Node(1)
  node.stuck.add(1)
  /** Whom the next few rounds ask to take what is there. */
  const targets = async () => {
    node.asked = []
    const spreads = () => (node.asked as [string, unknown][]).filter(([what]) => what === 'spread')
    while (spreads().length < 4) await sleep(10)
    return new Set(spreads().flatMap(([, asked]) => asked as number[]))
  }
  node.drains.start(2, 60_000)
  node.drains.start(1, 60_000)
  expect(await targets()).toEqual(new Set([3]))
  expect(await node.drains.cancel(2)).toBe('cancelled')
  expect(await targets()).toEqual(new Set([2, 3]))
  node.drains.forget(1)
})
