import { adopt, confirmed, MAX_SHIFT_PROBES } from './adoption.ts'
import { CONFIRMED, takeEvents } from './events.ts'
import type { Tcb } from './tcb.ts'
import { arrives, drain, NOW, sentInWords, tcbIn } from './tcb-in-state.ts'
import { expire, pollAt } from './timers.ts'
import { send } from './user.ts'

/** Timestamps echo `owner` with a tick that is `ticks` above the current one. */
function echo(tcb: Tcb, owner: number, ticks = 0): number {
  return ((tcb.ts.tick + ticks) << 8) | owner
}

describe('a new owner', () => {
  it('stamps its id at least one tick above the old one, even a lower id at once', () => {
    const tcb = tcbIn('ESTABLISHED')
    const before = tcb.ts.tick
    adopt(tcb, 1, NOW)
    const [out] = drain(tcb)
    expect(out?.tsVal).toBe(((before + 1) << 8) | 1)
  })

  it('does not run ahead of the clock by each move', () => {
    const tcb = tcbIn('ESTABLISHED')
    const before = tcb.ts.tick
    for (let move = 1; move <= 100; move++) adopt(tcb, move, NOW + move * 256)
    expect(tcb.ts.tick - before).toBeLessThanOrEqual(101)
  })

  it('of an idle connection moves the echo, and asks with the old octet, ever more slowly, until it comes', () => {
    const tcb = tcbIn('ESTABLISHED')
    adopt(tcb, 9, NOW)
    expect(confirmed(tcb)).toBe(false)
    expect(sentInWords(tcb)).toEqual(['<SEQ=+0><ACK=+0><CTL=ACK>', '<SEQ=-1><ACK=+0><CTL=ACK> 1 octets'])
    const first = pollAt(tcb)
    expire(tcb, first)
    const [, probe] = drain(tcb, first)
    expect([probe?.probe, (probe?.tsVal ?? 0) & 0xff]).toEqual([true, 9])
    expect(pollAt(tcb) - first).toBeCloseTo(2 * (first - NOW))
    arrives(tcb, { tsEcr: echo(tcb, 3) })
    arrives(tcb, { tsEcr: echo(tcb, 9, -2) })
    expect(confirmed(tcb)).toBe(false)
    arrives(tcb, { tsEcr: echo(tcb, 9) })
    expect(confirmed(tcb)).toBe(true)
    expect(takeEvents(tcb)).toBe(CONFIRMED)
    expect(pollAt(tcb)).toBe(Number.POSITIVE_INFINITY)
  })

  it('gives up asking after MAX_SHIFT_PROBES, not the connection', () => {
    const tcb = tcbIn('ESTABLISHED')
    adopt(tcb, 9, NOW)
    let probes = drain(tcb).filter(({ probe }) => probe).length
    while (pollAt(tcb) < Number.POSITIVE_INFINITY) {
      const at = pollAt(tcb)
      expire(tcb, at)
      probes += drain(tcb, at).filter(({ probe }) => probe).length
    }
    expect(probes).toBe(MAX_SHIFT_PROBES + 1)
    expect(tcb.state).toBe('ESTABLISHED')
  })

  it('with octets to send says it with them', () => {
    const tcb = tcbIn('ESTABLISHED')
    send(tcb, new Uint8Array(10))
    adopt(tcb, 9, NOW)
    expect(sentInWords(tcb)).toEqual(['<SEQ=-10><ACK=+0><CTL=PSH,ACK> 10 octets'])
  })

  it('with octets in flight says it with an acknowledgement at SND.NXT and an octet that the peer has acknowledged', () => {
    const tcb = tcbIn('ESTABLISHED')
    send(tcb, new Uint8Array(10))
    drain(tcb)
    adopt(tcb, 9, NOW)
    expect(sentInWords(tcb)).toEqual(['<SEQ=+0><ACK=+0><CTL=ACK>', '<SEQ=-11><ACK=+0><CTL=ACK> 1 octets'])
    expect(tcb.timers.rto).toBeLessThan(Number.POSITIVE_INFINITY)
  })

  it('with more in flight than whose acknowledgement may be delayed leaves it to that', () => {
    const tcb = tcbIn('ESTABLISHED')
    send(tcb, new Uint8Array(2 * tcb.snd.mss + 1))
    drain(tcb)
    adopt(tcb, 9, NOW)
    expect(sentInWords(tcb)).toEqual(['<SEQ=+0><ACK=+0><CTL=ACK>'])
  })

  it('of a connection whose handshake does not end says it with an acknowledgement alone', () => {
    const tcb = tcbIn('SYN-RECEIVED')
    adopt(tcb, 9, NOW)
    expect(drain(tcb)).toEqual([])
    const again = pollAt(tcb)
    expire(tcb, again)
    expect(drain(tcb, again).map(({ payloadLength, tsVal }) => [payloadLength, tsVal & 0xff])).toEqual([
      [0, 9],
    ])
  })

  it.each([
    ['named', 1, 1],
    ['named', 2, 1],
    ['not named', 1, 1],
    ['not named', 2, 8],
  ])('%s repeats at time-out %i in a row what fits %i segments', (named, timeouts, segments) => {
    const tcb = tcbIn('ESTABLISHED')
    send(tcb, new Uint8Array(10 * tcb.snd.mss), NOW)
    drain(tcb)
    adopt(tcb, 9, NOW)
    if (named === 'named') arrives(tcb, { ack: -10 * tcb.snd.mss, tsEcr: echo(tcb, 9) })
    let octets = 0
    for (let timers = 0; timers < 20 && tcb.config.counters.TCPTimeouts < timeouts; timers++) {
      const at = pollAt(tcb)
      expire(tcb, at)
      octets = drain(tcb, at).reduce((sum, { payloadLength }) => sum + payloadLength, 0)
    }
    expect(Math.floor(octets / tcb.snd.mss)).toBe(segments)
  })

  it('takes the D-SACK that its probe causes for no sign of loss', () => {
    const tcb = tcbIn('ESTABLISHED')
    adopt(tcb, 9, NOW)
    drain(tcb)
    arrives(tcb, { tsEcr: echo(tcb, 9), sack: [-1, 0] })
    expect(tcb.config.counters.TCPDSACKRecv).toBe(0)
    expect(tcb.rack.multiplier).toBe(1)
    expect(tcb.config.counters.TCPSACKDiscard).toBe(0)
  })

  it('of a connection without timestamps has nothing to wait for', () => {
    const tcb = tcbIn('ESTABLISHED', { timestamps: false })
    adopt(tcb, 9, NOW)
    expect(confirmed(tcb)).toBe(true)
    expect(drain(tcb)).toEqual([])
  })
})
