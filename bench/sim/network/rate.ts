/** A link of limited speed behind a queue of limited length: serialisation delay, queueing delay, tail drop. */
import { VIRTIO_HEADER_OCTETS } from '../../../node/wire/virtio.ts'
import type { Element, LossyElement } from './element.ts'

/**
 * Each packet takes its octets at `bitsPerSecond`; one that would make the octets waiting (with the one on its way
 * out) more than `queueOctets` is lost. Link layer overhead is left out.
 */
export function rate(
  bitsPerSecond: number,
  queueOctets: number,
): LossyElement & { readonly queuedOctets: number } {
  if (!(bitsPerSecond > 0)) throw new Error('a link needs a speed')
  const element = {
    lost: 0,
    queuedOctets: 0,
    attach({ scheduler }, next) {
      let freeAt = 0
      let queued = 0
      return packet => {
        const octets = packet.length - VIRTIO_HEADER_OCTETS
        if (queued + octets > queueOctets) {
          element.lost++
          return
        }
        queued += octets
        element.queuedOctets += octets
        freeAt = Math.max(freeAt, scheduler.now) + (octets * 8_000) / bitsPerSecond
        scheduler.at(freeAt, () => {
          queued -= octets
          element.queuedOctets -= octets
          next(packet)
        })
      }
    },
  } satisfies Element & { lost: number; queuedOctets: number }
  return element
}
