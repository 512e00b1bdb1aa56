import { ACK, CWR, ECE } from '../wire/segment.ts'
import { TIMED_OUT, takeEvents } from './events.ts'
import { add } from './seq.ts'
import type { Tcb } from './tcb.ts'
import { arrives, drain, NOW, tcbIn } from './tcb-in-state.ts'
import { expire, pollAt } from './timers.ts'
import { send } from './user.ts'

const MSS = 1_448
const WINDOW = 60_000

/** Sends `segments` full segments, one transmission each; the peer's window is large. */
function inFlight(segments: number, chosen = {}): Tcb {
  const tcb = tcbIn('ESTABLISHED', chosen)
  arrives(tcb, { window: WINDOW })
  for (let count = 0; count < segments; count++) {
    send(tcb, new Uint8Array(MSS).fill(count))
    drain(tcb, NOW + count / 1000)
  }
  takeEvents(tcb)
  return tcb
}

/** What is sent, as numbers of full segments from SND.UNA: `again 0+2`. */
function segmentsSent(tcb: Tcb, now: number): string[] {
  return drain(tcb, now)
    .filter(out => out.payloadLength > 0)
    .map(out => {
      const at = ((out.payloadSeq - tcb.snd.una) | 0) / MSS
      return `${out.retransmission ? 'again' : 'new'} ${at}+${out.payloadLength / MSS}`
    })
}

/** SACK blocks in full segments from SND.UNA. */
const blocks = (...edges: number[]) => edges.map(edge => edge * MSS)
const toUna = (tcb: Tcb) => (tcb.snd.una - tcb.snd.nxt) | 0

describe('RACK (RFC 8985 §6)', () => {
  it('after three segments beyond a hole the hole is lost, at once', () => {
    const tcb = inFlight(8)
    arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(1, 4) }, NOW + 20)
    expect(segmentsSent(tcb, NOW + 20)[0]).toBe('again 0+1')
    expect(tcb.recovery.phase).toBe('RECOVERY')
  })

  it('after one it waits a quarter of the smallest round trip for reordering', () => {
    const tcb = inFlight(8)
    arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(1, 2) }, NOW + 20)
    expect(segmentsSent(tcb, NOW + 20)).toEqual([])
    expect(pollAt(tcb) - (NOW + 20)).toBeCloseTo(tcb.rtt.minMs / 4, 1)
    expire(tcb, pollAt(tcb))
    expect(segmentsSent(tcb, NOW + 24)[0]).toBe('again 0+1')
  })

  it('a hole that fills itself is reordering, and nothing is sent again', () => {
    const tcb = inFlight(8)
    arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(1, 3) }, NOW + 20)
    arrives(tcb, { window: WINDOW, ack: toUna(tcb) + 3 * MSS }, NOW + 21)
    expect(segmentsSent(tcb, NOW + 21)).toEqual([])
    expect(tcb.rack.reordered).toBe(true)
    expect(tcb.recovery.phase).toBe('OPEN')
  })

  it('a super-segment of which a part arrived is sent again only where it did not', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { window: WINDOW })
    send(tcb, new Uint8Array(10 * MSS))
    expect(segmentsSent(tcb, NOW)).toEqual(['new 0+10'])
    arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(1, 3, 4, 10) }, NOW + 20)
    expect(segmentsSent(tcb, NOW + 20)).toEqual(['again 0+1', 'again 3+1'])
  })

  it('a lost retransmission is found without a timeout', () => {
    const tcb = inFlight(10)
    arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(1, 5) }, NOW + 20)
    expect(segmentsSent(tcb, NOW + 20)[0]).toBe('again 0+1')
    send(tcb, new Uint8Array(4 * MSS))
    arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(1, 9) }, NOW + 22)
    expect(segmentsSent(tcb, NOW + 22)[0]).toMatch(/^new 10/)
    arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(1, 11) }, NOW + 45)
    expect(segmentsSent(tcb, NOW + 45)[0]).toBe('again 0+1')
    expect(tcb.config.counters.TCPLostRetransmit).toBe(1)
    expect(tcb.config.counters.TCPTimeouts).toBe(0)
  })

  it('a repetition in the same instant as new octets is not lost when those arrive', () => {
    const tcb = inFlight(8)
    send(tcb, new Uint8Array(8 * MSS))
    arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(1, 2) }, NOW + 20)
    expect(segmentsSent(tcb, NOW + 20)).toEqual(['new 8+3'])
    arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(1, 4) }, NOW + 20)
    expect(segmentsSent(tcb, NOW + 20)[0]).toBe('again 0+1')
    arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(1, 11) }, NOW + 40)
    expect(tcb.config.counters.TCPLostRetransmit).toBe(0)
    expect(segmentsSent(tcb, NOW + 40).filter(one => one.startsWith('again'))).toEqual([])
  })

  it('SACK blocks beyond SND.NXT or without length are discarded and counted', () => {
    const tcb = inFlight(3)
    arrives(tcb, {
      window: WINDOW,
      ack: toUna(tcb),
      sack: [...blocks(1, 2), ...blocks(2, 100), ...blocks(2, 2)],
    })
    expect(tcb.sent.sacked).toBe(MSS)
    expect(tcb.config.counters.TCPSACKDiscard).toBe(2)
  })
})

