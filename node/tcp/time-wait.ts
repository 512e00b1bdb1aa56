/** Whether a SYN may take over a connection in TIME-WAIT (RFC 6191, RFC 9293 §3.10.7.4 MAY-2). */
import { ACK, RST, type Segment, SYN } from '../wire/segment.ts'
import type { TcpConfig } from './config.ts'
import type { Resting } from './resting.ts'
import { asSeq, gt, type Seq } from './seq.ts'
import type { Tcb } from './tcb.ts'

/** What Linux adds to SND.NXT for the next ISN: more than any old duplicate's window without scaling. */
const ISN_STEP = 65_537

/** True: delete this TCB and accept the SYN, with an ISN not below `isnAfter`. */
export function reusable(tcb: Tcb, syn: Segment): boolean {
  return tcb.state === 'TIME-WAIT' && gives(tcb.config, tcb.rcv.nxt, tcb.ts.on, tcb.ts.recent, syn)
}

/** The same of a connection that is at rest. */
export function restReusable(resting: Resting, syn: Segment): boolean {
  const { config, rcvNxt, timestamps, tsRecent } = resting
  return gives(config, rcvNxt, timestamps, tsRecent, syn)
}

function gives(config: TcpConfig, rcvNxt: Seq, timestamps: boolean, tsRecent: number, syn: Segment): boolean {
  if ((syn.flags & (SYN | ACK | RST)) !== SYN) return false
  const beyond = gt(asSeq(syn.seq), rcvNxt)
  let allowed = beyond
  if (syn.hasTimestamps && config.timestamps) {
    // Without timestamps on the old connection none of its segments passes for one of the new, which has them.
    const age = timestamps ? (syn.tsVal - tsRecent) | 0 : 1
    allowed = age > 0 || (age === 0 && beyond)
  }
  if (allowed) config.counters.TWRecycled++
  return allowed
}

/** RFC 9293 §3.10.7.4: the new connection's ISN must be larger than anything the old one sent. */
export function isnAfter(tcb: Tcb): number {
  return (tcb.snd.nxt + ISN_STEP) | 0
}

export function restIsnAfter(resting: Resting): number {
  return (resting.sndNxt + ISN_STEP) | 0
}
