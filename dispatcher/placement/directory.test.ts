import fc from 'fast-check'
import { Directory, EXPECTED_MS, MAX_EXPECTED, MAX_EXPECTED_CHARS } from './directory.ts'

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

describe('what was given to a node to read', () => {
  it('counts as held at once, and no longer than it may take to read where the node does not confirm it', () => {
    const directory = new Directory()
    directory.expect(1, '/missing', 0)
    directory.expect(2, '/there', 0)
    expect(directory.holders('/missing')).toEqual([1])
    expect(directory.isExpected(2, '/there')).toBe(true)
    directory.add(2, '/there')
    expect(directory.isExpected(2, '/there')).toBe(false)
    directory.expire(EXPECTED_MS - 1)
    expect(directory.holders('/missing')).toEqual([1])
    directory.expire(EXPECTED_MS)
    expect(directory.holders('/missing')).toEqual([])
    expect(directory.holders('/there')).toEqual([2])
  })

  it('may be expected of several, and is no news where it is held', () => {
    const directory = new Directory()
    directory.add(1, '/a')
    directory.expect(1, '/a', 0)
    directory.expect(2, '/a', 0)
    directory.expect(3, '/a', 0)
    directory.add(3, '/a')
    directory.expire(EXPECTED_MS)
    expect(directory.holders('/a')).toEqual([1, 3])
  })

  it('is bounded', () => {
    const directory = new Directory()
    for (let number = 0; number <= MAX_EXPECTED; number++) directory.expect(1, `/${number}`, 0)
    expect(directory.size).toBeLessThanOrEqual(MAX_EXPECTED)
    expect(directory.size).toBeGreaterThan(0.99 * MAX_EXPECTED)
    expect(directory.holders('/0')).toEqual([])
  })

  it('is bounded in characters too, for paths may be long', () => {
    const directory = new Directory()
    const long = 'x'.repeat(8_000)
    for (let number = 0; number < 5_000; number++) directory.expect(1, `/${number}${long}`, 0)
    expect(directory.chars).toBeLessThanOrEqual(MAX_EXPECTED_CHARS)
    expect(directory.size).toBe(Math.floor(MAX_EXPECTED_CHARS / (long.length + 5)))
    const small = new Directory(1_000, 50)
    for (let number = 0; number < 100; number++) small.add(1, `/ten-long-${number % 10}`)
    expect([small.size, small.chars]).toEqual([4, 44])
  })

  it('is forgotten with its path', () => {
    const directory = new Directory(1)
    directory.expect(1, '/a', 0)
    directory.add(1, '/b')
    directory.add(1, '/a')
    directory.expire(EXPECTED_MS)
    expect(directory.holders('/a')).toEqual([1])
  })
})

/** What it should hold, worked out the slow way: by path, in the order in which the paths came. */
class Model {
  readonly held = new Map<string, Set<number>>()

  add(owner: number, path: string): void {
    const holders = this.held.get(path)
    if (holders !== undefined) {
      holders.add(owner)
      return
    }
    for (const [oldest] of this.held) {
      if (this.held.size < SMALL && this.chars + path.length <= SMALL_CHARS) break
      this.held.delete(oldest)
    }
    this.held.set(path, new Set([owner]))
  }

  remove(owner: number, path: string): void {
    const holders = this.held.get(path)
    holders?.delete(owner)
    if (holders?.size === 0) this.held.delete(path)
  }

  get chars(): number {
    return [...this.held.keys()].reduce((sum, { length }) => sum + length, 0)
  }
}

const SMALL = 6
const SMALL_CHARS = 30
const act = fc.record({
  what: fc.constantFrom('add', 'add', 'expect', 'remove', 'forget', 'expire'),
  owner: fc.integer({ min: 1, max: 3 }),
  path: fc.integer({ min: 1, max: 9 }).map(length => `/${'x'.repeat(length)}`),
})

it('knows by path and by node the same, whatever is added, removed, given up or forgotten', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), acts => {
      const [directory, model] = [new Directory(SMALL, SMALL_CHARS), new Model()]
      let expected: { owner: number; path: string }[] = []
      for (const { what, owner, path } of acts) {
        if (what === 'expect') directory.expect(owner, path, 0)
        else if (what === 'expire') directory.expire(EXPECTED_MS)
        else if (what === 'forget') directory.forget(owner)
        else directory[what](owner, path)
        if (what === 'expect' && model.held.get(path)?.has(owner) !== true) expected.push({ owner, path })
        if (what === 'add' || what === 'expect') model.add(owner, path)
        if (what === 'add') expected = expected.filter(one => one.owner !== owner || one.path !== path)
        if (what === 'remove') model.remove(owner, path)
        if (what === 'forget') for (const one of [...model.held.keys()]) model.remove(owner, one)
        if (what === 'expire') for (const one of expected.splice(0)) model.remove(one.owner, one.path)
        expected = expected.filter(one => model.held.get(one.path)?.has(one.owner) === true)
        const paths = [...model.held.keys()]
        expect([directory.size, directory.chars]).toEqual([paths.length, model.chars])
        for (const one of paths)
          expect(new Set(directory.holders(one))).toEqual(model.held.get(one) as Set<number>)
      }
      for (const owner of [1, 2, 3]) directory.forget(owner)
      expect([directory.size, directory.chars]).toEqual([0, 0])
    }),
  )
})
