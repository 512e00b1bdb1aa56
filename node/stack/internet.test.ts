import { sumOctets } from '../wire/checksum.ts'
import { createIcmpError, parseIcmp } from '../wire/icmp.ts'
import { IPV4_HEADER_OCTETS, IPV6_HEADER_OCTETS, writeIpv4Header, writeIpv6Header } from '../wire/ip.ts'
import { parsePacket } from '../wire/parse.ts'
import { createSegment, type Segment } from '../wire/segment.ts'
import { VIRTIO_HEADER_OCTETS } from '../wire/virtio.ts'
import { nstat } from './nstat.ts'
import { MAX_ERRORS_AT_ONCE } from './refusals.ts'
import { TestPeer } from './test-peer.ts'
import { TestStand } from './test-stand.ts'

const CLIENT = 0x0a090001
const VIP = 0x0a4d0001
const CLIENT6 = [0xfd09 << 16, 0, 0, 1] as const
const VIP6 = [0xfd77 << 16, 0, 0, 1] as const
const ICMP = 1
const UDP = 17
const GRE = 47
const ICMP6 = 58

type Edit = (view: DataView, payload: number) => void

/** An IPv4 packet of a client with `payload` zeros behind its header, then changed; its header checksum is right. */
function four(protocol: number, payload: number, edit: Edit = () => {}): Uint8Array {
  const packet = new Uint8Array(VIRTIO_HEADER_OCTETS + IPV4_HEADER_OCTETS + payload)
  const view = new DataView(packet.buffer)
  const ip = VIRTIO_HEADER_OCTETS
  writeIpv4Header(view, ip, CLIENT, VIP, protocol, 0, 64, payload)
  edit(view, ip + IPV4_HEADER_OCTETS)
  view.setUint16(ip + 10, 0)
  view.setUint16(ip + 10, ~sumOctets(view, ip, IPV4_HEADER_OCTETS, 0))
  return packet
}

function six(protocol: number, payload: number, edit: Edit = () => {}): Uint8Array {
  const packet = new Uint8Array(VIRTIO_HEADER_OCTETS + IPV6_HEADER_OCTETS + payload)
  const view = new DataView(packet.buffer)
  writeIpv6Header(view, VIRTIO_HEADER_OCTETS, ...CLIENT6, ...VIP6, protocol, 0, 64, payload)
  edit(view, VIRTIO_HEADER_OCTETS + IPV6_HEADER_OCTETS)
  return packet
}

/** The ICMP message of `octets` with its checksum right. */
const message4 =
  (type: number, octets: number): Edit =>
  (view, at) => {
    view.setUint8(at, type)
    view.setUint16(at + 2, ~sumOctets(view, at, octets, 0))
  }

/** An answer: type, code, and what `parseIcmp` says of it, checksum included. */
function read(packet: Uint8Array) {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length)
  const segment = createSegment()
  const verdict = parsePacket(
    packet,
    view,
    VIRTIO_HEADER_OCTETS,
    packet.length - VIRTIO_HEADER_OCTETS,
    false,
    segment,
  )
  expect(verdict).toBe('icmp')
  const icmp = parseIcmp(view, segment, false, createIcmpError())
  const { payloadStart, payloadLength, src3, dst3 } = segment
  return {
    type: view.getUint8(payloadStart),
    code: view.getUint8(payloadStart + 1),
    icmp,
    payloadLength,
    src3,
    dst3,
  }
}

function answers(stand: TestStand, packet: Uint8Array) {
  const from = stand.packets.length
  stand.receive([packet])
  return stand.packets.slice(from).map(read)
}

