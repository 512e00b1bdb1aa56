/** Paths that take less than both ends: told by ICMP (RFC 1191, RFC 8201), or silent (RFC 8899). */

import { createIcmpError } from '../wire/icmp.ts'
import { tcpConfig } from './config.ts'
import { BASE_HOLE_TIMEOUTS, BLACK_HOLE_TIMEOUTS } from './mtu-search.ts'
import { connect } from './open.ts'
import { type LinkOptions, testFlow } from './pair.ts'
import { patternContent, Transfer } from './pair-transfer.ts'
import { MIN_PATH_MTU_V4, pathMtu, RAISE_MS } from './path-mtu.ts'
import { icmpArrives } from './soft-error.ts'
import type { Tcb } from './tcb.ts'
import { arrives, drain, ISS, NOW, tcbIn } from './tcb-in-state.ts'
import { expire, pollAt } from './timers.ts'
import { send, sendContent } from './user.ts'

const MSS = 1_448
const WINDOW = 60_000

/** A bulk sender whose peer acknowledges what is no longer than `mtu`, in order, as it comes. */
function exchange(tcb: Tcb, mtu: number, from: number, rounds: number): number[] {
  const sizes: number[] = []
  for (let round = 0, now = from; round < rounds; round++, now += 10) {
    for (const out of drain(tcb, now)) {
      if (out.payloadLength === 0) continue
      sizes.push(out.segmentSize)
      if (Math.min(out.segmentSize, out.payloadLength) + 52 <= mtu)
        arrives(tcb, { window: WINDOW, ack: (out.seq + out.payloadLength - tcb.snd.nxt) | 0 }, now + 10)
    }
  }
  return sizes
}

function transferOver(mtu: number, chosen: Partial<LinkOptions> = {}) {
  const link = { delayMs: 10, mtu, ...chosen }
  return new Transfer({ down: 400_000, downLink: link, upLink: { delayMs: 10 } }).run()
}

describe('a path that says what it takes', () => {
  it('MUST-54, SHLD-6: the segments follow, at once and without a reduction of cwnd', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { window: WINDOW })
    send(tcb, new Uint8Array(4 * MSS))
    drain(tcb)
    const { cwnd } = tcb.congestion
    expect(pathMtu(tcb, 1_300, tcb.snd.una, NOW)).toBe(true)
    const again = drain(tcb)
    expect(again.map(out => [out.retransmission, out.segmentSize])).toEqual([[true, 1_248]])
    expect(again[0]?.payloadLength).toBe(4 * MSS)
    expect(tcb.congestion.cwnd).toBe(cwnd)
  })

  it.each([
    ['what was acknowledged', -1],
    ['what was not sent', 4 * MSS],
  ])('is not believed if it quotes %s (RFC 5927 §7.2)', (_, quoted) => {
    const tcb = tcbIn('ESTABLISHED')
    send(tcb, new Uint8Array(4 * MSS))
    drain(tcb)
    expect(pathMtu(tcb, 1_300, (tcb.snd.una + quoted) | 0, NOW)).toBe(false)
    expect(tcb.snd.mss).toBe(MSS)
  })

  it.each([
    ['of an old router is guessed from the quoted length (RFC 1191 §7.1)', 4, 0, 1_492],
    ['of an old router that took the last guess for too much', 4, 1_492 + 1, 1_492],
    ['is never taken below what every path must', 4, 68, MIN_PATH_MTU_V4],
    ['is never taken below 1,280 over IPv6 (RFC 8200 §5)', 6, 500, 1_280],
  ] as const)('an MTU %s', (_, family, mtu, expected) => {
    const tcb = tcbIn('ESTABLISHED')
    tcb.flow.family = family
    send(tcb, new Uint8Array(4 * MSS))
    drain(tcb)
    const error = Object.assign(createIcmpError(), {
      kind: 'packet-too-big',
      seq: tcb.snd.una,
      mtu: mtu === 1_493 ? 0 : mtu,
    })
    error.packetOctets = 1_500
    icmpArrives(tcb, error, NOW)
    expect(tcb.snd.pathMss).toBe(expected - (family === 4 ? 40 : 60))
  })

  it('is tried for more after ten minutes, with one segment, and again later if that is lost', () => {
    const tcb = tcbIn('ESTABLISHED', { maxCwndOctets: 20 * MSS })
    arrives(tcb, { window: WINDOW })
    send(tcb, new Uint8Array(4 * MSS))
    drain(tcb)
    pathMtu(tcb, 1_300, tcb.snd.una, NOW)
    exchange(tcb, 1_300, NOW + 10, 5)
    sendContent(tcb, patternContent(2_000_000), 0, 2_000_000)
    const later = NOW + RAISE_MS - 1_000
    expect(new Set(exchange(tcb, 1_500, later, 10))).toEqual(new Set([1_248]))
    const raised = exchange(tcb, 1_500, later + 1_100, 10)
    expect(raised.filter(size => size === MSS).length).toBeGreaterThan(1)
    expect([tcb.config.counters.TCPMTUPSuccess, tcb.mtu.probeAt]).toEqual([1, Number.POSITIVE_INFINITY])
  })
})

