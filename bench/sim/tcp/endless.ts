/** A content without end, for transfers that are measured and not compared octet by octet. */
import type { Content } from '../../../node/tcp/content.ts'

/** Any offset may be asked for: the octets repeat. */
const OCTETS = new Uint8Array(1 << 20)

export const ENDLESS: Content = {
  key: '/endless',
  length: 2 ** 47,
  locate(_offset, run) {
    run.octets = OCTETS
    run.start = 0
    run.length = OCTETS.length
    return true
  },
}
