/**
 * Loss, duplication and reordering whose dice are thrown by what a packet carries, not by when it comes: the n-th
 * transmission of the same octets has the same fate in every run of a seed, whoever sent it. Two stacks that are
 * compared thereby lose the same segments, as far as they cut their streams alike.
 */
import { createSegment, FIN, SYN } from '../../../node/wire/segment.ts'
import type { Element } from './element.ts'
import { readPacket } from './packet.ts'

export interface Fates {
  readonly seed: number
  /** Probabilities, 0 to 1. */
  readonly drop?: number
  readonly duplicate?: number
  /** Held for `reorderMs`, and overtaken. */
  readonly reorder?: number
  readonly reorderMs?: number
}

export interface FatesElement extends Element {
  dropped: number
  duplicated: number
  held: number
}

/** For one direction of one connection a time it is attached: sequence numbers count from its SYN. */
export function fates(options: Fates): FatesElement {
  const { seed, drop = 0, duplicate = 0, reorder = 0, reorderMs = 0 } = options
  const element: FatesElement = {
    dropped: 0,
    duplicated: 0,
    held: 0,
    attach({ scheduler }, next) {
      const segment = createSegment()
      const seen = new Map<number, number>()
      let firstSeq = 0
      let firstAck = 0
      return packet => {
        if (readPacket(packet, segment) !== 'tcp') return next(packet)
        if ((segment.flags & SYN) !== 0) firstSeq = segment.seq
        if (firstAck === 0) firstAck = segment.ack
        const carries = segment.payloadLength > 0 || (segment.flags & (SYN | FIN)) !== 0
        const what = carries ? mixed(seed, segment.seq - firstSeq) : mixed(~seed, segment.ack - firstAck)
        const nth = seen.get(what) ?? 0
        seen.set(what, nth + 1)
        const fate = mixed(what, nth)
        if (chance(fate, 1, drop)) {
          element.dropped++
          return
        }
        if (chance(fate, 2, duplicate)) {
          element.duplicated++
          next(packet)
        }
        if (!chance(fate, 3, reorder)) return next(packet)
        element.held++
        scheduler.after(reorderMs, () => next(packet))
      }
    },
  }
  return element
}

/** The finaliser of MurmurHash3 over both words. */
function mixed(one: number, other: number): number {
  let word = Math.imul(one ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(other + 0x7f4a7c15, 0xc2b2ae35)
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
  return word ^ (word >>> 16)
}

function chance(fate: number, die: number, probability: number): boolean {
  return probability > 0 && (mixed(fate, die) >>> 0) / 0x1_0000_0000 < probability
}