describe('SACK blocks that we send (RFC 2018 §4)', () => {
  const edges = (tcb: Tcb) => {
    const [out] = drain(tcb)
    return Array.from(
      { length: 2 * (out?.sackCount ?? 0) },
      (_, at) => ((out?.sackEdges[at] ?? 0) - tcb.rcv.nxt) | 0,
    )
  }

  it('are repeated however much one of them grows', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { seq: 10, octets: 10 })
    arrives(tcb, { seq: 40, octets: 10 })
    for (let count = 0; count < 20; count++) arrives(tcb, { seq: 70 + 10 * count, octets: 10 })
    expect(edges(tcb)).toEqual([70, 270, 40, 50, 10, 20])
    arrives(tcb, { seq: 20, octets: 5 })
    expect(edges(tcb)).toEqual([10, 25, 70, 270, 40, 50])
  })

  it('begin with the duplicate and then the block that it lies in (RFC 2883 §4.2)', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { seq: 10, octets: 30 })
    arrives(tcb, { seq: 70, octets: 10 })
    arrives(tcb, { seq: 100, octets: 10 })
    edges(tcb)
    arrives(tcb, { seq: 20, octets: 10 })
    expect(edges(tcb)).toEqual([20, 30, 10, 40, 100, 110])
  })
})

describe('fast recovery', () => {
  it('reduces to 0.7 once for a window of data (RFC 9438 §4.6), and PRR paces it (RFC 6937)', () => {
    const tcb = inFlight(10)
    const cwnd = tcb.congestion.cwnd
    send(tcb, new Uint8Array(20 * MSS))
    arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(1, 4) }, NOW + 20)
    expect(tcb.congestion.ssthresh).toBeCloseTo(0.7 * cwnd)
    let sent = segmentsSent(tcb, NOW + 20).length
    for (let upTo = 5; upTo <= 10; upTo++) {
      arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(1, upTo) }, NOW + 20)
      sent += segmentsSent(tcb, NOW + 20).length
    }
    expect(sent).toBeGreaterThanOrEqual(6)
    expect(sent).toBeLessThanOrEqual(8)
    expect(tcb.congestion.ssthresh).toBeCloseTo(0.7 * cwnd)
    arrives(tcb, { window: WINDOW }, NOW + 40)
    expect(tcb.recovery.phase).toBe('OPEN')
    expect(tcb.congestion.cwnd).toBeCloseTo(0.7 * cwnd)
  })

  it('is taken back when D-SACK says that nothing was lost (RFC 3708)', () => {
    const tcb = inFlight(10)
    const cwnd = tcb.congestion.cwnd
    const first = tcb.snd.una
    arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(1, 4) }, NOW + 20)
    segmentsSent(tcb, NOW + 20)
    arrives(tcb, { window: WINDOW, ack: toUna(tcb) + 4 * MSS }, NOW + 21)
    const again = (first - tcb.snd.una) | 0
    arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: [again, again + MSS] }, NOW + 40)
    expect(tcb.config.counters.TCPDSACKUndo).toBe(1)
    expect(tcb.congestion.cwnd).toBeGreaterThanOrEqual(cwnd)
    expect(tcb.rack.multiplier).toBe(2)
    expect(tcb.rack.reordered).toBe(true)
  })

  it('without SACK starts at the third duplicate and goes on at partial acknowledgements (RFC 6582)', () => {
    const tcb = inFlight(10, { sack: false })
    for (let count = 0; count < 2; count++) arrives(tcb, { window: WINDOW, ack: toUna(tcb) }, NOW + 20)
    expect(segmentsSent(tcb, NOW + 20)).toEqual([])
    arrives(tcb, { window: WINDOW, ack: toUna(tcb) }, NOW + 20)
    expect(segmentsSent(tcb, NOW + 20)).toEqual(['again 0+1'])
    arrives(tcb, { window: WINDOW, ack: toUna(tcb) + 4 * MSS }, NOW + 30)
    expect(segmentsSent(tcb, NOW + 30)).toEqual(['again 0+1'])
    arrives(tcb, { window: WINDOW }, NOW + 40)
    expect(tcb.recovery.phase).toBe('OPEN')
  })
})

