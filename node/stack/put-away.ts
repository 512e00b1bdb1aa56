/**
 * A connection on which nothing happens, as a text of some hundred characters instead of a TCB of some twenty objects:
 * its own snapshot, the one that shifts are made of, so that what rests and what moves are the same thing. The first to
 * ask for the TCB gets it back, at the instant at which it was put away: deadlines and clocks do not notice.
 */
import type { TcpConfig } from '../tcp/config.ts'
import { sentCount } from '../tcp/sent-records.ts'
import { importTcb, quietTcb } from '../tcp/snapshot.ts'
import { exportNumbers } from '../tcp/snapshot-numbers.ts'
import type { Tcb } from '../tcp/tcb.ts'
import { pollAt } from '../tcp/timers.ts'

/**
 * ms without a segment before a connection rests: longer than delayed acknowledgements, loss probes and the pauses of a
 * client that is at work, because putting away and taking back cost some 50 µs together.
 */
export const PUT_AWAY_AFTER_MS = 3_000

export interface PutAway {
  /** The numbers of its snapshot, a character for each octet; its lists are empty. */
  readonly text: string
  /** When it was put away, on the owner's clock. */
  readonly at: number
  /** What `pollAt` said then. */
  readonly deadline: number
  readonly timestamps: boolean
  readonly offset: number
  readonly released: number
  readonly config: TcpConfig
}

/** The TCB put away at `now`, or undefined where something is under way: queued, in flight, owed, or due soon. */
export function putAway(tcb: Tcb, now: number): PutAway | undefined {
  if (!isQuiet(tcb)) return undefined
  const deadline = pollAt(tcb)
  if (deadline < now + PUT_AWAY_AFTER_MS) return undefined
  // The count of what was sent, and the clock of timestamps, a snapshot leaves to the target; here both go on.
  const { sendQueue, ts, config } = tcb
  const text = String.fromCharCode(...exportNumbers(tcb, now))
  return {
    text,
    at: now,
    deadline,
    timestamps: ts.on,
    offset: ts.offset,
    released: sendQueue.released,
    config,
  }
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

export function takeBack({ text, at, offset, released, config }: PutAway): Tcb {
  const numbers = Uint8Array.from(text, character => character.charCodeAt(0))
  const tcb = importTcb(quietTcb(numbers, config), config, at, () => undefined)
  // Not from a network but from ourselves: only a mistake of ours can have spoilt it.
  if (typeof tcb === 'string') throw new Error(`a connection at rest is spoilt: ${tcb}`)
  tcb.ts.offset = offset
  tcb.sendQueue.released = released
  return tcb
}
