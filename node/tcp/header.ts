/**
 * The header fields that every segment of an open connection has: acknowledgement, window, timestamps, SACK blocks.
 * Filling them is sending an acknowledgement, and is noted as one.
 */
import { ECE } from '../wire/segment.ts'
import { acknowledged, offerWindow } from './acknowledgement.ts'
import { fillSack, sackOptionOctets } from './sack.ts'
import type { Seq } from './seq.ts'
import type { Tcb } from './tcb.ts'
import { stamp } from './timestamps.ts'
import { clearTransmission, type Transmission } from './transmission.ts'

/** What the IP header of every segment of a connection has, whatever the segment is. */
export function fillIpFields(tcb: Tcb, out: Transmission): void {
  out.dscp = tcb.user.dscp
  out.ttl = tcb.config.ttl
}

/** Fills everything but payload: the header fields, timestamps and SACK blocks that every segment has. */
export function fillHeader(tcb: Tcb, now: number, seq: Seq, flags: number, out: Transmission): void {
  const { counters } = tcb.config
  clearTransmission(out)
  fillIpFields(tcb, out)
  out.seq = seq
  out.flags = tcb.ecn.echo ? flags | ECE : flags
  out.ack = tcb.rcv.nxt
  out.window = offerWindow(tcb, false)
  if (tcb.ts.on) {
    out.hasTimestamps = true
    out.tsVal = stamp(tcb, now)
    out.tsEcr = tcb.ts.recent
  }
  fillSack(tcb, out)
  out.segmentSize = tcb.snd.mss - sackOptionOctets(out.sackCount)
  acknowledged(tcb)
  counters.OutSegs++
}
