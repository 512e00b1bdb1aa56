/**
 * What a shared cache may do with a response (RFC 9111 §3, §4.2): whether it may be stored, and for how long it is fresh. The
 * rules are http-cache-semantics'; it is given the fields in the one form that it reads as the RFC means them.
 */
import CachePolicy from 'http-cache-semantics'
import { formatHttpDate, parseHttpDate } from '../http/date.ts'
import type { Freshness } from '../http/freshness.ts'
import { type Field, fieldValue } from '../http/stored-response.ts'
import { varyNames } from './fields.ts'

export interface Answer {
  readonly status: number
  /** End-to-end fields, Date among them, and Age where the origin, or a cache before it, says one. */
  readonly fields: readonly Field[]
}

export interface Times {
  /** Wall clock in whole seconds when the response had come. */
  readonly nowSecond: number
  /** The owner's clock, ms, at the same time. */
  readonly now: number
  /** Seconds from the request to the head of the response. */
  readonly delay: number
}

/** Longer times mean for ever, and are exact (§1.2.2). */
const MAX_SECONDS = 2 ** 31
/** What a client sends under these names we replace: two that say the same are not the same to the origin. */
const SAID_BY_US = ['x-forwarded-for', 'forwarded']
/** Directives that are numbers; with several of one name the least counts (§4.2.1). */
const NUMBERS = ['max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error']

type Directives = ReadonlyMap<string, string | true>

/**
 * The freshness of a response that may be stored, or undefined. `isAuthorized`: the request had Authorization (§3.5);
 * `hasCookie`: it may be of one client, so that how long it is fresh is not guessed (§4.2.2), nor a time its validator.
 */
export function judge(
  { status, fields }: Answer,
  isAuthorized: boolean,
  times: Times,
  hasCookie = false,
): Freshness | undefined {
  // §4.1: nothing that is asked later can match it. Set-Cookie is one client's, whatever else is said (§7.3).
  if (fieldValue(fields, 'vary')?.includes('*') || fieldValue(fields, 'set-cookie') !== undefined)
    return undefined
  if (varyNames(fields).some(name => SAID_BY_US.includes(name))) return undefined
  const directives = directivesOf(fields)
  const policy = new CachePolicy(
    { method: 'GET', url: '/', headers: isAuthorized ? { authorization: 'some' } : {} },
    { status, headers: policyHeaders(fields, directives, times.nowSecond) },
  )
  if (!policy.storable()) return undefined
  const isGuessed = hasCookie && !isSaid(fields, directives)
  if (isGuessed && fieldValue(fields, 'etag') === undefined) return undefined
  const must = ['no-cache', 'must-revalidate', 'proxy-revalidate', 's-maxage'].some(name =>
    directives.has(name),
  )
  const lifetime = isGuessed ? 0 : Math.min(MAX_SECONDS, Math.max(0, policy.maxAge()))
  return {
    receivedAt: times.now,
    initialAge: initialAge(fields, times),
    lifetime,
    // What must be validated before any use, nothing may put off (§5.2.2.2).
    whileRevalidate: must ? 0 : seconds(directives, 'stale-while-revalidate'),
    ifError: must ? 0 : seconds(directives, 'stale-if-error'),
    // What was never fresh may differ from client to client: the validation alone tells.
    ifDisconnected: !must && lifetime > 0,
  }
}

/** Whether the origin speaks of shared caches, or of a time. */
function isSaid(fields: readonly Field[], directives: Directives): boolean {
  const isDirected = ['public', 'max-age', 's-maxage'].some(name => directives.has(name))
  return isDirected || fieldValue(fields, 'expires') !== undefined
}

/** corrected_initial_age of §4.2.3. */
function initialAge(fields: readonly Field[], { nowSecond, delay }: Times): number {
  const said = /^\d+/.exec(fieldValue(fields, 'age') ?? '')?.[0] ?? '0'
  const date = parseHttpDate(fieldValue(fields, 'date') ?? '', nowSecond)
  const apparent = date === undefined ? 0 : Math.max(0, nowSecond - date)
  return Math.min(MAX_SECONDS, Math.max(apparent, Number(said) + delay))
}

/** Names in lower case; of quoted values the inside, commas and all (§5.2). */
function directivesOf(fields: readonly Field[]): Directives {
  const directives = new Map<string, string | true>()
  const text = fieldValue(fields, 'cache-control') ?? ''
  for (const [, name = '', quoted, plain] of text.matchAll(
    /([^\s,;="]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,;]*)))?/g,
  )) {
    const key = name.toLowerCase()
    const value = quoted ?? plain ?? true
    const before = directives.get(key)
    directives.set(key, NUMBERS.includes(key) && before !== undefined ? least(before, value) : value)
  }
  return directives
}

function least(a: string | true, b: string | true): string | true {
  return secondsOf(a) <= secondsOf(b) ? a : b
}

function seconds(directives: Directives, name: string): number {
  return secondsOf(directives.get(name))
}

/** What is no number is stale already (§4.2.1). */
function secondsOf(value: string | true | undefined): number {
  return typeof value === 'string' && /^\d+$/.test(value) ? Math.min(MAX_SECONDS, Number(value)) : 0
}

/** The fields that the rules look at. */
function policyHeaders(
  fields: readonly Field[],
  directives: Directives,
  nowSecond: number,
): Record<string, string> {
  const headers: Record<string, string> = { date: formatHttpDate(nowSecond) }
  const date = parseHttpDate(fieldValue(fields, 'date') ?? '', nowSecond)
  if (date !== undefined) headers.date = formatHttpDate(date)
  const expires = fieldValue(fields, 'expires')
  // §5.3: what is no date, "0" above all, has expired.
  if (expires !== undefined) headers.expires = formatHttpDate(parseHttpDate(expires, nowSecond) ?? 0)
  const modified = parseHttpDate(fieldValue(fields, 'last-modified') ?? '', nowSecond)
  if (modified !== undefined) headers['last-modified'] = formatHttpDate(modified)
  const pragma = fieldValue(fields, 'pragma')
  if (pragma !== undefined) headers.pragma = pragma
  const control = [...directives]
    // It says only that nothing stale is to be used; the library would take it for a lifetime of none.
    .filter(([name]) => name !== 'proxy-revalidate')
    .map(([name, value]) => {
      if (NUMBERS.includes(name)) return `${name}=${secondsOf(value)}`
      return value === true || name === 'private' || name === 'no-cache'
        ? name
        : `${name}=${value.replaceAll(',', ' ')}`
    })
  if (control.length > 0) headers['cache-control'] = control.join(', ')
  return headers
}
