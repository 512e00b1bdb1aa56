import { ageOf, isFresh, mayUseStale, mayUseWhileRevalidating } from '../http/freshness.ts'
import type { Field } from '../http/stored-response.ts'
import { judge } from './verdict.ts'

/** Sun, 06 Nov 1994 08:49:37 GMT. */
const NOW_SECOND = 784_111_777
const DATE: Field = ['Date', 'Sun, 06 Nov 1994 08:49:37 GMT']
const HOUR_BEFORE = 'Sun, 06 Nov 1994 07:49:37 GMT'
const HOUR_AFTER = 'Sun, 06 Nov 1994 09:49:37 GMT'
const TAG: Field = ['ETag', '"a"']

function verdict(fields: readonly Field[], status = 200, isAuthorized = false, delay = 0) {
  const times = { nowSecond: NOW_SECOND, now: 1_000, delay }
  return judge({ status, fields: [DATE, ...fields] }, isAuthorized, times)
}

function control(value: string): Field[] {
  return [['Cache-Control', value], TAG]
}

it.each<[section: string, fields: Field[], lifetime: number | undefined]>([
  ['RFC 9111 §5.2.2.1: max-age', control('max-age=60'), 60],
  ['§5.2: directives in any case', control('Max-Age=60'), 60],
  ['§5.2: a quoted number', control('max-age="60"'), 60],
  ['§5.2.2.10: s-maxage before max-age', control('max-age=60, s-maxage=10'), 10],
  ['§5.2.2.10: s-maxage of none before max-age', control('s-maxage=0, max-age=60'), 0],
  [
    '§4.2.1: the least of several',
    [
      ['Cache-Control', 'max-age=60'],
      ['cache-control', 'max-age=5'],
    ],
    5,
  ],
  ['§4.2.1: what is no number is stale', control('max-age=-5'), 0],
  ['§4.2.1: what is no number is stale, also with letters', control('max-age=60s'), 0],
  ['§1.2.2: more than can be counted', control(`max-age=${'9'.repeat(40)}`), 2 ** 31],
  ['§5.2.2.5: no-store', control('no-store, max-age=60'), undefined],
  ['§5.2.2.7: private', control('private, max-age=60'), undefined],
  ['§5.2.2.7: private with fields, commas inside', control('max-age=60, private="x-a, x-b"'), undefined],
  ['§5.2.2.4: no-cache is stored, and validated at every use', control('no-cache, max-age=60'), 0],
  ['§5.2.2.4: no-cache with fields, as without', control('no-cache="x-a, max-age=9", max-age=60'), 0],
  ['§5.2.2.8: proxy-revalidate is fresh until it is not', control('proxy-revalidate, max-age=60'), 60],
  ['§5.3: Expires less Date', [['Expires', HOUR_AFTER]], 3_600],
  ['§5.3: max-age before Expires', [...control('max-age=60'), ['Expires', HOUR_AFTER]], 60],
  ['§5.3: Expires in the past', [['Expires', HOUR_BEFORE], TAG], 0],
  ['§5.3: an Expires that is no date', [['Expires', '0'], TAG], 0],
  ['§5.3: an Expires that only looks like a date', [['Expires', '9999-01-01'], TAG], 0],
  ['§5.4: Pragma alone', [['Pragma', 'no-cache'], TAG], 0],
  ['§4.2.2: a tenth of the time since Last-Modified', [['Last-Modified', HOUR_BEFORE]], 360],
  ['§4.2.2: nothing of a Last-Modified in the future', [['Last-Modified', HOUR_AFTER]], 0],
  ['§4.1: Vary: * matches nothing', [...control('max-age=60'), ['Vary', '*']], undefined],
  ['§4.1: Vary: * among others', [...control('max-age=60'), ['Vary', 'Accept, *']], undefined],
  [
    '§4.1: by the address of the client, which we say',
    [...control('max-age=60'), ['Vary', 'Accept, X-Forwarded-For']],
    undefined,
  ],
  ['§4.1: the same in RFC 7239', [...control('max-age=60'), ['Vary', 'forwarded']], undefined],
  [
    '§7.3: Set-Cookie is for one client',
    [...control('public, max-age=60'), ['Set-Cookie', 'a=b']],
    undefined,
  ],
])('%s', (_section, fields, lifetime) => {
  expect(verdict(fields)?.lifetime).toBe(lifetime)
})

