/**
 * Every parser of what strangers and peers send, fed with changed valid input and with garbage: none may throw, none may
 * give what its documentation rules out, and how octets arrive must not change what they mean.
 */
import { exportFlow } from '../../clone/flow.ts'
import { importSnapshot, SNAPSHOT_VERSION } from '../../clone/snapshot.ts'
import { decodeGatewayMessage } from '../../dispatcher/gateway/messages.ts'
import { pack, unpackEach } from '../../node/control/codec.ts'
import { decodeHello } from '../../node/control/hello.ts'
import { parseHttpDate } from '../../node/http/date.ts'
import { MAX_RANGES, parseRanges } from '../../node/http/range.ts'
import {
  authorityText,
  createRequestHead,
  header,
  MAX_HEAD_OCTETS,
  parseRequestHead,
  queryText,
  type RequestHead,
  requestLine,
} from '../../node/http/request-head.ts'
import { normalisePath } from '../../node/http/target.ts'
import { decodeClusterMessage } from '../../node/server/messages.ts'
import { decodeOwnerMessage } from '../../node/stack/messages.ts'
import { adopt } from '../../node/tcp/adoption.ts'
import { tcpConfig } from '../../node/tcp/config.ts'
import { checkInvariants } from '../../node/tcp/invariants.ts'
import { nextSegment } from '../../node/tcp/output.ts'
import type { Tcb } from '../../node/tcp/tcb.ts'
import { expire, pollAt } from '../../node/tcp/timers.ts'
import { createTransmission } from '../../node/tcp/transmission.ts'
import { createIcmpError, parseIcmp } from '../../node/wire/icmp.ts'
import { parsePacket } from '../../node/wire/parse.ts'
import { createSegment } from '../../node/wire/segment.ts'
import { decodeShiftMessage } from '../../shift/messages.ts'
import { type Packet, viewOf } from '../sim/network/element.ts'
import type { Random } from '../sim/network/random.ts'
import { packetTooBig } from '../sim/network/segment.ts'
import { unbounded } from './bounds.ts'
import { mutateOctets, mutateValue } from './octet-mutator.ts'

/** What live scenarios left: valid packets and exported connections. */
export interface Corpus {
  readonly packets: readonly Packet[]
  readonly tcbs: readonly unknown[]
}

type Target = (random: Random, corpus: Corpus) => string

const encoder = new TextEncoder()
const NOW = 1_000_000
const NOW_SECOND = 1_800_000_000
/** A restored connection's deadlines that are run. */
const MAX_DEADLINES = 12
const MAX_SEGMENTS = 5_000

const HEADS = [
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /a/b%20c?d=e HTTP/1.1\r\nHost: example.org:80\r\nRange: bytes=0-99,200-\r\nIf-Range: "x"\r\nConnection: close\r\n\r\n',
  'HEAD http://a.example/x/../y HTTP/1.1\r\nHost: a.example\r\nIf-None-Match: W/"a", "b"\r\nAccept-Encoding: br;q=0.5, gzip\r\n\r\n',
  'POST /u HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'PUT /u HTTP/1.0\r\nContent-Length: 12\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nhello, world',
  'OPTIONS * HTTP/1.1\r\nHost: a\r\nX: \x80\xff\t y\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n',
].map(text => Uint8Array.from(text, character => character.charCodeAt(0)))
const RANGES = ['bytes=0-0,-1', 'bytes=500-999', 'bytes=-500', 'bytes=9500-', 'bytes=0-1,2-3,5-9, 20-'].map(
  text => encoder.encode(text),
)
const DATES = [
  'Sun, 06 Nov 1994 08:49:37 GMT',
  'Sunday, 06-Nov-94 08:49:37 GMT',
  'Sun Nov  6 08:49:37 1994',
].map(text => encoder.encode(text))
const HELLO = encoder.encode(
  '{"protocol":1,"role":"node","owner":1,"name":"a","incarnation":"1-1","versions":{"shift":1},"address":"10.0.0.1"}',
)

const segment = createSegment()
const icmpError = createIcmpError()
const head = createRequestHead()
const inPieces = createRequestHead()

