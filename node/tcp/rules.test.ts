/** Rows by state and rule, with the numbers of RFC 9293's appendix B where one is held. */
import { ACK, CWR, createSegment, ECE, FIN, PSH, RST, SYN } from '../wire/segment.ts'
import { segmentArrives } from './arrival.ts'
import { tcpConfig } from './config.ts'
import { CLOSED, ESTABLISHED, READABLE, RESET, SOFT_ERROR, TIMED_OUT, takeEvents } from './events.ts'
import { acceptSyn, connect } from './open.ts'
import { testFlow } from './pair.ts'
import { pathMtu } from './path-mtu.ts'
import { resetFor } from './reset.ts'
import { diff } from './seq.ts'
import type { State, Tcb } from './tcb.ts'
import { arrives, describeSegment, drain, fromPeer, ISS, NOW, sentInWords, tcbIn } from './tcb-in-state.ts'
import { isnAfter, reusable } from './time-wait.ts'
import { expire, pollAt } from './timers.ts'
import { createTransmission } from './transmission.ts'
import { abort, close, consume, send, unread, unreadOctets } from './user.ts'

const SYNCHRONIZED: State[] = [
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
  'TIME-WAIT',
]

/** Lets time pass until the next deadline; what is sent then. */
function nextDeadline(tcb: Tcb): string[] {
  const at = pollAt(tcb)
  expire(tcb, at)
  return sentInWords(tcb, at)
}

describe('LISTEN', () => {
  const syn = () =>
    Object.assign(createSegment(), { flags: SYN, seq: 100, window: 500, srcPort: 1, dstPort: 2 })

  it('MUST-15: assumes an MSS of 536 where the peer names none, 1220 over IPv6', () => {
    expect(acceptSyn(syn(), tcpConfig({}), ISS, 0, NOW).snd.mss).toBe(536)
    expect(acceptSyn({ ...syn(), family: 6 }, tcpConfig({}), ISS, 0, NOW).snd.mss).toBe(1_220)
  })

  it.each([
    ['a peer with less', 1_000, 1_000],
    ['a path with less', 9_000, 1_460],
    ['a peer with nonsense', 1, 88],
  ])('MUST-16: the segment size follows %s', (_, mss, expected) => {
    expect(acceptSyn({ ...syn(), mss }, tcpConfig({}), ISS, 0, NOW).snd.mss).toBe(expected)
  })

  it('MUST-16: room for the timestamps is taken off', () => {
    const segment = { ...syn(), mss: 1_460, hasTimestamps: true, tsVal: 1 }
    expect(acceptSyn(segment, tcpConfig({}), ISS, 0, NOW).snd.mss).toBe(1_448)
  })

  it('answers only the options that the SYN has (RFC 7323 §2.2, RFC 2018 §2)', () => {
    const [bare] = drain(acceptSyn(syn(), tcpConfig({}), ISS, 0, NOW))
    expect([bare?.windowScale, bare?.sackPermitted, bare?.hasTimestamps]).toEqual([-1, false, false])
    const all = { windowScale: 14, sackPermitted: true, hasTimestamps: true, tsVal: 9 }
    const tcb = acceptSyn({ ...syn(), ...all }, tcpConfig({}), ISS, 0, NOW)
    const [full] = drain(tcb)
    expect([full?.windowScale, full?.sackPermitted, full?.tsEcr]).toEqual([7, true, 9])
    expect(tcb.snd.scale).toBe(14)
  })

  it('the window of a SYN is not scaled, and that of the next segment is', () => {
    const tcb = acceptSyn({ ...syn(), windowScale: 7 }, tcpConfig({}), ISS, 0, NOW)
    expect(drain(tcb)[0]?.window).toBe(65_535)
    expect(tcb.snd.wnd).toBe(500)
    arrives(tcb, { window: 500, octets: 1 })
    expect(tcb.snd.wnd).toBe(500 << 7)
    expect(drain(tcb)[0]?.window).toBe(65_534 >> 7)
  })

  it('agrees to ECN (RFC 3168 §6.1.1)', () => {
    const tcb = acceptSyn({ ...syn(), flags: SYN | ECE | CWR }, tcpConfig({}), ISS, 0, NOW)
    expect((drain(tcb)[0]?.flags ?? 0) & (ECE | CWR)).toBe(ECE)
  })
})

