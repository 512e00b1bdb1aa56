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
