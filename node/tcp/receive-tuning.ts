/**
 * The size of the receive window (RFC 7323 §2.3 leaves it to us): room for twice what the application takes in a
 * round trip, so that a sender's slow start finds it open. Who only receives has no round trips of its own to go by:
 * the handshake's is old, and TSecr, in ticks of 2^k ms, is too coarse.
 */
import { add } from './seq.ts'
import type { Tcb } from './tcb.ts'

/** ms over which the application's taking is measured, at least: shorter round trips are below our batches. */
const MIN_TUNE_MS = 2
/** The same where no round trip was measured. */
const DEFAULT_TUNE_MS = 100
/** The window grows at most so much at a time: one pause of the application must not open all of it. */
const MAX_GROWTH = 4
/** The window grows only while the application leaves less than this part of it unread: a slow reader needs no more. */
const BACKLOG_DIVISOR = 4

/**
 * A whole window of octets has come since `rttAt`. That takes a round trip if the window is what holds the sender
 * back, and longer if it is not (Linux measures in the same way), when it errs towards a larger window, which then holds
 * nobody back either. It begins with the handshake's; a smaller one counts at once, a larger one by an eighth, and a
 * pause as no more than double.
 */
export function measureReceiveRtt(tcb: Tcb, now: number): void {
  const { rcv, rtt } = tcb
  const sample = now - rcv.rttAt
  if (sample > 0) {
    if (rcv.rttMs === 0) rcv.rttMs = rtt.srttMs
    if (rcv.rttMs === 0 || sample < rcv.rttMs) rcv.rttMs = sample
    else rcv.rttMs += (Math.min(sample, 2 * rcv.rttMs) - rcv.rttMs) / 8
  }
  rcv.rttAt = now
  rcv.rttEnd = add(rcv.nxt, rcv.limit)
}

/**
 * The application took octets. Beside twice of what it takes in a round trip there is room for twice the growth (Linux
 * tcp_rcv_space_adjust), because a slow start has doubled once more when the news of the window arrives.
 */
export function tuneReceiveWindow(tcb: Tcb, taken: number, now: number): void {
  const { rcv, rtt, config } = tcb
  rcv.tuneOctets += taken
  const roundTrip = rcv.rttMs > 0 ? rcv.rttMs : rtt.srttMs
  const period = roundTrip > 0 ? Math.max(roundTrip, MIN_TUNE_MS) : DEFAULT_TUNE_MS
  const elapsed = now - rcv.tuneAt
  if (elapsed < period) return
  const wanted = (2 * rcv.tuneOctets * period) / elapsed
  const keepsUp = tcb.receiveQueue.octets < rcv.limit / BACKLOG_DIVISOR
  if (keepsUp && tcb.scaled && wanted > rcv.limit && rcv.limit < config.receiveMaxOctets) {
    const growth = (wanted - rcv.limit) / rcv.limit
    rcv.limit = Math.min(
      Math.floor(wanted * (1 + 2 * growth)),
      MAX_GROWTH * rcv.limit,
      config.receiveMaxOctets,
    )
  }
  rcv.tuneOctets = 0
  rcv.tuneAt = now
}
