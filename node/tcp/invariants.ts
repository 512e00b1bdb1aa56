/**
 * What holds of every TCB between two calls. Tests and the simulator check it after each event; an imported TCB
 * is refused when it does not hold, so that a broken or hostile snapshot cannot make a connection misbehave.
 */
import { unsentOctets } from './output-data.ts'
import { endOf, flagsOf, LOST, MAX_SENT_RECORDS, SACKED, sentCount, startOf } from './sent-records.ts'
import { add, diff, gt, lt } from './seq.ts'
import { MAX_DSCP, SOFT_ERRORS } from './soft-error.ts'
import type { Tcb } from './tcb.ts'
import { urgentOctets } from './user.ts'

const NEVER = Number.POSITIVE_INFINITY
const HALF = 2 ** 31 - 1

/** Throws what is wrong. */
export function checkInvariants(tcb: Tcb): void {
  const wrong = violation(tcb)
  if (wrong !== undefined) throw new Error(`${tcb.state}: ${wrong}`)
}

/** What is wrong with the TCB, or undefined. */
export function violation(tcb: Tcb): string | undefined {
  return (
    sendViolation(tcb) ??
    recordViolation(tcb) ??
    queueViolation(tcb) ??
    receiveViolation(tcb) ??
    congestionViolation(tcb) ??
    mtuViolation(tcb) ??
    userViolation(tcb) ??
    timerViolation(tcb)
  )
}

function sendViolation(tcb: Tcb): string | undefined {
  const { snd, state } = tcb
  if (diff(snd.nxt, snd.una) < 0) return 'SND.NXT is below SND.UNA'
  if (diff(snd.una, snd.iss) < 0 && state === 'SYN-SENT') return 'SND.UNA is below ISS'
  if (snd.wnd < 0 || snd.wnd > snd.maxWnd) return 'SND.WND is not within the largest window'
  if (snd.mss < 1) return 'no room for payload in a segment'
  if (snd.scale > 14 || tcb.rcv.scale > 14) return 'window scale above 14'
  if (snd.finSent && !snd.finQueued) return 'a FIN was sent that nobody asked for'
  if (state === 'ESTABLISHED' && snd.finQueued) return 'ESTABLISHED with a FIN to send'
  if ((state === 'FIN-WAIT-2' || state === 'TIME-WAIT') && !(snd.finSent && snd.una === snd.nxt))
    return 'our FIN is not acknowledged'
  return undefined
}

function recordViolation(tcb: Tcb): string | undefined {
  const { snd, sent, state } = tcb
  const count = sentCount(sent)
  if (state === 'CLOSED') return undefined
  if (count > MAX_SENT_RECORDS) return 'too many records'
  let at = snd.una
  let inFlight = 0
  let sacked = 0
  let lost = 0
  for (let index = 0; index < count; index++) {
    if (startOf(sent, index) !== at) return `record ${index} does not begin where the one before ends`
    const octets = diff(endOf(sent, index), at)
    if (octets <= 0) return `record ${index} is empty`
    const flags = flagsOf(sent, index)
    if ((flags & SACKED) !== 0 && (flags & LOST) !== 0) return `record ${index} is SACKED and LOST`
    if ((flags & SACKED) !== 0) sacked += octets
    else if ((flags & LOST) !== 0) lost += octets
    else inFlight += octets
    at = endOf(sent, index)
  }
  if (at !== snd.nxt) return 'the records do not end at SND.NXT'
  if (inFlight !== sent.inFlight || sacked !== sent.sacked || lost !== sent.lost)
    return `sums of records differ: ${sent.inFlight}/${sent.sacked}/${sent.lost}, not ${inFlight}/${sacked}/${lost}`
  return undefined
}

function queueViolation(tcb: Tcb): string | undefined {
  const { snd, sendQueue } = tcb
  if (tcb.state === 'CLOSED') return undefined
  const opening = tcb.state === 'SYN-SENT' || tcb.state === 'SYN-RECEIVED'
  const first = opening ? add(snd.iss, 1) : snd.una
  const finAcked = snd.finSent && snd.una === snd.nxt
  if (sendQueue.base !== (finAcked ? add(first, -1) : first))
    return 'the send queue does not begin at SND.UNA'
  if (unsentOctets(tcb) < 0) return 'octets were sent that are not in the queue'
  if (snd.finSent && unsentOctets(tcb) > 0) return 'a FIN was sent before the last octet'
  let octets = 0
  let owned = 0
  for (let index = sendQueue.head; index < sendQueue.tail; index++) {
    const chunk = sendQueue.chunks[index]
    if (chunk === undefined) return 'a chunk is missing'
    const skip = index === sendQueue.head ? sendQueue.released - chunk.at : 0
    if (skip < 0 || skip >= chunk.length) return 'the first chunk was released'
    octets += chunk.length - skip
    if (chunk.content === null) owned += chunk.length
    const end = chunk.offset + chunk.length
    if (end > (chunk.content === null ? chunk.octets.length : chunk.content.length))
      return 'a chunk is too long'
  }
  if (octets !== sendQueue.octets) return 'the chunks do not add up'
  if (owned !== sendQueue.ownedOctets) return 'the owned octets do not add up'
  return undefined
}

