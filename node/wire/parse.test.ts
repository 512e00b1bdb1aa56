import fc from 'fast-check'
import { parseAddress } from './address.ts'
import { sumOctets } from './checksum.ts'
import { createTcpHeader, finishChecksum, packetHeadOctets, type TcpHeader, writeTcpPacket } from './emit.ts'
import { parsePacket } from './parse.ts'
import { ACK, createSegment, PSH, type Segment, SYN } from './segment.ts'

const viewOf = (octets: Uint8Array) => new DataView(octets.buffer, octets.byteOffset, octets.byteLength)

function addresses(src: string, dst: string): Partial<TcpHeader> {
  const [from, to] = [parseAddress(src), parseAddress(dst)]
  if (from === undefined || to === undefined) throw new Error(`${src} ${dst}`)
  return {
    family: from.family,
    src0: from.word0,
    src1: from.word1,
    src2: from.word2,
    src3: from.word3,
    dst0: to.word0,
    dst1: to.word1,
    dst2: to.word2,
    dst3: to.word3,
  }
}

const V4 = addresses('192.0.2.7', '198.51.100.1')
const V6 = addresses('2001:db8::7', '2001:db8:1::1')

/** A complete IP packet, without the virtio header. */
function packet(fields: Partial<TcpHeader>): Uint8Array {
  const header = { ...createTcpHeader(), srcPort: 40_000, dstPort: 80, flags: ACK, window: 512, ...fields }
  const head = packetHeadOctets(header)
  const octets = new Uint8Array(head + header.payloadLength)
  writeTcpPacket(octets, viewOf(octets), 0, header)
  for (let index = head; index < octets.length; index++) octets[index] = index * 31
  finishChecksum(octets, viewOf(octets), 0)
  return octets.subarray(10)
}

function parse(octets: Uint8Array, trusted = false, into = createSegment()) {
  const verdict = parsePacket(octets, viewOf(octets), 0, octets.length, trusted, into)
  return { verdict, segment: into }
}

const full: Partial<TcpHeader> = {
  hasTimestamps: true,
  tsVal: 77,
  tsEcr: 78,
  sackCount: 2,
  sackEdges: new Int32Array([1, 2, 3, 4, 0, 0, 0, 0]),
  payloadLength: 33,
  flags: ACK | PSH,
}
const syn = { flags: SYN, mss: 1460, windowScale: 7, sackPermitted: true, hasTimestamps: true, tsVal: 1 }
const valid: [string, Uint8Array][] = [
  ['v4', packet({ ...V4, ...full })],
  ['v6', packet({ ...V6, ...full })],
  ['v4 SYN', packet({ ...V4, ...syn })],
  ['v6 SYN', packet({ ...V6, ...syn })],
  [
    'v6 behind extension headers',
    withExtensions(packet({ ...V6, ...full }), [
      [0, '0000050200000100'],
      [60, '0000000000000000'],
    ]),
  ],
  [
    'v4 with IP options, which are skipped (MUST-50)',
    withIpv4Options(packet({ ...V4, ...full }), '94040000'),
  ],
]

/** The IPv6 packet with extension headers of the given types; the first octet of each is set to what follows. */
function withExtensions(octets: Uint8Array, extensions: [number, string][]): Uint8Array {
  const bodies = extensions.map(([, hex]) => octetsOf(hex))
  const whole = new Uint8Array([
    ...octets.subarray(0, 40),
    ...bodies.flatMap(body => [...body]),
    ...octets.subarray(40),
  ])
  const view = viewOf(whole)
  view.setUint16(4, whole.length - 40)
  let field = 6
  let at = 40
  extensions.forEach(([type], index) => {
    const last = view.getUint8(field)
    view.setUint8(field, type)
    view.setUint8(at, last)
    field = at
    at += bodies[index]?.length ?? 0
  })
  return whole
}

function octetsOf(hex: string): Uint8Array {
  return new Uint8Array((hex.match(/../g) ?? []).map(octet => Number.parseInt(octet, 16)))
}

function withIpv4Options(octets: Uint8Array, hex: string): Uint8Array {
  const whole = new Uint8Array([...octets.subarray(0, 20), ...octetsOf(hex), ...octets.subarray(20)])
  whole[0] = 0x40 + 5 + hex.length / 8
  viewOf(whole).setUint16(2, whole.length)
  return fixIpv4Checksum(whole)
}

