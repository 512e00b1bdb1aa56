/**
 * The media type of a file by the end of its name, with the charset where a recipient would otherwise have to guess.
 */
import compressible from 'compressible'
import { mimes } from 'mrmime'

const DEFAULT_MEDIA_TYPE = 'application/octet-stream'
const NO_TYPES: Readonly<Record<string, string>> = {}

/** What mrmime leaves out as a vendor's, though browsers meet it daily. Sources: IANA's registry, RFC 8878, RFC 9639. */
const MORE_TYPES = new Map([
  ['ico', 'image/vnd.microsoft.icon'],
  ['eot', 'application/vnd.ms-fontobject'],
  ['m3u8', 'application/vnd.apple.mpegurl'],
  ['flac', 'audio/flac'],
  ['zst', 'application/zstd'],
  ['tgz', 'application/gzip'],
])

/** Types outside text/ whose charset parameter means something and whose files are UTF-8. */
const TEXT_TYPES = new Set([
  'application/javascript',
  'application/ecmascript',
  'application/xml',
  'image/svg+xml',
])

/**
 * The Content-Type of a path; `own`: types of the site by extension, sent as they are written. Names without an extension,
 * and unknown extensions, are octets and nothing more.
 */
export function mediaTypeOf(path: string, own: Readonly<Record<string, string>> = NO_TYPES): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const dot = name.lastIndexOf('.')
  // A name that begins with its only dot has no extension.
  if (dot <= 0) return DEFAULT_MEDIA_TYPE
  const extension = name.slice(dot + 1).toLowerCase()
  const chosen = Object.hasOwn(own, extension) ? own[extension] : undefined
  if (chosen !== undefined) return chosen
  // mrmime's table is an ordinary object: without this, `x.constructor` would have a function for its type.
  const type = Object.hasOwn(mimes, extension) ? mimes[extension] : MORE_TYPES.get(extension)
  if (type === undefined) return DEFAULT_MEDIA_TYPE
  return type.startsWith('text/') || TEXT_TYPES.has(type) ? `${type}; charset=utf-8` : type
}

/**
 * Whether variants of a file of this type are looked for, and made: of what is compressible by mime-db, which says so of
 * octets of no known type as well. The type may have parameters.
 */
export function isNegotiable(mediaType: string): boolean {
  return mediaType !== DEFAULT_MEDIA_TYPE && compressible(mediaType) === true
}
