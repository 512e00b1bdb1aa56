/**
 * The strict parser of HTTP/1.x request heads (RFC 9112): one pass over the octets, which stay where they are; a
 * reused flat record keeps offsets, and text is made only of fields that somebody asks for. It keeps no state
 * between calls, so a partial head simply stays unread in the receive queue (and travels there). Left out: what the
 * target names (target.ts), bodies (request-body.ts), what to answer (plan.ts).
 */
import { isAuthority, isHttpAuthority, sameAuthority } from './authority.ts'
import {
  asciiOctets,
  CR,
  FIELD_VALUE,
  HTAB,
  isDigit,
  LF,
  latin1Text,
  listOf,
  matchesLower,
  SP,
  skipClass,
  TARGET,
  TARGET_PATH,
  TOKEN,
} from './grammar.ts'
import { CONNECTION, CONTENT_LENGTH, EXPECT, fieldKind, HOST, TRANSFER_ENCODING } from './known-field.ts'

/** RFC 9112 §3 asks for 8,000 octets at least; beyond them 414. */
export const MAX_TARGET_OCTETS = 8_000
/** The field lines with the empty line that ends them; beyond them 431 (RFC 6585 §5). nginx and Apache: 32 and 8 KiB. */
export const MAX_FIELD_SECTION_OCTETS = 16_384
export const MAX_FIELDS = 100
/** A longer method is none that we know: 501 (RFC 9112 §3). */
const MAX_METHOD_OCTETS = 32
/** RFC 9112 §2.2: at least one empty line before the request line is ignored. */
const MAX_LEADING_EMPTY_LINES = 2
const VERSION_OCTETS = 8
const MAX_REQUEST_LINE_OCTETS =
  2 * MAX_LEADING_EMPTY_LINES + MAX_METHOD_OCTETS + 1 + MAX_TARGET_OCTETS + 1 + VERSION_OCTETS + 2
/**
 * One octet more than any head has: by it the parser tells one that is too long from one that is not complete, so this
 * many octets always have a verdict.
 */
export const MAX_HEAD_OCTETS = MAX_REQUEST_LINE_OCTETS + MAX_FIELD_SECTION_OCTETS + 1
/** Content-Length is exact up to 15 digits and takes up no more beyond them (RFC 9110 §8.6). */
const SATURATED_LENGTH = 10 ** 14

/** Methods of RFC 9110 §9.3 and PATCH; '' is any other token. */
export type Method =
  | 'GET'
  | 'HEAD'
  | 'OPTIONS'
  | 'POST'
  | 'PUT'
  | 'DELETE'
  | 'PATCH'
  | 'TRACE'
  | 'CONNECT'
  | ''

/** RFC 9112 §3.2. */
export type TargetForm = 'origin' | 'absolute' | 'authority' | 'asterisk'

export interface RequestHead {
  /** The buffer that was parsed, borrowed: offsets below are offsets in it and live no longer than its octets. */
  octets: Uint8Array
  start: number
  /** Octets of the head with any empty lines before it: the body, or the next head, begins at start + headLength. */
  headLength: number
  /**
   * Octets from `start` that need no second look. Set before each call: 0 for a head not seen before, else what the
   * call before left here. Whoever shares a record among connections keeps this number with each connection.
   */
  scanFrom: number
  method: Method
  methodStart: number
  /** 0 or 1; a higher minor version is served as 1 (RFC 9110 §2.5). */
  minorVersion: number
  form: TargetForm
  targetStart: number
  targetEnd: number
  /** The path without the query; empty in an absolute-form target that ends with its authority. */
  pathStart: number
  pathEnd: number
  /** `hashPath` of the octets of the path. */
  pathHash: number
  /** The authority: of an absolute-form target, else the value of Host; empty where there is none. */
  hostStart: number
  hostEnd: number
  keepAlive: boolean
  /** -1 where absent; exact up to 15 digits, some number of 15 digits beyond. */
  contentLength: number
  chunked: boolean
  /** Expectations other than 100-continue are 'other' (417); HTTP/1.0 has none (RFC 9110 §10.1.1). */
  expect: '' | '100-continue' | 'other'
  /** Bits of the known fields that occurred. */
  present: number
  fieldCount: number
  /** FIELD_STRIDE numbers a field: name start, name end, value start, value end, bit of the known field or 0. */
  readonly fields: Int32Array
}

const FIELD_STRIDE = 5
const NO_OCTETS = new Uint8Array(0)

