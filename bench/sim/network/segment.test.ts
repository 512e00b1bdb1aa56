import fc from 'fast-check'
import { createTcpHeader, type TcpHeader } from '../../../node/wire/emit.ts'
import { createIcmpError, parseIcmp } from '../../../node/wire/icmp.ts'
import { ACK, CWR, createSegment, FIN, PSH, type Segment, SYN } from '../../../node/wire/segment.ts'
import { coalesce } from './coalesce.ts'
import { chain, createWorld, type Packet, viewOf } from './element.ts'
import { readPacket, tcpPacket } from './packet.ts'
import { packetTooBig, segment } from './segment.ts'

function headerOf(family: 4 | 6, fields: Partial<TcpHeader> = {}): TcpHeader {
  const addresses =
    family === 4
      ? { src2: 0xffff, src3: 0x0a000001, dst2: 0xffff, dst3: 0x0a000002 }
      : { src0: 0x20010db8, src3: 1, dst0: 0x20010db8, dst3: 2 }
  const ports = { srcPort: 80, dstPort: 40_000, window: 500, ecn: 2 }
  const timestamps = { hasTimestamps: true, tsVal: 11, tsEcr: 12 }
  return { ...createTcpHeader(), family, ...addresses, ...ports, ...timestamps, flags: ACK, ...fields }
}

const payloadOf = (length: number) => Uint8Array.from({ length }, (_, index) => (index * 131) >> 3)

const areEqual = (one: Uint8Array, other: Uint8Array) => Buffer.compare(one, other) === 0

function read(packet: Packet): Segment {
  const into = createSegment()
  expect(readPacket(packet, into)).toBe('tcp')
  return into
}

function cutUp(packet: Packet, mtu = 1_500): Packet[] {
  const pieces: Packet[] = []
  segment(mtu).attach(createWorld(1), piece => pieces.push(piece))(packet)
  return pieces
}

describe('segment', () => {
  test('a super-packet becomes packets of the wire with the same octets in the same order', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(4 as const, 6 as const),
        fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        fc.integer({ min: 1, max: 30_000 }),
        fc.integer({ min: 500, max: 1_428 }),
        fc.nat(255).map(flags => (flags & ~SYN) | ACK),
        (family, seq, length, segmentSize, flags) => {
          const header = headerOf(family, { seq, flags, segmentSize })
          const payload = payloadOf(length)
          const packet = tcpPacket(header, payload)
          const before = packet.slice()
          const pieces = cutUp(packet)
          expect(areEqual(packet, before)).toBe(true)
          expect(pieces.length).toBe(Math.ceil(length / segmentSize))
          let at = 0
          pieces.forEach((piece, index) => {
            expect(piece.subarray(0, 10).every(octet => octet === 0)).toBe(true)
            const parsed = read(piece)
            const { payloadLength, payloadStart, octets } = parsed
            expect(payloadLength).toBe(Math.min(segmentSize, length - at))
            expect(parsed.seq).toBe((seq + at) | 0)
            const { tsVal, tsEcr, window, ecn, ack, srcPort } = header
            expect(parsed).toMatchObject({ tsVal, tsEcr, window, ecn, ack, srcPort })
            const isLast = index === pieces.length - 1
            const expected = flags & ~(isLast ? 0 : FIN | PSH) & ~(index === 0 ? 0 : CWR)
            expect(parsed.flags).toBe(expected)
            expect(areEqual(octets.subarray(payloadStart), payload.subarray(at, at + payloadLength))).toBe(
              true,
            )
            at += payloadLength
          })
          expect(at).toBe(length)
        },
      ),
      { numRuns: 100 },
    )
  })

  test('IPv4 IDs count up, so that no two pieces look like fragments of one packet', () => {
    const ids = cutUp(tcpPacket(headerOf(4, { segmentSize: 1_000 }), payloadOf(3_500))).map(piece =>
      viewOf(piece).getUint16(14),
    )
    expect(ids).toEqual([0, 1, 2, 3])
  })

  test('what is larger than the MTU is lost and reported, and the answer names the segment', () => {
    const world = createWorld(1)
    const errors: Packet[] = []
    const passed: Packet[] = []
    const element = segment(1_400, packet => errors.push(packetTooBig(packet, element.mtu)))
    const sink = element.attach(world, packet => passed.push(packet))
    const packet = tcpPacket(headerOf(4, { seq: 1_000, segmentSize: 1_448 }), payloadOf(2_000))
    sink(packet)
    expect([passed.length, element.lost, errors.length]).toEqual([1, 1, 1])
    const answer = errors[0] as Packet
    const into = createSegment()
    const error = createIcmpError()
    expect(readPacket(answer, into)).toBe('icmp')
    expect(parseIcmp(viewOf(answer), into, false, error)).toBe('error')
    expect(error).toMatchObject({
      kind: 'packet-too-big',
      mtu: 1_400,
      seq: 1_000,
      dstPort: 40_000,
      tsVal: 11,
    })
    element.mtu = 1_500
    sink(packet)
    expect([passed.length, element.lost]).toEqual([3, 1])
  })

  test('a super-packet that contradicts its virtio header is a mistake in the simulation', () => {
    const packet = tcpPacket(headerOf(4, { segmentSize: 1_000 }), payloadOf(2_000))
    viewOf(packet).setUint16(4, 0, true)
    expect(() => cutUp(packet)).toThrow('contradicts')
  })
})

