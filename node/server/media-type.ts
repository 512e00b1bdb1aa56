/**
 * The media type of a file by the end of its name, with the charset where a recipient would otherwise have to guess.
 */
import { mimes } from 'mrmime'

const DEFAULT_MEDIA_TYPE = 'application/octet-stream'

/** Types outside text/ whose charset parameter means something and whose files are UTF-8. */
const TEXT_TYPES = new Set([
  'application/javascript',
  'application/ecmascript',
  'application/xml',
  'image/svg+xml',
])

/** The Content-Type of a path. Names without an extension, and unknown extensions, are octets and nothing more. */
export function mediaTypeOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const dot = name.lastIndexOf('.')
  // A name that begins with its only dot has no extension.
  if (dot <= 0) return DEFAULT_MEDIA_TYPE
  const extension = name.slice(dot + 1).toLowerCase()
  // mrmime's table is an ordinary object: without this, `x.constructor` would have a function for its type.
  const type = Object.hasOwn(mimes, extension) ? mimes[extension] : undefined
  if (type === undefined) return DEFAULT_MEDIA_TYPE
  return type.startsWith('text/') || TEXT_TYPES.has(type) ? `${type}; charset=utf-8` : type
}
