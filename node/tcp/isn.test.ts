import { createSegment, type Segment } from '../wire/segment.ts'
import { segmentArrives } from './arrival.ts'
import { tcpConfig } from './config.ts'
import { hashWords, initialSequenceNumber, timestampOffset } from './isn.ts'
import { testFlow, toSegment } from './pair.ts'
import { acceptCookie, cookieSynAck } from './syn-cookie.ts'
import { stamp } from './timestamps.ts'
import { createTransmission } from './transmission.ts'

const KEY = new Uint8Array(16).map((_, index) => index)

describe('SipHash-2-4', () => {
  it('gives the low words of the reference vectors', () => {
    expect(hashWords(KEY, [0x03020100, 0x07060504]) >>> 0).toBe(0x9a932462)
    expect(hashWords(KEY, [0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c]) >>> 0).toBe(0x57c29bdb)
  })
})

describe('the initial sequence number (RFC 6528)', () => {
  const flow = testFlow(80, 40_000)

  it('MUST-8: is driven by a clock of 4 µs, so that the same flow always goes on above', () => {
    const first = initialSequenceNumber(KEY, flow, 1_000)
    expect((initialSequenceNumber(KEY, flow, 1_001) - first) | 0).toBe(250)
  })

  it('MUST-9, SHLD-1: differs between flows and keys by what nobody can tell', () => {
    const other = initialSequenceNumber(KEY, testFlow(80, 40_001), 1_000)
    expect(other).not.toBe(initialSequenceNumber(KEY, flow, 1_000))
    expect(initialSequenceNumber(new Uint8Array(16), flow, 1_000)).not.toBe(
      initialSequenceNumber(KEY, flow, 1_000),
    )
  })

  it('has a timestamp offset beside it that machines with different clocks agree on', () => {
    const tick = (now: number) => (Math.floor(now / 256) + timestampOffset(KEY, flow, 8, 1_000_000, now)) | 0
    expect(Math.abs(tick(12_345) - tick(99_999_999.5))).toBeLessThanOrEqual(1)
  })
})

describe('SYN cookies (RFC 4987 §3.6)', () => {
  const config = tcpConfig({ ownerId: 5 })
  const out = createTransmission()

  function syn(): Segment {
    const segment = createSegment()
    Object.assign(segment, {
      flags: 0xc2,
      src3: 2,
      dst3: 1,
      srcPort: 40_000,
      dstPort: 80,
      seq: -3,
      window: 100,
    })
    Object.assign(segment, {
      mss: 1_400,
      windowScale: 9,
      sackPermitted: true,
      hasTimestamps: true,
      tsVal: 42,
    })
    return segment
  }

  /** The acknowledgement of what `cookieSynAck` wrote. */
  function acknowledgement(first: Segment): Segment {
    const segment = toSegment(testFlow(80, 40_000), out, new Uint8Array(0))
    Object.assign(segment, { srcPort: 40_000, dstPort: 80, src3: 2, dst3: 1, flags: 16, window: 700 })
    Object.assign(segment, { seq: (first.seq + 1) | 0, ack: (out.seq + 1) | 0, tsVal: 50, tsEcr: out.tsVal })
    Object.assign(segment, { mss: 0, windowScale: -1, sackPermitted: false })
    return segment
  }

  it('keep the options of the SYN in the timestamp and come back as a connection', () => {
    cookieSynAck(syn(), config, KEY, 1_234, 640_000, 5_000, out)
    expect(out.flags).toBe(0x52)
    expect(out.tsVal & 0xff).toBe(5)
    const segment = acknowledgement(syn())
    const tcb = acceptCookie(segment, config, KEY, 1_234, 650_000, 15_000)
    if (tcb === undefined) throw new Error('the cookie was not accepted')
    segmentArrives(tcb, segment, 15_000)
    expect(tcb.state).toBe('ESTABLISHED')
    expect([tcb.sack, tcb.ecn.on, tcb.snd.scale, tcb.snd.peerMss]).toEqual([true, true, 9, 1_380])
    expect(tcb.snd.wnd).toBe(700 << 9)
    expect(((tcb.ts.tick << 8) - (out.tsVal & ~0xff)) | 0).toBeGreaterThanOrEqual(0)
    expect(tcb.rtt.srttMs).toBe(0)
  })

  it.each([
    ['none', 4, 0, 536],
    ['none, over IPv6', 6, 0, 1_220],
    ['below all in the table', 4, 100, 88],
    ['between two', 4, 1_459, 1_440],
    ['a jumbo frame', 4, 9_000, 8_940],
  ] as const)('never send more than an MSS of %s', (_, family, mss, expected) => {
    const first = { ...syn(), family, mss }
    cookieSynAck(first, config, KEY, 1_234, 640_000, 5_000, out)
    const segment = Object.assign(acknowledgement(first), { family })
    expect(acceptCookie(segment, config, KEY, 1_234, 640_000, 5_000)?.snd.peerMss).toBe(expected)
  })

  it('answer with the timestamp of their owner, which no later one of the connection is below (RFC 7323 §5.4)', () => {
    for (let now = 5_000; now < 5_000 + 256 * 130; now += 100) {
      cookieSynAck(syn(), config, KEY, 1_234, 640_000, now, out)
      const segment = acknowledgement(syn())
      const tcb = acceptCookie(segment, config, KEY, 1_234, 640_000, now)
      if (tcb === undefined) throw new Error('the cookie was not accepted')
      segmentArrives(tcb, segment, now)
      expect([tcb.ts.on, tcb.ts.recent, tcb.state]).toEqual([true, 50, 'ESTABLISHED'])
      expect((stamp(tcb, now) - out.tsVal) | 0).toBeGreaterThanOrEqual(0)
    }
  })

  it('work without timestamps, without options', () => {
    const bare = { ...syn(), hasTimestamps: false, tsVal: 0 }
    cookieSynAck(bare, config, KEY, 1_234, 640_000, 5_000, out)
    expect(out.windowScale).toBe(-1)
    const tcb = acceptCookie(acknowledgement(bare), config, KEY, 1_234, 640_000, 5_000)
    expect([tcb?.sack, tcb?.scaled, tcb?.ts.on]).toEqual([false, false, false])
  })

  it('are refused when old, when guessed, for another flow, and with another key', () => {
    cookieSynAck(syn(), config, KEY, 1_234, 640_000, 5_000, out)
    const segment = acknowledgement(syn())
    expect(acceptCookie(segment, config, KEY, 1_234, 640_000 + 3 * 64_000, 5_000)).toBeUndefined()
    expect(acceptCookie({ ...segment, srcPort: 40_001 }, config, KEY, 1_234, 640_000, 5_000)).toBeUndefined()
    expect(acceptCookie(segment, config, new Uint8Array(16), 1_234, 640_000, 5_000)).toBeUndefined()
    let accepted = 0
    for (let guess = 0; guess < 10_000; guess++)
      if (acceptCookie({ ...segment, ack: guess * 99_991 }, config, KEY, 1_234, 640_000, 5_000)) accepted++
    expect(accepted).toBeLessThanOrEqual(1)
  })
})
