/**
 * What an owner says to packets for the virtual addresses that are neither TCP nor ICMP: that the port, or the protocol, is
 * not to be had (RFC 1122 §3.2.2.1, RFC 4443 §3.1 and §3.4). Never more often than a bound, and never to what must
 * not be answered, which `node/wire/icmp.ts` knows.
 */
import type { PacketBatch } from '../tun/packet-batch.ts'
import { PROTOCOL_UDP } from '../wire/ip.ts'
import { transportSum } from '../wire/parse.ts'
import type { Segment } from '../wire/segment.ts'
import type { Emitter } from './emitter.ts'
import type { IcmpCounters } from './ip-counters.ts'
import { TokenBucket } from './token-bucket.ts'

/** RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f): so many errors a second and in a burst; as Linux (icmp_msgs_per_sec, _burst). */
export const MAX_ERRORS_PER_SECOND = 1_000
export const MAX_ERRORS_AT_ONCE = 50

const UDP_HEADER_OCTETS = 8

export class Refusals {
  readonly #emitter: Emitter
  readonly #bucket = new TokenBucket(MAX_ERRORS_PER_SECOND, MAX_ERRORS_AT_ONCE)

  constructor(emitter: Emitter) {
    this.#emitter = emitter
  }

  /** Answers `packet`, which stands at `offset` of the batch; false where it was damaged. */
  refuse(
    batch: PacketBatch,
    offset: number,
    octets: number,
    packet: Segment,
    trusted: boolean,
    counters: IcmpCounters,
    now: number,
  ): boolean {
    const protocol = protocolOf(batch.view, offset)
    // Behind extension headers nobody has the checksum verified for us; what is damaged there gets its error.
    if (protocol === PROTOCOL_UDP && !trusted && !isIntact(batch.view, packet)) return false
    if (!this.#bucket.take(now)) counters.OutRateLimitGlobal++
    else {
      const sent = this.#emitter.unreachable(batch, offset, octets)
      if (sent === 'unreachable') counters.OutDestUnreachs++
      else if (sent === 'parameter-problem') counters.OutParmProblems++
    }
    return true
  }
}

/** Of the header itself: an extension header counts as a protocol. */
function protocolOf(view: DataView, offset: number): number {
  return view.getUint8(offset + (view.getUint8(offset) >> 4 === 4 ? 9 : 6))
}

/** RFC 768: a checksum of 0 is none, over IPv4. */
function isIntact(view: DataView, packet: Segment): boolean {
  if (packet.payloadLength < UDP_HEADER_OCTETS) return false
  if (packet.family === 4 && view.getUint16(packet.payloadStart + 6) === 0) return true
  return transportSum(view, PROTOCOL_UDP, packet) === 0xffff
}
