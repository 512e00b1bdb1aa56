/**
 * The next segment to send: resets and SYNs, what was lost, new data as far as cwnd and the window allow, probes,
 * and acknowledgements that found nothing to travel with. The payload is chosen here and gathered by the caller.
 */
import { ACK, RST, SYN } from '../wire/segment.ts'
import { acknowledged, offerWindow } from './acknowledgement.ts'
import { fillHeader, fillIpFields } from './header.ts'
import { ecnSynFlags, ownWindowScale } from './open.ts'
import { lossProbe, newData, retransmission } from './output-data.ts'
import { armRetransmission } from './rack.ts'
import { appendRecord, flagsOf, LOST, markRetransmitted, sentCount } from './sent-records.ts'
import { add } from './seq.ts'
import { PENDING_LOSS_PROBE, PENDING_OLD_OCTET, PENDING_RST, PENDING_RST_REPLY, type Tcb } from './tcb.ts'
import { stamp } from './timestamps.ts'
import { clearTransmission, type Transmission } from './transmission.ts'

/** Fills `out` with the next segment and notes it as sent; false where there is nothing to send now. */
export function nextSegment(tcb: Tcb, now: number, out: Transmission): boolean {
  const { snd } = tcb
  if ((snd.pending & (PENDING_RST | PENDING_RST_REPLY)) !== 0) return reset(tcb, now, out)
  if (tcb.state === 'CLOSED') return false
  if (tcb.state === 'SYN-SENT') return synchronize(tcb, now, out)
  if (tcb.state === 'SYN-RECEIVED' && synchronize(tcb, now, out)) return true
  if (tcb.sent.lost > 0 && retransmission(tcb, now, out)) return true
  if (newData(tcb, now, out)) return true
  if (snd.pending !== 0) {
    if ((snd.pending & PENDING_LOSS_PROBE) !== 0 && lossProbe(tcb, now, out)) return true
    // An acknowledgement that is owed goes before it: see `announce`.
    if ((snd.pending & PENDING_OLD_OCTET) !== 0 && tcb.ack.owed === 0) return oldOctet(tcb, now, out)
  }
  if (tcb.ack.owed === 0) return false
  bare(tcb, now, out)
  return true
}

/** An acknowledgement without anything. */
function bare(tcb: Tcb, now: number, out: Transmission): void {
  fillHeader(tcb, now, tcb.snd.nxt, ACK, out)
}

/**
 * The octet before SND.UNA again, as zero: the peer has acknowledged it, and answers at once (RFC 1122 §4.2.3.6), also for
 * what it has received since and would have acknowledged later.
 */
function oldOctet(tcb: Tcb, now: number, out: Transmission): boolean {
  const { snd, shift } = tcb
  snd.pending &= ~PENDING_OLD_OCTET
  const seq = add(snd.una, -1)
  shift.probed = true
  shift.probeSeq = seq
  if (shift.pending) tcb.config.counters.ShiftProbes++
  fillHeader(tcb, now, seq, ACK, out)
  out.payloadSeq = seq
  out.payloadLength = 1
  out.probe = true
  return true
}

/** Our SYN or SYN-ACK, for the first time or again. */
function synchronize(tcb: Tcb, now: number, out: Transmission): boolean {
  const { snd, sent, config, flow } = tcb
  const again = sentCount(sent) > 0
  if (again && (flagsOf(sent, 0) & LOST) === 0) return false
  const open = tcb.state === 'SYN-SENT'
  clearTransmission(out)
  fillIpFields(tcb, out)
  out.seq = snd.iss
  out.flags = (open ? SYN : SYN | ACK) | ecnSynFlags(tcb)
  out.ack = open ? 0 : tcb.rcv.nxt
  out.window = offerWindow(tcb, true)
  out.hasTimestamps = open ? config.timestamps : tcb.ts.on
  if (out.hasTimestamps) {
    out.tsVal = stamp(tcb, now)
    out.tsEcr = open ? 0 : tcb.ts.recent
  }
  out.mss = flow.family === 4 ? config.mssV4 : config.mssV6
  out.windowScale = open ? (config.windowScaling ? ownWindowScale(config) : -1) : synAckScale(tcb)
  out.sackPermitted = open ? config.sack : tcb.sack
  out.segmentSize = snd.mss
  config.counters.OutSegs++
  if (again) {
    markRetransmitted(sent, 0, now)
    out.retransmission = true
    config.counters.RetransSegs++
  } else {
    snd.nxt = add(snd.iss, 1)
    appendRecord(sent, snd.iss, snd.nxt, now, 0)
  }
  if (!open) acknowledged(tcb)
  armRetransmission(tcb, now)
  return true
}

/** RFC 7323 §2.2: only in answer to the option. `scaled` stands in the TCB since `negotiate`. */
function synAckScale(tcb: Tcb): number {
  return tcb.scaled ? tcb.rcv.scale : -1
}

function reset(tcb: Tcb, now: number, out: Transmission): boolean {
  const { snd, config } = tcb
  clearTransmission(out)
  fillIpFields(tcb, out)
  out.window = 0
  config.counters.OutSegs++
  config.counters.OutRsts++
  if ((snd.pending & PENDING_RST) !== 0) {
    snd.pending = 0
    out.seq = snd.nxt
    out.ack = tcb.rcv.nxt
    out.flags = RST | ACK
    if (tcb.ts.on) {
      out.hasTimestamps = true
      out.tsVal = stamp(tcb, now)
      out.tsEcr = tcb.ts.recent
    }
  } else {
    snd.pending &= ~PENDING_RST_REPLY
    out.seq = snd.replySeq
    out.ack = 0
    out.flags = RST
  }
  return true
}