describe('the tail loss probe (RFC 8985 §7)', () => {
  it('sends the last segment again after two round trips', () => {
    const tcb = inFlight(3)
    expect(pollAt(tcb) - NOW).toBeLessThan(3 * tcb.rtt.srttMs)
    expire(tcb, pollAt(tcb))
    expect(segmentsSent(tcb, NOW + 30)).toEqual(['again 2+1'])
    expect(tcb.recovery.phase).toBe('OPEN')
    expect(pollAt(tcb) - NOW).toBeGreaterThan(200)
  })

  it('prefers new octets that cwnd held back', () => {
    const tcb = inFlight(10)
    send(tcb, new Uint8Array(5 * MSS))
    expect(segmentsSent(tcb, NOW + 1)).toEqual([])
    expire(tcb, pollAt(tcb))
    expect(segmentsSent(tcb, NOW + 30)).toEqual(['new 10+1'])
  })

  it('that repaired a loss costs a reduction, one that was not needed does not', () => {
    for (const needed of [true, false]) {
      const tcb = inFlight(3)
      const { cwnd } = tcb.congestion
      expire(tcb, pollAt(tcb))
      segmentsSent(tcb, NOW + 30)
      const last = 2 * MSS
      arrives(tcb, { window: WINDOW, ...(needed ? {} : { sack: [last, last + MSS] }) }, NOW + 50)
      send(tcb, new Uint8Array(MSS))
      drain(tcb, NOW + 51)
      arrives(tcb, { window: WINDOW }, NOW + 70)
      expect(tcb.config.counters.TCPLossProbeRecovery).toBe(needed ? 1 : 0)
      if (needed) expect(tcb.congestion.ssthresh).toBeLessThan(cwnd)
    }
  })
})

describe('a probe of what had arrived (RFC 8985 §7.4.2)', () => {
  const last = 2 * MSS
  const probed = () => {
    const tcb = inFlight(3)
    expire(tcb, pollAt(tcb))
    segmentsSent(tcb, NOW + 30)
    return tcb
  }

  it.each([
    ['that the receiver reports by D-SACK', { sack: [last - 3 * MSS, last - 2 * MSS] }],
    ['that a receiver without D-SACK answers', {}],
  ])('costs nothing where the delayed acknowledgement crosses it, %s', (_, duplicate) => {
    const tcb = probed()
    arrives(tcb, { window: WINDOW }, NOW + 45)
    arrives(tcb, { window: WINDOW, ...duplicate }, NOW + 50)
    send(tcb, new Uint8Array(MSS))
    drain(tcb, NOW + 51)
    arrives(tcb, { window: WINDOW }, NOW + 70)
    expect(tcb.config.counters.TCPLossProbeRecovery).toBe(0)
  })

  it('makes the next ones wait as long as receivers delay acknowledgements, until one was needed', () => {
    const waitOf = (tcb: Tcb, at: number) => {
      for (let count = 0; count < 3; count++) {
        send(tcb, new Uint8Array(MSS))
        drain(tcb, at)
      }
      return tcb.timers.lossProbe - at
    }
    const tcb = probed()
    arrives(tcb, { window: WINDOW, sack: [last, last + MSS] }, NOW + 50)
    expect(waitOf(tcb, NOW + 60)).toBeGreaterThan(200)
    const at = tcb.timers.lossProbe
    expire(tcb, at)
    expect(segmentsSent(tcb, at)).toEqual(['again 2+1'])
    arrives(tcb, { window: WINDOW }, at + 20)
    send(tcb, new Uint8Array(MSS))
    drain(tcb, at + 21)
    arrives(tcb, { window: WINDOW }, at + 40)
    expect(tcb.config.counters.TCPLossProbeRecovery).toBe(1)
    expect(waitOf(tcb, at + 50)).toBeLessThan(200)
  })
})

