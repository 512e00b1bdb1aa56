import { jain, link, SharedBottleneck } from './shared-bottleneck.ts'

const LINK = 10e6
/** Of payload in full packets. */
const GOODPUT = (LINK * 1_448) / 1_500
const sum = (shares: readonly number[]) => shares.reduce((total, share) => total + share, 0)

describe('flows that share a bottleneck', () => {
  it.each([20, 100])('of %d ms each get the same in the long run, and fill it (Jain ≥ 0.95)', rttMs => {
    const path = new SharedBottleneck(1, link(LINK, rttMs))
    path.start({ rttMs })
    path.measure(337)
    path.start({ rttMs })
    path.measure(20_000)
    const shares = path.measure(80_000)
    expect(jain(shares)).toBeGreaterThanOrEqual(0.95)
    expect(sum(shares)).toBeGreaterThan(0.95 * GOODPUT)
  })

  it('of 20 and 80 ms: the longer one is not starved; shares as the inverse of the round trips at worst (RFC 9438 §5.4)', () => {
    const path = new SharedBottleneck(1, link(LINK, 60))
    path.start({ rttMs: 20 })
    path.start({ rttMs: 80 })
    path.measure(20_000)
    const [near = 0, far = 0] = path.measure(80_000)
    // The queue is part of both round trips: 80 and 140 ms where it is full.
    expect(near / far).toBeGreaterThan(0.8)
    expect(near / far).toBeLessThan(80 / 20)
    expect(near + far).toBeGreaterThan(0.95 * GOODPUT)
  })

  it('with SACK and without (NewReno recovery) live beside each other', () => {
    const path = new SharedBottleneck(1, link(LINK, 50))
    path.start({ rttMs: 50 })
    path.start({ rttMs: 50, client: { sack: false } })
    path.measure(20_000)
    const shares = path.measure(80_000)
    expect(jain(shares)).toBeGreaterThanOrEqual(0.8)
    expect(sum(shares)).toBeGreaterThan(0.9 * GOODPUT)
  })

  it('make room for a late joiner: it has a third of the link within 20 s', () => {
    const path = new SharedBottleneck(1, link(LINK, 50))
    path.start({ rttMs: 50 })
    path.measure(20_000)
    path.start({ rttMs: 50 })
    path.measure(20_000)
    const shares = path.measure(10_000)
    expect((shares[1] ?? 0) / sum(shares)).toBeGreaterThan(1 / 3)
  })
})
