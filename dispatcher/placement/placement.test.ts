import { MAX_DECISIONS } from './decisions.ts'
import { Directory } from './directory.ts'
import {
  DEFAULT_PLACEMENT,
  DEFAULT_SHIFTS_PER_SECOND,
  MAX_REMEMBERED_CHARACTERS,
  Placement,
} from './placement.ts'
import { POLICIES } from './policy.ts'
import { MAX_SERVER_SETS, ServerSets } from './server-sets.ts'

const node = (id: number, connections: number) => ({ id, connections, load: connections })
const idle = [1, 2, 3].map(id => node(id, 0))
const arrival = (path: string) => ({ path, from: undefined })

it('has no node to choose where there is none', () => {
  expect(new Placement(new Directory()).choose(arrival('/a'), [], 0)).toBeUndefined()
  expect(new Placement(new Directory()).explain(arrival('/a'), [], 0)).toBeUndefined()
})

it('spreads new objects over an idle cluster and sends the same object to the same node', () => {
  const placement = new Placement(new Directory())
  const first = ['/a', '/b', '/c'].map(path => placement.choose(arrival(path), idle, 0))
  expect([...first].sort()).toEqual([1, 2, 3])
  expect(['/a', '/b', '/c'].map(path => placement.choose(arrival(path), idle, 0))).toEqual(first)
})

it('chooses the least loaded of several holders', () => {
  const directory = new Directory()
  directory.add(1, '/a')
  directory.add(3, '/a')
  const loaded = [node(1, 9), node(2, 0), node(3, 4)]
  expect(new Placement(directory).choose(arrival('/a'), loaded, 0)).toBe(3)
})

it('gives an object a second holder when the only one is loaded far above the others', () => {
  const directory = new Directory()
  directory.add(1, '/a')
  const placement = new Placement(directory)
  expect(placement.choose(arrival('/a'), [node(1, 39), ...idle.slice(1)], 0)).toBe(1)
  expect(placement.choose(arrival('/a'), [node(1, 41), ...idle.slice(1)], 0)).not.toBe(1)
  expect(directory.holders('/a')).toHaveLength(2)
})

it('does not count on a node that is not a candidate', () => {
  const directory = new Directory()
  directory.add(1, '/a')
  expect(new Placement(directory).choose(arrival('/a'), idle.slice(1), 0)).not.toBe(1)
})

it('moves only so many connections a second, but places all new ones', () => {
  const directory = new Directory()
  directory.add(1, '/a')
  const placement = new Placement(directory)
  const moved = (now: number) => {
    let count = 0
    for (let turn = 0; turn < 3 * DEFAULT_SHIFTS_PER_SECOND; turn++) {
      if (placement.choose({ path: '/a', from: 2 }, idle, now) === 1) count++
    }
    return count
  }
  expect(moved(0)).toBe(DEFAULT_SHIFTS_PER_SECOND)
  expect(placement.decisions('/a')[0]).toMatchObject({ reason: 'shift-limit', from: 2, to: 2 })
  expect(moved(500)).toBe(DEFAULT_SHIFTS_PER_SECOND / 2)
  expect(placement.choose(arrival('/a'), idle, 500)).toBe(1)
})

it('takes another policy at any time, which begins with nothing remembered', () => {
  const placement = new Placement(new Directory(), { ...DEFAULT_PLACEMENT, policy: 'lard-r' })
  const to = placement.choose(arrival('/a'), idle, 0) as number
  expect(placement.explain(arrival('/a'), idle, 0)).toMatchObject({ to, reason: 'server-set' })
  placement.policy = 'round-robin'
  expect([1, 2, 3].map(() => placement.choose(arrival('/a'), idle, 0)).sort()).toEqual([1, 2, 3])
  placement.policy = 'lard-r'
  expect(placement.explain(arrival('/a'), idle, 0)).toMatchObject({ reason: 'first' })
})

it('places longer paths than it remembers, so that hostile clients cannot fill its memory with paths that nobody has', () => {
  for (const policy of POLICIES) {
    const directory = new Directory()
    const placement = new Placement(directory, { ...DEFAULT_PLACEMENT, policy })
    const [kept, long] = [0, 1].map(more => '/'.padEnd(MAX_REMEMBERED_CHARACTERS + more, 'x')) as [
      string,
      string,
    ]
    expect([1, 2, 3]).toContain(placement.choose(arrival(long), idle, 0))
    expect([directory.size, placement.decisions(long)]).toEqual([0, []])
    const before = placement.explain(arrival(long), idle, 0)
    expect(before?.reason).not.toBe('server-set')
    placement.choose(arrival(kept), idle, 0)
    expect(placement.decisions(kept)).toHaveLength(1)
  }
})

describe('explanations', () => {
  it('change nothing, and say what happens then', () => {
    const directory = new Directory()
    const placement = new Placement(directory)
    const told = [1, 2, 3].map(() => placement.explain(arrival('/a'), idle, 0))
    expect(new Set(told.map(choice => choice?.to)).size).toBe(1)
    expect(directory.holders('/a')).toEqual([])
    expect(placement.decisions('/a')).toEqual([])
    expect(placement.choose(arrival('/a'), idle, 0)).toBe(told[0]?.to)
  })

  it('know the last decisions about a path, and only so many', () => {
    const placement = new Placement(new Directory())
    const to = placement.choose(arrival('/a'), idle, 5)
    placement.choose({ path: '/a', from: 1 }, idle, 6)
    for (let other = 0; other < MAX_DECISIONS - 2; other++) placement.choose(arrival('/b'), idle, 7)
    expect(placement.decisions('/a').map(({ at, from }) => [at, from])).toEqual([
      [6, 1],
      [5, undefined],
    ])
    expect(placement.decisions('/a')[1]).toMatchObject({ to, policy: 'locality', reason: 'first' })
    placement.choose(arrival('/b'), idle, 8)
    expect(placement.decisions('/a')).toHaveLength(1)
    expect(placement.decisions('/b')).toHaveLength(10)
    expect(placement.counts.first).toBe(2)
  })
})

it('remembers only so many server sets, the last that changed', () => {
  const sets = new ServerSets()
  for (let number = 0; number <= MAX_SERVER_SETS; number++) {
    sets.note(`/${number}`, { nodes: [1], changedAt: number, asked: 0 })
    if (number === 5) sets.note('/0', { nodes: [2], changedAt: 5, asked: 0 })
  }
  expect(sets.of('/1')).toBeUndefined()
  expect(sets.of('/0')).toEqual({ nodes: [2], changedAt: 5, asked: 0 })
})
