import { dropOldest, evictedAtOnce } from './oldest.ts'

it.each([
  [1, 1],
  [1_000, 1],
  [1_025, 2],
  [1 << 20, 1_024],
])('of a table of %i the %i oldest entries go', (max, count) => {
  expect(evictedAtOnce(max)).toBe(count)
  const map = new Map(Array.from({ length: 2_000 }, (_, key) => [key, key]))
  const dropped: number[] = []
  dropOldest(map, max, (key, value) => {
    expect(value).toBe(key)
    map.delete(key)
    dropped.push(key)
  })
  expect(dropped).toEqual(Array.from({ length: count }, (_, key) => key))
})
