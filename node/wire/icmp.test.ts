import fc from 'fast-check'
import { parseAddress } from './address.ts'
import { createTcpHeader, finishChecksum, packetHeadOctets, writeTcpPacket } from './emit.ts'
import {
  createIcmpError,
  echoReplyOctets,
  MAX_ECHO_OCTETS,
  parseIcmp,
  writeEchoReply,
  writePacketTooBig,
  writeUnreachable,
} from './icmp.ts'
import { writeIpv4Header, writeIpv6Header } from './ip.ts'
import { parsePacket, transportSum } from './parse.ts'
import { ACK, createSegment } from './segment.ts'

const viewOf = (octets: Uint8Array) => new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
const FAMILIES = [4, 6] as const
type Family = (typeof FAMILIES)[number]

const VIP = { 4: '198.51.100.1', 6: '2001:db8:1::1' }
const CLIENT = { 4: '192.0.2.7', 6: '2001:db8::7' }
const words = (text: string) => {
  const address = parseAddress(text)
  if (address === undefined) throw new Error(text)
  return [address.word0, address.word1, address.word2, address.word3] as const
}

/** An IP packet (no virtio header) from the client to the VIP around any payload. */
function ipPacket(family: Family, protocol: number, payload: Uint8Array): Uint8Array {
  const head = family === 4 ? 20 : 40
  const octets = new Uint8Array(head + payload.length)
  const [s0, s1, s2, s3] = words(CLIENT[family])
  const [d0, d1, d2, d3] = words(VIP[family])
  if (family === 4) writeIpv4Header(viewOf(octets), 0, s3, d3, protocol, 0, 60, payload.length)
  else writeIpv6Header(viewOf(octets), 0, s0, s1, s2, s3, d0, d1, d2, d3, protocol, 0, 60, payload.length)
  octets.set(payload, head)
  return octets
}

/** The same with an ICMP message, its checksum made right. */
function icmpPacket(family: Family, type: number, code: number, rest: Uint8Array): Uint8Array {
  const octets = ipPacket(family, family === 4 ? 1 : 58, new Uint8Array([type, code, 0, 0, ...rest]))
  const segment = createSegment()
  parsePacket(octets, viewOf(octets), 0, octets.length, false, segment)
  const pseudo = family === 4 ? naive(octets, 20) : transportSum(viewOf(octets), 58, segment) % 65_535
  viewOf(octets).setUint16((family === 4 ? 20 : 40) + 2, 65_535 - pseudo)
  return octets
}

function naive(octets: Uint8Array, from: number): number {
  let sum = 0
  for (let at = from; at < octets.length; at += 2) sum += (octets[at] ?? 0) * 256 + (octets[at + 1] ?? 0)
  return sum % 65_535
}

/** A segment that we sent to the client, as a router quotes it. */
function ours(family: Family, hasTimestamps: boolean): Uint8Array {
  const [s0, s1, s2, s3] = words(VIP[family])
  const [d0, d1, d2, d3] = words(CLIENT[family])
  const header = {
    ...createTcpHeader(),
    ...{ family, src0: s0, src1: s1, src2: s2, src3: s3, dst0: d0, dst1: d1, dst2: d2, dst3: d3 },
    ...{
      srcPort: 80,
      dstPort: 40_000,
      seq: 0x01020304,
      flags: ACK,
      hasTimestamps,
      tsVal: -5,
      payloadLength: 1_400,
    },
  }
  const octets = new Uint8Array(packetHeadOctets(header) + header.payloadLength)
  writeTcpPacket(octets, viewOf(octets), 0, header)
  finishChecksum(octets, viewOf(octets), 0)
  return octets.subarray(10)
}

function parse(octets: Uint8Array) {
  const packet = createSegment()
  const error = createIcmpError()
  const ip = parsePacket(octets, viewOf(octets), 0, octets.length, false, packet)
  if (ip !== 'icmp') throw new Error(ip)
  return { verdict: parseIcmp(viewOf(octets), packet, false, error), error, packet }
}

/** The four octets behind the checksum, then the quote. */
function quoting(word: number, quote: Uint8Array): Uint8Array {
  const rest = new Uint8Array(4 + quote.length)
  viewOf(rest).setInt32(0, word)
  rest.set(quote, 4)
  return rest
}

