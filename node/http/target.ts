/**
 * From the path of a request target to the path that names a representation: decoded, normalised, and unable to
 * leave the document root by construction. Pure text work; whether a file of that name exists is the loader's.
 */
import { hexValue, latin1Text, PLAIN_PATH } from './grammar.ts'
import type { RequestHead } from './request-head.ts'

const SLASH = 0x2f
const DOT = 0x2e
const PERCENT = 0x25
const BACKSLASH = 0x5c
const HASH = 0x23

/** The one hidden name that is meant to be seen (RFC 8615). */
const WELL_KNOWN = '.well-known'
/** What a directory is represented by. */
export const INDEX_NAME = 'index.html'

/**
 * The normalised path of the octets of a target's path: begins with exactly one slash, holds no empty and no dot
 * segment, and keeps a slash at its end. Or the status of the refusal: 400 what no path may hold (a bad escape, a
 * control character, a backslash, a climb above the root, invalid UTF-8), 404 what can name no file that is served
 * (an encoded slash, a hidden file: RFC 9110 §15.5.4 allows not to tell 403 from 404).
 */
export function normalisePath(octets: Uint8Array, start: number, end: number): string | 400 | 404 {
  if (start === end) return '/'
  if (octets[start] !== SLASH) return 400
  if (isPlain(octets, start, end)) return latin1Text(octets, start, end)
  const decoded = decode(octets, start, end)
  if (typeof decoded === 'number') return decoded
  return resolve(decoded)
}

/** Whether the path is its own normal form, as nearly all are: no escape, no empty segment, none that begins with a dot. */
function isPlain(octets: Uint8Array, start: number, end: number): boolean {
  let before = 0
  for (let at = start; at < end; at++) {
    const octet = octets[at] as number
    if (PLAIN_PATH[octet] === 0) return false
    if (before === SLASH && (octet === SLASH || octet === DOT)) return false
    before = octet
  }
  return true
}

/** Percent-decoding, once (RFC 3986 §2.4: decoding twice is a hole). */
function decode(octets: Uint8Array, start: number, end: number): string | 400 | 404 {
  const decoded = new Uint8Array(end - start)
  let length = 0
  for (let at = start; at < end; at++) {
    let octet = octets[at] as number
    if (octet === PERCENT) {
      if (at + 2 >= end) return 400
      const high = hexValue(octets[at + 1] as number)
      const low = hexValue(octets[at + 2] as number)
      if (high < 0 || low < 0) return 400
      octet = (high << 4) | low
      if (octet === SLASH) return 404
      at += 2
    } else if (octet === HASH) return 400
    if (octet < 0x20 || octet === 0x7f || octet === BACKSLASH) return 400
    decoded[length++] = octet
  }
  return utf8Text(decoded.subarray(0, length)) ?? 400
}

/** Fatal, so that an overlong form of a dot or slash is an error and not a second spelling (RFC 3629 §10). */
const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function utf8Text(octets: Uint8Array): string | undefined {
  try {
    return UTF_8.decode(octets)
  } catch {
    return undefined
  }
}

/** RFC 3986 §5.2.4, except that a climb above the root is refused instead of ignored. */
function resolve(path: string): string | 400 | 404 {
  const segments: string[] = []
  let directory = false
  for (const segment of path.split('/')) {
    directory = segment === '' || segment === '.' || segment === '..'
    if (!directory) segments.push(segment)
    else if (segment === '..' && segments.pop() === undefined) return 400
  }
  for (let index = 0; index < segments.length; index++) {
    if (isHidden(segments[index] as string, index)) return 404
  }
  if (segments.length === 0) return '/'
  return `/${segments.join('/')}${directory ? '/' : ''}`
}

/** Whether a path segment is a hidden name; `depth` counts from 0 at the root. */
export function isHidden(segment: string, depth: number): boolean {
  return segment.startsWith('.') && !(depth === 0 && segment === WELL_KNOWN)
}

/** The path under which the representation of a normalised path is known to the whole cluster: a directory's is its index. */
export function representationPath(path: string): string {
  return path.endsWith('/') ? path + INDEX_NAME : path
}

/** A normalised path as it may stand in a URI reference (Location): never `//host`, never a header's line end. */
export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

/**
 * The target as an origin server is asked for it: path and query as they came, for what they mean is the origin's to say;
 * or the status of the refusal.
 */
export function targetOf({ octets, pathStart, pathEnd, targetEnd }: RequestHead): string | 400 {
  if (pathStart < pathEnd && octets[pathStart] !== SLASH) return 400
  for (let at = pathStart; at < targetEnd; at++) if (octets[at] === HASH) return 400
  const target = latin1Text(octets, pathStart, targetEnd)
  return pathStart === pathEnd ? `/${target}` : target
}