function text(octets: Uint8Array): string {
  return String.fromCharCode(...octets.subarray(0, 10_000))
}

function changed(list: readonly Uint8Array[], random: Random): Uint8Array {
  return mutateOctets(random.pick(list), random.pick(list), random)
}

const TARGETS: Readonly<Record<string, Target>> = {
  packet(random, { packets }) {
    const packet = changed(packets, random)
    const view = viewOf(packet)
    return parsePacket(packet, view, 10, packet.length - 10, random.chance(0.5), segment)
  },

  icmp(random, { packets }) {
    const answer = packetTooBig(random.pick(packets), 576 + random.int(1_000))
    const packet = random.chance(0.5) ? mutateOctets(answer, answer, random) : flip(answer, random)
    const view = viewOf(packet)
    const verdict = parsePacket(packet, view, 10, packet.length - 10, true, segment)
    return verdict === 'icmp' ? parseIcmp(view, segment, random.chance(0.9), icmpError) : verdict
  },

  head(random) {
    const octets = changed(HEADS, random)
    head.scanFrom = 0
    const verdict = parseRequestHead(octets, 0, octets.length, head)
    if (verdict === 'complete') checkHead(octets, head)
    const pieces = parseInPieces(octets, random)
    // An error in a line may be told before the line is whole; what is complete is so either way.
    if (
      (verdict === 'complete') !== (pieces === 'complete') ||
      (verdict === 'complete' && head.headLength !== inPieces.headLength)
    )
      throw new Error(`${verdict} at once, ${pieces} in pieces: ${JSON.stringify(text(octets))}`)
    return String(verdict)
  },

  ranges(random) {
    const length = random.pick([0, 1, 100, 10_000, 2 ** 40])
    const found = parseRanges(text(changed(RANGES, random)), length)
    if (typeof found === 'string') return found
    if (found.length === 0 || found.length > MAX_RANGES) throw new Error(`${found.length} ranges`)
    for (const { first, last } of found)
      if (!(first >= 0 && first <= last && last < length))
        throw new Error(`range ${first}-${last} of ${length}`)
    return 'ranges'
  },

  target(random) {
    const octets = mutateOctets(encoder.encode('/a/./b/../%63/%2e%2e/d%00.html'), random.octets(9), random)
    const path = normalisePath(octets, 0, octets.length)
    if (typeof path === 'number') return String(path)
    if (!path.startsWith('/') || path.includes('/../') || path.endsWith('/..') || path.includes('\0'))
      throw new Error(`path ${JSON.stringify(path)}`)
    return 'path'
  },

  date(random) {
    const second = parseHttpDate(text(changed(DATES, random)), NOW_SECOND)
    if (second !== undefined && !Number.isSafeInteger(second)) throw new Error(`date ${second}`)
    return second === undefined ? 'no date' : 'date'
  },

  hello(random) {
    return 'code' in decodeHello(text(mutateOctets(HELLO, HELLO, random))) ? 'refused' : 'hello'
  },

  message(random, corpus) {
    const octets = pack(mutateValue(message(random, corpus), random, 0.02))
    if (octets === undefined) return 'too large'
    const source = random.chance(0.5) ? octets : mutateOctets(octets, octets, random)
    let verdict = 'nothing'
    const fault = unpackEach(source, value => {
      verdict = decode(value)
      return true
    })
    return fault ?? verdict
  },

  snapshot(random, { tcbs }) {
    const plain = [SNAPSHOT_VERSION, random.pick(tcbs), null, 1, 'GET /', NOW_SECOND]
    const imported = importSnapshot(
      mutateValue(plain, random, random.pick([0.002, 0.01, 0.1])),
      tcpConfig({}),
      NOW,
      () => undefined,
    )
    if (typeof imported === 'string') return 'refused'
    return exercise(imported.tcb)
  },
}

export const PARSERS = Object.keys(TARGETS)

/** Feeds one parser once; throws where it does what it may not. Returns its verdict, for the coverage. */
export function feedParser(name: string, random: Random, corpus: Corpus): string {
  return `${name}: ${(TARGETS[name] as Target)(random, corpus)}`
}

