/** Codes files in threads of the pool: a file once, so harder than a server that codes each response anew. */
import { brotliCompress, constants, gzip } from 'node:zlib'
import type { ContentCoding } from '../http/content-coding.ts'

/** Of 11: the last two take five to ten times as long for some percent (measured on scripts and pages of 100 KiB). */
const BROTLI_QUALITY = 9
const GZIP_LEVEL = 9

/** Calls `done` with undefined where it failed, or the coding is one that is not made. */
export function encode(
  octets: Uint8Array,
  coding: ContentCoding,
  done: (coded: Uint8Array | undefined) => void,
): void {
  const finish = (error: Error | null, coded: Buffer) => done(error === null ? ownOctets(coded) : undefined)
  switch (coding) {
    case 'br':
      return brotliCompress(
        octets,
        {
          params: {
            [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
            [constants.BROTLI_PARAM_SIZE_HINT]: octets.length,
          },
        },
        finish,
      )
    case 'gzip':
      return gzip(octets, { level: GZIP_LEVEL }, finish)
    default:
      done(undefined)
  }
}

/** A plain Uint8Array without room behind it, as all content is: it is kept for long. */
function ownOctets(coded: Buffer): Uint8Array {
  return Uint8Array.from(coded)
}
