import { seededRandom } from './pair.ts'
import { Transfer } from './pair-transfer.ts'

describe('fuzz', () => {
  it('moves', () => {
    const t0 = performance.now()
    let n = 0
    for (let seed = 1; performance.now() - t0 < 60000 && seed < 1500; seed++) {
      const random = seededRandom(seed * 7919)
      const delayMs = random() < 0.5 ? 0.1 + random() : random() * 60
      const link = () => ({
        delayMs,
        jitterMs: random() < 0.5 ? 0 : random() * delayMs,
        loss: random() < 0.3 ? 0 : random() * 0.12,
        duplicate: random() < 0.6 ? 0 : random() * 0.1,
        merge: random() < 0.5,
        rate: random() < 0.5 ? Number.POSITIVE_INFINITY : 100 + random() * 10000,
        queueOctets: 20_000 + random() * 200_000,
        ecn: random() < 0.5,
      })
      const chosen = {
        seed,
        down: Math.floor(random() ** 3 * 2_000_000),
        up: 1 + Math.floor(random() ** 3 * 1_000_000),
        downLink: link(),
        upLink: link(),
        server: {
          sack: random() < 0.8,
          timestamps: random() < 0.8,
          windowScaling: random() < 0.8,
          ecn: random() < 0.7,
        },
        client: {
          sack: random() < 0.8,
          timestamps: random() < 0.8,
          receiveInitialOctets: random() < 0.7 ? 65535 : 2000 + Math.floor(random() * 9000),
          nagle: random() < 0.2,
        },
        readEveryMs: random() < 0.7 ? 0 : random() * 50,
        readOctets: random() < 0.5 ? 1e9 : 1000 + Math.floor(random() * 30000),
      }
      try {
        new Transfer(chosen).run()
        n++
      } catch (error) {
        console.log(seed, JSON.stringify(chosen), String(error), (error as Error).stack)
        throw error
      }
    }
    console.log(n)
  }, 100000)
})
