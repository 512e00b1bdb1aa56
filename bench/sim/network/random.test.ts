import { Random } from './random.ts'

const draws = (random: Random, count: number) => Array.from({ length: count }, () => random.uint32())

test('equal seeds give equal streams, others do not', () => {
  expect(draws(new Random(7), 100)).toEqual(draws(new Random(7), 100))
  expect(draws(new Random('seven'), 100)).toEqual(draws(new Random('seven'), 100))
  const firsts = Array.from({ length: 1_000 }, (_, seed) => new Random(seed).uint32())
  expect(new Set(firsts).size).toBe(1_000)
})

test('the stream of seed 1 never changes: recorded runs depend on it', () => {
  expect(draws(new Random(1), 4)).toMatchInlineSnapshot(`
[
  2420951833,
  2513034076,
  3847892949,
  4064752930,
]
`)
})

test('a fork depends on its parent, but not the other way round beyond one draw', () => {
  const [one, other] = [new Random(3), new Random(3)]
  const fork = one.fork()
  other.uint32()
  draws(fork, 50)
  expect(draws(one, 20)).toEqual(draws(other, 20))
  expect(draws(new Random(3).fork(), 5)).toEqual(draws(new Random(3).fork(), 5))
})

test('every bit is set half the time, and every bucket is hit alike', () => {
  const random = new Random(42)
  const count = 40_000
  const bits = new Array<number>(32).fill(0)
  const buckets = new Array<number>(10).fill(0)
  for (let draw = 0; draw < count; draw++) {
    const word = random.uint32()
    for (let bit = 0; bit < 32; bit++) bits[bit] = (bits[bit] ?? 0) + ((word >>> bit) & 1)
    const bucket = random.int(10)
    buckets[bucket] = (buckets[bucket] ?? 0) + 1
  }
  // Five standard deviations: 100 of a fair coin, 60 of a tenth.
  for (const ones of bits) expect(Math.abs(ones - count / 2)).toBeLessThan(500)
  for (const hits of buckets) expect(Math.abs(hits - count / 10)).toBeLessThan(300)
})

test('helpers stay in their ranges', () => {
  const random = new Random('helpers')
  let chances = 0
  let sum = 0
  for (let draw = 0; draw < 10_000; draw++) {
    expect(random.between(5, 6)).toBeGreaterThanOrEqual(5)
    expect(random.between(5, 6)).toBeLessThan(6)
    if (random.chance(0.2)) chances++
    sum += random.exponential(3)
    expect([1, 2, 3]).toContain(random.pick([1, 2, 3]))
  }
  expect(random.chance(0)).toBe(false)
  expect(random.chance(1)).toBe(true)
  expect(Math.abs(chances - 2_000)).toBeLessThan(200)
  expect(Math.abs(sum / 10_000 - 3)).toBeLessThan(0.15)
  expect(random.shuffle([1, 2, 3, 4, 5]).sort()).toEqual([1, 2, 3, 4, 5])
  expect(random.octets(9).length).toBe(9)
  expect(() => random.pick([])).toThrow('nothing')
})