describe('echo', () => {
  it.each([8, 64, 1_480, 9_216])('answers a request of %i octets over IPv4', octets => {
    const stand = new TestStand()
    const [answer, ...more] = answers(stand, four(ICMP, octets, message4(8, octets)))
    expect(answer).toMatchObject({ type: 0, code: 0, payloadLength: octets, src3: VIP, dst3: CLIENT })
    expect(answer?.icmp).toBe('ignored')
    expect(more).toEqual([])
    expect(nstat(stand.owner).Icmp).toMatchObject({ InMsgs: 1, InEchos: 1, OutMsgs: 1, OutEchoReps: 1 })
  })

  it('answers over IPv6, trusting the device about the checksum', () => {
    const stand = new TestStand()
    const packet = six(ICMP6, 64, (view, at) => view.setUint8(at, 128))
    packet[0] = 2
    expect(answers(stand, packet)).toMatchObject([{ type: 129, code: 0, payloadLength: 64, icmp: 'ignored' }])
    expect(nstat(stand.owner).Icmp6).toMatchObject({ InEchos: 1, OutEchoReps: 1 })
  })

  it('drops a wrong checksum, what is cut short and what is too long', () => {
    const stand = new TestStand()
    const wrong = four(ICMP, 64, (view, at) => {
      message4(8, 64)(view, at)
      view.setUint8(at + 40, 1)
    })
    expect(answers(stand, wrong)).toEqual([])
    expect(answers(stand, four(ICMP, 7))).toEqual([])
    expect(answers(stand, four(ICMP, 9_217, message4(8, 9_217)))).toEqual([])
    const { Icmp, Discarded } = nstat(stand.owner)
    expect(Icmp).toMatchObject({ InMsgs: 3, InErrors: 2, InCsumErrors: 1, OutMsgs: 0 })
    expect(Discarded).toEqual({ 'icmp-checksum': 1, 'icmp-malformed': 1, 'icmp-echo-too-long': 1 })
  })
})

/** A UDP datagram without a checksum, which IPv4 allows. */
const udp4 = (edit: Edit = () => {}) => four(UDP, 24, edit)

describe('what is for nobody', () => {
  it('hears "port unreachable" for UDP, "protocol unreachable" for the rest', () => {
    const stand = new TestStand()
    expect(answers(stand, udp4())).toMatchObject([{ type: 3, code: 3, src3: VIP, dst3: CLIENT }])
    expect(answers(stand, four(GRE, 24))).toMatchObject([{ type: 3, code: 2 }])
    const datagram = six(UDP, 24)
    datagram[0] = 2
    expect(answers(stand, datagram)).toMatchObject([{ type: 1, code: 4 }])
    expect(answers(stand, six(GRE, 24))).toMatchObject([{ type: 4, code: 1 }])
    const { Ip, Icmp, Icmp6 } = nstat(stand.owner)
    expect(Ip).toMatchObject({ InReceives: 2, InUnknownProtos: 2, InDelivers: 0 })
    expect(Icmp.OutDestUnreachs).toBe(2)
    expect(Icmp6).toMatchObject({ OutDestUnreachs: 1, OutParmProblems: 1, OutMsgs: 2 })
  })

  it.each<[string, () => Uint8Array]>([
    ['a multicast source', () => udp4(view => view.setUint8(VIRTIO_HEADER_OCTETS + 12, 224))],
    ['a broadcast destination', () => udp4(view => view.setInt32(VIRTIO_HEADER_OCTETS + 16, -1))],
    ['another address', () => udp4(view => view.setUint8(VIRTIO_HEADER_OCTETS + 19, 9))],
    ['a first fragment', () => udp4(view => view.setUint16(VIRTIO_HEADER_OCTETS + 6, 0x2000))],
    ['a later fragment', () => udp4(view => view.setUint16(VIRTIO_HEADER_OCTETS + 6, 3))],
    ['a wrong UDP checksum', () => udp4((view, at) => view.setUint16(at + 6, 1))],
    ['a UDP header cut short', () => four(UDP, 7)],
    ['an ICMP error about nothing of ours', () => four(ICMP, 64, message4(3, 64))],
    ['an unknown ICMP message', () => four(ICMP, 64, message4(42, 64))],
    ['no next header (RFC 8200 §4.7)', () => six(59, 8)],
    ['an IPv6 fragment', () => six(44, 24, (view, at) => view.setUint16(at + 2, 1))],
  ])('hears nothing for %s', (_name, packet) => {
    const stand = new TestStand()
    expect(answers(stand, packet())).toEqual([])
    expect(Object.values(nstat(stand.owner).Discarded).some(count => count > 0)).toBe(true)
  })

  it('hears it at a bounded rate (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f)', () => {
    const stand = new TestStand()
    stand.receive(Array.from({ length: 500 }, () => udp4()))
    expect(stand.sentPackets).toBe(MAX_ERRORS_AT_ONCE)
    expect(nstat(stand.owner).Icmp).toMatchObject({
      OutDestUnreachs: MAX_ERRORS_AT_ONCE,
      OutRateLimitGlobal: 500 - MAX_ERRORS_AT_ONCE,
    })
    stand.now += 10
    stand.receive(Array.from({ length: 500 }, () => udp4()))
    expect(stand.sentPackets).toBe(MAX_ERRORS_AT_ONCE + 10)
  })
})