it.each<[status: number, fields: Field[], lifetime: number | undefined]>([
  [404, [['Last-Modified', HOUR_BEFORE]], 360],
  [404, control('max-age=60'), 60],
  [301, control('max-age=60'), 60],
  [302, [['Last-Modified', HOUR_BEFORE]], undefined],
  [302, control('max-age=60'), 60],
  [206, control('max-age=60'), undefined],
  [500, control('max-age=60'), undefined],
  [503, control('max-age=60'), undefined],
])('RFC 9111 §3, RFC 9110 §15.1: status %i', (status, fields, lifetime) => {
  expect(verdict(fields, status)?.lifetime).toBe(lifetime)
})

it.each<[directives: string, isStored: boolean]>([
  ['max-age=60', false],
  ['max-age=60, public', true],
  ['max-age=60, must-revalidate', true],
  ['s-maxage=60', true],
])('RFC 9111 §3.5: Authorization, with %s', (directives, isStored) => {
  expect(verdict(control(directives), 200, true) !== undefined).toBe(isStored)
})

it.each<[section: string, fields: Field[], delay: number, age: number]>([
  ['none', [], 0, 0],
  ['Age of a cache before us', [['Age', '30']], 0, 30],
  ['the time that the response took', [['Age', '30']], 5, 35],
  [
    'a Date that is older than Age says',
    [
      ['Age', '30'],
      ['Date', HOUR_BEFORE],
    ],
    5,
    3_600,
  ],
  ['an Age that is none', [['Age', '-3']], 0, 0],
])('RFC 9111 §4.2.3: the age: %s', (_section, fields, delay, age) => {
  const date = fields.some(([name]) => name === 'Date') ? [] : [DATE]
  const times = { nowSecond: NOW_SECOND, now: 1_000, delay }
  const freshness = judge(
    { status: 200, fields: [...date, ...control('max-age=9999'), ...fields] },
    false,
    times,
  )
  expect(freshness && ageOf(freshness, 1_000)).toBe(age)
  expect(freshness && ageOf(freshness, 11_500)).toBe(age + 10)
})

it('RFC 9111 §4.2: is fresh while its age is below its lifetime', () => {
  const freshness = verdict([...control('max-age=60'), ['Age', '10']])
  expect(freshness && isFresh(freshness, 1_000 + 49_999)).toBe(true)
  expect(freshness && isFresh(freshness, 1_000 + 50_000)).toBe(false)
})

it.each<[section: string, directives: string, error: boolean, disconnected: boolean, revalidating: boolean]>([
  ['RFC 9111 §4.2.4: nothing said', 'max-age=60', false, true, false],
  ['RFC 5861 §4', 'max-age=60, stale-if-error=100', true, true, false],
  ['RFC 5861 §4: over', 'max-age=60, stale-if-error=5', false, true, false],
  ['RFC 5861 §3', 'max-age=60, stale-while-revalidate=100', false, true, true],
  ['RFC 9111 §5.2.2.2', 'max-age=60, must-revalidate, stale-if-error=100', false, false, false],
  ['RFC 9111 §5.2.2.8', 'max-age=60, proxy-revalidate', false, false, false],
  ['RFC 9111 §5.2.2.10', 's-maxage=60, stale-while-revalidate=100', false, false, false],
  ['RFC 9111 §5.2.2.4', 'max-age=60, no-cache, stale-if-error=100', false, false, false],
])('stale: %s', (_section, directives, error, disconnected, revalidating) => {
  const freshness = verdict(control(directives))
  const now = 1_000 + 70_000
  expect(freshness && mayUseStale(freshness, 'error', now)).toBe(error)
  expect(freshness && mayUseStale(freshness, 'disconnected', now)).toBe(disconnected)
  expect(freshness && mayUseWhileRevalidating(freshness, now)).toBe(revalidating)
})

it('RFC 9111 §4.2.4: nothing is used for ever, however long the origin is away', () => {
  const freshness = verdict(control('max-age=60'))
  expect(freshness && mayUseStale(freshness, 'disconnected', 1_000 + (60 + 86_400) * 1_000)).toBe(false)
})
