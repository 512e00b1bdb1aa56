/**
 * Conditional requests (RFC 9110 §13) on a selected representation: the decision alone,
 * in the precedence of §13.2.2. Only GET and HEAD come here; responses are in plan.ts.
 */
import { parseHttpDate } from './date.ts'
import { IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE } from './known-field.ts'
import { field, type RequestHead } from './request-head.ts'

export const CONDITIONAL = IF_MATCH | IF_NONE_MATCH | IF_MODIFIED_SINCE | IF_UNMODIFIED_SINCE

/** What a representation is told by. */
export interface Validators {
  /** With its quotes, and `W/` where it is weak; '' where there is none. */
  readonly etag: string
  readonly lastModified: number | undefined
  readonly lastModifiedStrong: boolean
}

/** 'proceed': perform the method; 'not-modified': 304; 'failed': 412. */
export type ConditionVerdict = 'proceed' | 'not-modified' | 'failed'

/** Steps 1 to 4 of §13.2.2 for GET and HEAD. */
export function evaluateConditions(
  head: RequestHead,
  validators: Validators,
  nowSecond: number,
): ConditionVerdict {
  const present = head.present
  const { etag, lastModified } = validators
  if ((present & IF_MATCH) !== 0) {
    if (!matchesTag(field(head, IF_MATCH) as string, etag, 'strong')) return 'failed'
  } else if ((present & IF_UNMODIFIED_SINCE) !== 0) {
    const date = parseHttpDate(field(head, IF_UNMODIFIED_SINCE) as string, nowSecond)
    if (date !== undefined && lastModified !== undefined && lastModified > date) return 'failed'
  }
  if ((present & IF_NONE_MATCH) !== 0) {
    return matchesTag(field(head, IF_NONE_MATCH) as string, etag, 'weak') ? 'not-modified' : 'proceed'
  }
  if ((present & IF_MODIFIED_SINCE) !== 0) {
    const date = parseHttpDate(field(head, IF_MODIFIED_SINCE) as string, nowSecond)
    if (date !== undefined && lastModified !== undefined && lastModified <= date) return 'not-modified'
  }
  return 'proceed'
}

/** Step 5 of §13.2.2: whether Range is to be honoured. §13.1.5: strong comparison, and an exact match of the date. */
export function rangeApplies(head: RequestHead, validators: Validators, nowSecond: number): boolean {
  if ((head.present & IF_RANGE) === 0) return true
  const value = field(head, IF_RANGE) as string
  if (value.startsWith('"')) return value === validators.etag
  if (!validators.lastModifiedStrong) return false
  return parseHttpDate(value, nowSecond) === validators.lastModified
}

/**
 * Whether `*` or a tag of the list matches (§13.1.1 and §13.1.2). The weak comparison overlooks `W/` on both sides, the
 * strong one fails where either has it (§8.8.3.2). A malformed list matches up to where it stops being one. By hand
 * and linear: a tag may hold commas, and a regular expression backtracks over long white space.
 */
function matchesTag(list: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (list === '*') return true
  const isWeak = etag.startsWith('W/')
  if (isWeak && comparison === 'strong') return false
  const opaque = isWeak ? etag.slice(2) : etag
  let at = skipOws(list, 0)
  while (at < list.length) {
    if (list[at] !== ',') {
      const weak = list.startsWith('W/', at)
      const open = weak ? at + 2 : at
      const close = list[open] === '"' ? list.indexOf('"', open + 1) : -1
      if (close < 0) return false
      if ((comparison === 'weak' || !weak) && list.slice(open, close + 1) === opaque) return true
      at = skipOws(list, close + 1)
      if (at < list.length && list[at] !== ',') return false
    }
    at = skipOws(list, at + 1)
  }
  return false
}

function skipOws(text: string, start: number): number {
  let at = start
  while (text[at] === ' ' || text[at] === '\t') at++
  return at
}