function flip(octets: Uint8Array, random: Random): Uint8Array {
  const copy = octets.slice()
  for (let times = 1 + random.int(3); times > 0; times--)
    copy[10 + random.int(copy.length - 10)] = random.int(256)
  return copy
}

function checkHead(octets: Uint8Array, parsed: RequestHead): void {
  if (parsed.headLength < 1 || parsed.headLength > Math.min(octets.length, MAX_HEAD_OCTETS))
    throw new Error(`a head of ${parsed.headLength} octets`)
  requestLine(parsed)
  queryText(parsed)
  authorityText(parsed)
  header(parsed, 'host')
  normalisePath(octets, parsed.pathStart, parsed.pathEnd)
}

function parseInPieces(octets: Uint8Array, random: Random): string | number {
  inPieces.scanFrom = 0
  for (let end = random.int(octets.length + 1); ; end = Math.min(octets.length, end + 1 + random.int(40))) {
    const verdict = parseRequestHead(octets, 0, end, inPieces)
    if (verdict !== 'incomplete' || end === octets.length) return verdict
  }
}

const FLOW = exportFlow({
  family: 4,
  remote0: 0,
  remote1: 0,
  remote2: 0xffff,
  remote3: 0x0a000001,
  remotePort: 4_000,
  localPort: 80,
})

/** A valid message of one of the protocols on a control link. */
function message(random: Random, { packets, tcbs }: Corpus): unknown {
  const snapshot = [SNAPSHOT_VERSION, random.pick(tcbs), null, 1, 'GET /', NOW_SECOND]
  return random.pick<() => unknown>([
    () => [1, 0, 7, 3, FLOW, ['/a "x"'], 100],
    () => [1, 2, 7, 3, 1, false],
    () => [1, 4, 7, 3, FLOW, snapshot],
    () => [1, 5, 7, 3, true],
    () => [2, 0, 1, random.pick(packets)],
    () => [2, 2, [[7, 3, FLOW, true, 'GET / HTTP/1.1']]],
    () => [2, 4, 7, 3, FLOW, 2],
    () => [2, 5, 7, 3, true],
    () => [3, 0, [[1, 'a', 'ws://10.0.0.1:1', 'x']]],
    () => [3, 1, ['/a', '/b'], true],
    () => [3, 4, 9, 2],
    () => [3, 6, 9, 'connections', { limit: 10 }],
    () => [4, 0, 1, [[1, '10.0.0.1', 'fd00::1']]],
    () => [4, 1, 1, false, [], []],
  ])()
}

function decode(value: unknown): string {
  if (!Array.isArray(value)) return 'no envelope'
  const [protocol, ...plain] = value
  const decoders = [decodeShiftMessage, decodeOwnerMessage, decodeClusterMessage]
  for (const each of decoders) each(plain)
  const decoded = protocol === 4 ? decodeGatewayMessage(value) : decoders[Number(protocol) - 1]?.(plain)
  return decoded === undefined ? 'refused' : `protocol ${protocol}`
}

/** What was taken must behave: transmit, wait, and hold the invariants. */
function exercise(tcb: Tcb): string {
  const out = createTransmission()
  let now = NOW
  checkInvariants(tcb)
  adopt(tcb, 1, now)
  for (let deadlines = 0; deadlines < MAX_DEADLINES; deadlines++) {
    let segments = 0
    while (nextSegment(tcb, now, out))
      if (++segments > MAX_SEGMENTS) throw new Error(`${segments} segments at once from a snapshot`)
    checkInvariants(tcb)
    const wrong = unbounded(tcb)
    if (wrong !== undefined) throw new Error(`a snapshot with ${wrong}`)
    const at = pollAt(tcb)
    if (at === Number.POSITIVE_INFINITY) break
    if (Number.isNaN(at)) throw new Error('a deadline that is no number')
    now = Math.max(now, at)
    expire(tcb, now)
    checkInvariants(tcb)
  }
  return `taken ${tcb.state}`
}