export function createRequestHead(): RequestHead {
  return {
    octets: NO_OCTETS,
    start: 0,
    headLength: 0,
    scanFrom: 0,
    method: '',
    methodStart: 0,
    minorVersion: 1,
    form: 'origin',
    targetStart: 0,
    targetEnd: 0,
    pathStart: 0,
    pathEnd: 0,
    pathHash: 0,
    hostStart: 0,
    hostEnd: 0,
    keepAlive: false,
    contentLength: -1,
    chunked: false,
    expect: '',
    present: 0,
    fieldCount: 0,
    fields: new Int32Array(FIELD_STRIDE * MAX_FIELDS),
  }
}

/** A number is the status of the error: answer it and close, the octets that follow have no known meaning. */
export type HeadVerdict = 'complete' | 'incomplete' | number

/** What the steps below return instead of the next offset: this, or the status of an error below zero. */
const INCOMPLETE = -1

/**
 * Parses the head that begins at `start`, of whose connection the octets up to `end` have arrived. After 'incomplete',
 * call again with more octets and the `scanFrom` that it left, so that a head that arrives octet by octet costs its
 * length and not its square. How the octets arrive changes no verdict; at most an error in a line is told when the
 * line ends.
 */
export function parseRequestHead(
  octets: Uint8Array,
  start: number,
  end: number,
  into: RequestHead,
): HeadVerdict {
  if (into.scanFrom > 0 && !worthParsing(octets, start, end, into.scanFrom)) {
    into.scanFrom = end - start
    return 'incomplete'
  }
  begin(into, octets, start)
  let at = skipEmptyLines(octets, start, end)
  if (at >= 0) at = parseRequestLine(octets, at, end, into)
  if (at >= 0) at = parseFields(octets, at, end, into)
  if (at === INCOMPLETE) {
    into.scanFrom = end - start
    return 'incomplete'
  }
  if (at >= 0) at = checkMessage(into, at)
  if (at < 0) {
    into.keepAlive = false
    return -at
  }
  into.headLength = at - start
  return 'complete'
}

/** Whether the octets that are new since the last call can change its verdict: they end a line or pass a limit. */
function worthParsing(octets: Uint8Array, start: number, end: number, scanFrom: number): boolean {
  const available = end - start
  if (available >= MAX_HEAD_OCTETS) return true
  if (scanFrom <= MAX_REQUEST_LINE_OCTETS && available > MAX_REQUEST_LINE_OCTETS) return true
  for (let at = start + scanFrom; at < end; at++) if (octets[at] === LF) return true
  return false
}

function begin(into: RequestHead, octets: Uint8Array, start: number): void {
  into.octets = octets
  into.start = start
  into.headLength = 0
  into.scanFrom = 0
  into.method = ''
  into.form = 'origin'
  into.hostStart = 0
  into.hostEnd = 0
  into.keepAlive = false
  into.contentLength = -1
  into.chunked = false
  into.expect = ''
  into.present = 0
  into.fieldCount = 0
}

function skipEmptyLines(octets: Uint8Array, start: number, end: number): number {
  let at = start
  for (let lines = 0; at < end && octets[at] === CR; lines++) {
    if (lines === MAX_LEADING_EMPTY_LINES) return -400
    if (at + 1 === end) return INCOMPLETE
    if (octets[at + 1] !== LF) return -400
    at += 2
  }
  return at < end ? at : INCOMPLETE
}

/** request-line = method SP request-target SP HTTP-version CRLF, with exactly one SP (RFC 9112 §3). */
function parseRequestLine(octets: Uint8Array, start: number, end: number, into: RequestHead): number {
  const targetStart = parseMethod(octets, start, end, into)
  if (targetStart < 0) return targetStart
  const targetEnd = scanTarget(octets, targetStart, end, into)
  if (targetEnd < 0) return targetEnd
  const next = parseVersion(octets, targetEnd + 1, end, into)
  if (next < 0) return next
  if (octets[targetStart] === SLASH && into.method !== 'CONNECT') return next
  return classifyTarget(octets, into, next)
}

function parseMethod(octets: Uint8Array, start: number, end: number, into: RequestHead): number {
  into.methodStart = start
  if (start + 4 < end && octets[start] === 0x47 && octets[start + 1] === 0x45 && octets[start + 2] === 0x54) {
    if (octets[start + 3] === SP) {
      into.method = 'GET'
      return start + 4
    }
  }
  const limit = Math.min(end, start + MAX_METHOD_OCTETS + 1)
  const at = skipClass(TOKEN, octets, start, limit)
  if (at === limit) return at - start > MAX_METHOD_OCTETS ? -501 : INCOMPLETE
  if (at === start || octets[at] !== SP) return -400
  into.method = methodOf(octets, start, at)
  return at + 1
}