describe('errors about our segments', () => {
  test.each<[string, Family, number, number, number, string, number]>([
    ['net unreachable', 4, 3, 0, 0, 'unreachable', 0],
    ['host unreachable', 4, 3, 1, 0, 'unreachable', 0],
    ['protocol unreachable', 4, 3, 2, 0, 'refused', 0],
    ['port unreachable', 4, 3, 3, 0, 'refused', 0],
    ['fragmentation needed', 4, 3, 4, 1_400, 'packet-too-big', 1_400],
    ['fragmentation needed, by an old router', 4, 3, 4, 0, 'packet-too-big', 0],
    ['net prohibited', 4, 3, 9, 0, 'prohibited', 0],
    ['host prohibited', 4, 3, 10, 0, 'prohibited', 0],
    ['filtered', 4, 3, 13, 0, 'prohibited', 0],
    ['no route', 6, 1, 0, 0, 'unreachable', 0],
    ['prohibited', 6, 1, 1, 0, 'prohibited', 0],
    ['address unreachable', 6, 1, 3, 0, 'unreachable', 0],
    ['port unreachable', 6, 1, 4, 0, 'refused', 0],
    ['source policy', 6, 1, 5, 0, 'prohibited', 0],
    ['packet too big', 6, 2, 0, 1_280, 'packet-too-big', 1_280],
    ['packet too big, absurdly', 6, 2, 0, -1, 'packet-too-big', 65_535],
    ['an erroneous header field', 6, 4, 0, 0, 'unreachable', 0],
    ['an unrecognised next header', 6, 4, 1, 6, 'refused', 0],
  ])('%s (v%d, type %d, code %d)', (_name, family, type, code, word, kind, mtu) => {
    const quote = ours(family, true).subarray(0, family === 4 ? 548 : 1_232)
    const { verdict, error } = parse(icmpPacket(family, type, code, quoting(word, quote)))
    expect(verdict).toBe('error')
    expect(error).toMatchObject({
      kind,
      type,
      code,
      mtu,
      family,
      srcPort: 80,
      dstPort: 40_000,
      seq: 0x01020304,
    })
    expect(error).toMatchObject({
      hasTimestamps: true,
      tsVal: -5,
      packetOctets: (family === 4 ? 52 : 72) + 1_400,
    })
    expect([error.src0, error.src1, error.src2, error.src3]).toEqual(words(VIP[family]))
    expect([error.dst0, error.dst1, error.dst2, error.dst3]).toEqual(words(CLIENT[family]))
  })

  test.each(FAMILIES)('v%d: a quote of any length gives what it holds', family => {
    const whole = ours(family, true)
    const head = family === 4 ? 20 : 40
    for (let length = 0; length <= head + 40; length++) {
      const { verdict, error } = parse(
        icmpPacket(family, family === 4 ? 3 : 1, 0, quoting(0, whole.subarray(0, length))),
      )
      // Ports and sequence number are eight octets; TSval ends at the 28th.
      expect([length, verdict]).toEqual([length, length < head + 8 ? 'malformed' : 'error'])
      if (verdict === 'error') expect([length, error.hasTimestamps]).toEqual([length, length >= head + 28])
    }
  })

  test.each(FAMILIES)('v%d: a segment without timestamps', family => {
    const { verdict, error } = parse(
      icmpPacket(family, family === 4 ? 3 : 1, 0, quoting(0, ours(family, false))),
    )
    expect([verdict, error.hasTimestamps]).toEqual(['error', false])
  })

  const damaged = (family: Family, at: number, value: number) => {
    const quote = ours(family, true).slice(0, 100)
    quote[at] = value
    return parse(icmpPacket(family, family === 4 ? 3 : 1, 0, quoting(0, quote))).verdict
  }
  test.each<[string, Family, number, number, string]>([
    ['another source than the address it came to', 4, 15, 99, 'malformed'],
    ['another source than the address it came to', 6, 23, 99, 'malformed'],
    ['UDP', 4, 9, 17, 'ignored'],
    ['UDP', 6, 6, 17, 'ignored'],
    ['another IP version', 4, 0, 0x65, 'malformed'],
    ['another IP version', 6, 0, 0x45, 'malformed'],
    ['a later fragment', 4, 7, 1, 'ignored'],
    ['a header of 16 octets', 4, 0, 0x44, 'malformed'],
  ])('a quote with %s (v%d)', (_name, family, at, value, expected) => {
    expect(damaged(family, at, value)).toBe(expected)
  })

  test.each<[string, Family, number, number]>([
    ['time exceeded (MUST-56)', 4, 11, 0],
    ['parameter problem (MUST-56)', 4, 12, 0],
    ['source quench (MUST-55)', 4, 4, 0],
    ['echo reply', 4, 0, 0],
    ['an unknown code', 4, 3, 16],
    ['time exceeded (MUST-56)', 6, 3, 0],
    ['neighbour solicitation', 6, 135, 0],
    ['an unknown code', 6, 1, 7],
  ])('ignored: %s (v%d)', (_name, family, type, code) => {
    expect(parse(icmpPacket(family, type, code, quoting(0, ours(family, true)))).verdict).toBe('ignored')
  })

  test.each(FAMILIES)('v%d: a wrong checksum is refused', family => {
    const octets = icmpPacket(family, family === 4 ? 3 : 1, 0, quoting(0, ours(family, true)))
    octets[octets.length - 1] = (octets[octets.length - 1] ?? 0) ^ 1
    expect(parse(octets).verdict).toBe('checksum')
  })

  test('garbage never throws', () => {
    const packet = createSegment()
    const error = createIcmpError()
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 120 }),
        fc.constantFrom(...FAMILIES),
        fc.nat(4),
        (rest, family, type) => {
          const octets = ipPacket(
            family,
            family === 4 ? 1 : 58,
            new Uint8Array([type, 0, 0, 0, 0, 0, 0, 0, ...rest]),
          )
          const quote = (family === 4 ? 20 : 40) + 8
          if (rest.length > 9) {
            octets[quote] = family * 16 + ((rest[0] ?? 0) & 15)
            octets[quote + (family === 4 ? 9 : 6)] = 6
          }
          parsePacket(octets, viewOf(octets), 0, octets.length, false, packet)
          parseIcmp(viewOf(octets), packet, true, error)
        },
      ),
      { numRuns: 3_000 },
    )
  })
})

