import fc from 'fast-check'
import { isMartian4, isMartian6 } from './address.ts'
import {
  createTcpHeader,
  finishChecksum,
  MAX_PACKET_HEAD_OCTETS,
  MAX_PAYLOAD_OCTETS,
  packetHeadOctets,
  type TcpHeader,
  tcpHeaderOctets,
  writeTcpPacket,
} from './emit.ts'
import { parsePacket } from './parse.ts'
import { ACK, CWR, createSegment, PSH, SYN } from './segment.ts'

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const port = fc.nat(65_535)
/** Around the packet, to see that nothing else is written. */
const MARGIN = 3
const UNTOUCHED = 0xa5

const header4 = fc
  .record({ src3: word, dst3: word })
  .filter(({ src3, dst3 }) => !isMartian4(src3) && !isMartian4(dst3))
  .map(words => ({
    family: 4 as const,
    src0: 0,
    src1: 0,
    src2: 0xffff,
    dst0: 0,
    dst1: 0,
    dst2: 0xffff,
    ...words,
  }))
const header6 = fc
  .record({ src0: word, src1: word, src2: word, src3: word, dst0: word, dst1: word, dst2: word, dst3: word })
  .filter(words => !isMartian6(words.src0, words.src1, words.src2))
  .filter(words => !isMartian6(words.dst0, words.dst1, words.dst2))
  .map(words => ({ family: 6 as const, ...words }))

const tcpHeader: fc.Arbitrary<TcpHeader> = fc
  .tuple(
    fc.oneof(header4, header6),
    fc.record({
      srcPort: port,
      dstPort: port,
      ttl: fc.nat(255),
      ecn: fc.nat(3),
      dscp: fc.nat(63),
      seq: word,
      ack: word,
      flags: fc.nat(255),
      window: fc.nat(65_535),
      urgent: fc.nat(65_535),
      hasTimestamps: fc.boolean(),
      tsVal: word,
      tsEcr: word,
      mss: fc.nat(65_535),
      windowScale: fc.integer({ min: -1, max: 14 }),
      sackPermitted: fc.boolean(),
      sackCount: fc.nat(4),
      sackEdges: fc.int32Array({ minLength: 8, maxLength: 8 }),
      payloadLength: fc.nat(3_000),
      segmentSize: fc.nat(1_500),
    }),
  )
  .map(([addresses, fields]) => {
    const header = { ...createTcpHeader(), ...addresses, ...fields }
    // Options that count in a SYN only, and fields that mean nothing without their option.
    if ((header.flags & SYN) === 0) Object.assign(header, { mss: 0, windowScale: -1, sackPermitted: false })
    if (!header.hasTimestamps) Object.assign(header, { tsVal: 0, tsEcr: 0 })
    return header
  })

const hexOf = (octets: Uint8Array) =>
  Array.from(octets, octet => octet.toString(16).padStart(2, '0')).join('')

function packetOf(header: TcpHeader, fill = 0) {
  const head = packetHeadOctets(header)
  const octets = new Uint8Array(2 * MARGIN + head + header.payloadLength).fill(UNTOUCHED)
  const view = new DataView(octets.buffer)
  const written = writeTcpPacket(octets, view, MARGIN, header)
  for (let index = 0; index < header.payloadLength; index++) octets[MARGIN + head + index] = fill + index * 7
  return { octets, view, head, written }
}

/** Blocks that fit, by the widths of the options rather than by the emitter's arithmetic. */
function expectedSackCount(header: TcpHeader): number {
  const others =
    (header.mss > 0 ? 4 : 0) +
    (header.hasTimestamps ? 12 : header.sackPermitted ? 4 : 0) +
    (header.windowScale >= 0 ? 4 : 0)
  return Math.max(0, Math.min(header.sackCount, Math.floor((40 - others - 4) / 8)))
}

