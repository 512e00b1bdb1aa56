/** What an application may choose for one connection while it is open (RFC 9293 §3.9.1). */
import { RST, SYN } from '../wire/segment.ts'
import { DEFAULT_KEEPALIVE_IDLE_MS, tcpConfig } from './config.ts'
import { CLOSED, SOFT_ERROR, TIMED_OUT, takeEvents } from './events.ts'
import { connect } from './open.ts'
import { testFlow } from './pair.ts'
import type { Tcb } from './tcb.ts'
import { arrives, drain, ISS, NOW, sentInWords, tcbIn } from './tcb-in-state.ts'
import { expire, pollAt } from './timers.ts'
import { abort, send, setDiffserv, setKeepalive, setNagle, setUserTimeout } from './user.ts'

const NEVER = Number.POSITIVE_INFINITY

function untilClosed(tcb: Tcb): number {
  let at = NOW
  while (tcb.state !== 'CLOSED') {
    at = pollAt(tcb)
    expire(tcb, at)
    drain(tcb, at)
  }
  return at - NOW
}

describe('OPEN', () => {
  it('MUST-43, MUST-45: takes the local address, and keeps it', () => {
    const tcb = connect(tcpConfig({}), testFlow(1, 2), ISS, 0, NOW)
    expect([tcb.flow.local3, tcb.flow.localPort]).toEqual([0x0a000001, 1])
  })

  it.each([
    ['broadcast', { remote3: -1 }],
    ['multicast', { remote3: 0xe0000001 | 0 }],
    ['no address', { remote3: 0 }],
    ['IPv6 multicast', { family: 6 as const, remote0: 0xff020000 | 0, remote2: 0 }],
  ])('MUST-46: refuses %s', (_, remote) => {
    expect(() => connect(tcpConfig({}), { ...testFlow(1, 2), ...remote }, ISS, 0, NOW)).toThrow(RangeError)
  })
})

describe('the Nagle algorithm', () => {
  it('MUST-17: is switched for one connection; off is our default, for responses end in a small segment', () => {
    const tcb = tcbIn('ESTABLISHED')
    const sent = () => {
      send(tcb, new Uint8Array(10))
      return drain(tcb).length
    }
    expect([sent(), sent()]).toEqual([1, 1])
    setNagle(tcb, true)
    expect(sent()).toBe(0)
    setNagle(tcb, false)
    expect(drain(tcb).map(out => out.payloadLength)).toEqual([10])
  })
})

describe('keepalives', () => {
  it('MUST-24, MUST-25, MUST-27: are off until they are asked for, at any interval, and can be turned off', () => {
    const tcb = tcbIn('ESTABLISHED')
    expect(pollAt(tcb)).toBe(NEVER)
    setKeepalive(tcb, NOW, 30_000)
    expect(pollAt(tcb)).toBe(NOW + 30_000)
    setKeepalive(tcb, NOW, NEVER)
    expect(pollAt(tcb)).toBe(NEVER)
  })

  it('MUST-28: come after two hours where no interval is named', () => {
    const tcb = tcbIn('ESTABLISHED')
    setKeepalive(tcb, NOW)
    expect(pollAt(tcb) - NOW).toBe(DEFAULT_KEEPALIVE_IDLE_MS)
    expect(DEFAULT_KEEPALIVE_IDLE_MS).toBeGreaterThanOrEqual(2 * 3_600_000)
  })

  it('MUST-26: are not sent while octets are in flight, nor so soon after the peer was heard', () => {
    const tcb = tcbIn('ESTABLISHED')
    setKeepalive(tcb, NOW, 1_000)
    arrives(tcb, { octets: 5 }, NOW + 900)
    drain(tcb, NOW + 900)
    expire(tcb, NOW + 1_000)
    expect(drain(tcb, NOW + 1_000)).toEqual([])
    expect(pollAt(tcb)).toBe(NOW + 1_900)
    send(tcb, new Uint8Array(5))
    drain(tcb, NOW + 1_850)
    expire(tcb, NOW + 1_900)
    expect(tcb.config.counters.TCPKeepAlive).toBe(0)
    arrives(tcb, {}, NOW + 1_950)
    expect(sentInWords(tcb, NOW + 1_950)).toEqual([])
    expire(tcb, pollAt(tcb))
    expect(pollAt(tcb)).toBe(NOW + 2_950)
    expire(tcb, pollAt(tcb))
    expect(tcb.config.counters.TCPKeepAlive).toBe(1)
  })

  it('before the handshake are kept for after it', () => {
    const tcb = tcbIn('SYN-RECEIVED')
    setKeepalive(tcb, NOW, 700)
    arrives(tcb, {})
    expect(tcb.timers.keepalive).toBe(NOW + 700)
  })
})

