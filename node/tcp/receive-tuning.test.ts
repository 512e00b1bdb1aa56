import { Transfer } from './pair-transfer.ts'
import { arrives, drain, NOW, tcbIn } from './tcb-in-state.ts'
import { consume, unreadOctets } from './user.ts'

const LIMIT = 65_535

/** A window of octets arrives at `at`. */
function fill(tcb: ReturnType<typeof tcbIn>, at: number): void {
  for (let left = tcb.rcv.limit; left > 0; left -= 1_000) {
    arrives(tcb, { octets: Math.min(1_000, left) }, at)
    consume(tcb, unreadOctets(tcb), at)
    drain(tcb, at)
  }
}

/** A TCB whose handshake took so long. */
function withHandshake(handshakeMs: number) {
  const tcb = tcbIn('ESTABLISHED', { receiveMaxOctets: LIMIT })
  tcb.rtt.srttMs = handshakeMs
  return tcb
}

describe('the round trip of a receiver', () => {
  it('is the time that a whole window takes, or less at once', () => {
    const tcb = withHandshake(0)
    fill(tcb, NOW + 40)
    expect(tcb.rcv.rttMs).toBe(40)
    fill(tcb, NOW + 60)
    expect(tcb.rcv.rttMs).toBe(20)
  })

  it("begins with the handshake's, and grows by an eighth of what is more", () => {
    const tcb = withHandshake(24)
    fill(tcb, NOW + 40)
    expect(tcb.rcv.rttMs).toBe(26)
  })

  it('takes a pause for no more than double', () => {
    const tcb = withHandshake(40)
    fill(tcb, NOW + 1_000_000)
    expect(tcb.rcv.rttMs).toBe(45)
  })
})

describe('an upload', () => {
  const server = { receiveMaxOctets: 1_000_000 }

  it.each([20, 200])('over a round trip of %d ms opens the window as far as it may', rttMs => {
    const link = { delayMs: rttMs / 2, merge: true }
    const transfer = new Transfer({ up: 4_000_000, downLink: link, upLink: link, server }).run()
    const { rcv } = transfer.server.tcb ?? {}
    expect(rcv?.limit).toBe(1_000_000)
    expect(rcv?.rttMs).toBeGreaterThan(0.5 * rttMs)
  })

  it('over a path that grows ten times as long under it opens the window all the same', () => {
    const upLink = { delayMs: 10, rate: 20_000, queueOctets: 4_000_000, merge: true }
    const transfer = new Transfer({ up: 6_000_000, upLink, downLink: { delayMs: 1 }, server }).run()
    expect(transfer.server.tcb?.rcv.limit).toBe(1_000_000)
  })

  it('of a slow reader leaves it as it is, until that has caught up', () => {
    const link = { delayMs: 10, merge: true }
    const slow = { readEveryMs: 20, readOctets: 20_000 }
    const transfer = new Transfer({ up: 1_000_000, downLink: link, upLink: link, ...slow })
    let most = 0
    transfer.server.application = (_, tcb) => {
      if (transfer.atServer.octets < 900_000) most = Math.max(most, tcb.rcv.limit)
      transfer.serve(tcb)
    }
    transfer.run()
    expect(most).toBeLessThan(1.5 * LIMIT)
  })
})
