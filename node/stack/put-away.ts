/**
 * A connection on which nothing happens, as a text of some hundred characters instead of a TCB of some twenty objects:
 * its own snapshot, the one that shifts are made of, so that what rests and what moves are the same thing. The first to
 * ask for the TCB gets it back, at the instant at which it was put away: deadlines and clocks do not notice.
 */
import type { TcpConfig } from '../tcp/config.ts'
import { sentCount } from '../tcp/sent-records.ts'
import { exportTcb, importTcb } from '../tcp/snapshot.ts'
import type { Tcb } from '../tcp/tcb.ts'
import { pollAt } from '../tcp/timers.ts'

/**
 * ms without a segment before a connection rests: longer than delayed acknowledgements, loss probes and the pauses of a
 * client that is at work, because putting away and taking back cost some 50 µs together.
 */
export const PUT_AWAY_AFTER_MS = 3_000

const NO_RECORDS = new Uint8Array(0)

export interface PutAway {
  readonly text: string
  /** When it was put away, on the owner's clock. */
  readonly at: number
  /** What `pollAt` said then. */
  readonly deadline: number
  readonly timestamps: boolean
  readonly config: TcpConfig
}

/** The TCB put away at `now`, or undefined where something is under way: queued, in flight, owed, or due soon. */
export function putAway(tcb: Tcb, now: number): PutAway | undefined {
  if (!isQuiet(tcb)) return undefined
  const deadline = pollAt(tcb)
  if (deadline < now + PUT_AWAY_AFTER_MS) return undefined
  const plain = exportTcb(tcb, now)
  // The sent records, of which there are none, are octets, and JSON has no such thing.
  plain.pop()
  // A snapshot leaves the clock of timestamps, and the count of what was sent, to the target; here both go on.
  const text = JSON.stringify([tcb.ts.offset, tcb.sendQueue.released, plain])
  return { text, at: now, deadline, timestamps: tcb.ts.on, config: tcb.config }
}

function isQuiet(tcb: Tcb): boolean {
  const { state, snd, ack, shift } = tcb
  if (state !== 'ESTABLISHED') return false
  return (
    sentCount(tcb.sent) === 0 &&
    tcb.sendQueue.octets === 0 &&
    tcb.receiveQueue.octets === 0 &&
    tcb.outOfOrder.runs.length === 0 &&
    tcb.events === 0 &&
    snd.pending === 0 &&
    ack.owed === 0 &&
    !shift.pending
  )
}

export function takeBack({ text, at, config }: PutAway): Tcb {
  const [offset, released, plain] = JSON.parse(text) as [number, number, unknown[]]
  plain.push(NO_RECORDS)
  const tcb = importTcb(plain, config, at, () => undefined)
  // Not from a network but from ourselves: only a mistake of ours can have spoilt it.
  if (typeof tcb === 'string') throw new Error(`a connection at rest is spoilt: ${tcb}`)
  tcb.ts.offset = offset
  tcb.sendQueue.released = released
  return tcb
}