describe('packets that are dropped or let through by their IP header', () => {
  it.each<[string, () => Uint8Array, string, string]>([
    [
      'IPv4 fragment',
      () => udp4(view => view.setUint16(VIRTIO_HEADER_OCTETS + 6, 0x2000)),
      'fragment',
      'ReasmFails',
    ],
    [
      'IPv4 longer than the packet',
      () => udp4(view => view.setUint16(VIRTIO_HEADER_OCTETS + 2, 99)),
      'truncated',
      'InTruncatedPkts',
    ],
    [
      'IPv4 of version 0',
      () => udp4(view => view.setUint8(VIRTIO_HEADER_OCTETS, 0)),
      'malformed',
      'InHdrErrors',
    ],
    [
      'IPv4 from loopback',
      () => udp4(view => view.setUint8(VIRTIO_HEADER_OCTETS + 12, 127)),
      'martian',
      'InAddrErrors',
    ],
    [
      'IPv4 to another address',
      () => udp4(view => view.setUint8(VIRTIO_HEADER_OCTETS + 19, 9)),
      'not-our-address',
      'InAddrErrors',
    ],
  ])('%s', (_name, packet, reason, counter) => {
    const stand = new TestStand()
    stand.receive([packet()])
    const { Ip, Discarded } = nstat(stand.owner)
    expect(Discarded).toEqual({ [reason]: 1 })
    expect(Ip[counter]).toBe(1)
    expect(Ip).toMatchObject({ InReceives: 1, InDelivers: 0 })
  })

  it.each<[string, number, Edit, string, string]>([
    ['a fragment header', 44, (view, at) => view.setUint16(at + 2, 8), 'fragment', 'ReasmFails'],
    [
      'a routing header of type 0 (RFC 5095)',
      43,
      (view, at) => view.setUint8(at + 3, 1),
      'routing-header',
      'InHdrErrors',
    ],
    [
      'an option not to be skipped',
      60,
      (view, at) => view.setUint8(at + 2, 0xc2),
      'extension-option',
      'InHdrErrors',
    ],
    ['hop-by-hop options cut short', 0, (view, at) => view.setUint8(at + 1, 9), 'malformed', 'InHdrErrors'],
  ])('IPv6 with %s', (_name, protocol, edit, reason, counter) => {
    const stand = new TestStand()
    stand.receive([six(protocol, 24, edit)])
    const { Ip6, Discarded } = nstat(stand.owner)
    expect(Discarded).toEqual({ [reason]: 1 })
    expect(Ip6[counter]).toBe(1)
    expect(Ip6).toMatchObject({ InReceives: 1, InDelivers: 0 })
  })

  it('behind extension headers that may be skipped it is delivered, and counted', () => {
    const stand = new TestStand()
    // Destination options with a pad, then an echo request.
    const packet = six(60, 72, (view, at) => {
      view.setUint8(at, ICMP6)
      view.setUint16(at + 2, 0x0104)
      view.setUint8(at + 8, 128)
    })
    packet[0] = 2
    expect(answers(stand, packet)).toMatchObject([{ type: 129, payloadLength: 64 }])
    expect(nstat(stand.owner).Ip6).toMatchObject({ InDelivers: 1, InExtended: 1 })
  })
})

