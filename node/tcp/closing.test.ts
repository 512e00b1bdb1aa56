/** How connections end: half-closed, at once, at the same time, and with a reset (RFC 9293 §3.6). */
import { ACK, FIN, RST } from '../wire/segment.ts'
import { tcpConfig } from './config.ts'
import { CLOSED, RESET, TIMED_OUT, takeEvents } from './events.ts'
import { acceptSyn, connect } from './open.ts'
import { Host, Link, testFlow, World } from './pair.ts'
import { patternOctets, Reader } from './pair-transfer.ts'
import type { State, Tcb } from './tcb.ts'
import { arrives, drain, fromPeer, NOW, tcbIn } from './tcb-in-state.ts'
import { reusable } from './time-wait.ts'
import { expire, pollAt } from './timers.ts'
import { abort, close, consume, send, setHalfOpen, setKeepalive, unreadOctets } from './user.ts'

const NEVER = Number.POSITIVE_INFINITY

describe('a half-closed connection', () => {
  it.each(['FIN-WAIT-1', 'FIN-WAIT-2'] as State[])('still receives in %s', state => {
    const tcb = tcbIn(state)
    arrives(tcb, { octets: 1_000, ack: state === 'FIN-WAIT-1' ? -1 : 0 })
    expect([tcb.state, unreadOctets(tcb)]).toEqual([state, 1_000])
    expect(send(tcb, new Uint8Array(1))).toBe(0)
  })

  it('still sends in CLOSE-WAIT, and its FIN waits for the last octet', () => {
    const tcb = tcbIn('CLOSE-WAIT')
    send(tcb, new Uint8Array(40_000))
    const first = drain(tcb)
    close(tcb)
    expect(tcb.state).toBe('LAST-ACK')
    const sent = [...first]
    for (let round = 0; round < 5; round++) {
      arrives(tcb, {})
      sent.push(...drain(tcb))
    }
    expect(sent.reduce((octets, out) => octets + out.payloadLength, 0)).toBe(40_000)
    expect(sent.filter(out => (out.flags & FIN) !== 0)).toEqual(sent.slice(-1))
    arrives(tcb, {})
    expect(tcb.state).toBe('CLOSED')
  })

  it.each(['CLOSE-WAIT', 'CLOSING', 'LAST-ACK', 'TIME-WAIT'] as State[])(
    'takes no octets behind the FIN in %s',
    state => {
      const tcb = tcbIn(state)
      arrives(tcb, { octets: 10, ack: state === 'CLOSING' || state === 'LAST-ACK' ? -1 : 0 })
      expect([tcb.state, unreadOctets(tcb)]).toEqual([state, 0])
    },
  )

  it('keeps its way: octets flow for as long as wanted after either end has finished', () => {
    const world = new World(1)
    const [down, up] = [
      new Link(world, { delayMs: 5, loss: 0.05 }),
      new Link(world, { delayMs: 5, loss: 0.05 }),
    ]
    const [client, server] = [new Host(world, up), new Host(world, down)]
    const reader = new Reader(1)
    let sent = 0
    client.application = (_, tcb) => {
      if (tcb.state === 'ESTABLISHED') close(tcb)
      reader.take(tcb, 1e9, world.now)
    }
    server.application = (_, tcb) => {
      if (tcb.state !== 'CLOSE-WAIT') return
      while (sent < 1_000_000) {
        const taken = send(tcb, patternOctets(sent, 10_000))
        sent += taken
        if (taken < 10_000) break
      }
      if (sent === 1_000_000) close(tcb)
    }
    up.deliver = segment => {
      if (server.tcb === undefined) server.tcb = acceptSyn(segment, tcpConfig({}), 5, 0, world.now)
      server.receive(segment)
    }
    down.deliver = segment => client.receive(segment)
    client.tcb = connect(tcpConfig({}), testFlow(1, 2), 1, 0, world.now)
    client.turn()
    world.run(600_000)
    expect([reader.octets, client.tcb?.state, server.tcb?.state]).toEqual([1_000_000, 'CLOSED', 'CLOSED'])
  })
})

