import { MAX_HALF_OPEN } from './limits.ts'
import { TestStand } from './test-stand.ts'

/** A SYN with every option, from an address that nobody has. */
function spoofedSyn(stand: TestStand, index: number): Uint8Array {
  return stand.segment({
    src3: (0x0b000000 + Math.imul(index, 7_919)) | 0,
    seq: Math.imul(index, 0x9e3779b1),
    mss: 1_460,
    windowScale: 7,
    sackPermitted: true,
    hasTimestamps: true,
    tsVal: index,
  })
}

describe('a flood of 200,000 SYNs', () => {
  it('takes no more memory than the half-open connections that are allowed', () => {
    const stand = new TestStand()
    stand.keeps = false
    const { owner } = stand
    for (let round = 0; round < 100; round++) {
      stand.receive(Array.from({ length: 2_000 }, (_, index) => spoofedSyn(stand, 2_000 * round + index)))
      expect(owner.connections).toBe(Math.min(2_000 * (round + 1), MAX_HALF_OPEN))
      expect(owner.flows.size).toBe(owner.connections)
      expect(owner.byId.size).toBe(owner.connections)
    }
    expect(stand.sentPackets).toBe(200_000)
    expect(owner.counters.listen.SyncookiesSent).toBe(200_000 - MAX_HALF_OPEN)
    stand.runTo(stand.now + 120_000)
    expect(owner.connections).toBe(0)
    expect(owner.flows.size).toBe(0)
    expect(owner.pollAt()).toBe(Number.POSITIVE_INFINITY)
  })
})