const METHODS: readonly Method[] = [
  'GET',
  'HEAD',
  'OPTIONS',
  'POST',
  'PUT',
  'DELETE',
  'PATCH',
  'TRACE',
  'CONNECT',
]
const METHOD_OCTETS = METHODS.map(method => asciiOctets(method))

/** Methods are case-sensitive (RFC 9110 §9.1). */
function methodOf(octets: Uint8Array, start: number, end: number): Method {
  for (let index = 0; index < METHODS.length; index++) {
    const name = METHOD_OCTETS[index] as Uint8Array
    if (name.length !== end - start) continue
    let at = 0
    while (at < name.length && octets[start + at] === name[at]) at++
    if (at === name.length) return METHODS[index] as Method
  }
  return ''
}

const SLASH = 0x2f
const QUESTION = 0x3f
const COLON = 0x3a
/**
 * The hash of `RequestHead.pathHash`, for whoever must compute it beside the parser: MurmurHash3, without its last
 * mixing, four octets a step.
 */
export function hashPath(octets: Uint8Array, start: number, end: number): number {
  let hash = end - start
  let at = start
  for (const last = end - 4; at <= last; at += 4) {
    const word =
      (octets[at] as number) |
      ((octets[at + 1] as number) << 8) |
      ((octets[at + 2] as number) << 16) |
      ((octets[at + 3] as number) << 24)
    hash = mix(hash, word)
  }
  let rest = 0
  for (let shift = 0; at < end; at++, shift += 8) rest |= (octets[at] as number) << shift
  return mix(hash, rest)
}