describe('SYN-SENT', () => {
  it('MUST-10: two ends that open at once get a connection', () => {
    const a = connect(tcpConfig({}), testFlow(1, 2), 100, 0, NOW)
    const b = connect(tcpConfig({}), testFlow(2, 1), 900, 0, NOW)
    const exchange = (from: Tcb, to: Tcb) => {
      for (const out of drain(from)) {
        const segment = Object.assign(createSegment(), out, { payloadLength: 0 })
        segmentArrives(to, segment, NOW)
      }
    }
    const first = drain(a)
    for (const out of drain(b)) segmentArrives(a, Object.assign(createSegment(), out), NOW)
    for (const out of first) segmentArrives(b, Object.assign(createSegment(), out), NOW)
    expect([a.state, b.state]).toEqual(['SYN-RECEIVED', 'SYN-RECEIVED'])
    for (let round = 0; round < 3; round++) {
      exchange(a, b)
      exchange(b, a)
    }
    expect([a.state, b.state]).toEqual(['ESTABLISHED', 'ESTABLISHED'])
    expect(a.sack && a.ts.on && a.scaled).toBe(true)
  })

  it('MUST-23: asks for at least three minutes', () => {
    const tcb = tcbIn('SYN-SENT')
    let syns = 0
    while (tcb.state !== 'CLOSED') {
      const at = pollAt(tcb)
      expect(at).toBeLessThan(NOW + 1_000_000)
      if (at - NOW > 180_000) break
      syns += nextDeadline(tcb).length
    }
    expect(tcb.state).toBe('SYN-SENT')
    expect(syns).toBeGreaterThan(5)
    while (tcb.state !== 'CLOSED') nextDeadline(tcb)
    expect(takeEvents(tcb)).toBe(CLOSED | TIMED_OUT | SOFT_ERROR)
  })

  it('keeps what is sent before the handshake, and sends it after', () => {
    const tcb = tcbIn('SYN-SENT')
    send(tcb, new Uint8Array(10))
    expect(drain(tcb)).toEqual([])
    arrives(tcb, { flags: SYN | ACK })
    expect(sentInWords(tcb)).toEqual(['<SEQ=-10><ACK=+0><CTL=PSH,ACK> 10 octets'])
  })
})

describe('SYN-RECEIVED', () => {
  it('a FIN asked for before the handshake goes out after it (RFC 9293 §3.10.4)', () => {
    const tcb = tcbIn('SYN-RECEIVED')
    close(tcb)
    expect(tcb.state).toBe('SYN-RECEIVED')
    arrives(tcb, {})
    expect(tcb.state).toBe('FIN-WAIT-1')
    expect(sentInWords(tcb)).toEqual(['<SEQ=-1><ACK=+0><CTL=FIN,ACK>'])
  })

  it('gives up after the SYN-ACK was sent again synAckRetries times', () => {
    const tcb = tcbIn('SYN-RECEIVED', { synAckRetries: 2 })
    expect(nextDeadline(tcb)).toEqual(['<SEQ=-1><ACK=+0><CTL=SYN,ACK>'])
    expect(nextDeadline(tcb)).toEqual(['<SEQ=-1><ACK=+0><CTL=SYN,ACK>'])
    expect(nextDeadline(tcb)).toEqual([])
    expect(takeEvents(tcb)).toBe(CLOSED | TIMED_OUT)
  })

  it('measures the round trip by the SYN-ACK, unless it was sent again (MUST-18, Karn)', () => {
    const once = tcbIn('SYN-RECEIVED')
    arrives(once, {})
    expect(once.rtt.srttMs).toBeCloseTo(10)
    const twice = tcbIn('SYN-RECEIVED')
    nextDeadline(twice)
    arrives(twice, {}, NOW + 2_000)
    expect(twice.rtt.srttMs).toBe(0)
  })
})

