/**
 * Going on with a connection whose owner has died, from a snapshot of some time ago. What the dead owner has sent since, and
 * what of it has arrived, the peer's acknowledgements tell: until the first comes only probes are sent, and one beyond
 * SND.NXT is no error, as far as the queue of the snapshot goes.
 */
import { initialWindow } from './congestion.ts'
import { enterClosed } from './ending.ts'
import { createSentRecords } from './sent-records.ts'
import { add, diff, le, type Seq } from './seq.ts'
import { createTcb, PENDING_RST, type State, type Tcb } from './tcb.ts'
import { resumeClock } from './timestamps.ts'

/**
 * Octets beyond the snapshot's SND.UNA up to which acknowledgements are believed: half of what tells old sequence numbers from new
 * ones. Whoever keeps snapshots renews them before a connection has sent as much.
 */
export const MAX_REACH_OCTETS = 2 ** 30

const NEVER = Number.POSITIVE_INFINITY
const HAS_SUCCESSOR: readonly State[] = ['ESTABLISHED', 'CLOSE-WAIT', 'FIN-WAIT-1', 'CLOSING', 'LAST-ACK']

/**
 * Makes of an imported snapshot the state of one who does not know what happened since; to be followed by `adopt`. The tick is
 * set forward by `ticks`, at least as many as the dead owner may have used since the snapshot. False where the connection is in
 * a state that is not worth it.
 */
export function succeed(tcb: Tcb, ticks: number, now: number): boolean {
  if (!HAS_SUCCESSOR.includes(tcb.state)) return false
  const { snd, mtu, shift } = tcb
  const fresh = createTcb(tcb.config, tcb.flow, tcb.state, snd.una, tcb.ts.offset, now)
  tcb.congestion = fresh.congestion
  tcb.congestion.cwnd = initialWindow(tcb.config, snd.mss)
  tcb.sent = fresh.sent
  tcb.recovery = fresh.recovery
  tcb.rack = fresh.rack
  tcb.timers = { ...fresh.timers, keepalive: tcb.timers.keepalive }
  mtu.probe = 0
  mtu.probeAt = mtu.high > snd.pathMss ? now : NEVER
  snd.nxt = snd.una
  snd.finSent = false
  snd.pending = 0
  // Nothing is sent before the peer has said what it has.
  snd.wnd = 0
  snd.lastAt = now
  tcb.ack.owed = 0
  shift.reaches = true
  shift.reach = endOfQueue(tcb)
  resumeClock(tcb, tcb.ts.tick + ticks, now)
  tcb.config.counters.ShiftSucceeded++
  return true
}

/**
 * An acknowledgement of a connection that `succeed` was called for: what is acknowledged was sent. False where it acknowledges
 * what the snapshot did not know of; nobody can say what that was, and the connection ends with a reset that the peer accepts.
 */
export function learnSent(tcb: Tcb, ack: Seq, now: number): boolean {
  const { snd, shift, mtu } = tcb
  if (diff(ack, snd.nxt) <= 0) {
    if (le(shift.reach, snd.una)) shift.reaches = false
    return true
  }
  if (diff(ack, shift.reach) > 0 || diff(ack, endOfQueue(tcb)) > 0) {
    tcb.config.counters.ShiftStale++
    snd.nxt = ack
    enterClosed(tcb, 0)
    snd.pending = PENDING_RST
    return false
  }
  const fresh = createTcb(tcb.config, tcb.flow, tcb.state, ack, tcb.ts.offset, now)
  // Of what we have sent again meanwhile nothing is missing, and nothing can be learnt from it.
  tcb.sent = createSentRecords()
  tcb.recovery = fresh.recovery
  if (mtu.probe > 0) mtu.probeAt = now
  mtu.probe = 0
  snd.finSent = snd.finQueued && ack === add(tcb.sendQueue.base, tcb.sendQueue.octets + 1)
  snd.nxt = ack
  return true
}

/** Behind the last octet that can be in question, or behind the FIN. */
function endOfQueue({ sendQueue, snd }: Tcb): Seq {
  const octets = sendQueue.octets + (snd.finQueued ? 1 : 0)
  return add(sendQueue.base, Math.min(octets, MAX_REACH_OCTETS))
}