function naiveSum(octets: Uint8Array, from: number, to: number): number {
  let sum = 0
  for (let at = from; at < to; at += 2) {
    sum = (sum + (octets[at] ?? 0) * 256 + (at + 1 < to ? (octets[at + 1] ?? 0) : 0)) % 65_535
  }
  return sum
}

function fixIpv4Checksum(octets: Uint8Array): Uint8Array {
  const view = viewOf(octets)
  view.setUint16(10, 0)
  view.setUint16(10, 65_535 - naiveSum(octets, 0, ((octets[0] ?? 0) & 15) * 4))
  return octets
}

/** Whether the checksums of an accepted segment are right, by a plain sum over the fields of the header. */
function isSummedRight(octets: Uint8Array, segment: Segment): boolean {
  const view = viewOf(octets)
  const isV4 = view.getUint8(0) >> 4 === 4
  const ipHeader = isV4 ? (view.getUint8(0) & 15) * 4 : 40
  if (isV4 && naiveSum(octets, 0, ipHeader) !== 0) return false
  const end = isV4 ? view.getUint16(2) : 40 + view.getUint16(4)
  // The transport begins so far before the payload as its own header says: the parser's word for where that is.
  let transport = isV4 ? ipHeader : 40
  if (!isV4) {
    let next = view.getUint8(6)
    while (next !== 6) {
      const words = next === 44 ? 0 : view.getUint8(transport + 1)
      next = view.getUint8(transport)
      transport += 8 + words * 8
    }
  }
  if (segment.payloadStart + segment.payloadLength !== end) return false
  const pseudo = isV4 ? naiveSum(octets, 12, 20) : naiveSum(octets, 8, 40)
  return (pseudo + 6 + (end - transport) + naiveSum(octets, transport, end)) % 65_535 === 0
}

describe('valid packets', () => {
  test.each(valid)('%s', (_name, octets) => {
    const { verdict, segment } = parse(octets)
    expect(verdict).toBe('tcp')
    expect(isSummedRight(octets, segment)).toBe(true)
    expect(segment.dstPort).toBe(80)
  })

  test('padding behind the IP length is no payload', () => {
    const octets = packet({ ...V4, payloadLength: 1 })
    const padded = new Uint8Array(60)
    padded.set(octets)
    const { verdict, segment } = parse(padded)
    expect([verdict, segment.payloadLength]).toEqual(['tcp', 1])
  })

  test('nothing of the segment before is left over', () => {
    const into = createSegment()
    parse(packet({ ...V4, ...syn }), false, into)
    parse(packet({ ...V4, ...full }), false, into)
    parse(packet({ ...V6 }), false, into)
    const fresh = createSegment()
    parse(packet({ ...V6 }), false, fresh)
    expect({ ...into, sackEdges: 0, octets: 0 }).toEqual({ ...fresh, sackEdges: 0, octets: 0 })
  })
})

const REFUSALS = ['malformed', 'truncated']

test('MUST-1: the window is a number without a sign', () => {
  expect(parse(packet({ ...V4, window: 0xffff })).segment.window).toBe(65_535)
})