describe('ESTABLISHED', () => {
  it('the acknowledgement travels with the answer (MUST-58)', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { octets: 100, flags: ACK | PSH })
    expect(takeEvents(tcb)).toBe(READABLE)
    consume(tcb, unreadOctets(tcb), NOW)
    send(tcb, new Uint8Array(50))
    expect(sentInWords(tcb)).toEqual(['<SEQ=-50><ACK=+0><CTL=PSH,ACK> 50 octets'])
  })

  it('MUST-40, SHLD-18: an acknowledgement waits for less than 0.5 s, once the first were quick', () => {
    const tcb = tcbIn('ESTABLISHED', { quickAcks: 0 })
    arrives(tcb, { octets: 100 })
    expect(drain(tcb)).toEqual([])
    expect(pollAt(tcb) - NOW).toBeLessThan(500)
    expect(nextDeadline(tcb)).toEqual(['<SEQ=+0><ACK=+0><CTL=ACK>'])
  })

  it('SHLD-19: every second full segment is acknowledged at once', () => {
    const tcb = tcbIn('ESTABLISHED', { quickAcks: 0 })
    arrives(tcb, { octets: 1_448 })
    expect(drain(tcb)).toEqual([])
    arrives(tcb, { octets: 1_448 })
    expect(drain(tcb)).toHaveLength(1)
  })

  it('octets out of order are acknowledged at once with their SACK blocks, the latest first', () => {
    const tcb = tcbIn('ESTABLISHED')
    const edge = (out: { sackEdges: Int32Array } | undefined, at: number) =>
      ((out?.sackEdges[at] ?? 0) - tcb.rcv.nxt) | 0
    arrives(tcb, { seq: 10, octets: 10 })
    arrives(tcb, { seq: 40, octets: 10 })
    arrives(tcb, { seq: 70, octets: 10 })
    arrives(tcb, { seq: 50, octets: 10 })
    const [out] = drain(tcb)
    expect(out?.sackCount).toBe(3)
    expect([0, 1, 2, 3, 4, 5].map(at => edge(out, at))).toEqual([40, 60, 70, 80, 10, 20])
  })

  it('a duplicate is reported by D-SACK (RFC 2883 §4.1)', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { octets: 20 })
    drain(tcb)
    arrives(tcb, { seq: -20, octets: 20 })
    const [out] = drain(tcb)
    expect(out?.sackCount).toBe(1)
    expect(((out?.sackEdges[0] ?? 0) - tcb.rcv.nxt) | 0).toBe(-20)
    expect(drain(tcb)).toEqual([])
  })

  it('the part of a segment that is new is taken, the old part is not', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { octets: 20 })
    consume(tcb, 20, NOW)
    arrives(tcb, { seq: -5, octets: 12 })
    expect(unreadOctets(tcb)).toBe(7)
  })

  it('an in-order payload is borrowed, not copied', () => {
    const tcb = tcbIn('ESTABLISHED')
    const segment = fromPeer(tcb, { octets: 100 })
    segmentArrives(tcb, segment, NOW)
    expect(unread(tcb).octets).toBe(segment.octets)
  })

  it('urgent octets arrive in line like all others (RFC 6093)', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { octets: 5, flags: ACK | 0x20 })
    expect(unreadOctets(tcb)).toBe(5)
  })

  it('SHLD-31: octets out of order are kept until the gap closes', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { seq: 10, octets: 10 })
    expect(unreadOctets(tcb)).toBe(0)
    arrives(tcb, { octets: 10 })
    expect(unreadOctets(tcb)).toBe(20)
  })

  it('MUST-59: everything that has come is processed before an acknowledgement goes out: one for all', () => {
    const tcb = tcbIn('ESTABLISHED')
    for (const seq of [1_448, 2_896, 0]) arrives(tcb, { seq, octets: 1_448 })
    arrives(tcb, { octets: 1_448 })
    expect(sentInWords(tcb)).toEqual(['<SEQ=+0><ACK=+0><CTL=ACK>'])
  })

  it('a FIN that comes before the octets counts when they are there', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { seq: 10, octets: 10, flags: ACK | FIN })
    expect(tcb.state).toBe('ESTABLISHED')
    arrives(tcb, { octets: 10 })
    expect(tcb.state).toBe('CLOSE-WAIT')
    expect(unreadOctets(tcb)).toBe(20)
  })

  it('half-close: octets are still sent after the peer has finished', () => {
    const tcb = tcbIn('CLOSE-WAIT')
    send(tcb, new Uint8Array(100))
    expect(sentInWords(tcb)).toEqual(['<SEQ=-100><ACK=+0><CTL=PSH,ACK> 100 octets'])
  })

  it('MUST-25: no keepalive unless asked for; MUST-29: one lost answer does not end the connection', () => {
    expect(pollAt(tcbIn('ESTABLISHED'))).toBe(Number.POSITIVE_INFINITY)
    const tcb = tcbIn('ESTABLISHED', { keepaliveIdleMs: 60_000, keepaliveProbes: 2 })
    expect(nextDeadline(tcb)).toEqual(['<SEQ=-1><ACK=+0><CTL=ACK> 1 octets'])
    expect(nextDeadline(tcb)).toEqual(['<SEQ=-1><ACK=+0><CTL=ACK> 1 octets'])
    expect(tcb.state).toBe('ESTABLISHED')
    expect(nextDeadline(tcb)).toEqual(['<SEQ=+0><ACK=+0><CTL=RST,ACK>'])
    expect(takeEvents(tcb)).toBe(CLOSED | TIMED_OUT)
  })

  it('MUST-20: gives up after R2, no sooner than 100 s (SHLD-11)', () => {
    const tcb = tcbIn('ESTABLISHED')
    send(tcb, new Uint8Array(100))
    drain(tcb)
    let at = NOW
    while (tcb.state !== 'CLOSED') {
      at = pollAt(tcb)
      nextDeadline(tcb)
    }
    expect(at - NOW).toBeGreaterThan(100_000)
    expect(takeEvents(tcb)).toBe(CLOSED | TIMED_OUT | SOFT_ERROR)
  })
})

