/** The urgent pointer (RFC 9293 §3.8.5, RFC 6093): told, and the octets stay in line. */
import { ACK, FIN, URG } from '../wire/segment.ts'
import { segmentArrives } from './arrival.ts'
import { READABLE, takeEvents, URGENT } from './events.ts'
import { checkInvariants } from './invariants.ts'
import type { Tcb } from './tcb.ts'
import { arrives, drain, fromPeer, NOW, tcbIn } from './tcb-in-state.ts'
import { consume, send, unreadOctets, urgentOctets } from './user.ts'

function urgent(tcb: Tcb, pointer: number, octets: number): number {
  segmentArrives(tcb, { ...fromPeer(tcb, { flags: ACK | URG, octets }), urgent: pointer }, NOW)
  return takeEvents(tcb)
}

describe('the urgent pointer', () => {
  it('MUST-30, MUST-32, MUST-62: is told, and stands behind the last urgent octet', () => {
    const tcb = tcbIn('ESTABLISHED')
    expect(urgent(tcb, 3, 10)).toBe(READABLE | URGENT)
    expect([urgentOctets(tcb), unreadOctets(tcb)]).toEqual([3, 10])
    consume(tcb, 2, NOW)
    expect(urgentOctets(tcb)).toBe(1)
    consume(tcb, 1, NOW)
    expect(urgentOctets(tcb)).toBe(0)
  })

  it('MUST-31, MUST-33: may announce more than has come, and how much is known', () => {
    const tcb = tcbIn('ESTABLISHED')
    expect(urgent(tcb, 60_000, 0)).toBe(URGENT)
    expect([urgentOctets(tcb), unreadOctets(tcb)]).toEqual([60_000, 0])
    for (let count = 0; count < 60; count++) {
      arrives(tcb, { octets: 1_000 })
      consume(tcb, 1_000, NOW)
      drain(tcb)
    }
    expect(urgentOctets(tcb)).toBe(0)
    takeEvents(tcb)
    expect(urgent(tcb, 1, 1)).toBe(READABLE | URGENT)
  })

  it('ends with the FIN, however far it pointed, and not before what was urgent is read', () => {
    for (const [pointer, left] of [
      [10, 10],
      [11, 10],
      [60_000, 10],
      [3, 3],
    ] as const) {
      const tcb = tcbIn('ESTABLISHED')
      urgent(tcb, pointer, 10)
      arrives(tcb, { flags: ACK | FIN })
      expect(tcb.state).toBe('CLOSE-WAIT')
      expect(urgentOctets(tcb)).toBe(left)
      checkInvariants(tcb)
      consume(tcb, 10, NOW)
      expect(urgentOctets(tcb)).toBe(0)
      checkInvariants(tcb)
    }
  })

  it('MUST-32: is told again when it advances, not when it stays or steps back', () => {
    const tcb = tcbIn('ESTABLISHED')
    expect(urgent(tcb, 5, 1) & URGENT).toBe(URGENT)
    expect(urgent(tcb, 4, 1) & URGENT).toBe(0)
    expect(urgent(tcb, 0, 1) & URGENT).toBe(0)
    expect(urgent(tcb, 9, 1) & URGENT).toBe(URGENT)
    expect(urgentOctets(tcb)).toBe(12)
  })

  it('MUST-66: counts while the window is closed, as acknowledgements and resets do', () => {
    const tcb = tcbIn('ESTABLISHED', { receiveInitialOctets: 4_096 })
    while (unreadOctets(tcb) < 4_096) {
      arrives(tcb, { octets: Math.min(1_000, 4_096 - unreadOctets(tcb)) })
      drain(tcb)
    }
    send(tcb, new Uint8Array(5))
    drain(tcb)
    takeEvents(tcb)
    expect(urgent(tcb, 1, 1) & URGENT).toBe(URGENT)
    expect([urgentOctets(tcb), unreadOctets(tcb)]).toEqual([4_097, 4_096])
    expect(tcb.snd.una).toBe(tcb.snd.nxt)
  })

  it.each(['CLOSE-WAIT', 'CLOSING', 'LAST-ACK', 'TIME-WAIT'] as const)(
    'is ignored in %s: the peer has finished (RFC 9293 §3.10.7.4)',
    state => {
      const tcb = tcbIn(state)
      segmentArrives(tcb, { ...fromPeer(tcb, { flags: ACK | URG | FIN }), urgent: 9 }, NOW)
      expect(takeEvents(tcb) & URGENT).toBe(0)
    },
  )
})