function mix(hash: number, word: number): number {
  let scrambled = Math.imul(word, 0xcc9e2d51)
  scrambled = Math.imul((scrambled << 15) | (scrambled >>> 17), 0x1b873593)
  const mixed = hash ^ scrambled
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

function scanTarget(octets: Uint8Array, start: number, end: number, into: RequestHead): number {
  const limit = Math.min(end, start + MAX_TARGET_OCTETS + 1)
  const pathEnd = skipClass(TARGET_PATH, octets, start, limit)
  const at = octets[pathEnd] === QUESTION ? skipClass(TARGET, octets, pathEnd, limit) : pathEnd
  if (at >= limit) return at - start > MAX_TARGET_OCTETS ? -414 : INCOMPLETE
  if (at === start || octets[at] !== SP) return -400
  into.targetStart = start
  into.targetEnd = at
  into.pathStart = start
  into.pathEnd = pathEnd
  into.pathHash = hashPath(octets, start, pathEnd)
  return at
}

const HTTP_VERSION = asciiOctets('HTTP/')

function parseVersion(octets: Uint8Array, start: number, end: number, into: RequestHead): number {
  const available = end - start
  for (let at = 0; at < HTTP_VERSION.length; at++) {
    if (at >= available) return INCOMPLETE
    if (octets[start + at] !== HTTP_VERSION[at]) return -400
  }
  if (available > 5 && !isDigit(octets[start + 5] as number)) return -400
  if (available > 6 && octets[start + 6] !== 0x2e) return -400
  if (available > 7 && !isDigit(octets[start + 7] as number)) return -400
  if (available > 8 && octets[start + 8] !== CR) return -400
  if (available > 9 && octets[start + 9] !== LF) return -400
  if (available < 10) return INCOMPLETE
  if (octets[start + 5] !== 0x31) return -505
  into.minorVersion = octets[start + 7] === 0x30 ? 0 : 1
  return start + 10
}

const HTTP_SCHEME = asciiOctets('http:')

/** Every form but origin-form: returns `next`, or the status of the error below zero. */
function classifyTarget(octets: Uint8Array, into: RequestHead, next: number): number {
  const start = into.targetStart
  const end = into.targetEnd
  if (into.method === 'CONNECT') {
    into.form = 'authority'
    return isHttpAuthority(octets, start, end) ? next : -400
  }
  if (octets[start] === 0x2a && end === start + 1) {
    into.form = 'asterisk'
    return into.method === 'OPTIONS' ? next : -400
  }
  const authority = start + 7
  if (authority >= end || !matchesLower(octets, start, HTTP_SCHEME)) return -400
  if (octets[start + 5] !== SLASH || octets[start + 6] !== SLASH) return -400
  into.form = 'absolute'
  let path = authority
  while (path < end && octets[path] !== SLASH && octets[path] !== QUESTION) path++
  if (!isHttpAuthority(octets, authority, path)) return -400
  into.hostStart = authority
  into.hostEnd = path
  into.pathStart = path
  into.pathHash = hashPath(octets, path, into.pathEnd)
  return next
}

/** Field lines up to the empty line that ends them (RFC 9112 §5). */
function parseFields(octets: Uint8Array, start: number, end: number, into: RequestHead): number {
  const limit = Math.min(end, start + MAX_FIELD_SECTION_OCTETS)
  let at = start
  while (at < limit) {
    if (octets[at] === CR) {
      if (at + 1 === limit) break
      return octets[at + 1] === LF ? at + 2 : -400
    }
    if (into.fieldCount === MAX_FIELDS) return -431
    at = parseField(octets, at, limit, into)
    if (at < 0) return at === INCOMPLETE && limit < end ? -431 : at
  }
  return limit < end ? -431 : INCOMPLETE
}

/**
 * One field line. What is not a token directly followed by a colon is refused (RFC 9112 §5.1), and with it
 * obs-fold (§5.2: a line that begins with white space); a bare CR or LF ends no value (§2.2), nor do NUL and the
 * other control characters stand in one (RFC 9110 §5.5).
 */
function parseField(octets: Uint8Array, start: number, limit: number, into: RequestHead): number {
  let at = skipClass(TOKEN, octets, start, limit)
  if (at === limit) return INCOMPLETE
  if (octets[at] !== COLON || at === start) return -400
  const nameEnd = at++
  while (at < limit && (octets[at] === SP || octets[at] === HTAB)) at++
  const valueStart = at
  at = skipClass(FIELD_VALUE, octets, valueStart, limit)
  if (at === limit) return INCOMPLETE
  if (octets[at] !== CR) return -400
  if (at + 1 === limit) return INCOMPLETE
  if (octets[at + 1] !== LF) return -400
  let valueEnd = at
  while (valueEnd > valueStart && (octets[valueEnd - 1] === SP || octets[valueEnd - 1] === HTAB)) valueEnd--
  const kind = fieldKind(octets, start, nameEnd - start)
  const slot = into.fieldCount * FIELD_STRIDE
  const fields = into.fields
  fields[slot] = start
  fields[slot + 1] = nameEnd
  fields[slot + 2] = valueStart
  fields[slot + 3] = valueEnd
  fields[slot + 4] = kind
  into.fieldCount++
  if (kind !== 0) {
    const status = noteField(octets, valueStart, valueEnd, kind, into)
    if (status !== 0) return -status
    into.present |= kind
  }
  return at + 2
}

/** What a single line can tell of the fields that frame and route the message; 0, or the status of the error. */
function noteField(octets: Uint8Array, start: number, end: number, kind: number, into: RequestHead): number {
  if (kind === HOST) {
    if ((into.present & HOST) !== 0 || !isAuthority(octets, start, end)) return 400
    if (into.form !== 'absolute') {
      into.hostStart = start
      into.hostEnd = end
      return 0
    }
    // Stricter than RFC 9112 §3.2.2, by which the target wins: two names for one request are a smuggler's tool.
    return sameAuthority(octets, into.hostStart, into.hostEnd, start, end) ? 0 : 400
  }
  if (kind !== CONTENT_LENGTH) return 0
  // RFC 9112 §6.3: several lengths, even equal ones, may be refused; a list of them is no number anyway.
  if ((into.present & CONTENT_LENGTH) !== 0 || start === end) return 400
  let length = 0
  for (let at = start; at < end; at++) {
    if (!isDigit(octets[at] as number)) return 400
    if (length < SATURATED_LENGTH) length = length * 10 + (octets[at] as number) - 0x30
  }
  into.contentLength = length
  return 0
}

/** Fields that need a look at the whole message once it is there. */
const WHOLE_MESSAGE = CONNECTION | TRANSFER_ENCODING | EXPECT

/** What only the whole head tells: returns `next`, or the status of the error below zero. */
function checkMessage(into: RequestHead, next: number): number {
  into.keepAlive = into.minorVersion === 1
  // RFC 9112 §3.2: HTTP/1.1 without Host is an error, whatever the form of the target.
  if ((into.present & HOST) === 0 && into.minorVersion === 1) return -400
  if ((into.present & WHOLE_MESSAGE) === 0) return next
  if ((into.present & CONNECTION) !== 0) noteConnection(into)
  if ((into.present & EXPECT) !== 0 && into.minorVersion === 1) {
    into.expect = field(into, EXPECT)?.toLowerCase() === '100-continue' ? '100-continue' : 'other'
  }
  if ((into.present & TRANSFER_ENCODING) !== 0) {
    // RFC 9112 §6.1: in HTTP/1.0 the framing is faulty; beside a Content-Length it smells of smuggling (§6.3).
    if (into.minorVersion === 0 || (into.present & CONTENT_LENGTH) !== 0) return -400
    const status = checkCodings(field(into, TRANSFER_ENCODING) as string)
    if (status !== 0) return -status
    into.chunked = true
  }
  return next
}

/** RFC 9112 §9.3: "close" wins; HTTP/1.0 persists only where "keep-alive" asks for it. */
function noteConnection(into: RequestHead): void {
  let close = false
  let keepAlive = false
  for (const option of listOf(field(into, CONNECTION) as string)) {
    if (option === 'close') close = true
    else if (option === 'keep-alive') keepAlive = true
  }
  into.keepAlive = !close && (into.minorVersion === 1 || keepAlive)
}

/**
 * RFC 9112 §6.3: without chunked as the last coding the length is unknown (400), as with chunked twice (§7.1); other
 * codings before it are not implemented (501).
 */
function checkCodings(value: string): number {
  const codings = listOf(value).filter(coding => coding !== '')
  if (codings.indexOf('chunked') !== codings.length - 1 || codings.length === 0) return 400
  return codings.length === 1 ? 0 : 501
}

/** The value of a known field by its bit, its lines joined as RFC 9110 §5.3 says; undefined where absent. */
export function field(head: RequestHead, kind: number): string | undefined {
  let value: string | undefined
  for (let slot = 0; slot < head.fieldCount * FIELD_STRIDE; slot += FIELD_STRIDE) {
    if (head.fields[slot + 4] === kind) value = joined(head, slot, value)
  }
  return value
}

/** Whether a known field stands in one line alone, with these octets for its value. */
export function sameFieldOctets(head: RequestHead, kind: number, value: Uint8Array): boolean {
  let found = false
  for (let slot = 0; slot < head.fieldCount * FIELD_STRIDE; slot += FIELD_STRIDE) {
    if (head.fields[slot + 4] !== kind) continue
    const start = head.fields[slot + 2] as number
    if (found || (head.fields[slot + 3] as number) - start !== value.length) return false
    for (let at = 0; at < value.length; at++) if (head.octets[start + at] !== value[at]) return false
    found = true
  }
  return found
}

/** The value of any field by its name in lower case, its lines joined as RFC 9110 §5.3 says. */
export function header(head: RequestHead, name: string): string | undefined {
  let value: string | undefined
  for (let slot = 0; slot < head.fieldCount * FIELD_STRIDE; slot += FIELD_STRIDE) {
    const start = head.fields[slot] as number
    const end = head.fields[slot + 1] as number
    if (end - start !== name.length) continue
    if (latin1Text(head.octets, start, end).toLowerCase() === name) value = joined(head, slot, value)
  }
  return value
}

/** Every field line by name and value, in order. */
export function fieldsOf(head: RequestHead): [name: string, value: string][] {
  const { octets, fields } = head
  return Array.from({ length: head.fieldCount }, (_, index) => {
    const slot = index * FIELD_STRIDE
    return [
      latin1Text(octets, fields[slot] as number, fields[slot + 1] as number),
      latin1Text(octets, fields[slot + 2] as number, fields[slot + 3] as number),
    ]
  })
}

function joined(head: RequestHead, slot: number, before: string | undefined): string {
  const text = latin1Text(head.octets, head.fields[slot + 2] as number, head.fields[slot + 3] as number)
  return before === undefined ? text : `${before}, ${text}`
}

/** Whether octets of a body follow the head. */
export function hasBody(head: RequestHead): boolean {
  return head.chunked || head.contentLength > 0
}

/** The query with its question mark, or ''. Visible US-ASCII, so it is safe in a field value. */
export function queryText(head: RequestHead): string {
  return latin1Text(head.octets, head.pathEnd, head.targetEnd)
}

/** The authority in lower case as the client wrote it, '' where there is none. */
export function authorityText(head: RequestHead): string {
  return latin1Text(head.octets, head.hostStart, head.hostEnd).toLowerCase()
}

/** The request line without its line end, for people: logs and the operator's commands. */
export function requestLine(head: RequestHead): string {
  return latin1Text(head.octets, head.methodStart, head.targetEnd + 1 + VERSION_OCTETS)
}