describe('every synchronized state', () => {
  it.each(SYNCHRONIZED)('%s: RST counts only at RCV.NXT; else it is challenged (RFC 5961 §3.2)', state => {
    const near = tcbIn(state)
    arrives(near, { flags: RST, seq: 1 })
    expect(sentInWords(near)).toEqual(['<SEQ=+0><ACK=+0><CTL=ACK>'])
    arrives(near, { flags: RST })
    expect(near.state).toBe('CLOSED')
  })

  it.each(SYNCHRONIZED)('%s: SYN is challenged wherever it stands (RFC 5961 §4.2)', state => {
    for (const seq of [-100_000, 0, 5]) {
      const tcb = tcbIn(state)
      arrives(tcb, { flags: SYN, seq })
      expect(tcb.state).toBe(state)
      expect(sentInWords(tcb)).toEqual(['<SEQ=+0><ACK=+0><CTL=ACK>'])
    }
  })

  it('challenges are limited by connection, so that none tells of another (RFC 5961 §7, CVE-2016-5696)', () => {
    const tcb = tcbIn('ESTABLISHED')
    let answers = 0
    for (let count = 0; count < 100; count++) {
      arrives(tcb, { flags: RST, seq: 1 })
      answers += drain(tcb).length
    }
    expect(answers).toBe(tcb.config.challengeAcks)
    expect(tcb.config.counters.TCPACKSkippedChallenge).toBe(90)
    const other = tcbIn('ESTABLISHED', tcb.config)
    arrives(other, { flags: RST, seq: 1 })
    expect(drain(other)).toHaveLength(1)
    arrives(tcb, { flags: RST, seq: 1 }, NOW + 5_000)
    expect(drain(tcb, NOW + 5_000)).toHaveLength(1)
  })

  it.each(SYNCHRONIZED)('%s: a segment that fails PAWS is dropped (RFC 7323 §5.3)', state => {
    const tcb = tcbIn(state)
    arrives(tcb, { octets: 10, tsVal: tcb.ts.recent - 1 })
    expect(tcb.state).toBe(state)
    expect(unreadOctets(tcb)).toBe(0)
    expect(tcb.config.counters.PAWSEstab).toBe(1)
    expect(drain(tcb)).toHaveLength(1)
  })

  it.each(SYNCHRONIZED)('%s: after 24 days TS.Recent says nothing any more (RFC 7323 §5.5)', state => {
    const tcb = tcbIn(state)
    const day = 24 * 3_600_000
    const old = { tsVal: tcb.ts.recent - 1 }
    arrives(tcb, old, tcb.ts.recentAt + 24 * day)
    expect(tcb.config.counters.PAWSEstab).toBe(1)
    arrives(tcb, old, tcb.ts.recentAt + 24 * day + 1)
    expect(tcb.config.counters.PAWSEstab).toBe(1)
    expect(tcb.ts.recent).toBe(old.tsVal)
  })

  it.each(SYNCHRONIZED)(
    '%s: a segment without timestamps is dropped where they are in use (RFC 7323 §3.2)',
    state => {
      const tcb = tcbIn(state)
      arrives(tcb, { octets: 10, timestamps: false })
      expect(unreadOctets(tcb)).toBe(0)
      arrives(tcb, { flags: RST, timestamps: false })
      expect(tcb.state).toBe('CLOSED')
    },
  )

  it.each(SYNCHRONIZED)('%s: an acknowledgement from long ago is challenged (RFC 5961 §5.2)', state => {
    const tcb = tcbIn(state)
    arrives(tcb, { ack: -100_000_000, octets: 5 })
    expect(unreadOctets(tcb)).toBe(0)
    expect(tcb.config.counters.TCPChallengeACK).toBe(1)
  })
})

