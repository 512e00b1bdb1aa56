import { MAX_PAYLOAD_OCTETS } from '../wire/emit.ts'
import { PSH } from '../wire/segment.ts'
import { STARVED, takeEvents } from './events.ts'
import { patternContent } from './pair-transfer.ts'
import { diff } from './seq.ts'
import { arrives, drain, NOW, sentInWords, tcbIn } from './tcb-in-state.ts'
import { expire, pollAt } from './timers.ts'
import { close, consume, contiguous, send, sendContent, starvedPlace, unreadOctets, wake } from './user.ts'

const MSS = 1_448

describe('a super-segment', () => {
  it('is never longer than what a packet of either family holds, whatever the length of the queue', () => {
    for (let length = MAX_PAYLOAD_OCTETS - 30; length <= MAX_PAYLOAD_OCTETS + 30; length++) {
      const tcb = tcbIn('ESTABLISHED')
      tcb.congestion.cwnd = 1 << 20
      tcb.snd.wnd = 1 << 20
      tcb.snd.maxWnd = tcb.snd.wnd
      sendContent(tcb, patternContent(length), 0, length)
      const sent = drain(tcb).map(({ payloadLength }) => payloadLength)
      expect(Math.max(...sent)).toBeLessThanOrEqual(MAX_PAYLOAD_OCTETS)
      expect(sent.reduce((sum, octets) => sum + octets)).toBe(length)
    }
  })
})