describe('a path that is a black hole for large packets (RFC 8899)', () => {
  it('is found by timeouts of full segments, and the search ends within 20 octets of what it takes', () => {
    const { server, ms } = transferOver(1_400)
    const { pathMss } = server.tcb?.snd ?? { pathMss: 0 }
    expect(pathMss).toBeGreaterThan(1_400 - 40 - 20)
    expect(pathMss).toBeLessThanOrEqual(1_400 - 40)
    // Two timeouts at 220 and 440 ms, and the probe of the tail before them.
    expect(ms).toBeLessThan(1_500)
  })

  it('costs a transfer no window: a lost probe is no congestion', () => {
    const { server } = transferOver(1_400)
    const counters = server.tcb?.config.counters
    expect(counters?.TCPMTUPFail).toBeGreaterThan(0)
    expect(counters?.TCPSackRecovery).toBe(0)
    expect(counters?.TCPTimeouts).toBe(BLACK_HOLE_TIMEOUTS)
  })

  it('that takes less than the base is left behind as well', () => {
    const { server } = transferOver(700)
    expect(server.tcb?.snd.pathMss).toBeLessThanOrEqual(700 - 40)
    expect(server.tcb?.config.counters.TCPTimeouts).toBeGreaterThanOrEqual(BASE_HOLE_TIMEOUTS)
  })

  it('is searched without SACK, too', () => {
    const link = { delayMs: 10, mtu: 1_400 }
    const transfer = new Transfer({ down: 400_000, downLink: link, client: { sack: false } }).run()
    expect(transfer.server.tcb?.snd.pathMss).toBeGreaterThan(1_300)
  })

  it('is not seen in small segments that go unanswered', () => {
    const tcb = tcbIn('ESTABLISHED')
    send(tcb, new Uint8Array(400))
    drain(tcb)
    for (let count = 0; count < 6; count++) {
      expire(tcb, pollAt(tcb))
      drain(tcb, pollAt(tcb) - 1)
    }
    expect(tcb.snd.mss).toBe(MSS)
  })

  it('that was only an outage is forgotten with the first probe', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { window: WINDOW })
    sendContent(tcb, patternContent(500_000), 0, 500_000)
    drain(tcb)
    let now = NOW
    for (let count = 0; count < 4; count++) {
      now = pollAt(tcb)
      expire(tcb, now)
      drain(tcb, now)
    }
    expect(tcb.snd.mss).toBe(1_148)
    arrives(tcb, { window: WINDOW, ack: -2 * MSS }, now + 20)
    exchange(tcb, 1_500, now + 20, 30)
    expect(tcb.snd.mss).toBe(MSS)
    expect(tcb.config.counters.TCPMTUPSuccess).toBe(1)
  })
})

describe('an MSS', () => {
  it('is never above the own MTU or the offer of the peer, after a search as before (MUST-16)', () => {
    const tcb = connect(tcpConfig({ mssV4: 1_000 }), testFlow(1, 2), ISS, 0, NOW)
    expect(drain(tcb)[0]?.mss).toBe(1_000)
    expect(tcb.snd.mss).toBe(1_000)
  })
})