describe('the retransmission timeout (RFC 6298)', () => {
  it('MUST-19: backs off exponentially and starts again slowly', () => {
    const tcb = inFlight(1, { rtoMaxMs: 3_000 })
    const waits: number[] = []
    let before = NOW
    for (let count = 0; count < 8; count++) {
      const at = pollAt(tcb)
      expire(tcb, at)
      if (segmentsSent(tcb, at).length === 0) continue
      waits.push(Math.round(at - before))
      before = at
    }
    expect(tcb.congestion.cwnd).toBe(tcb.snd.mss)
    const timeouts = waits.slice(1)
    expect(timeouts[1]).toBe((timeouts[0] ?? 0) * 2)
    expect(timeouts[2]).toBe((timeouts[0] ?? 0) * 4)
    expect(Math.max(...waits)).toBe(3_000)
  })

  it('takes everything not SACKED as lost, and does not send SACKED octets again', () => {
    const tcb = inFlight(6)
    arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(4, 5) }, NOW + 10)
    tcb.timers.rto = NOW + 15
    expire(tcb, NOW + 15)
    expect(tcb.recovery.phase).toBe('LOSS')
    expect(tcb.sent.sacked).toBe(MSS)
    expect(tcb.sent.lost + tcb.sent.inFlight).toBe(5 * MSS)
  })

  it('was spurious when once-sent octets arrive after all (RFC 5682)', () => {
    const tcb = inFlight(10)
    const { cwnd } = tcb.congestion
    expire(tcb, tcb.timers.rto)
    tcb.snd.pending = 0
    tcb.timers.rto = NOW
    expire(tcb, NOW + 300)
    expect(tcb.recovery.phase).toBe('LOSS')
    expect(segmentsSent(tcb, NOW + 300)).toEqual(['again 0+1'])
    arrives(tcb, { window: WINDOW, ack: toUna(tcb) + 2 * MSS }, NOW + 301)
    expect(tcb.config.counters.TCPSpuriousRTOs).toBe(1)
    expect(tcb.congestion.cwnd).toBeGreaterThanOrEqual(cwnd)
    expect(segmentsSent(tcb, NOW + 301)).toEqual([])
  })

  it('forgets SACK blocks that the peer took back (RFC 2018 §8)', () => {
    const tcb = inFlight(4)
    arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(1, 3) }, NOW + 20)
    drain(tcb, NOW + 20)
    arrives(tcb, { window: WINDOW, ack: toUna(tcb) + MSS }, NOW + 40)
    expect(tcb.sent.sacked).toBe(2 * MSS)
    tcb.timers.rto = NOW + 50
    expire(tcb, NOW + 50)
    expect(tcb.sent.sacked).toBe(0)
    expect(tcb.config.counters.TCPSACKReneging).toBe(1)
  })

  it('a user timeout ends it earlier', () => {
    const tcb = inFlight(1, { userTimeoutMs: 5_000 })
    let at = NOW
    while (tcb.state !== 'CLOSED') {
      at = pollAt(tcb)
      expire(tcb, at)
      drain(tcb, at)
    }
    expect(at - NOW).toBeLessThan(15_000)
    expect(takeEvents(tcb) & TIMED_OUT).not.toBe(0)
  })
})

