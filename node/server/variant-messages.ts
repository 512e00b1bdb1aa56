/** What nodes say to one another of variants that were made: plain data, and everything that comes in is checked whole. */
import { CODINGS, type ContentCoding } from '../http/content-coding.ts'
import { isCount, isText, MAX_PATH_CHARS } from './messages.ts'

/** First number of the envelope, beside those of `node/stack/owner.ts`. */
export const VARIANT_PROTOCOL = 5

/** Octets of a variant in one message: small beside what waits in a link, so that shifts are not held up. */
export const PIECE_OCTETS = 65_536
/** A quoted digest. */
const MAX_TAG_CHARS = 64

export type VariantMessage =
  | {
      readonly type: 'WANT'
      readonly token: number
      readonly path: string
      readonly coding: ContentCoding
      /** The version of the file; '' where the variant is named by its own tag. */
      readonly fileTag: string
      /** The tag of the variant; '' for whatever is made of the file. */
      readonly tag: string
      readonly offset: number
    }
  | {
      readonly type: 'PIECE'
      readonly token: number
      readonly fileTag: string
      readonly tag: string
      readonly total: number
      readonly octets: Uint8Array
    }
  /** It cannot be had here; `declined`: because it is not worth having. */
  | { readonly type: 'NONE'; readonly token: number; readonly declined: boolean }

const TYPES: readonly VariantMessage['type'][] = ['WANT', 'PIECE', 'NONE']

export function encodeVariantMessage(message: VariantMessage): unknown[] {
  const head = [VARIANT_PROTOCOL, TYPES.indexOf(message.type), message.token]
  switch (message.type) {
    case 'WANT':
      return [...head, message.path, message.coding, message.fileTag, message.tag, message.offset]
    case 'PIECE':
      return [...head, message.fileTag, message.tag, message.total, message.octets]
    case 'NONE':
      return [...head, message.declined]
  }
}

/** Undefined for anything that is not a message of this protocol. `plain` begins behind the protocol's number. */
export function decodeVariantMessage(plain: readonly unknown[]): VariantMessage | undefined {
  const [tag, token, a, b, c, d, e] = plain
  const type = typeof tag === 'number' ? TYPES[tag] : undefined
  if (type === undefined || !isCount(token)) return undefined
  switch (type) {
    case 'WANT': {
      const coding = CODINGS.find(one => one === b)
      if (!isText(a, MAX_PATH_CHARS) || coding === undefined || !isTag(c) || !isTag(d) || !isCount(e))
        return undefined
      return { type, token, path: a, coding, fileTag: c, tag: d, offset: e }
    }
    case 'PIECE':
      if (!isTag(a) || !isTag(b) || !isCount(c) || !(d instanceof Uint8Array)) return undefined
      return d.length > PIECE_OCTETS ? undefined : { type, token, fileTag: a, tag: b, total: c, octets: d }
    case 'NONE':
      return typeof a === 'boolean' ? { type, token, declined: a } : undefined
  }
}

function isTag(value: unknown): value is string {
  return isText(value, MAX_TAG_CHARS)
}