describe('echo', () => {
  test.each(FAMILIES)('v%d: the reply carries the same identifier, number and data back', family => {
    const rest = new Uint8Array([0x12, 0x34, 0, 7, ...new Array(57).fill(0xab)])
    const octets = icmpPacket(family, family === 4 ? 8 : 128, 0, rest)
    const { verdict, packet } = parse(octets)
    expect(verdict).toBe('echo-request')
    const arena = new Uint8Array(300).fill(0xee)
    const written = writeEchoReply(arena, viewOf(arena), 5, 61, packet)
    expect(written).toBe(echoReplyOctets(packet))
    expect([...arena.subarray(5, 15)]).toEqual(new Array(10).fill(0))
    expect([...arena.subarray(5 + written)]).toEqual(new Array(300 - 5 - written).fill(0xee))
    const reply = parse(arena.slice(15, 5 + written))
    expect(reply.verdict).toBe('ignored')
    expect(reply.packet.ttl).toBe(61)
    const at = reply.packet.payloadStart
    expect([...reply.packet.octets.subarray(at, at + 2)]).toEqual([family === 4 ? 0 : 129, 0])
    expect([...reply.packet.octets.subarray(at + 4)]).toEqual([...rest])
    expect([reply.packet.src3, reply.packet.dst3]).toEqual([packet.dst3, packet.src3])
    expect([reply.packet.src0, reply.packet.dst1]).toEqual([packet.dst0, packet.src1])
  })

  test('what is too long or does not fit is not answered', () => {
    const { packet } = parse(icmpPacket(4, 8, 0, new Uint8Array(4)))
    const small = new Uint8Array(37)
    expect(writeEchoReply(small, viewOf(small), 0, 64, packet)).toBe(0)
    const long = parse(icmpPacket(4, 8, 0, new Uint8Array(MAX_ECHO_OCTETS))).packet
    const arena = new Uint8Array(20_000)
    expect(writeEchoReply(arena, viewOf(arena), 0, 64, long)).toBe(0)
  })
})

