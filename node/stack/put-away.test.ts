import { exportTcb } from '../tcp/snapshot.ts'
import { arrives, drain, NOW, tcbIn } from '../tcp/tcb-in-state.ts'
import { stamp } from '../tcp/timestamps.ts'
import { consume, send, setKeepalive, setUserTimeout, unreadOctets } from '../tcp/user.ts'
import { Connection } from './connection.ts'
import { PUT_AWAY_AFTER_MS, putAway, takeBack } from './put-away.ts'

const FLOW = {
  family: 4,
  remote0: 0,
  remote1: 0,
  remote2: 0xffff,
  remote3: 2,
  remotePort: 40_000,
  localPort: 80,
} as const
const LATER = NOW + PUT_AWAY_AFTER_MS

/** A connection that has sent and received, and on which nothing is under way. */
function quiet() {
  const tcb = tcbIn('ESTABLISHED')
  arrives(tcb, { octets: 100, window: 60_000 }, NOW + 5)
  consume(tcb, 100, NOW + 5)
  send(tcb, new Uint8Array(5_000))
  drain(tcb, NOW + 5)
  arrives(tcb, { window: 60_000 }, NOW + 30)
  drain(tcb, NOW + 30)
  tcb.events = 0
  return tcb
}

describe('a connection at rest', () => {
  it('is the same TCB when it is taken back, and its clocks have gone on', () => {
    const tcb = quiet()
    const rest = putAway(tcb, LATER)
    if (rest === undefined) throw new Error('it is not quiet')
    expect(rest.text.length).toBeLessThan(700)
    const back = takeBack(rest)
    expect(exportTcb(back, LATER)).toEqual(exportTcb(tcb, LATER))
    expect(back.sendQueue.released).toBe(5_000)
    expect(stamp(back, LATER + 60_000)).toBe(stamp(tcb, LATER + 60_000))
  })

  it.each([Number.MAX_SAFE_INTEGER, Number.MAX_VALUE, Number.POSITIVE_INFINITY])(
    'is taken back where its application named a time of %d ms',
    idleMs => {
      const tcb = quiet()
      setKeepalive(tcb, LATER, idleMs)
      setUserTimeout(tcb, idleMs)
      const rest = putAway(tcb, LATER)
      if (rest === undefined) throw new Error('it is not quiet')
      const { user, timers } = takeBack(rest)
      for (const ms of [user.keepaliveIdleMs, user.timeoutMs, timers.keepalive])
        expect(ms).toBeGreaterThan(1e12)
    },
  )

  it('answers the next segment as if it had not rested', () => {
    const tcb = quiet()
    const back = takeBack(putAway(tcb, LATER) as NonNullable<ReturnType<typeof putAway>>)
    for (const one of [tcb, back]) {
      arrives(one, { octets: 50, window: 60_000 }, LATER + 10_000)
      send(one, new Uint8Array(3_000))
    }
    const sent = drain(tcb, LATER + 10_000)
    expect(sent.length).toBeGreaterThan(0)
    expect(drain(back, LATER + 10_000)).toEqual(sent)
    expect(unreadOctets(back)).toBe(50)
  })

  it.each([
    [
      'octets in flight',
      (tcb: ReturnType<typeof quiet>) => {
        send(tcb, new Uint8Array(10))
        drain(tcb, LATER)
      },
    ],
    ['unread octets', (tcb: ReturnType<typeof quiet>) => arrives(tcb, { octets: 10 }, LATER)],
    ['octets out of order', (tcb: ReturnType<typeof quiet>) => arrives(tcb, { seq: 20, octets: 10 }, LATER)],
    [
      'a closed window',
      (tcb: ReturnType<typeof quiet>) => {
        arrives(tcb, { window: 0 }, LATER)
        send(tcb, new Uint8Array(10))
        drain(tcb, LATER)
      },
    ],
  ] as const)('is not one with %s', (_what, happens) => {
    const tcb = quiet()
    happens(tcb)
    expect(putAway(tcb, LATER)).toBeUndefined()
  })

  it('is not one that has a deadline soon', () => {
    const tcb = quiet()
    tcb.timers.keepalive = LATER + PUT_AWAY_AFTER_MS - 1
    expect(putAway(tcb, LATER)).toBeUndefined()
  })
})

describe('Connection', () => {
  it('rests, tells what it is asked without waking, and wakes for whoever needs its TCB', () => {
    const tcb = quiet()
    tcb.timers.keepalive = LATER + 3_600_000
    const connection = new Connection(1, 0, FLOW, tcb)
    expect(connection.putAway(LATER)).toBe(true)
    expect(connection.isPutAway).toBe(true)
    expect(connection.deadline()).toBe(LATER + 3_600_000)
    expect(connection.timestamps).toBe(tcb.ts.on)
    expect(connection.peek().snd.nxt).toBe(tcb.snd.nxt)
    expect(connection.isPutAway).toBe(true)
    expect(connection.tcb.snd.nxt).toBe(tcb.snd.nxt)
    expect(connection.isPutAway).toBe(false)
    expect(connection.tcb).toBe(connection.tcb)
  })

  it('does not rest while it is frozen, waits to transmit, or waits for its new owner to be confirmed', () => {
    const connection = new Connection(1, 0, FLOW, quiet())
    connection.frozen = true
    expect(connection.putAway(LATER)).toBe(false)
    connection.frozen = false
    connection.dirty = true
    expect(connection.putAway(LATER)).toBe(false)
    connection.dirty = false
    connection.confirmTo = 2
    expect(connection.putAway(LATER)).toBe(false)
    connection.confirmTo = -1
    expect(connection.putAway(LATER)).toBe(true)
  })

  it('is not kept from its application deadline by a rest', () => {
    const connection = new Connection(1, 0, FLOW, quiet())
    connection.applicationDeadline = LATER + 65_000
    expect(connection.putAway(LATER)).toBe(true)
    expect(connection.deadline()).toBe(LATER + 65_000)
  })
})