describe('hostile octets', () => {
  test.each(valid)('every truncation of %s is refused', (_name, octets) => {
    const segment = createSegment()
    for (let length = 0; length < octets.length; length++) {
      for (const trusted of [false, true]) {
        // As a short read of a long buffer, and as a short buffer.
        expect(REFUSALS).toContain(parsePacket(octets, viewOf(octets), 0, length, trusted, segment))
        const short = octets.slice(0, length)
        expect(REFUSALS).toContain(parsePacket(short, viewOf(short), 0, octets.length, trusted, segment))
      }
    }
  })

  test('100,000 random mutations: no throw, and none accepted with a wrong checksum', () => {
    const segment = createSegment()
    let state = 0x2545f491
    const random = (bound: number) => {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      return (state >>> 0) % bound
    }
    const verdicts: Record<string, number> = {}
    for (let run = 0; run < 100_000; run++) {
      const octets = (valid[run % valid.length]?.[1] ?? new Uint8Array()).slice()
      const view = viewOf(octets)
      for (let times = 1 + random(3); times > 0; times--) octets[random(octets.length)] = random(256)
      // A good IPv4 checksum half the time, so that the damage gets further in.
      if (run % 2 === 0 && octets[0] === 0x45) fixIpv4Checksum(octets)
      const verdict = parsePacket(octets, view, 0, octets.length, false, segment)
      if (verdict === 'tcp' && !isSummedRight(octets, segment)) throw new Error(`run ${run}: accepted`)
      verdicts[verdict] = (verdicts[verdict] ?? 0) + 1
      parsePacket(octets, view, 0, octets.length, true, segment)
    }
    for (const verdict of [
      'tcp',
      'malformed',
      'truncated',
      'header-checksum',
      'martian',
      'fragment',
      'icmp',
      'other-protocol',
    ]) {
      expect([verdict, verdicts[verdict]]).not.toEqual([verdict, undefined])
    }
    expect(verdicts.checksum).toBeGreaterThan(50_000)
  })

  test('garbage behind an IP version never throws, trusted or not', () => {
    const segment = createSegment()
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 120 }),
        fc.constantFrom(4, 6),
        fc.boolean(),
        (octets, version, trusted) => {
          if (octets.length > 0) octets[0] = version * 16 + ((octets[0] ?? 0) & 7)
          if (octets.length > 40 && version === 6)
            viewOf(octets).setUint16(4, (octets[4] ?? 0) % (octets.length - 40))
          parsePacket(octets, viewOf(octets), 0, octets.length, trusted, segment)
        },
      ),
      { numRuns: 5_000 },
    )
  })

  test('an offset outside of the buffer is refused', () => {
    const octets = packet(V4)
    expect(parsePacket(octets, viewOf(octets), -1, 40, true, createSegment())).toBe('malformed')
    expect(parsePacket(octets, viewOf(octets), 1, 40, true, createSegment())).toBe('malformed')
  })
})