describe('errors that we send', () => {
  const arena = new Uint8Array(2_000)
  const unreachable = (packet: Uint8Array) => {
    const written = writeUnreachable(arena, viewOf(arena), 0, 64, packet, viewOf(packet), 0, packet.length)
    return arena.slice(10, Math.max(10, written))
  }
  const udp = new Uint8Array(1_400).fill(9)

  test.each<[string, Family, number, number, number, number, number]>([
    ['port unreachable for UDP', 4, 17, 3, 3, 0, 576],
    ['protocol unreachable for SCTP', 4, 132, 3, 2, 0, 576],
    ['port unreachable for UDP', 6, 17, 1, 4, 0, 1_280],
    ['unrecognised next header for SCTP', 6, 132, 4, 1, 6, 1_280],
  ])('%s (v%d)', (_name, family, protocol, type, code, word, octets) => {
    const packet = ipPacket(family, protocol, udp)
    const answer = unreachable(packet)
    expect(answer.length).toBe(octets)
    // Summed right, from us to the client, and about a packet that is not TCP.
    const { verdict, packet: parsed } = parse(answer)
    expect(verdict).toBe('ignored')
    expect([parsed.src3, parsed.dst3]).toEqual([words(VIP[family])[3], words(CLIENT[family])[3]])
    const message = family === 4 ? 20 : 40
    expect([answer[message], answer[message + 1]]).toEqual([type, code])
    expect(viewOf(answer).getInt32(message + 4)).toBe(word)
    expect([...answer.subarray(message + 8)]).toEqual([...packet.subarray(0, octets - message - 8)])
  })

  test('the pointer names the field behind extension headers', () => {
    const packet = ipPacket(6, 60, new Uint8Array([132, 0, 1, 4, 0, 0, 0, 0, 1, 2, 3, 4]))
    const answer = unreachable(packet)
    expect([answer[40], answer[41], viewOf(answer).getInt32(44)]).toEqual([4, 1, 40])
  })

  const edited = (packet: Uint8Array, edit: (octets: Uint8Array) => void) => {
    edit(packet)
    return packet
  }
  test.each<[string, Uint8Array]>([
    ['an ICMP error', icmpPacket(4, 3, 1, new Uint8Array(40))],
    ['an ICMPv6 error', icmpPacket(6, 1, 0, new Uint8Array(40))],
    [
      'an ICMPv6 error behind extension headers',
      ipPacket(6, 60, new Uint8Array([58, 0, 1, 4, 0, 0, 0, 0, 1, 0, 0, 0])),
    ],
    ['ICMP without a message', ipPacket(4, 1, new Uint8Array(0))],
    ['a later fragment', edited(ipPacket(4, 17, udp), octets => octets.fill(1, 7, 8))],
    ['a multicast source', edited(ipPacket(4, 17, udp), octets => octets.fill(224, 12, 13))],
    ['a broadcast', edited(ipPacket(4, 17, udp), octets => octets.fill(255, 16, 20))],
    ['IPv6 multicast', edited(ipPacket(6, 17, udp), octets => octets.fill(255, 24, 25))],
    ['an unspecified source', edited(ipPacket(6, 17, udp), octets => octets.fill(0, 8, 24))],
    ['a broken chain of headers', ipPacket(6, 60, new Uint8Array([17, 9, 0, 0, 0, 0, 0, 0]))],
    ['nothing', new Uint8Array(0)],
    ['no IP', new Uint8Array(40)],
  ])('none about %s (RFC 1122 §3.2.2, RFC 4443 §2.4)', (_name, packet) => {
    expect(unreachable(packet).length).toBe(0)
  })

  test('none where it does not fit', () => {
    const packet = ipPacket(4, 17, udp)
    const small = new Uint8Array(585)
    expect(writeUnreachable(small, viewOf(small), 0, 64, packet, viewOf(packet), 0, packet.length)).toBe(0)
  })

  test.each(FAMILIES)('v%d: packet too big is read back as such by the sender', family => {
    const packet = ours(family, true)
    const written = writePacketTooBig(
      arena,
      viewOf(arena),
      7,
      64,
      1_300,
      packet,
      viewOf(packet),
      0,
      packet.length,
    )
    const answer = arena.slice(17, 7 + written)
    const { verdict, error } = parse(answer)
    expect(verdict).toBe('error')
    expect(error).toMatchObject({ kind: 'packet-too-big', mtu: 1_300, seq: 0x01020304, tsVal: -5 })
  })

  test('garbage never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 150 }), fc.constantFrom(0x45, 0x60, 0x4f), (octets, first) => {
        if (octets.length > 0) octets[0] = first
        if (octets.length > 6) octets[6] = [17, 60, 0, 43, 44, 58][(octets[6] ?? 0) % 6] ?? 0
        if (octets.length > 40) octets[40] = [17, 60, 132][(octets[40] ?? 0) % 3] ?? 0
        unreachable(octets)
      }),
      { numRuns: 5_000 },
    )
  })
})
