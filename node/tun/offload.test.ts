import fc from 'fast-check'
import { completeChecksum, cutPacket } from './offload.ts'
import { VNET_HEADER_OCTETS } from './packet-batch.ts'
import { checksum, concat, pattern, pseudoHeader, TCP, tcpHead, udpPacket } from './test-packets.ts'

const FAMILIES = [
  { family: 'IPv4', src: '10.9.0.2', dst: '10.9.0.1', ipOctets: 20 },
  { family: 'IPv6', src: 'fd00:9::2', dst: 'fd00:9::1', ipOctets: 40 },
]

function fields(src: string, dst: string, seq: number, flags: number) {
  return { src, dst, srcPort: 80, dstPort: 1_234, seq, ack: 1, flags, window: 500 }
}

function checksumHolds(packet: Uint8Array, src: string, dst: string, ipOctets: number): boolean {
  const segment = packet.subarray(VNET_HEADER_OCTETS + ipOctets)
  return checksum(pseudoHeader(src, dst, TCP, segment.length), segment) === 0
}

describe.each(FAMILIES)('$family', ({ src, dst, ipOctets }) => {
  it('completes a partial checksum', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), payload => {
        const packet = concat(tcpHead(fields(src, dst, 5, 0x10), payload.length, 1_460), payload)
        expect(completeChecksum(packet)).toBe(true)
        expect(packet[0]).toBe(0)
        expect(checksumHolds(packet, src, dst, ipOctets)).toBe(true)
      }),
    )
  })

  it('cuts a super-packet into segments that together are the same stream', () => {
    const size = fc.integer({ min: 1, max: 4_000 })
    const segmentSize = fc.integer({ min: 50, max: 1_460 })
    fc.assert(
      fc.property(size, segmentSize, fc.nat(0xffff_ffff), (octets, mss, seq) => {
        const payload = pattern(octets)
        const allFlags = 0x80 | 0x10 | 0x08 | 0x01
        const pieces = cutPacket(concat(tcpHead(fields(src, dst, seq, allFlags), octets, mss), payload))
        expect(pieces).toHaveLength(Math.ceil(octets / mss))
        let at = 0
        for (const [index, piece] of pieces.entries()) {
          const view = new DataView(piece.buffer)
          const tcp = VNET_HEADER_OCTETS + ipOctets
          expect(view.getUint32(tcp + 4)).toBe((seq + at) >>> 0)
          const last = index === pieces.length - 1
          expect(piece[tcp + 13]).toBe((index === 0 ? 0x80 : 0) | 0x10 | (last ? 0x09 : 0))
          expect(checksumHolds(piece, src, dst, ipOctets)).toBe(true)
          if (ipOctets === 20) expect(checksum(piece.subarray(10, 30))).toBe(0)
          const total = ipOctets === 20 ? view.getUint16(12) : view.getUint16(14) + 40
          expect(total).toBe(piece.length - VNET_HEADER_OCTETS)
          expect(Buffer.compare(piece.subarray(0, 10), new Uint8Array(10))).toBe(0)
          expect(Buffer.compare(piece.subarray(tcp + 20), payload.subarray(at, at + mss))).toBe(0)
          at += piece.length - tcp - 20
        }
        expect(at).toBe(octets)
      }),
      { numRuns: 20 },
    )
  })
})

describe('hostile virtio headers', () => {
  it('leaves a packet alone whose checksum would lie outside it', () => {
    const packet = tcpHead(fields('10.0.0.1', '10.0.0.2', 1, 0x10), 0, 1_460)
    new DataView(packet.buffer).setUint16(6, 60_000, true)
    const before = packet.slice()
    expect(completeChecksum(packet)).toBe(false)
    expect(packet).toEqual(before)
    expect(completeChecksum(new Uint8Array(9))).toBe(false)
  })

  it('cuts nothing that contradicts itself, and never throws', () => {
    const good = concat(tcpHead(fields('10.0.0.1', '10.0.0.2', 1, 0x10), 300, 100), pattern(300))
    expect(cutPacket(good)).toHaveLength(3)
    const damage = fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(damage, fc.nat(good.length), (changes, length) => {
        const packet = good.slice(0, length)
        for (const [at, value] of changes) if (at < packet.length) packet[at] = value
        for (const piece of cutPacket(packet)) expect(piece.length).toBeLessThanOrEqual(packet.length)
      }),
      { numRuns: 500 },
    )
  })

  it('copies a packet that asks for nothing', () => {
    const packet = udpPacket('10.0.0.1', '10.0.0.2', 9, pattern(10))
    const [copy] = cutPacket(packet)
    expect(copy).toEqual(packet)
    expect(copy).not.toBe(packet)
  })
})