describe('ECN (RFC 3168)', () => {
  function ecnTcb(): Tcb {
    const tcb = inFlight(0)
    tcb.ecn.on = true
    return tcb
  }

  it('SHLD-8: marks new octets, not repeated ones and not bare acknowledgements', () => {
    const tcb = ecnTcb()
    send(tcb, new Uint8Array(3 * MSS))
    expect(drain(tcb).map(out => out.ecn)).toEqual([2])
    arrives(tcb, { window: WINDOW, octets: 2 * MSS, ack: toUna(tcb) })
    expect(drain(tcb).map(out => out.ecn)).toEqual([0])
    expire(tcb, pollAt(tcb))
    expect(drain(tcb, NOW + 50).map(out => out.ecn)).toEqual([0])
  })

  it('echoes CE until CWR', () => {
    const tcb = ecnTcb()
    arrives(tcb, { octets: 10, ecn: 3 })
    expect((drain(tcb)[0]?.flags ?? 0) & ECE).toBe(ECE)
    arrives(tcb, { octets: 10 })
    expect((drain(tcb)[0]?.flags ?? 0) & ECE).toBe(ECE)
    arrives(tcb, { octets: 10, flags: ACK | CWR })
    expect((drain(tcb)[0]?.flags ?? 0) & ECE).toBe(0)
  })

  it('reduces once in a window of data, and says CWR with one new segment', () => {
    const tcb = ecnTcb()
    send(tcb, new Uint8Array(30 * MSS))
    drain(tcb)
    const { cwnd } = tcb.congestion
    arrives(tcb, { window: WINDOW, ack: toUna(tcb) + 4 * MSS, flags: ACK | ECE }, NOW + 20)
    const reduced = tcb.congestion.ssthresh
    expect(reduced).toBeCloseTo(0.7 * cwnd)
    const sent = drain(tcb, NOW + 20)
    arrives(tcb, { window: WINDOW, ack: toUna(tcb) + 5 * MSS, flags: ACK | ECE }, NOW + 25)
    sent.push(...drain(tcb, NOW + 25))
    expect(tcb.congestion.ssthresh).toBe(reduced)
    expect(sent.filter(out => (out.flags & CWR) !== 0).map(out => out.payloadLength)).toEqual([MSS])
  })
})

describe('a window smaller than a segment', () => {
  it('is used when the override timer says so, also while CWR waits to be sent (found by SEED=1250 of the fuzzer)', () => {
    const tcb = inFlight(0)
    tcb.ecn.on = true
    tcb.ecn.cwr = true
    tcb.snd.maxWnd = WINDOW
    tcb.snd.wnd = 2
    send(tcb, new Uint8Array(100))
    expect(drain(tcb, NOW)).toEqual([])
    const at = pollAt(tcb)
    expire(tcb, at)
    const [out] = drain(tcb, at)
    expect(out).toMatchObject({ payloadLength: 2, flags: expect.any(Number) })
    expect((out?.flags ?? 0) & CWR).toBe(CWR)
  })
})

describe('CWR (RFC 3168 §6.1.2)', () => {
  it.each(['fast recovery', 'a timeout'])('tells of %s with the first new octets after it', why => {
    const tcb = inFlight(8)
    tcb.ecn.on = true
    send(tcb, new Uint8Array(20 * MSS))
    if (why === 'a timeout') {
      tcb.timers.lossProbe = Number.POSITIVE_INFINITY
      expire(tcb, tcb.timers.rto)
      tcb.snd.pending = 0
      expire(tcb, tcb.timers.rto)
    } else arrives(tcb, { window: WINDOW, ack: toUna(tcb), sack: blocks(1, 8) }, NOW + 20)
    const sent = drain(tcb, NOW + 20)
    arrives(tcb, { window: WINDOW }, NOW + 40)
    sent.push(...drain(tcb, NOW + 40))
    expect(
      sent.filter(out => (out.flags & CWR) !== 0).map(out => [out.retransmission, out.payloadLength]),
    ).toEqual([[false, tcb.snd.mss]])
    expect(sent.filter(out => out.retransmission && out.ecn !== 0)).toEqual([])
  })
})