describe('the user timeout', () => {
  it('MUST-21: ends a connection whose octets stay unacknowledged so long, to the millisecond', () => {
    const tcb = tcbIn('ESTABLISHED')
    setUserTimeout(tcb, 5_000)
    send(tcb, new Uint8Array(10))
    drain(tcb)
    expect(untilClosed(tcb)).toBeCloseTo(5_000)
    expect(takeEvents(tcb)).toBe(CLOSED | TIMED_OUT | SOFT_ERROR)
  })

  it('starts anew with each acknowledgement of something new', () => {
    const tcb = tcbIn('ESTABLISHED', { userTimeoutMs: 5_000 })
    send(tcb, new Uint8Array(20))
    drain(tcb)
    expire(tcb, NOW + 4_000)
    drain(tcb, NOW + 4_000)
    arrives(tcb, { ack: -10 }, NOW + 4_500)
    expire(tcb, NOW + 6_000)
    expect(tcb.state).toBe('ESTABLISHED')
  })

  it('MUST-37, SHLD-17: does not run while the peer says that its window is closed', () => {
    const tcb = tcbIn('ESTABLISHED')
    setUserTimeout(tcb, 5_000)
    arrives(tcb, { window: 1_000 })
    send(tcb, new Uint8Array(3_000))
    drain(tcb)
    for (let count = 0, at = NOW; count < 100; count++) {
      arrives(tcb, { window: 0, ack: -3_000, tsVal: tcb.ts.recent + 1 }, at + 1)
      at = pollAt(tcb)
      expire(tcb, at)
      drain(tcb, at)
    }
    expect(tcb.state).toBe('ESTABLISHED')
  })

  it('MUST-22: counts for a SYN as well', () => {
    const tcb = tcbIn('SYN-SENT')
    setUserTimeout(tcb, 2_500)
    expect(untilClosed(tcb)).toBeCloseTo(2_490)
  })
})

describe('what goes to IP', () => {
  it('MUST-48, SHLD-21, SHLD-22: the Differentiated Services field, changed at any time', () => {
    const tcb = tcbIn('ESTABLISHED')
    send(tcb, new Uint8Array(10))
    expect(drain(tcb).map(out => out.dscp)).toEqual([0])
    setDiffserv(tcb, 46)
    send(tcb, new Uint8Array(10))
    abort(tcb)
    expect(drain(tcb).map(out => [out.dscp, (out.flags & RST) !== 0])).toEqual([[46, true]])
  })

  it('MUST-49: the time to live, of every segment from the SYN on', () => {
    const tcb = connect(tcpConfig({ ttl: 33, dscp: 10 }), testFlow(1, 2), ISS, 0, NOW)
    expect(drain(tcb).map(out => [out.flags, out.ttl, out.dscp])).toEqual([[SYN | 0xc0, 33, 10]])
    expect(drain(tcbIn('ESTABLISHED', { ttl: 7 }))).toEqual([])
    const open = tcbIn('ESTABLISHED', { ttl: 7 })
    arrives(open, { octets: 5 })
    expect(drain(open).map(out => out.ttl)).toEqual([7])
  })
})