describe('FIN-WAIT-2', () => {
  const closed = (tcb: Tcb) => {
    close(tcb)
    drain(tcb)
    arrives(tcb, {})
    expect(tcb.state).toBe('FIN-WAIT-2')
    return tcb
  }
  const readOn = () => {
    const tcb = tcbIn('ESTABLISHED')
    setHalfOpen(tcb, true, NOW)
    return closed(tcb)
  }

  it('ends after 60 s of silence where nobody reads on', () => {
    const tcb = closed(tcbIn('ESTABLISHED'))
    expect(pollAt(tcb)).toBe(NOW + 60_000)
    arrives(tcb, { octets: 10 }, NOW + 50_000)
    drain(tcb, NOW + 50_100)
    expire(tcb, NOW + 109_999)
    expect(tcb.state).toBe('FIN-WAIT-2')
    expire(tcb, NOW + 110_000)
    expect(takeEvents(tcb) & (CLOSED | TIMED_OUT)).toBe(CLOSED | TIMED_OUT)
  })

  it('has no end where the application reads on: what comes after hours is taken (RFC 9293 §3.6)', () => {
    const tcb = readOn()
    expect(pollAt(tcb)).toBe(NEVER)
    const late = NOW + 10 * 3_600_000
    arrives(tcb, { octets: 10 }, late)
    expire(tcb, late + 100)
    drain(tcb, late + 100)
    consume(tcb, 10, late + 100)
    expect(pollAt(tcb)).toBe(NEVER)
    arrives(tcb, { flags: ACK | FIN }, late + 200)
    expect([tcb.state, pollAt(tcb)]).toEqual(['TIME-WAIT', late + 200 + 60_000])
  })

  it('ends 60 s after the application stops reading, and saying so again changes nothing', () => {
    const tcb = readOn()
    setHalfOpen(tcb, false, NOW + 90_000)
    setHalfOpen(tcb, false, NOW + 100_000)
    expect(pollAt(tcb)).toBe(NOW + 150_000)
  })

  it('ends by keepalives that nobody answers, though the application reads on', () => {
    const tcb = readOn()
    setKeepalive(tcb, NOW, 1_000)
    let at = NOW
    while (tcb.state !== 'CLOSED') {
      at = pollAt(tcb)
      expire(tcb, at)
      drain(tcb, at)
    }
    expect(at - NOW).toBe(1_000 + tcb.config.keepaliveProbes * tcb.config.keepaliveIntervalMs)
  })
})

describe('both ends close at once', () => {
  /** Both FINs cross; then each end gets the other's, and the acknowledgement of its own. */
  const cross = (tcb: Tcb) => {
    close(tcb)
    drain(tcb)
    arrives(tcb, { flags: ACK | FIN, ack: -1 })
  }

  it('through CLOSING into TIME-WAIT', () => {
    const tcb = tcbIn('ESTABLISHED')
    cross(tcb)
    expect([tcb.state, drain(tcb).length]).toEqual(['CLOSING', 1])
    arrives(tcb, {})
    expect(tcb.state).toBe('TIME-WAIT')
  })

  it('and the lost FIN of one is sent again and answered from TIME-WAIT', () => {
    const tcb = tcbIn('ESTABLISHED')
    cross(tcb)
    drain(tcb)
    arrives(tcb, {})
    arrives(tcb, { flags: ACK | FIN, seq: -1 })
    expect([tcb.state, drain(tcb).length]).toEqual(['TIME-WAIT', 1])
  })
})

describe('a reset', () => {
  it('SHLD-2: may hold octets, which say why and are not read', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { flags: RST, octets: 20 })
    expect([takeEvents(tcb) & (CLOSED | RESET), unreadOctets(tcb)]).toEqual([CLOSED | RESET, 0])
  })

  it.each([
    ['ESTABLISHED', 1],
    ['CLOSE-WAIT', 1],
    ['FIN-WAIT-1', 0],
    ['LAST-ACK', 0],
  ] as [State, number][])('of %s counts %d in EstabResets, whoever resets (RFC 4022)', (state, count) => {
    const peer = tcbIn(state)
    arrives(peer, { flags: RST })
    const own = tcbIn(state)
    abort(own)
    expect([peer, own].map(tcb => tcb.config.counters.EstabResets)).toEqual([count, count])
    expect([peer, own].map(tcb => tcb.config.counters.CurrEstab)).toEqual([0, 0])
  })
})

describe('TIME-WAIT without timestamps', () => {
  it('SHLD-4: is taken over by any SYN that has them: no old segment passes for one with them (RFC 6191 §2)', () => {
    const tcb = tcbIn('TIME-WAIT')
    tcb.ts.on = false
    const syn = fromPeer(tcb, { flags: 2, seq: -1_000, timestamps: true, tsVal: 1 })
    expect(reusable(tcb, syn)).toBe(true)
    expect(reusable(tcb, { ...syn, hasTimestamps: false })).toBe(false)
    expect(reusable(tcb, { ...syn, flags: 2 | ACK })).toBe(false)
  })
})
