/** How connections begin, beside the rows by state of `rules.test.ts` (RFC 9293 §3.5, §3.7.1, §3.9.1). */
import { ACK, createSegment, RST, SYN } from '../wire/segment.ts'
import { type TcpConfig, tcpConfig } from './config.ts'
import { CLOSED, ESTABLISHED, RESET, takeEvents } from './events.ts'
import { acceptSyn, connect } from './open.ts'
import { testFlow } from './pair.ts'
import { arrives, drain, ISS, NOW, tcbIn } from './tcb-in-state.ts'
import { expire, pollAt } from './timers.ts'
import { send } from './user.ts'

const syn = (fields = {}) =>
  Object.assign(createSegment(), { flags: SYN, seq: 100, window: 500, srcPort: 1, dstPort: 80 }, fields)

describe('a reset in SYN-RECEIVED', () => {
  it('MUST-11: of a passive open returns to LISTEN, and nobody is told that something failed', () => {
    const tcb = tcbIn('SYN-RECEIVED')
    arrives(tcb, { flags: RST })
    expect([tcb.state, takeEvents(tcb), drain(tcb)]).toEqual(['CLOSED', CLOSED, []])
    expect(tcb.config.counters.AttemptFails).toBe(1)
  })

  it('MUST-11: of an active open is a refusal', () => {
    const tcb = tcbIn('SYN-SENT')
    arrives(tcb, { flags: SYN, ack: 0 })
    expect(tcb.state).toBe('SYN-RECEIVED')
    arrives(tcb, { flags: RST })
    expect([tcb.state, takeEvents(tcb)]).toEqual(['CLOSED', CLOSED | RESET])
  })
})

describe('LISTEN', () => {
  it('MUST-41, MUST-42: at any number of addresses on one port; a connection of one is none of another', () => {
    const config = tcpConfig({})
    const first = acceptSyn(syn({ dst3: 0x0a000001 }), config, ISS, 0, NOW)
    drain(first)
    const before = JSON.stringify({ ...first, config: 0 })
    const second = acceptSyn(syn({ dst3: 0x0a000002 }), config, 7, 0, NOW)
    drain(second)
    arrives(second, { flags: RST, timestamps: false })
    expect([first.flow.local3, second.flow.local3]).toEqual([0x0a000001, 0x0a000002])
    expect(JSON.stringify({ ...first, config: 0 })).toBe(before)
  })
})

describe('the MSS option', () => {
  it.each([
    [4, 1_460, {}],
    [6, 1_440, {}],
    [4, 8_960, { mssV4: 8_960 }],
    [6, 1_220, { mssV6: 1_220 }],
  ] as [4 | 6, number, Partial<TcpConfig>][])(
    'MUST-14, MUST-67, SHLD-5: says what a packet over IPv%d can hold here, %d octets, on every SYN-ACK',
    (family, mss, chosen) => {
      const tcb = acceptSyn(syn({ family, mss: 600 }), tcpConfig(chosen), ISS, 0, NOW)
      expect(drain(tcb).map(out => out.mss)).toEqual([mss])
      expect(tcb.snd.mss).toBe(600)
    },
  )

  it('MUST-14, SHLD-5: stands on our own SYN and counts on the answer', () => {
    const tcb = tcbIn('SYN-SENT')
    arrives(tcb, { flags: SYN | ACK, timestamps: false })
    expect(tcb.snd.mss).toBe(536)
    expect(drain(connect(tcpConfig({}), testFlow(1, 2), ISS, 0, NOW)).map(out => out.mss)).toEqual([1_460])
  })

  it('MUST-65: stands on no segment without SYN', () => {
    const tcb = tcbIn('ESTABLISHED')
    send(tcb, new Uint8Array(5_000))
    const sent = drain(tcb)
    arrives(tcb, { octets: 10 })
    arrives(tcb, { octets: 10, seq: 50 })
    sent.push(...drain(tcb))
    expire(tcb, pollAt(tcb))
    sent.push(...drain(tcb, pollAt(tcb)))
    expect(sent.length).toBeGreaterThanOrEqual(2)
    expect(sent.filter(out => out.mss !== 0 || out.windowScale >= 0 || out.sackPermitted)).toEqual([])
  })
})

describe('the timeout after the handshake', () => {
  it('is 3 s where a SYN was lost, so that nothing was measured (RFC 6298 §5.7)', () => {
    const tcb = tcbIn('SYN-RECEIVED')
    expire(tcb, pollAt(tcb))
    drain(tcb, NOW + 1_000)
    arrives(tcb, {}, NOW + 1_020)
    expect(takeEvents(tcb)).toBe(ESTABLISHED)
    expect(tcb.rtt.rtoMs).toBe(3_000)
    send(tcb, new Uint8Array(10))
    drain(tcb, NOW + 1_020)
    expect(tcb.timers.rto).toBe(NOW + 4_020)
  })

  it('and follows the first measurement from then on', () => {
    const tcb = tcbIn('SYN-RECEIVED')
    expire(tcb, pollAt(tcb))
    drain(tcb, NOW + 1_000)
    arrives(tcb, {}, NOW + 1_020)
    send(tcb, new Uint8Array(10))
    drain(tcb, NOW + 1_020)
    arrives(tcb, {}, NOW + 1_040)
    expect(tcb.rtt.rtoMs).toBeCloseTo(220)
  })
})
