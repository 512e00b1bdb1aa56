/**
 * Reads a request's body only to know where it ends, and throws it away: no resource here takes one. The state is
 * plain data, because a connection may move in the middle of a body.
 */
import { CR, FIELD_VALUE, HTAB, hexValue, LF, SP, TOKEN } from './grammar.ts'
import type { RequestHead } from './request-head.ts'

/** nginx's default: 1 MiB. A longer Content-Length gets 413 at once (plan.ts), a longer chunked body ends the connection. */
export const MAX_REQUEST_BODY_OCTETS = 1_048_576
/** Chunk extensions of one body in all: they carry nothing, and unbounded they are a way to keep a server reading. */
export const MAX_CHUNK_EXTENSION_OCTETS = 4_096
/** The trailer section; its fields are not looked at (RFC 9110 §6.5.1). */
export const MAX_TRAILER_OCTETS = 8_192
/** Digits of a chunk size, leading zeros included. */
const MAX_CHUNK_SIZE_DIGITS = 16

/** Where in RFC 9112 §7.1 the next octet stands. */
export type BodyPhase =
  | 'done'
  | 'length'
  | 'chunk-size'
  | 'chunk-white-space'
  | 'chunk-extension'
  | 'chunk-size-lf'
  | 'chunk-data'
  | 'chunk-data-cr'
  | 'chunk-data-lf'
  | 'trailer-line'
  | 'trailer-name'
  | 'trailer-value'
  | 'trailer-value-lf'
  | 'trailer-end-lf'
  | 'error'

export interface RequestBody {
  phase: BodyPhase
  /** Octets left of the body, or of the chunk. */
  remaining: number
  sizeDigits: number
  /** Octets of chunk data so far, those announced included. */
  total: number
  extensionOctets: number
  trailerOctets: number
  /** The status of the error: 400 malformed, 413 too long; 0 while there is none. */
  status: number
}

export function createRequestBody(): RequestBody {
  return {
    phase: 'done',
    remaining: 0,
    sizeDigits: 0,
    total: 0,
    extensionOctets: 0,
    trailerOctets: 0,
    status: 0,
  }
}

/** Starts on the body of a request (RFC 9112 §6.3). */
export function beginBody(body: RequestBody, head: RequestHead): void {
  body.phase = head.chunked ? 'chunk-size' : head.contentLength > 0 ? 'length' : 'done'
  body.remaining = Math.max(head.contentLength, 0)
  body.sizeDigits = 0
  body.total = 0
  body.extensionOctets = 0
  body.trailerOctets = 0
  body.status = 0
  if (body.remaining > MAX_REQUEST_BODY_OCTETS) fail(body, 413)
}

function fail(body: RequestBody, status: number): void {
  body.phase = 'error'
  body.status = status
}

/**
 * Consumes what belongs to the body and returns how many octets that were. Afterwards the phase is 'done' when the
 * next request begins there, 'error' when the connection must end; otherwise more octets are needed.
 */
export function discardBody(body: RequestBody, octets: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end && body.phase !== 'done' && body.phase !== 'error') {
    if (body.phase === 'length' || body.phase === 'chunk-data') at += discardData(body, end - at)
    else {
      step(body, octets[at] as number)
      at++
    }
  }
  return at - start
}

function discardData(body: RequestBody, available: number): number {
  const taken = Math.min(available, body.remaining)
  body.remaining -= taken
  if (body.remaining === 0) body.phase = body.phase === 'length' ? 'done' : 'chunk-data-cr'
  return taken
}

/** One octet of the framing of chunks. */
function step(body: RequestBody, octet: number): void {
  switch (body.phase) {
    case 'chunk-size':
      chunkSize(body, octet)
      return
    case 'chunk-white-space':
    case 'chunk-extension':
      chunkExtension(body, octet)
      return
    case 'chunk-size-lf':
      expect(body, octet, LF, body.remaining > 0 ? 'chunk-data' : 'trailer-line')
      return
    case 'chunk-data-cr':
      expect(body, octet, CR, 'chunk-data-lf')
      return
    case 'chunk-data-lf':
      expect(body, octet, LF, 'chunk-size')
      return
    default:
      if (++body.trailerOctets > MAX_TRAILER_OCTETS) fail(body, 431)
      else trailer(body, octet)
  }
}

function expect(body: RequestBody, octet: number, expected: number, next: BodyPhase): void {
  if (octet === expected) body.phase = next
  else fail(body, 400)
}

function chunkSize(body: RequestBody, octet: number): void {
  const digit = hexValue(octet)
  if (digit >= 0) {
    body.remaining = body.remaining * 16 + digit
    if (++body.sizeDigits > MAX_CHUNK_SIZE_DIGITS) fail(body, 400)
    else if (body.total + body.remaining > MAX_REQUEST_BODY_OCTETS) fail(body, 413)
    return
  }
  if (body.sizeDigits === 0) {
    fail(body, 400)
    return
  }
  body.sizeDigits = 0
  body.total += body.remaining
  if (octet === CR) body.phase = 'chunk-size-lf'
  else if (octet === SEMICOLON) body.phase = 'chunk-extension'
  else if (octet === SP || octet === HTAB) body.phase = 'chunk-white-space'
  else fail(body, 400)
}

const SEMICOLON = 0x3b

/** White space may stand before the semicolon, though it should not (RFC 9112 §7.1.1), but not before the line end. */
function chunkExtension(body: RequestBody, octet: number): void {
  if (++body.extensionOctets > MAX_CHUNK_EXTENSION_OCTETS) fail(body, 413)
  else if (body.phase === 'chunk-white-space') {
    if (octet === SEMICOLON) body.phase = 'chunk-extension'
    else if (octet !== SP && octet !== HTAB) fail(body, 400)
  } else if (octet === CR) body.phase = 'chunk-size-lf'
  else if (FIELD_VALUE[octet] === 0) fail(body, 400)
}

const COLON = 0x3a

/** Field lines as strict as in a head, but unread. */
function trailer(body: RequestBody, octet: number): void {
  switch (body.phase) {
    case 'trailer-line':
      if (octet === CR) body.phase = 'trailer-end-lf'
      else if (TOKEN[octet] === 0) fail(body, 400)
      else body.phase = 'trailer-name'
      return
    case 'trailer-name':
      if (octet === COLON) body.phase = 'trailer-value'
      else if (TOKEN[octet] === 0) fail(body, 400)
      return
    case 'trailer-value':
      if (octet === CR) body.phase = 'trailer-value-lf'
      else if (FIELD_VALUE[octet] === 0) fail(body, 400)
      return
    case 'trailer-value-lf':
      expect(body, octet, LF, 'trailer-line')
      return
    default:
      expect(body, octet, LF, 'done')
  }
}