describe('the send window', () => {
  it('MUST-35, MUST-36: a closed window is probed with an octet that the peer has, after an RTO (SHLD-29), ever slower (SHLD-30)', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { octets: 1, window: 0, tsVal: 600 })
    drain(tcb)
    send(tcb, new Uint8Array(100))
    expect(drain(tcb)).toEqual([])
    let before = NOW
    const waits: number[] = []
    for (let count = 0; count < 4; count++) {
      const at = pollAt(tcb)
      waits.push(at - before)
      before = at
      expire(tcb, at)
      expect(sentInWords(tcb, at)).toEqual(['<SEQ=-1><ACK=+0><CTL=ACK> 1 octets'])
    }
    expect(waits[0]).toBeCloseTo(tcb.rtt.rtoMs)
    expect(waits[3]).toBeCloseTo(4 * (waits[1] ?? 0))
    arrives(tcb, { window: 100 }, before)
    expect(sentInWords(tcb, before)).toEqual(['<SEQ=-100><ACK=+0><CTL=PSH,ACK> 100 octets'])
    expect(tcb.config.counters.TCPWinProbe).toBe(4)
  })

  it('MUST-37: a window may stay closed for ever, as long as the peer answers', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { octets: 1, window: 0, tsVal: 600 })
    send(tcb, new Uint8Array(100))
    drain(tcb)
    let at = NOW
    for (let count = 0; count < 200; count++) {
      at = pollAt(tcb)
      expire(tcb, at)
      drain(tcb, at)
      arrives(tcb, { window: 0 }, at + 1)
    }
    expect(at - NOW).toBeGreaterThan(3_600_000)
    expect(tcb.state).toBe('ESTABLISHED')
    while (tcb.state !== 'CLOSED') {
      expire(tcb, pollAt(tcb))
      drain(tcb, pollAt(tcb))
    }
    expect(tcb.config.counters.TCPAbortOnTimeout).toBe(1)
  })

  it('MUST-34: may shrink below what was sent', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { window: 100 })
    send(tcb, new Uint8Array(10_000))
    drain(tcb)
    arrives(tcb, { octets: 1, window: 1, ack: -10_000, tsVal: 600 })
    expire(tcb, tcb.timers.rto)
    tcb.snd.pending = 0
    expire(tcb, tcb.timers.rto)
    const [again] = drain(tcb, NOW + 500)
    expect([again?.retransmission, again?.payloadSeq]).toEqual([true, tcb.snd.una])
  })

  it('SHLD-15, SHLD-16: into a window that shrank goes nothing new; what is within it is sent again as ever', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { window: 1_000 })
    send(tcb, new Uint8Array(6 * MSS))
    drain(tcb)
    send(tcb, new Uint8Array(6 * MSS))
    const sent = -6 * MSS
    // 2 segments are left of what was offered for more than 12.
    arrives(tcb, { octets: 1, window: Math.ceil((2 * MSS) / 128), ack: sent, tsVal: 600 })
    expect(drain(tcb).filter(out => out.payloadLength > 0)).toEqual([])
    arrives(tcb, { window: Math.ceil((2 * MSS) / 128), ack: sent, sack: [MSS, 2 * MSS] }, NOW + 20)
    for (let count = 0; count < 3; count++) expire(tcb, tcb.timers.rto)
    tcb.snd.pending = 0
    const again = drain(tcb, NOW + 3_000)
    expect(again.map(out => [(out.payloadSeq - tcb.snd.una) | 0, out.retransmission])).toEqual([[0, true]])
  })

  it('MUST-38: a little room is not used while more is queued than fits', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { window: 1_000 })
    arrives(tcb, { octets: 1, window: 1, tsVal: 600 })
    drain(tcb)
    send(tcb, new Uint8Array(10_000))
    expect(drain(tcb)).toEqual([])
    expire(tcb, pollAt(tcb))
    expect(drain(tcb, NOW + 300).map(out => out.payloadLength)).toEqual([128])
  })

  it("an old owner's straggler, forwarded late, does not close a window that has opened since (design §9)", () => {
    const tcb = tcbIn('ESTABLISHED')
    send(tcb, new Uint8Array(3_000))
    drain(tcb)
    arrives(tcb, { ack: -1_000, window: 900 })
    expect(tcb.snd.wnd).toBe(900 << 7)
    arrives(tcb, { ack: -2_000, window: 3 })
    arrives(tcb, { ack: -1_000, window: 5 })
    expect(tcb.snd.wnd).toBe(900 << 7)
    arrives(tcb, { ack: -1_000, window: 0 })
    expect(tcb.snd.wnd).toBe(900 << 7)
    arrives(tcb, { ack: -1_000, window: 0, tsVal: tcb.ts.recent + 1 })
    expect(tcb.snd.wnd).toBe(0)
    arrives(tcb, { ack: -1_000, window: 800, tsVal: tcb.ts.recent })
    expect(tcb.snd.wnd).toBe(800 << 7)
    arrives(tcb, { octets: 10, ack: 0, window: 600 })
    expect(tcb.snd.wnd).toBe(600 << 7)
  })

  it('bounds super-segments: as large as it allows, whole segments but for the last', () => {
    const tcb = tcbIn('ESTABLISHED')
    tcb.congestion.cwnd = 1_000_000
    arrives(tcb, { window: 2_000 })
    sendContent(tcb, patternContent(200_000), 0, 200_000)
    const lengths = drain(tcb).map(out => out.payloadLength)
    expect(lengths).toEqual([45 * MSS, 45 * MSS, 45 * MSS, 200_000 - 135 * MSS])
  })

  it('SHLD-28: a segment is as large as it can be, SHLD-27: and PSH stands behind what several SENDs queued (MUST-61)', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { window: 60_000 })
    for (let count = 0; count < 10; count++) send(tcb, new Uint8Array(1_000))
    const sent = drain(tcb)
    expect(sent.map(out => [out.payloadLength, (out.flags & PSH) !== 0])).toEqual([[10_000, true]])
    send(tcb, new Uint8Array(100_000))
    arrives(tcb, { window: 60_000 })
    expect(drain(tcb).map(out => [out.payloadLength % MSS, (out.flags & PSH) !== 0])).toEqual([[0, false]])
  })

  it('MUST-60: the last octets go out although nobody pushes them', () => {
    const tcb = tcbIn('ESTABLISHED', { nagle: true })
    send(tcb, new Uint8Array(MSS + 1))
    send(tcb, new Uint8Array(1))
    const lengths = drain(tcb).map(out => out.payloadLength)
    arrives(tcb, {})
    lengths.push(...drain(tcb).map(out => out.payloadLength))
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(MSS + 2)
  })

  it('SHLD-7: with the Nagle algorithm a small segment waits for acknowledgements', () => {
    const tcb = tcbIn('ESTABLISHED', { nagle: true })
    send(tcb, new Uint8Array(10))
    expect(drain(tcb)).toHaveLength(1)
    send(tcb, new Uint8Array(10))
    send(tcb, new Uint8Array(10))
    expect(drain(tcb)).toEqual([])
    arrives(tcb, {})
    expect(drain(tcb).map(out => out.payloadLength)).toEqual([20])
  })

  it('an owned octet beyond sendMaxOctets is not taken', () => {
    const tcb = tcbIn('ESTABLISHED', { sendMaxOctets: 100 })
    expect(send(tcb, new Uint8Array(60))).toBe(60)
    expect(send(tcb, new Uint8Array(60))).toBe(40)
    expect(send(tcb, new Uint8Array(60))).toBe(0)
    drain(tcb)
    arrives(tcb, {})
    expect(send(tcb, new Uint8Array(60))).toBe(60)
  })
})

