/** Whether a SYN may take over a connection in TIME-WAIT (RFC 6191, RFC 9293 §3.10.7.4 MAY-2). */
import { ACK, RST, type Segment, SYN } from '../wire/segment.ts'
import { asSeq, gt } from './seq.ts'
import type { Tcb } from './tcb.ts'

/** What Linux adds to SND.NXT for the next ISN: more than any old duplicate's window without scaling. */
const ISN_STEP = 65_537

/** True: delete this TCB and accept the SYN, with an ISN not below `isnAfter`. */
export function reusable(tcb: Tcb, syn: Segment, _now?: number): boolean {
  if (tcb.state !== 'TIME-WAIT' || (syn.flags & (SYN | ACK | RST)) !== SYN) return false
  const beyond = gt(asSeq(syn.seq), tcb.rcv.nxt)
  let allowed = beyond
  if (tcb.ts.on && syn.hasTimestamps) {
    const age = (syn.tsVal - tcb.ts.recent) | 0
    allowed = age > 0 || (age === 0 && beyond)
  }
  if (allowed) tcb.config.counters.TWRecycled++
  return allowed
}

/** RFC 9293 §3.10.7.4: the new connection's ISN must be larger than anything the old one sent. */
export function isnAfter(tcb: Tcb): number {
  return (tcb.snd.nxt + ISN_STEP) | 0
}
