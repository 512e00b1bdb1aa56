/** Resets for segments that belong to no connection (RFC 9293 §3.10.7.1, group 1 of §3.5.2). */
import { ACK, RST, type Segment, segmentLength } from '../wire/segment.ts'
import { clearTransmission, type Transmission } from './transmission.ts'

/** Fills `out` with the reset that answers `segment`; false where none may be sent: a reset is never answered. */
export function resetFor(segment: Segment, out: Transmission): boolean {
  if ((segment.flags & RST) !== 0) return false
  clearTransmission(out)
  out.window = 0
  if ((segment.flags & ACK) !== 0) {
    out.seq = segment.ack
    out.ack = 0
    out.flags = RST
  } else {
    out.seq = 0
    out.ack = (segment.seq + segmentLength(segment)) | 0
    out.flags = RST | ACK
  }
  return true
}
