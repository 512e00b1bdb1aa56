/** Elements that change what arrives: duplicates, flipped bits, and the congestion mark of a router. */

import { sumIpv4Header } from '../../../node/wire/checksum.ts'
import { finishChecksum } from '../../../node/wire/emit.ts'
import { VIRTIO_DATA_VALID, VIRTIO_GSO_NONE, VIRTIO_HEADER_OCTETS } from '../../../node/wire/virtio.ts'
import { type Element, viewOf } from './element.ts'

/** Each packet with probability `p` arrives twice. */
export function duplicate(p: number): Element & { readonly duplicated: number } {
  const element = {
    duplicated: 0,
    attach({ random }, next) {
      const stream = random.fork()
      return packet => {
        next(packet)
        if (!stream.chance(p)) return
        element.duplicated++
        next(packet)
      }
    },
  } satisfies Element & { duplicated: number }
  return element
}

/**
 * Each packet with probability `p` gets one bit of its IP packet flipped. Its checksum is completed before and
 * counts as unverified after, or nobody could see the damage. Stands behind `segment`: a super-packet is no packet
 * on a wire.
 */
export function corrupt(p: number): Element & { readonly corrupted: number } {
  const element = {
    corrupted: 0,
    attach({ random }, next) {
      const stream = random.fork()
      return packet => {
        if (!stream.chance(p)) return next(packet)
        const copy = packet.slice()
        const view = viewOf(copy)
        if (view.getUint8(1) !== VIRTIO_GSO_NONE) throw new Error('segment() must stand before corrupt()')
        finishChecksum(copy, view, 0)
        view.setUint8(0, view.getUint8(0) & ~VIRTIO_DATA_VALID)
        const bit = stream.int(8 * (copy.length - VIRTIO_HEADER_OCTETS))
        const at = VIRTIO_HEADER_OCTETS + (bit >> 3)
        view.setUint8(at, view.getUint8(at) ^ (1 << (bit & 7)))
        element.corrupted++
        next(copy)
      }
    },
  } satisfies Element & { corrupted: number }
  return element
}

/** A router with ECN (RFC 3168 §5): each ECN-capable packet with probability `p` is marked CE; others pass. */
export function mark(p: number): Element & { readonly marked: number } {
  const element = {
    marked: 0,
    attach({ random }, next) {
      const stream = random.fork()
      return packet => {
        const codepoint = ecnOf(packet)
        if (codepoint === 0 || codepoint === 3 || !stream.chance(p)) return next(packet)
        element.marked++
        next(withCongestionExperienced(packet))
      }
    },
  } satisfies Element & { marked: number }
  return element
}

function ecnOf(packet: Uint8Array): number {
  const view = viewOf(packet)
  const ip = VIRTIO_HEADER_OCTETS
  return view.getUint8(ip) >> 4 === 4 ? view.getUint8(ip + 1) & 3 : (view.getUint8(ip + 1) >> 4) & 3
}

function withCongestionExperienced(packet: Uint8Array): Uint8Array {
  const copy = packet.slice()
  const view = viewOf(copy)
  const ip = VIRTIO_HEADER_OCTETS
  if (view.getUint8(ip) >> 4 === 6) {
    view.setUint8(ip + 1, view.getUint8(ip + 1) | 0x30)
    return copy
  }
  view.setUint8(ip + 1, view.getUint8(ip + 1) | 3)
  view.setUint16(ip + 10, 0)
  // Our packets have no IPv4 options.
  view.setUint16(ip + 10, ~sumIpv4Header(view, ip))
  return copy
}