describe('the congestion window', () => {
  it('grows after a timeout from where that begins, whatever was before (RFC 9438 §4.8)', () => {
    const tcb = inFlight(10)
    tcb.congestion.wMax = 500
    expire(tcb, tcb.timers.lossProbe)
    tcb.snd.pending = 0
    expire(tcb, tcb.timers.rto)
    const { ssthresh } = tcb.congestion
    expect(ssthresh).toBeCloseTo(7 * MSS)
    let now = NOW + 500
    while (tcb.congestion.cwnd <= ssthresh) {
      if (tcb.sendQueue.ownedOctets < 500_000) send(tcb, new Uint8Array(500_000))
      drain(tcb, now)
      now += 20
      arrives(tcb, { window: WINDOW, ack: Math.min(0, toUna(tcb) + tcb.snd.mss) }, now)
      expect(now).toBeLessThan(NOW + 5_000)
    }
    expect(tcb.congestion.kSeconds).toBe(0)
    expect(tcb.congestion.wMax * MSS).toBeCloseTo(ssthresh, -3)
  })

  it('does not grow while the application does not use it', () => {
    const tcb = inFlight(0)
    const { cwnd } = tcb.congestion
    for (let count = 0; count < 50; count++) {
      send(tcb, new Uint8Array(MSS))
      drain(tcb, NOW + count)
      arrives(tcb, { window: WINDOW }, NOW + count + 0.5)
    }
    expect(tcb.congestion.cwnd).toBe(cwnd)
  })

  it('doubles in a round trip while it is used, up to its bound', () => {
    const tcb = inFlight(0, { maxCwndOctets: 1_000_000 })
    send(tcb, new Uint8Array(1_000_000))
    let before = tcb.congestion.cwnd
    for (let round = 1; round < 5; round++) {
      drain(tcb, NOW + round)
      arrives(tcb, { window: WINDOW }, NOW + round + 0.9)
      expect(tcb.congestion.cwnd).toBe(2 * before)
      before = tcb.congestion.cwnd
    }
  })

  it('decays while nothing is sent (RFC 5681 §4.1), not below the initial window', () => {
    const tcb = inFlight(0)
    tcb.congestion.cwnd = 100 * MSS
    send(tcb, new Uint8Array(100))
    drain(tcb, NOW + 2.5 * tcb.rtt.rtoMs)
    expect(tcb.congestion.cwnd).toBe(25 * MSS)
    arrives(tcb, { window: WINDOW }, NOW + 3 * tcb.rtt.rtoMs)
    send(tcb, new Uint8Array(100))
    drain(tcb, NOW + 1_000_000)
    expect(tcb.congestion.cwnd).toBe(10 * MSS)
  })

  it('HyStart++ leaves slow start when round trips grow (RFC 9406)', () => {
    const tcb = inFlight(0)
    let now = NOW
    let rounds = 0
    send(tcb, new Uint8Array(1_000_000))
    while (tcb.congestion.ssthresh >= tcb.config.maxCwndOctets && rounds++ < 60) {
      const sent: { at: number; end: number }[] = drain(tcb, now).map(out => ({
        at: now,
        end: out.seq + out.payloadLength,
      }))
      const rttMs = 20 + Math.max(0, rounds - 3) * 10
      const flight = (tcb.snd.nxt - tcb.snd.una) | 0
      expect(sent.length).toBeGreaterThan(0)
      now += rttMs
      for (let part = 1; part <= 10; part++)
        arrives(tcb, { window: WINDOW, ack: -Math.floor((flight * (10 - part)) / 10) }, now)
      send(tcb, new Uint8Array(1_000_000 - Math.min(1_000_000, tcb.sendQueue.ownedOctets)))
    }
    expect(tcb.config.counters.TCPHystartDelayDetect).toBeGreaterThan(0)
    expect(rounds).toBeLessThan(30)
  })

  it('is reduced from what was in flight, where that was less (RFC 9438 §4.6)', () => {
    const tcb = inFlight(10)
    tcb.congestion.cwnd = 20 * MSS
    tcb.congestion.limited = false
    tcb.congestion.roundFlight = 10 * MSS
    arrives(tcb, { ack: toUna(tcb), sack: blocks(1, 4), window: WINDOW }, NOW + 10)
    expect(tcb.congestion.ssthresh).toBeCloseTo(0.7 * 10 * MSS)
  })

  it('sequence numbers wrap without notice', () => {
    const tcb = inFlight(10)
    expect(add(tcb.snd.una, 0)).not.toBe(tcb.snd.una & 0xffff)
    expect(tcb.snd.nxt).toBeLessThan(0)
    arrives(tcb, { window: WINDOW })
    expect(tcb.snd.una).toBe(tcb.snd.nxt)
  })
})