describe('ABORT', () => {
  it('MUST-12 (the peer): a reset tells the application', () => {
    const tcb = tcbIn('ESTABLISHED')
    takeEvents(tcb)
    arrives(tcb, { flags: RST })
    expect(takeEvents(tcb)).toBe(CLOSED | RESET)
  })

  it('sends one reset, and then nothing', () => {
    const tcb = tcbIn('ESTABLISHED')
    send(tcb, new Uint8Array(100))
    abort(tcb)
    expect(sentInWords(tcb)).toEqual(['<SEQ=+0><ACK=+0><CTL=RST,ACK>'])
    expect(pollAt(tcb)).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('TIME-WAIT', () => {
  it('MUST-13: lasts for 2 MSL, and again so long after each FIN', () => {
    const tcb = tcbIn('TIME-WAIT')
    expect(pollAt(tcb)).toBe(NOW + 60_000)
    arrives(tcb, { seq: -1, flags: ACK | FIN }, NOW + 30_000)
    expect(drain(tcb, NOW + 30_000)).toHaveLength(1)
    expect(pollAt(tcb)).toBe(NOW + 90_000)
    nextDeadline(tcb)
    expect(tcb.state).toBe('CLOSED')
  })

  it.each([
    ['a later timestamp', 1, -5, true],
    ['an equal timestamp and a higher number', 0, 5, true],
    ['an equal timestamp and a lower number', 0, -5, false],
    ['an earlier timestamp', -1, 5, false],
  ])('SHLD-4: may be taken over by a SYN with %s (RFC 6191)', (_, age, seq, allowed) => {
    const tcb = tcbIn('TIME-WAIT')
    const syn = fromPeer(tcb, { flags: SYN, seq, tsVal: tcb.ts.recent + age })
    expect(reusable(tcb, syn)).toBe(allowed)
    expect(diff(isnAfter(tcb) as never, tcb.snd.nxt)).toBeGreaterThan(65_535)
  })

  it('without timestamps by a higher number only', () => {
    const tcb = tcbIn('TIME-WAIT', { timestamps: false })
    expect(reusable(tcb, fromPeer(tcb, { flags: SYN, seq: 1 }))).toBe(true)
    expect(reusable(tcb, fromPeer(tcb, { flags: SYN, seq: 0 }))).toBe(false)
    expect(reusable(tcbIn('ESTABLISHED'), fromPeer(tcb, { flags: SYN, seq: 1 }))).toBe(false)
  })
})

describe('CLOSED', () => {
  it.each([
    ['a segment with ACK', ACK, '<SEQ=+77><CTL=RST>'],
    ['a SYN', SYN, '<SEQ=+0><ACK=+6><CTL=RST,ACK>'],
    ['a FIN without ACK', FIN, '<SEQ=+0><ACK=+6><CTL=RST,ACK>'],
    ['a reset', RST, undefined],
  ])('%s is answered as RFC 9293 §3.10.7.1 says', (_, flags, expected) => {
    const segment = Object.assign(createSegment(), {
      flags,
      seq: 2,
      ack: 77,
      payloadLength: flags === SYN || flags === FIN ? 3 : 0,
    })
    const out = createTransmission()
    const none = { snd: { nxt: 0 }, rcv: { nxt: 0 } } as unknown as Tcb
    expect(resetFor(segment, out) ? describeSegment(none, out) : undefined).toBe(expected)
  })
})

describe('path MTU', () => {
  it('is believed only with a sequence number in flight (RFC 5927), and what was too large goes again', () => {
    const tcb = tcbIn('ESTABLISHED')
    send(tcb, new Uint8Array(5_000))
    drain(tcb)
    expect(pathMtu(tcb, 1_400, tcb.snd.una - 1, NOW)).toBe(false)
    expect(pathMtu(tcb, 1_400, tcb.snd.nxt, NOW)).toBe(false)
    expect(pathMtu(tcb, 1_400, tcb.snd.una, NOW)).toBe(true)
    expect(tcb.snd.mss).toBe(1_400 - 40 - 12)
    const cwnd = tcb.congestion.cwnd
    const [again] = drain(tcb)
    expect([again?.retransmission, again?.segmentSize, again?.payloadLength]).toEqual([true, 1_348, 5_000])
    expect(tcb.congestion.cwnd).toBe(cwnd)
    expect(pathMtu(tcb, 1_500, tcb.snd.una, NOW)).toBe(false)
    expect(pathMtu(tcb, 68, tcb.snd.una, NOW)).toBe(true)
    expect(tcb.snd.mss).toBe(552 - 40 - 12)
  })
})

describe('the events of a connection', () => {
  it('begin with ESTABLISHED', () => {
    const tcb = tcbIn('SYN-RECEIVED')
    arrives(tcb, {})
    expect(takeEvents(tcb)).toBe(ESTABLISHED)
    expect(takeEvents(tcb)).toBe(0)
  })
})
