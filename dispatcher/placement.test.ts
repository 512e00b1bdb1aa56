import { Directory } from './directory.ts'
import { Placement } from './placement.ts'

const idle = [1, 2, 3].map(id => ({ id, connections: 0 }))

describe('placement', () => {
  it('has no node to choose where there is none', () => {
    expect(new Placement(new Directory()).choose('/a', [])).toBeUndefined()
  })

  it('spreads new objects over an idle cluster and sends the same object to the same node', () => {
    const placement = new Placement(new Directory())
    const first = ['/a', '/b', '/c'].map(path => placement.choose(path, idle))
    expect([...first].sort()).toEqual([1, 2, 3])
    expect(['/a', '/b', '/c'].map(path => placement.choose(path, idle))).toEqual(first)
  })

  it('chooses the least loaded of several holders', () => {
    const directory = new Directory()
    directory.add(1, '/a')
    directory.add(3, '/a')
    const loaded = [
      { id: 1, connections: 9 },
      { id: 2, connections: 0 },
      { id: 3, connections: 4 },
    ]
    expect(new Placement(directory).choose('/a', loaded)).toBe(3)
  })

  it('gives an object a second holder when the only one is loaded far above the others', () => {
    const directory = new Directory()
    directory.add(1, '/a')
    const placement = new Placement(directory)
    expect(placement.choose('/a', [{ id: 1, connections: 40 }, ...idle.slice(1)])).toBe(1)
    expect(placement.choose('/a', [{ id: 1, connections: 41 }, ...idle.slice(1)])).not.toBe(1)
    expect(directory.holders('/a')).toHaveLength(2)
  })

  it('does not count on a node that is not a candidate', () => {
    const directory = new Directory()
    directory.add(1, '/a')
    expect(new Placement(directory).choose('/a', idle.slice(1))).not.toBe(1)
  })
})

describe('the directory', () => {
  it('forgets what a node held, and is bounded', () => {
    const directory = new Directory(2)
    directory.add(1, '/a')
    directory.add(2, '/a')
    directory.add(1, '/b')
    directory.forget(1)
    expect(directory.holders('/a')).toEqual([2])
    expect(directory.holders('/b')).toEqual([])
    directory.add(1, '/c')
    directory.add(1, '/d')
    expect(directory.size).toBe(2)
    expect(directory.holders('/a')).toEqual([])
  })
})