describe('coalesce', () => {
  /** What comes out for packets that go in at given times. */
  function coalesced(packets: { at: number; packet: Packet }[], windowMs = 0) {
    const world = createWorld(1)
    const element = coalesce(windowMs)
    const out: { at: number; packet: Packet }[] = []
    const sink = element.attach(world, packet => out.push({ at: world.scheduler.now, packet }))
    for (const { at, packet } of packets) world.scheduler.at(at, () => sink(packet))
    world.scheduler.run(Infinity)
    return { out, merged: element.merged }
  }

  test.each([4, 6] as const)('v%d: coalesce ∘ segment gives the super-packet again', family => {
    for (const length of [1, 1_000, 1_001, 5_000, 40_321]) {
      const header = headerOf(family, { seq: -3_000, segmentSize: 1_000, flags: ACK | PSH })
      const packet = tcpPacket(header, payloadOf(length))
      const world = createWorld(1)
      const out: Packet[] = []
      const sink = chain([segment(), coalesce()]).attach(world, whole => out.push(whole))
      sink(packet)
      world.scheduler.run(1)
      expect(out.length).toBe(1)
      const [was, is] = [read(packet), read(out[0] as Packet)]
      expect({ ...is, octets: 0 }).toEqual({ ...was, octets: 0 })
      const end = is.payloadStart + is.payloadLength
      expect(areEqual(is.octets.subarray(is.payloadStart, end), payloadOf(length))).toBe(true)
      // The header too is as the kernel expects it: cut again it has right checksums.
      for (const piece of cutUp(out[0] as Packet)) read(piece)
      if (length > 1_000) expect(viewOf(out[0] as Packet).getUint16(4, true)).toBe(1_000)
    }
  })

  const piece = (seq: number, fields: Partial<TcpHeader> = {}, length = 100) =>
    tcpPacket(headerOf(4, { seq, ...fields }), payloadOf(length))

  test.each<[string, Packet[], number[]]>([
    ['packets in order', [piece(0), piece(100), piece(200)], [300]],
    ['a gap', [piece(0), piece(200)], [100, 100]],
    ['a step back', [piece(100), piece(0)], [100, 100]],
    ['another flow between', [piece(0), piece(0, { dstPort: 9 }), piece(100)], [100, 100, 100]],
    ['another TSval', [piece(0), piece(100, { tsVal: 99 })], [100, 100]],
    ['another acknowledgement', [piece(0), piece(100, { ack: 5 })], [100, 100]],
    ['another window', [piece(0), piece(100, { window: 5 })], [100, 100]],
    ['a congestion mark', [piece(0), piece(100, { ecn: 3 })], [100, 100]],
    ['a larger one', [piece(0), piece(100, {}, 101)], [100, 101]],
    ['a smaller one, which ends the run', [piece(0), piece(100, {}, 50), piece(150, {}, 50)], [150, 50]],
    ['a push, which ends it', [piece(0, { flags: ACK | PSH }), piece(100)], [100, 100]],
    ['an end', [piece(0), piece(100, { flags: ACK | FIN })], [200]],
    ['a pure ACK', [piece(0), piece(100, {}, 0), piece(100)], [100, 0, 100]],
    ['a SYN', [piece(0, { flags: SYN | ACK }), piece(101)], [100, 100]],
  ])('%s', (_name, packets, expected) => {
    const { out } = coalesced(packets.map(packet => ({ at: 0, packet })))
    expect(out.map(({ packet }) => read(packet).payloadLength)).toEqual(expected)
  })

  test('flags of all packets are kept', () => {
    const { out } = coalesced(
      [piece(0), piece(100, { flags: ACK | FIN | PSH })].map(packet => ({ at: 0, packet })),
    )
    expect(read((out[0] as { packet: Packet }).packet).flags).toBe(ACK | FIN | PSH)
  })

  test('it waits for its window, and no longer', () => {
    const packets = [0, 100, 200, 300].map((seq, index) => ({ at: index * 2, packet: piece(seq) }))
    const { out, merged } = coalesced(packets, 5)
    expect(out.map(({ at, packet }) => [at, read(packet).payloadLength])).toEqual([
      [5, 300],
      [11, 100],
    ])
    expect(merged).toBe(2)
  })

  test('a damaged packet passes as it is', () => {
    const damaged = cutUp(piece(100))[0] as Packet
    damaged[80] = (damaged[80] ?? 0) ^ 1
    const { out } = coalesced([piece(0), damaged, piece(200)].map(packet => ({ at: 0, packet })))
    expect(out.length).toBe(3)
    expect(out[1]?.packet).toBe(damaged)
  })

  test('never more than an IP packet holds', () => {
    const packets = Array.from({ length: 120 }, (_, index) => ({
      at: 0,
      packet: piece(index * 1_400, {}, 1_400),
    }))
    const { out } = coalesced(packets)
    for (const { packet } of out) expect(packet.length - 10).toBeLessThanOrEqual(65_535)
    expect(out.reduce((sum, { packet }) => sum + read(packet).payloadLength, 0)).toBe(120 * 1_400)
    expect(out.length).toBe(3)
  })
})