describe('IP', () => {
  const change = (octets: Uint8Array, edit: (view: DataView) => void) => {
    edit(viewOf(octets))
    return (octets[0] ?? 0) >> 4 === 4 ? fixIpv4Checksum(octets) : octets
  }
  const four = (edit: (view: DataView) => void) => change(packet(V4), edit)
  const six = (edit: (view: DataView) => void) => change(packet(V6), edit)

  test.each<[string, Uint8Array, string]>([
    ['version 5', four(view => view.setUint8(0, 0x55)), 'malformed'],
    ['an IPv4 header of 16 octets', four(view => view.setUint8(0, 0x44)), 'malformed'],
    ['an IPv4 header longer than the packet', four(view => view.setUint16(2, 19)), 'malformed'],
    [
      'a wrong IPv4 header checksum',
      (() => {
        const octets = packet(V4)
        octets[8] = 1
        return octets
      })(),
      'header-checksum',
    ],
    ['more fragments', four(view => view.setUint16(6, 0x2000)), 'fragment'],
    ['a later fragment', four(view => view.setUint16(6, 1)), 'fragment'],
    ['DF', four(view => view.setUint16(6, 0x4000)), 'tcp'],
    ['ICMP', four(view => view.setUint8(9, 1)), 'icmp'],
    ['UDP', four(view => view.setUint8(9, 17)), 'other-protocol'],
    ['a multicast source (MUST-63)', four(view => view.setUint8(12, 224)), 'martian'],
    ['a broadcast destination (MUST-57)', four(view => view.setInt32(16, -1)), 'martian'],
    ['a loopback source', four(view => view.setUint8(12, 127)), 'martian'],
    ['ICMPv6', six(view => view.setUint8(6, 58)), 'icmp'],
    ['ICMPv4 over IPv6', six(view => view.setUint8(6, 1)), 'other-protocol'],
    ['no next header', six(view => view.setUint8(6, 59)), 'other-protocol'],
    [
      'a mapped source, which would pass for IPv4',
      six(view => {
        view.setInt32(8, 0)
        view.setInt32(12, 0)
        view.setInt32(16, 0xffff)
      }),
      'martian',
    ],
    ['a multicast destination', six(view => view.setUint8(24, 255)), 'martian'],
    ['a longer payload than there is', six(view => view.setUint16(4, 21)), 'truncated'],
    ['a longer total than there is', four(view => view.setUint16(2, 41)), 'truncated'],
    [
      'a jumbogram (RFC 2675)',
      six(view => {
        view.setUint16(4, 0)
        view.setUint8(6, 0)
      }),
      'jumbogram',
    ],
  ])('%s: %s', (_name, octets, expected) => {
    expect(parse(octets).verdict).toBe(expected)
  })

  test('what is not TCP has addresses, ttl, ecn and payload', () => {
    const { segment } = parse(
      four(view => {
        view.setUint8(9, 17)
        view.setUint8(1, 3)
      }),
    )
    expect(segment).toMatchObject({
      family: 4,
      src3: 0xc0000207 | 0,
      dst3: 0xc6336401 | 0,
      ecn: 3,
      ttl: 64,
      payloadStart: 20,
      payloadLength: 20,
    })
  })

  const behind = (...extensions: [number, string][]) => parse(withExtensions(packet(V6), extensions)).verdict
  test.each<[string, [number, string][], string]>([
    ['hop-by-hop options', [[0, '0000010400000000']], 'tcp'],
    [
      'hop-by-hop options not at the head',
      [
        [60, '0000010400000000'],
        [0, '0000010400000000'],
      ],
      'malformed',
    ],
    ['an option that says to discard', [[60, '0000410400000000']], 'extension-option'],
    ['an option that runs over', [[60, '0000010500000000']], 'malformed'],
    ['a header that runs over', [[60, '00ff010400000000']], 'malformed'],
    ['a routing header at its end', [[43, '0000000000000000']], 'tcp'],
    ['a routing header with segments left', [[43, '0000000100000000']], 'routing-header'],
    ['an atomic fragment (RFC 6946)', [[44, '0000000012345678']], 'tcp'],
    ['a first fragment', [[44, '0000000112345678']], 'fragment'],
    ['a later fragment', [[44, '0000000812345678']], 'fragment'],
    ['eight headers', new Array(8).fill([60, '0000010400000000']), 'tcp'],
    ['nine headers', new Array(9).fill([60, '0000010400000000']), 'malformed'],
    ['an authentication header', [[51, '0000010400000000']], 'other-protocol'],
  ])('IPv6 with %s', (_name, extensions, expected) => {
    expect(behind(...extensions)).toBe(expected)
  })
})

describe('IPv4 options', () => {
  /** A segment with these raw octets between its headers, a multiple of four. */
  function withIpOptions(hex: string) {
    const options = octetsOf(hex)
    const base = packet(V4)
    const octets = new Uint8Array([...base.subarray(0, 20), ...options, ...base.subarray(20)])
    octets[0] = 0x45 + options.length / 4
    viewOf(octets).setUint16(2, octets.length)
    viewOf(octets).setUint16(10, 0)
    viewOf(octets).setUint16(10, ~sumOctets(viewOf(octets), 0, 20 + options.length, 0))
    return parse(octets)
  }

  test.each([
    ['nothing but ends', '00000000', 'tcp'],
    ['a router alert (RFC 2113)', '94040000', 'tcp'],
    ['a record route behind a no-operation', '0107040000000000', 'tcp'],
    ['an unknown one', '5e040000', 'tcp'],
    ['a loose source route', '8307040a00000100', 'source-route'],
    ['a strict source route behind others', '01018907040a000001000000', 'source-route'],
    ['a length of one', '5e010000', 'malformed'],
    ['a length that runs over', '5e050000', 'malformed'],
    ['no room for a length', '0101015e', 'malformed'],
  ])('%s (%s): %s', (_name, hex, expected) => {
    const { verdict, segment } = withIpOptions(hex)
    expect(verdict).toBe(expected)
    expect(segment.extended).toBe(true)
    if (verdict === 'tcp') expect(segment.srcPort).toBe(40_000)
  })

  test('a plain packet is not called extended', () => {
    expect(parse(packet(V4)).segment.extended).toBe(false)
    expect(parse(packet(V6)).segment.extended).toBe(false)
    expect(parse(withExtensions(packet(V6), [[60, '0000010400000000']])).segment.extended).toBe(true)
  })
})