/** An ICMP "unreachable" of a router about `segment`, which we sent to `peer`. */
function unreachable(code: number, mtu: number, peer: TestPeer, seq: number, tsVal = 0): Uint8Array {
  const quoted = IPV4_HEADER_OCTETS + 32
  const octets = 8 + quoted
  return four(ICMP, octets, (view, at) => {
    const ip = at + 8
    const tcp = ip + IPV4_HEADER_OCTETS
    writeIpv4Header(view, ip, VIP, CLIENT, 6, 0, 60, 1_480)
    view.setUint16(tcp, 80)
    view.setUint16(tcp + 2, peer.port)
    view.setInt32(tcp + 4, seq)
    view.setUint8(tcp + 12, 8 << 4)
    view.setInt32(tcp + 20, 0x0101080a)
    view.setInt32(tcp + 24, tsVal)
    view.setUint8(at + 1, code)
    view.setUint16(at + 6, mtu)
    message4(3, octets)(view, at)
  })
}

describe('ICMP errors about segments of ours', () => {
  it('are counted by what they say; "too big" is followed where it is believable, and a handshake may be refused', () => {
    const stand = new TestStand()
    const peer = new TestPeer(stand, 1)
    peer.syn()
    const { tcb } = peer.connection
    for (const code of [0, 1, 13]) stand.receive([unreachable(code, 0, peer, tcb.snd.una)])
    stand.receive([unreachable(3, 0, peer, tcb.snd.una - 1)])
    expect(tcb.state).toBe('SYN-RECEIVED')
    stand.receive([unreachable(4, 1_400, peer, tcb.snd.una - 1)])
    expect(tcb.snd.pathMss).toBe(1_460)
    stand.receive([unreachable(4, 1_400, peer, tcb.snd.una)])
    expect(tcb.snd.pathMss).toBe(1_360)
    // An old router does not say its MTU: the next usual one below the packet's 1,500 (RFC 1191 §5).
    stand.receive([unreachable(4, 0, peer, tcb.snd.una)])
    expect(tcb.snd.pathMss).toBe(1_360)
    const { IcmpErrors, Icmp } = nstat(stand.owner)
    expect(IcmpErrors).toEqual({ unreachable: 2, refused: 1, prohibited: 1, 'packet-too-big': 3 })
    expect(Icmp).toMatchObject({ InMsgs: 7, InDestUnreachs: 4, InPktTooBigs: 3 })
    // RFC 5927 §5.2 protects what is open; a half-open connection that nobody waits for may go.
    stand.receive([unreachable(3, 0, peer, tcb.snd.una)])
    expect(tcb.state).toBe('CLOSED')
    expect(stand.owner.connections).toBe(0)
  })

  it('an old router\'s "too big" means the next usual MTU below the packet (RFC 1191 §5)', () => {
    const stand = new TestStand()
    const peer = new TestPeer(stand, 1)
    peer.syn()
    const { tcb } = peer.connection
    stand.receive([unreachable(4, 0, peer, tcb.snd.una)])
    expect(tcb.snd.pathMss).toBe(1_492 - 40)
  })

  it('go on to the owner whose id the quoted timestamp bears, where the flow is unknown', () => {
    const stand = new TestStand({}, { reachable: id => id === 3 })
    const peer = new TestPeer(stand, 1)
    stand.receive([unreachable(1, 0, peer, 5, (77 << 8) | 3)])
    expect(stand.messages).toMatchObject([{ to: 3 }])
    stand.receive([unreachable(1, 0, peer, 5, (77 << 8) | 4)])
    expect(stand.messages).toHaveLength(1)
    expect(nstat(stand.owner).Discarded).toEqual({ 'icmp-error': 1 })
  })
})

describe('nstat', () => {
  it('counts what has no connection, too', () => {
    const stand = new TestStand({ halfOpen: 0 })
    const segment = (): Segment[] => new TestPeer(stand, 7).send({})
    expect(segment()).toHaveLength(1)
    new TestPeer(stand, 8).syn()
    const damaged = stand.segment({})
    damaged[0] = 0
    stand.receive([damaged])
    const { Tcp, TcpExt, Ip } = nstat(stand.owner)
    expect(Tcp).toMatchObject({ OutRsts: 1, OutSegs: 2, InCsumErrors: 1, InErrs: 1, PassiveOpens: 0 })
    expect(TcpExt).toMatchObject({ SyncookiesSent: 1, TCPReqQFullDoCookies: 1 })
    expect(Ip).toMatchObject({ InReceives: 3, InDelivers: 3 })
  })
})
