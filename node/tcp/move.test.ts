import { pack, unpack } from 'msgpackr'
import { MovingTransfer } from './moving-transfer.ts'
import { seededRandom } from './pair.ts'

const SEEDS = 80

const carry = (plain: unknown[]) => unpack(pack(plain))

function randomMove(seed: number, everyPackets: number): MovingTransfer {
  const random = seededRandom(seed * 31_337)
  const delayMs = random() < 0.5 ? 0.1 + random() : random() * 60
  const link = () => ({
    delayMs,
    jitterMs: random() < 0.5 ? 0 : random() * delayMs,
    loss: random() < 0.3 ? 0 : random() * 0.06,
    duplicate: random() < 0.6 ? 0 : random() * 0.05,
    merge: random() < 0.5,
    rate: random() < 0.5 ? Number.POSITIVE_INFINITY : 100 + random() * 10_000,
    queueOctets: 20_000 + random() * 200_000,
    ecn: random() < 0.5,
  })
  const options = {
    seed,
    down: Math.floor(random() ** 3 * 500_000),
    up: 1 + Math.floor(random() ** 3 * 250_000),
    downLink: link(),
    upLink: link(),
    client: {
      sack: random() < 0.8,
      timestamps: random() < 0.9,
      receiveInitialOctets: random() < 0.7 ? 65_535 : 2_000 + Math.floor(random() * 9_000),
    },
    readEveryMs: random() < 0.7 ? 0 : random() * 50,
    readOctets: random() < 0.5 ? 1e9 : 1_000 + Math.floor(random() * 30_000),
  }
  return new MovingTransfer(
    options,
    { everyPackets, transitMs: random() * 2, forwardMs: random() * 5 },
    carry,
  )
}

describe('a server that moves (design §8)', () => {
  it('at every packet boundary: the octets are the same, TSval never steps back, nobody resets', () => {
    for (let seed = 1; seed <= SEEDS; seed++) randomMove(seed, 1).run()
  }, 60_000)

  it('at some packet boundaries', () => {
    let stragglers = 0
    for (let seed = SEEDS + 1; seed <= 2 * SEEDS; seed++)
      stragglers += randomMove(seed, 2 + (seed % 23)).run().stragglers
    expect(stragglers).toBeGreaterThan(100)
  }, 60_000)

  it.each([0, 0.001, 0.01])('every 4 ms or so costs next to nothing, loss %d', loss => {
    const options = {
      seed: 7,
      down: 10_000_000,
      downLink: { delayMs: 0.5, rate: 125_000, queueOctets: 500_000, merge: loss === 0, loss },
      upLink: { delayMs: 0.5 },
    }
    const still = new MovingTransfer(options, { everyPackets: 0, transitMs: 0, forwardMs: 0 }, carry).run()
    const everyPackets = loss === 0 ? 8 : 300
    const moved = new MovingTransfer(options, { everyPackets, transitMs: 0.16, forwardMs: 0.2 }, carry).run()
    expect(moved.moves).toBeGreaterThan(5)
    expect(moved.ms).toBeLessThan(1.25 * still.ms)
    expect(moved.server.tcb?.config.counters.TCPTimeouts).toBe(still.server.tcb?.config.counters.TCPTimeouts)
  })
})