describe('a content that is not resident', () => {
  it('stops the queue with STARVED until it is woken, and no timeout punishes the path', () => {
    let resident = false
    const content = patternContent(5_000, () => resident)
    const tcb = tcbIn('ESTABLISHED')
    sendContent(tcb, content, 0, 5_000)
    close(tcb)
    expect(drain(tcb)).toEqual([])
    expect(takeEvents(tcb)).toBe(STARVED)
    expect(starvedPlace(tcb)).toEqual({ content, offset: 0 })
    resident = true
    wake(tcb)
    expect(drain(tcb).map(out => out.payloadLength)).toEqual([5_000])
    resident = false
    const { cwnd } = tcb.congestion
    for (let count = 0; count < 5; count++) {
      const at = pollAt(tcb)
      expire(tcb, at)
      drain(tcb, at)
    }
    expect(takeEvents(tcb) & STARVED).toBe(STARVED)
    expect(tcb.congestion.cwnd).toBe(cwnd)
    resident = true
    wake(tcb)
    const at = pollAt(tcb)
    expire(tcb, at)
    expect(drain(tcb, at).some(out => out.retransmission)).toBe(true)
  })
})

describe('the receive window', () => {
  it('closes as octets stay unread, and never moves left (SHLD-14)', () => {
    const tcb = tcbIn('ESTABLISHED', { receiveInitialOctets: 10_000 })
    let edge = tcb.rcv.edge
    for (let count = 0; count < 30; count++) {
      arrives(tcb, { octets: 1_000 })
      drain(tcb)
      expect(diff(tcb.rcv.edge, edge)).toBeGreaterThanOrEqual(0)
      edge = tcb.rcv.edge
    }
    expect(unreadOctets(tcb)).toBeLessThanOrEqual(10_000)
    expect(tcb.config.counters.TCPToZeroWindowAdv).toBeGreaterThan(0)
    expect(tcb.config.counters.TCPZeroWindowDrop).toBeGreaterThan(0)
  })

  it('closes for a peer that sends single octets, too', () => {
    const tcb = tcbIn('ESTABLISHED', { receiveInitialOctets: 4_096 })
    for (let count = 0; count < 5_000; count++) {
      arrives(tcb, { octets: 1 })
      drain(tcb)
    }
    expect(unreadOctets(tcb)).toBe(4_096)
  })

  it('MUST-66: while it is closed, acknowledgements and resets still count', () => {
    const tcb = tcbIn('ESTABLISHED', { receiveInitialOctets: 4_096 })
    while (diff(tcb.rcv.edge, tcb.rcv.nxt) > 0) {
      arrives(tcb, { octets: Math.min(1_000, diff(tcb.rcv.edge, tcb.rcv.nxt)) })
      drain(tcb)
    }
    send(tcb, new Uint8Array(50))
    drain(tcb)
    arrives(tcb, { octets: 1 })
    expect(tcb.snd.una).toBe(tcb.snd.nxt)
    expect(drain(tcb)).toHaveLength(1)
    arrives(tcb, { flags: 4 })
    expect(tcb.state).toBe('CLOSED')
  })

  it('MUST-39: opens again in one step that is worth it', () => {
    const tcb = tcbIn('ESTABLISHED', { receiveInitialOctets: 10_000 })
    for (let count = 0; count < 11; count++) arrives(tcb, { octets: 1_000 })
    drain(tcb)
    consume(tcb, 100, NOW)
    expect(drain(tcb)).toEqual([])
    consume(tcb, 5_000, NOW)
    expect(sentInWords(tcb)).toEqual(['<SEQ=+0><ACK=+0><CTL=ACK>'])
  })

  it('grows with what the application takes, up to its bound', () => {
    const tcb = tcbIn('ESTABLISHED')
    let now = NOW
    for (let round = 0; round < 20; round++) {
      now += 20
      for (let count = 0; count < 40; count++) {
        const room = diff(tcb.rcv.edge, tcb.rcv.nxt)
        if (room < 1_448) break
        arrives(tcb, { octets: Math.min(room, 60_000) }, now)
        consume(tcb, unreadOctets(tcb), now)
        drain(tcb, now)
      }
    }
    expect(tcb.rcv.limit).toBe(tcb.config.receiveMaxOctets)
  })

  it('grows faster than what a slow start sends: by four at a time at first', () => {
    const tcb = tcbIn('ESTABLISHED')
    tcb.rtt.srttMs = 10
    const before = tcb.rcv.limit
    for (let at = 0; at < before; at += 1_448) arrives(tcb, { octets: Math.min(1_448, before - at) }, NOW + 9)
    consume(tcb, before, NOW + 10)
    expect(tcb.rcv.limit).toBe(4 * before)
  })

  it('gives the application what it asks for in one piece', () => {
    const tcb = tcbIn('ESTABLISHED')
    for (let count = 0; count < 3; count++) arrives(tcb, { octets: 700 })
    const run = contiguous(tcb, 2_000)
    expect(run.length).toBeGreaterThanOrEqual(2_000)
    consume(tcb, 2_100, NOW)
    expect(unreadOctets(tcb)).toBe(0)
  })
})
