import { adopt } from './adoption.ts'
import { tcpConfig } from './config.ts'
import { checkInvariants, checkProgress } from './invariants.ts'
import { patternContent } from './pair-transfer.ts'
import { asSeq, diff } from './seq.ts'
import { exportTcb, importTcb } from './snapshot.ts'
import { MAX_REACH_OCTETS, succeed } from './succession.ts'
import type { Tcb } from './tcb.ts'
import { arrives, drain, NOW, sentInWords, tcbIn } from './tcb-in-state.ts'
import { expire, pollAt } from './timers.ts'
import { close, send, sendContent } from './user.ts'

const LATER = NOW + 700
const content = patternContent(1_000_000)
const resolve = () => content

/** The owner that died had all of `octets` to send, and had sent nothing of it when its record was made. */
function successor(octets: number, ends = false): Tcb {
  const dead = tcbIn('ESTABLISHED')
  arrives(dead, { window: 60_000 })
  if (octets > 0) sendContent(dead, content, 0, octets)
  if (ends) close(dead)
  const tcb = importTcb(exportTcb(dead, NOW), tcpConfig({ ownerId: 4 }), LATER, resolve)
  if (typeof tcb === 'string') throw new Error(tcb)
  expect(succeed(tcb, 50, LATER)).toBe(true)
  adopt(tcb, 4, LATER)
  checkInvariants(tcb)
  return tcb
}

describe('the successor of an owner that died', () => {
  it('sends nothing but probes before the peer has said what it has', () => {
    const tcb = successor(100_000)
    expect(sentInWords(tcb)).toEqual(['<SEQ=+0><ACK=+0><CTL=ACK>', '<SEQ=-1><ACK=+0><CTL=ACK> 1 octets'])
    checkProgress(tcb)
    for (let round = 0; round < 5; round++) {
      const at = pollAt(tcb)
      expect(at).toBeLessThan(Number.POSITIVE_INFINITY)
      expire(tcb, at)
      for (const out of drain(tcb, at)) expect(out.payloadLength).toBeLessThanOrEqual(1)
    }
  })

  it('stamps its id, and ticks that the dead owner cannot have reached', () => {
    const dead = tcbIn('ESTABLISHED')
    const tcb = successor(100_000)
    const [out] = drain(tcb, LATER)
    expect((out?.tsVal ?? 0) & 0xff).toBe(4)
    expect(((out?.tsVal ?? 0) >> 8) - dead.ts.tick).toBeGreaterThanOrEqual(50)
  })

  it.each([0, 1, 40_000, 99_999])('goes on behind the %i octets that the peer has', octets => {
    const tcb = successor(100_000)
    drain(tcb, LATER)
    const { una } = tcb.snd
    arrives(tcb, { ack: octets, window: 60_000 }, LATER + 5)
    checkInvariants(tcb)
    expect(diff(tcb.snd.una, una)).toBe(octets)
    const [first] = drain(tcb, LATER + 5)
    expect(diff(asSeq(first?.seq ?? 0), una)).toBe(octets)
    expect(first?.payloadLength).toBeGreaterThan(0)
  })

  it('believes later acknowledgements of what the dead owner had in flight as well', () => {
    const tcb = successor(100_000)
    drain(tcb, LATER)
    const { una } = tcb.snd
    arrives(tcb, { ack: 10_000, window: 60_000 }, LATER + 5)
    drain(tcb, LATER + 5)
    arrives(tcb, { ack: 90_000 - diff(tcb.snd.nxt, una), window: 60_000 }, LATER + 6)
    checkInvariants(tcb)
    expect(diff(tcb.snd.una, una)).toBe(90_000)
    drain(tcb, LATER + 6)
    arrives(tcb, { window: 60_000 }, LATER + 7)
    expect([diff(tcb.snd.una, una), tcb.sendQueue.octets]).toEqual([100_000, 0])
    // From there on an acknowledgement beyond SND.NXT is the error that it is elsewhere (RFC 9293 §3.10.7.4).
    arrives(tcb, { window: 60_000 }, LATER + 7)
    arrives(tcb, { ack: 1, window: 60_000 }, LATER + 8)
    expect([tcb.state, tcb.shift.reaches]).toEqual(['ESTABLISHED', false])
  })

  it('knows that a FIN was sent that the peer acknowledges', () => {
    const tcb = successor(1_000, true)
    drain(tcb, LATER)
    expect(tcb.state).toBe('FIN-WAIT-1')
    arrives(tcb, { ack: 1_001, window: 60_000 }, LATER + 5)
    checkInvariants(tcb)
    expect(tcb.state).toBe('FIN-WAIT-2')
  })

  it('sends the FIN that the peer has not', () => {
    const tcb = successor(1_000, true)
    drain(tcb, LATER)
    arrives(tcb, { ack: 1_000, window: 60_000 }, LATER + 5)
    expect(sentInWords(tcb)).toEqual(['<SEQ=-1><ACK=+0><CTL=FIN,ACK>'])
  })

  it('resets, where the peer takes it, a connection that has gone on behind its record', () => {
    const tcb = successor(1_000)
    drain(tcb, LATER)
    const { una } = tcb.snd
    arrives(tcb, { ack: 1_001, window: 60_000 }, LATER + 5)
    expect(tcb.state).toBe('CLOSED')
    const [out] = drain(tcb, LATER + 5)
    expect([diff(asSeq(out?.seq ?? 0), una), (out?.flags ?? 0) & 4]).toEqual([1_001, 4])
    expect(tcb.config.counters.ShiftStale).toBe(1)
  })

  it('of an idle connection answers the next request', () => {
    const tcb = successor(0)
    drain(tcb, LATER)
    arrives(tcb, { window: 60_000 }, LATER + 5)
    arrives(tcb, { octets: 100, window: 60_000 }, LATER + 6)
    send(tcb, new Uint8Array(50))
    expect(drain(tcb, LATER + 6).map(out => out.payloadLength)).toEqual([50])
  })

  it('moves on like any other connection, and is refused with a reach that nobody can have', () => {
    const tcb = successor(100_000)
    const again = importTcb(exportTcb(tcb, LATER), tcpConfig({ ownerId: 5 }), LATER, resolve)
    expect(again).toMatchObject({ shift: { reaches: true, reach: tcb.shift.reach } })
    tcb.shift.reach = ((tcb.snd.una + MAX_REACH_OCTETS + 2) | 0) as typeof tcb.shift.reach
    expect(importTcb(exportTcb(tcb, LATER), tcpConfig({ ownerId: 5 }), LATER, resolve)).toBe(
      'bad shift.reach',
    )
  })

  it.each(['SYN-RECEIVED', 'FIN-WAIT-2', 'TIME-WAIT'] as const)('there is none in %s', state => {
    expect(succeed(tcbIn(state), 1, NOW)).toBe(false)
  })
})