describe('TCP options', () => {
  /** A segment with these raw octets as options, padded with zeros to a word. */
  function withOptions(hex: string, flags: number) {
    const options = octetsOf(hex.padEnd(Math.ceil(hex.length / 8) * 8, '0'))
    const base = packet({ ...V4, flags })
    const octets = new Uint8Array([...base, ...options, 1, 2, 3])
    octets[32] = (5 + options.length / 4) << 4
    viewOf(octets).setUint16(2, octets.length)
    return parse(fixIpv4Checksum(octets), true)
  }

  const none = { mss: 0, windowScale: -1, sackPermitted: false, hasTimestamps: false, sackCount: 0 }

  test.each<[string, string, number, Partial<Segment>]>([
    ['none (MUST-4)', '', SYN, none],
    ['MSS (MUST-4)', '020405b4', SYN, { ...none, mss: 1460 }],
    ['NOPs and an end of list (MUST-4)', '0101010100020405', SYN, none],
    ['what follows the end of list is padding', '00020405b4', SYN, none],
    [
      'options in a segment without SYN (MUST-5)',
      '080a0000000100000002',
      ACK,
      { ...none, hasTimestamps: true, tsVal: 1, tsEcr: 2 },
    ],
    ['an unknown option is skipped (MUST-6)', 'fd06aabbccdd020405b4', SYN, { ...none, mss: 1460 }],
    ['a length of 0 ends the list (MUST-7)', 'fd00020405b4', SYN, none],
    ['a length of 1 ends the list (MUST-7)', '020405b4fd01030307', SYN, { ...none, mss: 1460 }],
    [
      'a length over the header ends the list (MUST-7)',
      '020405b4030307fd28',
      SYN,
      { ...none, mss: 1460, windowScale: 7 },
    ],
    ['a kind without a length', '010101fd', SYN, none],
    ['a known option of a wrong length is skipped', '020605b40000030307', SYN, { ...none, windowScale: 7 }],
    ['timestamps of a wrong length', '080800000001000001010303', SYN, none],
    ['MSS, scale and SACK-permitted outside of a SYN are ignored', '020405b40303070402', ACK, none],
    ['a shift above 14 is 14 (RFC 7323 §2.3)', '03030f', SYN, { ...none, windowScale: 14 }],
    ['a shift of 0 is a shift', '030300', SYN, { ...none, windowScale: 0 }],
    ['SACK permitted', '0402', SYN, { ...none, sackPermitted: true }],
    ['of two of a kind the last', '0204010002040200', SYN, { ...none, mss: 512 }],
    ['one SACK block', '050a0000000100000002', ACK, { ...none, sackCount: 1 }],
    ['a SACK of no block', '0502', ACK, none],
    ['a SACK of a block and a half', `050e${'00'.repeat(12)}`, ACK, none],
    ['four SACK blocks', `0522${'00000001'.repeat(8)}`, ACK, { ...none, sackCount: 4 }],
    [
      'unaligned timestamps (MUST-64)',
      '01080a0000000500000006',
      ACK,
      { ...none, hasTimestamps: true, tsVal: 5, tsEcr: 6 },
    ],
  ])('%s', (_name, hex, flags, expected) => {
    const { verdict, segment } = withOptions(hex, flags)
    expect(verdict).toBe('tcp')
    expect(segment).toMatchObject(expected)
    expect([...segment.octets.subarray(segment.payloadStart)]).toEqual([1, 2, 3])
  })

  test.each([
    ['below five words', 4, 'malformed'],
    ['beyond the segment', 6, 'malformed'],
  ])('a data offset %s', (_name, words, expected) => {
    const octets = packet(V4)
    octets[32] = words << 4
    expect(parse(octets, true).verdict).toBe(expected)
  })

  test('a wrong checksum is refused unless trusted (MUST-3)', () => {
    const octets = packet({ ...V6, payloadLength: 3 })
    octets[octets.length - 1] = (octets[octets.length - 1] ?? 0) ^ 1
    expect(parse(octets).verdict).toBe('checksum')
    expect(parse(octets, true).verdict).toBe('tcp')
  })
})
