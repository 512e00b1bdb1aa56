import { ACK, FIN, RST, SYN } from '../wire/segment.ts'
import { tcpConfig } from './config.ts'
import { takeEvents } from './events.ts'
import { checkInvariants } from './invariants.ts'
import { type Resting, rest, wake } from './resting.ts'
import { exportTcb, importTcb } from './snapshot.ts'
import { STATES, type Tcb } from './tcb.ts'
import { arrives, fromPeer, NOW, type Peer, sentInWords, tcbIn } from './tcb-in-state.ts'
import { isnAfter, restIsnAfter, restReusable, reusable } from './time-wait.ts'
import { expire, pollAt } from './timers.ts'

/** A TCB in TIME-WAIT whose last acknowledgement is sent. */
function finished(): Tcb {
  const tcb = tcbIn('TIME-WAIT')
  sentInWords(tcb, NOW)
  takeEvents(tcb)
  return tcb
}

function woken(tcb: Tcb): Tcb {
  const resting = rest(tcb)
  if (resting === undefined) throw new Error('it does not rest')
  const again = wake(resting)
  checkInvariants(again)
  return again
}

const SEGMENTS: [string, Peer][] = [
  ['an acknowledgement of everything', {}],
  ['an old acknowledgement', { ack: -1 }],
  ['an acknowledgement of what was not sent', { ack: 1 }],
  ['octets', { octets: 10 }],
  ['octets seen before', { seq: -3, octets: 3 }],
  ['octets beyond the window', { seq: 100_000_000, octets: 10 }],
  ['octets without ACK', { flags: 0, octets: 10 }],
  ['the FIN again', { seq: -1, flags: ACK | FIN }],
  ['SYN', { flags: SYN, ack: 0 }],
  ['the first SYN again', { flags: SYN, seq: -1 }],
  ['SYN-ACK', { flags: SYN | ACK }],
  ['RST at RCV.NXT', { flags: RST }],
  ['RST in the window', { flags: RST, seq: 7 }],
  ['an old timestamp', { tsVal: -5 }],
  ['no timestamp', { timestamps: false }],
]

describe('a connection at rest in TIME-WAIT', () => {
  it.each(SEGMENTS)('answers %s as it would have awake', (_name, peer) => {
    const awake = finished()
    const again = woken(finished())
    const outcomes = [awake, again].map(tcb => {
      arrives(tcb, peer, NOW + 5)
      const events = takeEvents(tcb)
      return [tcb.state, events, sentInWords(tcb, NOW + 5), pollAt(tcb), tcb.ts.recent]
    })
    expect(outcomes[1]).toEqual(outcomes[0])
  })

  it('gives way to the same new connections (RFC 6191), with numbers as far ahead', () => {
    for (const peer of [
      { flags: SYN, seq: 1 },
      { flags: SYN, seq: -1 },
      { flags: SYN, seq: 1, tsVal: -1 },
    ]) {
      const awake = finished()
      const again = woken(finished())
      const allowed = reusable(awake, fromPeer(awake, peer))
      expect(reusable(again, fromPeer(again, peer))).toBe(allowed)
      expect(restReusable(rest(finished()) as Resting, fromPeer(awake, peer))).toBe(allowed)
      expect(isnAfter(again)).toBe(isnAfter(awake))
      expect(restIsnAfter(rest(finished()) as Resting)).toBe(isnAfter(awake))
    }
  })

  it('ends when it would have ended', () => {
    const awake = finished()
    const again = woken(finished())
    expect(pollAt(again)).toBe(pollAt(awake))
    expire(again, pollAt(again))
    expect(again.state).toBe('CLOSED')
  })

  it('travels', () => {
    const again = woken(finished())
    const there = importTcb(exportTcb(again, NOW), tcpConfig({ ownerId: 2 }), NOW + 7, () => undefined)
    if (typeof there === 'string') throw new Error(there)
    expect(there.state).toBe('TIME-WAIT')
    expect([there.snd.nxt, there.rcv.nxt, there.ts.recent]).toEqual([
      again.snd.nxt,
      again.rcv.nxt,
      again.ts.recent,
    ])
  })

  it('does not begin while there is something to send or to tell', () => {
    const tcb = finished()
    arrives(tcb, { seq: -1, flags: ACK | FIN })
    expect(rest(tcb)).toBeUndefined()
  })

  it.each(STATES.filter(state => state !== 'TIME-WAIT' && state !== 'CLOSED'))('is not %s', state => {
    const tcb = tcbIn(state)
    sentInWords(tcb, NOW)
    takeEvents(tcb)
    expect(rest(tcb)).toBeUndefined()
  })
})
