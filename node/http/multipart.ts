/**
 * multipart/byteranges (RFC 9110 §14.6), with a boundary that follows from the representation and the ranges, so
 * that every node frames the same request in the same octets.
 */
import { asciiOctets } from './grammar.ts'
import type { ByteRange } from './range.ts'
import type { Representation } from './representation.ts'

/** The octets before a part, and the part itself as a stretch of the content. */
export interface BodyPart {
  readonly head: Uint8Array
  readonly offset: number
  readonly length: number
}

export interface Multipart {
  readonly boundary: string
  readonly parts: readonly BodyPart[]
  /** The closing delimiter. */
  readonly tail: Uint8Array
  /** Octets of all parts, their heads and the tail. */
  readonly length: number
}

export function contentRange(range: ByteRange, length: number): string {
  return `bytes ${range.first}-${range.last}/${length}`
}

/**
 * 64 bits in hexadecimal. The tag being a hash of the content, nobody can write content that holds its own boundary
 * but by trying 2^64 times.
 */
function boundaryOf(etag: string, ranges: readonly ByteRange[]): string {
  const text = `${etag}${ranges.map(range => `${range.first}-${range.last}`).join()}`
  let a = 0x811c9dc5
  let b = 0x01000193
  for (let at = 0; at < text.length; at++) {
    a = Math.imul(a ^ text.charCodeAt(at), 0x01000193)
    b = Math.imul(b ^ text.charCodeAt(at), 0x5bd1e995) ^ (b >>> 13)
  }
  return `gyre-${hex(a ^ (a >>> 15))}${hex(b ^ (b >>> 16))}`
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0')
}

export function multipartOf(
  representation: Pick<Representation, 'etag' | 'mediaType' | 'length'>,
  ranges: readonly ByteRange[],
): Multipart {
  const boundary = boundaryOf(representation.etag, ranges)
  const tail = asciiOctets(`\r\n--${boundary}--\r\n`)
  let length = tail.length
  const parts = ranges.map((range, index) => {
    const before = index === 0 ? '' : '\r\n'
    const type = `Content-Type: ${representation.mediaType}`
    const place = `Content-Range: ${contentRange(range, representation.length)}`
    const head = asciiOctets(`${before}--${boundary}\r\n${type}\r\n${place}\r\n\r\n`)
    const part = { head, offset: range.first, length: range.last - range.first + 1 }
    length += head.length + part.length
    return part
  })
  return { boundary, parts, tail, length }
}