test('parse ∘ emit is the identity on every field, v4 and v6 (MUST-2, MUST-48, MUST-49, SHLD-22)', () => {
  const segment = createSegment()
  fc.assert(
    fc.property(tcpHeader, fc.nat(255), (header, fill) => {
      const { octets, view, head, written } = packetOf(header, fill)
      expect(written).toBe(head)
      expect(finishChecksum(octets, view, MARGIN)).toBe(true)
      const length = head - 10 + header.payloadLength
      expect(parsePacket(octets, view, MARGIN + 10, length, false, segment)).toBe('tcp')
      const { segmentSize, sackEdges, sackCount, dscp, ...fields } = header
      expect(segment).toMatchObject(fields)
      const trafficClass = view.getUint16(MARGIN + 10) >> (header.family === 4 ? 0 : 4)
      expect((trafficClass & 0xff) >> 2).toBe(dscp)
      expect(segment.sackCount).toBe(expectedSackCount(header))
      const edges = 2 * segment.sackCount
      expect([...segment.sackEdges.subarray(0, edges)]).toEqual([...sackEdges.subarray(0, edges)])
      expect(segment.octets).toBe(octets)
      expect(segment.payloadStart).toBe(MARGIN + head)
      expect(segment.payloadLength).toBe(header.payloadLength)
      expect([...octets.subarray(0, MARGIN), ...octets.subarray(-MARGIN)]).toEqual(
        new Array(2 * MARGIN).fill(UNTOUCHED),
      )
    }),
    { numRuns: 2_000 },
  )
})

/** Kinds and lengths of the options from `from` to `end`, walked by their length fields; 1 has none. */
function walkOptions(octets: Uint8Array, from: number, end: number): number[] {
  const kinds: number[] = []
  for (let at = from; at < end; ) {
    const kind = octets[at] as number
    kinds.push(kind)
    if (kind === 0) throw new Error('an end of list before the end')
    const length = kind === 1 ? 1 : (octets[at + 1] as number)
    if (length === 0 || at + length > end) throw new Error(`an option of ${length} octets`)
    at += length
  }
  return kinds
}

test('MUST-68, MUST-69: every option has its length, and they end where the header does: no padding is needed', () => {
  fc.assert(
    fc.property(tcpHeader, header => {
      const { octets, head } = packetOf(header)
      const kinds = walkOptions(octets, MARGIN + head - tcpHeaderOctets(header) + 20, MARGIN + head)
      expect(kinds.includes(2)).toBe(header.mss > 0)
      expect(kinds.includes(8)).toBe(header.hasTimestamps)
    }),
  )
})

test('the head never exceeds its bound, nor the options 40 octets', () => {
  fc.assert(
    fc.property(tcpHeader, header => {
      expect(tcpHeaderOctets(header)).toBeLessThanOrEqual(60)
      expect(tcpHeaderOctets(header) % 4).toBe(0)
      expect(packetHeadOctets(header)).toBeLessThanOrEqual(MAX_PACKET_HEAD_OCTETS)
    }),
  )
})

function optionsOf(fields: Partial<TcpHeader>): string {
  const header = { ...createTcpHeader(), src3: 0x0a000001, dst3: 0x0a000002, ...fields }
  const { octets, head } = packetOf(header)
  return hexOf(octets.subarray(MARGIN + 50, MARGIN + head))
}

const edges = new Int32Array([1, 2, 3, 4, 5, 6, 7, 8])
const ts = { hasTimestamps: true, tsVal: 0x11223344, tsEcr: 0x55667788 }
const TS = '0101080a1122334455667788'

test.each<[string, Partial<TcpHeader>, string]>([
  ['nothing', {}, ''],
  ['timestamps', ts, TS],
  [
    'a SYN with all',
    { ...ts, mss: 1460, sackPermitted: true, windowScale: 7 },
    '020405b40402080a112233445566778801030307',
  ],
  ['a SYN without SACK', { ...ts, mss: 1460, windowScale: 7 }, `020405b4${TS}01030307`],
  [
    'a SYN without timestamps',
    { mss: 1460, sackPermitted: true, windowScale: 0 },
    '020405b40101040201030300',
  ],
  ['a SYN with MSS alone', { mss: 536 }, '02040218'],
  ['one SACK block', { ...ts, sackCount: 1, sackEdges: edges }, `${TS}0101050a0000000100000002`],
  [
    'three SACK blocks beside timestamps, of four',
    { ...ts, sackCount: 4, sackEdges: edges },
    `${TS}0101051a000000010000000200000003000000040000000500000006`,
  ],
  [
    'four SACK blocks alone',
    { sackCount: 4, sackEdges: edges },
    '010105220000000100000002000000030000000400000005000000060000000700000008',
  ],
])('options in the order of Linux: %s', (_name, fields, hex) => {
  expect(optionsOf(fields)).toBe(hex)
})

