/** Errors that do not end a connection (RFC 5461, RFC 5927, RFC 9293 §3.9.2.2). */
import { createIcmpError, type IcmpErrorKind } from '../wire/icmp.ts'
import { CLOSED, RESET, SOFT_ERROR, TIMED_OUT, takeEvents } from './events.ts'
import { icmpArrives, softError } from './soft-error.ts'
import { STATES, type Tcb } from './tcb.ts'
import { drain, NOW, tcbIn } from './tcb-in-state.ts'
import { expire, pollAt } from './timers.ts'
import { send } from './user.ts'

function icmp(tcb: Tcb, kind: IcmpErrorKind, quoted = 0): boolean {
  return icmpArrives(tcb, Object.assign(createIcmpError(), { kind, seq: (tcb.snd.una + quoted) | 0 }), NOW)
}

function inFlight(): Tcb {
  const tcb = tcbIn('ESTABLISHED')
  send(tcb, new Uint8Array(100))
  drain(tcb)
  return tcb
}

describe('an ICMP error', () => {
  it.each(['unreachable', 'prohibited', 'refused'] as const)(
    'MUST-47, MUST-54, MUST-56, SHLD-25: %s is told, and does not end an open connection',
    kind => {
      const tcb = inFlight()
      expect(icmp(tcb, kind)).toBe(true)
      expect([tcb.state, takeEvents(tcb), softError(tcb)]).toEqual(['ESTABLISHED', SOFT_ERROR, kind])
      expect(pollAt(tcb)).toBeLessThan(NOW + 1_000)
    },
  )

  it.each([
    ['octets acknowledged before', -1],
    ['octets that were not sent', 100],
  ])('that quotes %s is not believed (RFC 5927 §4.1)', (_, quoted) => {
    const tcb = inFlight()
    expect(icmp(tcb, 'unreachable', quoted)).toBe(false)
    expect(takeEvents(tcb)).toBe(0)
    expect(tcb.config.counters.OutOfWindowIcmps).toBe(1)
  })

  it('with nothing in flight is not believed in any state', () => {
    for (const state of STATES.filter(state => !/SYN|CLOSED|FIN-WAIT-1|CLOSING|LAST-ACK/.test(state))) {
      const tcb = tcbIn(state)
      expect([state, icmp(tcb, 'refused')]).toEqual([state, false])
      expect(tcb.state).toBe(state)
    }
  })

  it('"refused" ends a connection that is being opened, and only that', () => {
    const opening = tcbIn('SYN-SENT')
    icmp(opening, 'unreachable')
    expect([opening.state, takeEvents(opening)]).toEqual(['SYN-SENT', SOFT_ERROR])
    icmp(opening, 'refused')
    expect([opening.state, takeEvents(opening)]).toEqual(['CLOSED', CLOSED | RESET])
    const accepting = tcbIn('SYN-RECEIVED')
    icmp(accepting, 'refused')
    expect([accepting.state, takeEvents(accepting)]).toEqual(['CLOSED', CLOSED])
    expect(accepting.config.counters.AttemptFails).toBe(1)
  })

  it('is the reason that a later timeout has', () => {
    const tcb = inFlight()
    while (tcb.state !== 'CLOSED') {
      const at = pollAt(tcb)
      expire(tcb, at)
      drain(tcb, at)
      if (tcb.config.counters.TCPTimeouts === 5) icmp(tcb, 'unreachable')
    }
    expect(takeEvents(tcb) & TIMED_OUT).toBe(TIMED_OUT)
    expect(softError(tcb)).toBe('unreachable')
  })
})

describe('R1', () => {
  it('SHLD-9, SHLD-10: three retransmissions are told, long before R2 ends the connection', () => {
    const tcb = inFlight()
    let retransmissions = 0
    while (softError(tcb) === 'none') {
      const at = pollAt(tcb)
      expire(tcb, at)
      retransmissions += drain(tcb, at).length
    }
    expect(retransmissions).toBeGreaterThanOrEqual(3)
    expect([tcb.state, softError(tcb), takeEvents(tcb)]).toEqual([
      'ESTABLISHED',
      'retransmitting',
      SOFT_ERROR,
    ])
  })
})
