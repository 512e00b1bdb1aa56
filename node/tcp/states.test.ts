import { ACK, FIN, RST, SYN } from '../wire/segment.ts'
import { takeEvents } from './events.ts'
import { STATES, type State, type Tcb } from './tcb.ts'
import { arrives, NOW, type Peer, sentInWords, tcbIn } from './tcb-in-state.ts'
import { expire, pollAt } from './timers.ts'
import { abort, close, send } from './user.ts'

const EVENT_NAMES =
  'ESTABLISHED READABLE ACKED PEER_FIN FIN_ACKED CLOSED RESET TIMED_OUT STARVED CONFIRMED'.split(' ')

function eventNames(tcb: Tcb): string {
  const events = takeEvents(tcb)
  return EVENT_NAMES.filter((_, bit) => (events & (1 << bit)) !== 0).join(' ')
}

/** Every event that can befall a connection: segments of the peer, calls of the application, time. */
const EVENTS: Record<string, Peer | ((tcb: Tcb) => void)> = {
  'an acknowledgement of everything': {},
  'an old acknowledgement': { ack: -1 },
  'an acknowledgement of what was not sent': { ack: 1 },
  octets: { octets: 10 },
  'octets with FIN': { octets: 10, flags: ACK | FIN },
  'octets beyond a gap': { seq: 5, octets: 10 },
  'octets seen before': { seq: -3, octets: 3 },
  'octets beyond the window': { seq: 100_000_000, octets: 10 },
  'octets without ACK': { flags: 0, octets: 10 },
  FIN: { flags: ACK | FIN },
  'FIN again': { seq: -1, flags: ACK | FIN },
  SYN: { flags: SYN, ack: 0 },
  'the first SYN again': { flags: SYN, seq: -1 },
  'SYN-ACK': { flags: SYN | ACK },
  'RST at RCV.NXT': { flags: RST },
  'RST with ACK': { flags: RST | ACK },
  'RST in the window': { flags: RST, seq: 7 },
  'RST outside the window': { flags: RST, seq: -7 },
  SEND: tcb => void send(tcb, new Uint8Array(20)),
  CLOSE: tcb => close(tcb),
  ABORT: tcb => abort(tcb),
  'the next deadline': tcb => {
    const at = pollAt(tcb)
    if (at < Number.POSITIVE_INFINITY) expire(tcb, at)
  },
}

function outcome(state: State, event: Peer | ((tcb: Tcb) => void)): string {
  const tcb = tcbIn(state)
  takeEvents(tcb)
  if (typeof event === 'function') event(tcb)
  else arrives(tcb, event)
  const after = tcb.state
  const sent = sentInWords(tcb, NOW)
  const events = eventNames(tcb)
  return [after === state ? '=' : after, ...(events === '' ? [] : [`[${events}]`]), ...sent].join(' ')
}

describe('each state × each event', () => {
  it.each(STATES.filter(state => state !== 'CLOSED'))('%s', state => {
    const table = Object.entries(EVENTS).map(([name, event]) => `${name.padEnd(40)}${outcome(state, event)}`)
    expect(`\n${table.join('\n')}\n`).toMatchSnapshot()
  })
})
