import { TokenBucket } from './token-bucket.ts'

describe('a token bucket', () => {
  it('lets a burst through, then so many a second', () => {
    const bucket = new TokenBucket(100, 5)
    const taken = (now: number, times: number) =>
      Array.from({ length: times }, () => bucket.take(now)).filter(Boolean).length
    expect(taken(1_000, 50)).toBe(5)
    expect(taken(1_009, 50)).toBe(0)
    expect(taken(1_010, 50)).toBe(1)
    expect(taken(1_040, 50)).toBe(3)
    expect(taken(60_000, 50)).toBe(5)
  })
})