const virtioOf = (view: DataView) => ({
  flags: view.getUint8(MARGIN),
  gsoType: view.getUint8(MARGIN + 1),
  headerOctets: view.getUint16(MARGIN + 2, true),
  gsoSize: view.getUint16(MARGIN + 4, true),
  csumStart: view.getUint16(MARGIN + 6, true),
  csumOffset: view.getUint16(MARGIN + 8, true),
})

test.each<[string, Partial<TcpHeader>, object]>([
  [
    'a payload of one segment',
    { payloadLength: 1448, segmentSize: 1448 },
    { gsoType: 0, gsoSize: 0, headerOctets: 0 },
  ],
  [
    'more than one',
    { payloadLength: 1449, segmentSize: 1448 },
    { gsoType: 1, gsoSize: 1448, headerOctets: 40 },
  ],
  ['with CWR', { payloadLength: 1449, segmentSize: 1448, flags: ACK | CWR }, { gsoType: 0x81 }],
  [
    'over IPv6',
    { family: 6, src0: 1, dst0: 1, payloadLength: 1449, segmentSize: 1428, ...ts },
    { gsoType: 4, headerOctets: 72, csumStart: 40 },
  ],
  ['never cut', { payloadLength: 3_000, segmentSize: 0 }, { gsoType: 0, gsoSize: 0 }],
])('virtio header: %s', (_name, fields, expected) => {
  const { view } = packetOf({
    ...createTcpHeader(),
    src3: 0x0a000001,
    dst3: 0x0a000002,
    flags: ACK,
    ...fields,
  })
  expect(virtioOf(view)).toMatchObject({ flags: 1, csumStart: 20, csumOffset: 16, ...expected })
})

test('IPv4 has DF and ID 0; a packet known octet by octet', () => {
  const { octets, view } = packetOf({
    ...createTcpHeader(),
    ...ts,
    src3: 0xc0000201 | 0,
    dst3: 0xc6336401 | 0,
    srcPort: 80,
    dstPort: 0x1234,
    ecn: 2,
    seq: 0x01020304,
    ack: 0x05060708,
    flags: ACK | PSH,
    window: 0x2000,
    payloadLength: 2,
  })
  finishChecksum(octets, view, MARGIN)
  expect(hexOf(octets.subarray(MARGIN + 10, -MARGIN))).toBe(
    '450200360000400040064e8ac0000201c6336401' +
      '0050123401020304050607088018200036890000' +
      '0101080a11223344556677880007',
  )
})

test('a payload that no IP packet holds is a mistake of the caller', () => {
  const header = { ...createTcpHeader(), payloadLength: MAX_PAYLOAD_OCTETS + 1 }
  const octets = new Uint8Array(200)
  expect(() => writeTcpPacket(octets, new DataView(octets.buffer), 0, header)).toThrow(RangeError)
})

describe('finishChecksum', () => {
  const header = { ...createTcpHeader(), src3: 0x0a000001, dst3: 0x0a000002, payloadLength: 5 }

  test('is idempotent, and clears NEEDS_CSUM', () => {
    const { octets, view } = packetOf(header)
    finishChecksum(octets, view, MARGIN)
    expect(octets[MARGIN]).toBe(0)
    const once = octets.slice()
    expect(finishChecksum(octets, view, MARGIN)).toBe(true)
    expect(octets).toEqual(once)
  })

  test.each<[string, (view: DataView) => void]>([
    ['csum_start behind the packet', view => view.setUint16(MARGIN + 6, 200, true)],
    ['csum_offset behind the packet', view => view.setUint16(MARGIN + 8, 0xffff, true)],
    ['a longer IP packet than there are octets', view => view.setUint16(MARGIN + 12, 4_000)],
    ['no IP version', view => view.setUint8(MARGIN + 10, 0)],
  ])('leaves a packet alone with %s', (_name, damage) => {
    const { octets, view } = packetOf(header)
    damage(view)
    const before = octets.slice()
    expect(finishChecksum(octets, view, MARGIN)).toBe(false)
    expect(octets).toEqual(before)
  })

  test('never throws on garbage', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(90), (octets, at) => {
        if (octets.length > at) octets[at] = (octets[at] ?? 0) | 1
        finishChecksum(octets, new DataView(octets.buffer, octets.byteOffset, octets.byteLength), at)
      }),
      { numRuns: 2_000 },
    )
  })
})
