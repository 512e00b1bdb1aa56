/**
 * Range requests (RFC 9110 §14): from the value of Range and the length of a representation to the octets to send.
 * Sets are bounded in number and never ask for an octet twice, so no request is answered with more than the
 * representation and the frame of its parts. If-Range is in conditional.ts, the response in plan.ts.
 */
import { trimOws } from './grammar.ts'

/** More ranges than this, and the whole representation is sent: a server may ignore Range (§14.2). Apache: 200. */
export const MAX_RANGES = 32
/** A longer value cannot hold MAX_RANGES sensible ranges. */
const MAX_RANGE_LENGTH = 2_048

/** Octets from `first` to `last`, both included. */
export interface ByteRange {
  first: number
  last: number
}

/** 'ignore': answer as if there were no Range; 'unsatisfiable': 416. */
export type RangeVerdict = 'ignore' | 'unsatisfiable' | ByteRange[]

/**
 * The ranges to send, in the order of the request, none overlapping or touching another: those that did are joined
 * where the first of them stood (§15.3.7.2). Invalid, foreign and excessive sets are ignored, and so is every Range
 * on an empty representation, of which Content-Range could name no part.
 */
export function parseRanges(value: string, length: number): RangeVerdict {
  if (length === 0 || value.length > MAX_RANGE_LENGTH) return 'ignore'
  const equals = value.indexOf('=')
  // Unit names are case-insensitive (§14.1).
  if (equals < 0 || value.slice(0, equals).toLowerCase() !== 'bytes') return 'ignore'
  const ranges: ByteRange[] = []
  let count = 0
  for (const element of value.slice(equals + 1).split(',')) {
    const spec = trimOws(element)
    if (spec === '') continue
    if (++count > MAX_RANGES) return 'ignore'
    const range = parseSpec(spec, length)
    if (range === 'invalid') return 'ignore'
    if (range !== 'beyond') join(ranges, range)
  }
  if (count === 0) return 'ignore'
  return ranges.length === 0 ? 'unsatisfiable' : ranges
}

const SPEC = /^(\d*)-(\d*)$/

/** §14.1.1: int-range = first-pos "-" [ last-pos ], suffix-range = "-" suffix-length. */
function parseSpec(spec: string, length: number): ByteRange | 'invalid' | 'beyond' {
  const match = SPEC.exec(spec)
  if (match === null) return 'invalid'
  // Numbers too large for exactness are still far beyond every length, and Infinity compares as it should.
  const [firstText, lastText] = [match[1] as string, match[2] as string]
  if (firstText === '') {
    if (lastText === '') return 'invalid'
    const suffix = Number(lastText)
    return suffix === 0 ? 'beyond' : { first: Math.max(0, length - suffix), last: length - 1 }
  }
  const first = Number(firstText)
  if (lastText !== '' && precedes(lastText, firstText)) return 'invalid'
  if (first >= length) return 'beyond'
  const last = lastText === '' ? length - 1 : Number(lastText)
  return { first, last: Math.min(last, length - 1) }
}

/** Digits that a double holds exactly. */
const EXACT_DIGITS = 15

/** Compares digits of any number exactly, where doubles would call 2^53 and 2^53 + 1 equal. */
function precedes(text: string, other: string): boolean {
  if (text.length <= EXACT_DIGITS && other.length <= EXACT_DIGITS) return Number(text) < Number(other)
  const [a, b] = [text.replace(/^0+/, ''), other.replace(/^0+/, '')]
  return a.length === b.length ? a < b : a.length < b.length
}

/** Adds a range; whatever it overlaps or touches becomes one with it. At most MAX_RANGES² steps for a whole set. */
function join(ranges: ByteRange[], range: ByteRange): void {
  let home = -1
  for (let index = 0; index < ranges.length; ) {
    const other = ranges[index] as ByteRange
    const joined = home < 0 ? range : (ranges[home] as ByteRange)
    if (other === joined || other.first > joined.last + 1 || joined.first > other.last + 1) {
      index++
      continue
    }
    const first = Math.min(other.first, joined.first)
    const last = Math.max(other.last, joined.last)
    if (home < 0) home = index
    else ranges.splice(index, 1)
    ;(ranges[home] as ByteRange).first = first
    ;(ranges[home] as ByteRange).last = last
    // It grew: look again at those that it did not reach before.
    index = 0
  }
  if (home < 0) ranges.push(range)
}
