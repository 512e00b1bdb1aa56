/**
 * The request fields that mean something to this server, as bits of `RequestHead.present`, and how they are told by
 * their names. What they mean is elsewhere.
 */
import { asciiOctets, matchesLower } from './grammar.ts'

export const HOST = 0x001
export const CONNECTION = 0x002
export const CONTENT_LENGTH = 0x004
export const TRANSFER_ENCODING = 0x008
export const EXPECT = 0x010
export const RANGE = 0x020
export const IF_RANGE = 0x040
export const IF_MATCH = 0x080
export const IF_NONE_MATCH = 0x100
export const IF_MODIFIED_SINCE = 0x200
export const IF_UNMODIFIED_SINCE = 0x400
export const ACCEPT_ENCODING = 0x800

const NAMES = {
  host: asciiOctets('host'),
  range: asciiOctets('range'),
  expect: asciiOctets('expect'),
  ifMatch: asciiOctets('if-match'),
  ifRange: asciiOctets('if-range'),
  connection: asciiOctets('connection'),
  ifNoneMatch: asciiOctets('if-none-match'),
  contentLength: asciiOctets('content-length'),
  acceptEncoding: asciiOctets('accept-encoding'),
  transferEncoding: asciiOctets('transfer-encoding'),
  ifModifiedSince: asciiOctets('if-modified-since'),
  ifUnmodifiedSince: asciiOctets('if-unmodified-since'),
}

/** The bit of a known field, or 0. The length alone tells most names apart. */
export function fieldKind(octets: Uint8Array, start: number, length: number): number {
  switch (length) {
    case 4:
      return matchesLower(octets, start, NAMES.host) ? HOST : 0
    case 5:
      return matchesLower(octets, start, NAMES.range) ? RANGE : 0
    case 6:
      return matchesLower(octets, start, NAMES.expect) ? EXPECT : 0
    case 8:
      if (matchesLower(octets, start, NAMES.ifMatch)) return IF_MATCH
      return matchesLower(octets, start, NAMES.ifRange) ? IF_RANGE : 0
    case 10:
      return matchesLower(octets, start, NAMES.connection) ? CONNECTION : 0
    case 13:
      return matchesLower(octets, start, NAMES.ifNoneMatch) ? IF_NONE_MATCH : 0
    case 14:
      return matchesLower(octets, start, NAMES.contentLength) ? CONTENT_LENGTH : 0
    case 15:
      return matchesLower(octets, start, NAMES.acceptEncoding) ? ACCEPT_ENCODING : 0
    case 17:
      if (matchesLower(octets, start, NAMES.ifModifiedSince)) return IF_MODIFIED_SINCE
      return matchesLower(octets, start, NAMES.transferEncoding) ? TRANSFER_ENCODING : 0
    case 19:
      return matchesLower(octets, start, NAMES.ifUnmodifiedSince) ? IF_UNMODIFIED_SINCE : 0
    default:
      return 0
  }
}