function receiveViolation(tcb: Tcb): string | undefined {
  const { rcv, ack, outOfOrder, receiveQueue } = tcb
  if (diff(rcv.edge, rcv.nxt) < 0) return 'the offered window ends before RCV.NXT'
  if (diff(rcv.nxt, ack.sent) < 0) return 'more was acknowledged than received'
  if (rcv.finKnown && tcb.state === 'ESTABLISHED' && diff(rcv.fin, rcv.nxt) < 0)
    return 'a FIN was passed over'
  let at = rcv.nxt
  for (const [index, run] of outOfOrder.runs.entries()) {
    if (!gt(run.end, run.start)) return 'an empty run'
    if (index === 0 ? !gt(run.start, at) : lt(run.start, at)) return 'runs overlap'
    if (run.octets.length < diff(run.end, run.start)) return 'a run without octets'
    at = run.end
  }
  if (outOfOrder.runs.length > 0 && gt(at, rcv.edge)) return 'octets beyond the window'
  let unread = receiveQueue.first.length
  for (const run of receiveQueue.more) unread += run.length
  if (unread !== receiveQueue.octets) return 'the unread octets do not add up'
  if (receiveQueue.first.length === 0 && unread > 0) return 'the first run is empty'
  return undefined
}

function congestionViolation(tcb: Tcb): string | undefined {
  const { congestion, rtt, recovery } = tcb
  if (tcb.state === 'CLOSED' || tcb.state === 'SYN-SENT') return undefined
  if (!(congestion.cwnd >= 1) || congestion.cwnd > HALF) return `cwnd is ${congestion.cwnd}`
  if (!(congestion.ssthresh >= 1)) return `ssthresh is ${congestion.ssthresh}`
  if (!(rtt.rtoMs > 0)) return `the retransmission timeout is ${rtt.rtoMs} ms`
  if (!(rtt.srttMs >= 0) || !(rtt.rttvarMs >= 0)) return 'no round-trip time'
  if (recovery.phase === 'OPEN' && recovery.frto) return 'F-RTO outside of a timeout'
  return undefined
}

function mtuViolation(tcb: Tcb): string | undefined {
  const { mtu, snd } = tcb
  if (tcb.state === 'CLOSED' || mtu.probe === 0) return undefined
  if (mtu.probe <= snd.pathMss) return 'a probe that is no larger than what the path takes'
  if (!gt(mtu.probeEnd, snd.una) || gt(mtu.probeEnd, snd.nxt)) return 'the probe is not in flight'
  if (mtu.probeAt !== NEVER) return 'a second probe is due while one is out'
  return undefined
}

function userViolation(tcb: Tcb): string | undefined {
  const { user, rcv } = tcb
  if (!(user.keepaliveIdleMs > 0) || !(user.timeoutMs > 0)) return 'a time that is none'
  if (user.dscp < 0 || user.dscp > MAX_DSCP) return `a Differentiated Services field of ${user.dscp}`
  if (SOFT_ERRORS[user.softError] === undefined) return 'no such soft error'
  if (rcv.urgent && urgentOctets(tcb) === 0) return 'urgent octets that were read'
  if (!(rcv.rttMs >= 0)) return 'no round trip of the receiver'
  return undefined
}

/** Every state that waits for something has a deadline. */
function timerViolation(tcb: Tcb): string | undefined {
  const { timers, sent, state } = tcb
  if (state === 'CLOSED') return undefined
  if (sentCount(sent) > 0 && timers.rto === NEVER) return 'octets in flight without a retransmission timer'
  if (timers.lifetime === NEVER) {
    if (state === 'TIME-WAIT' || (state === 'FIN-WAIT-2' && !tcb.user.halfOpen)) return 'no end of waiting'
  } else if (state === 'FIN-WAIT-2' && tcb.user.halfOpen) return 'an end of reading that nobody asked for'
  return undefined
}

/**
 * Throws if the connection, of which `nextSegment` has just said that there is nothing to send, would now wait for
 * ever: octets are queued and nothing in flight, and no timer runs.
 */
export function checkProgress(tcb: Tcb): void {
  const { timers, snd, sent, state } = tcb
  if (state === 'CLOSED' || state === 'SYN-SENT' || state === 'SYN-RECEIVED') return
  if (sentCount(sent) > 0 || snd.starved) return
  const waits = unsentOctets(tcb) > 0 || (snd.finQueued && !snd.finSent)
  if (waits && timers.persist === NEVER) throw new Error(`${state}: octets wait and no timer runs`)
  if (snd.pending !== 0 || tcb.ack.owed !== 0) throw new Error(`${state}: something to send was not sent`)
}
