// biome-ignore-all lint/style/noRestrictedGlobals: the platform's dates are what ours are compared with
import fc from 'fast-check'
import { dateOctets, formatHttpDate, parseHttpDate } from './date.ts'

const NOW = Date.UTC(2025, 10, 23) / 1_000
const text = (octets: Uint8Array) => String.fromCharCode(...octets)

describe('RFC 9110 §5.6.7 formatting', () => {
  it.each([
    [784_111_777, 'Sun, 06 Nov 1994 08:49:37 GMT'],
    [0, 'Thu, 01 Jan 1970 00:00:00 GMT'],
    [-1, 'Wed, 31 Dec 1969 23:59:59 GMT'],
    [951_782_400, 'Tue, 29 Feb 2000 00:00:00 GMT'],
    [Number.MAX_SAFE_INTEGER, 'Fri, 31 Dec 9999 23:59:59 GMT'],
    [-Number.MAX_SAFE_INTEGER, 'Mon, 01 Jan 0001 00:00:00 GMT'],
  ])('%d is %s', (second, expected) => expect(formatHttpDate(second)).toBe(expected))

  it('agrees with the platform', () => {
    fc.assert(
      fc.property(fc.integer({ min: -60_000_000_000, max: 253_402_300_799 }), second => {
        expect(formatHttpDate(second)).toBe(new Date(second * 1_000).toUTCString())
        expect(parseHttpDate(formatHttpDate(second), NOW)).toBe(second)
      }),
    )
  })

  it('never writes into octets that were handed out', () => {
    const first = dateOctets(1)
    const before = text(first)
    expect(dateOctets(1)).toBe(first)
    expect(text(dateOctets(2))).not.toBe(before)
    expect(text(first)).toBe(before)
  })
})

describe('RFC 9110 §5.6.7 parsing: a recipient must accept all three forms', () => {
  it.each([
    ['Sun, 06 Nov 1994 08:49:37 GMT', 784_111_777],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 784_111_777],
    ['Sun Nov  6 08:49:37 1994', 784_111_777],
    ['Thu, 31 Dec 1998 23:59:60 GMT', 915_148_800],
  ])('%s', (date, second) => expect(parseHttpDate(date, NOW)).toBe(second))

  it('places two-digit years no more than 50 years ahead', () => {
    expect(parseHttpDate('Friday, 01-Jan-75 00:00:00 GMT', NOW)).toBe(Date.UTC(2075, 0, 1) / 1_000)
    expect(parseHttpDate('Friday, 01-Jan-76 00:00:00 GMT', NOW)).toBe(Date.UTC(1976, 0, 1) / 1_000)
  })

  it.each([
    '',
    '0',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Nov 1994 08:49:37 UTC',
    'Sun, 06 Nov 1994 08:49:37 +0000',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'Sun, 31 Feb 1994 08:49:37 GMT',
    'Sun, 00 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 06 Nov 1994 08:60:37 GMT',
    'sun, 06 nov 1994 08:49:37 gmt',
    ' Sun, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT',
    'Foo, 06 Nov 1994 08:49:37 GMT',
  ])('refuses %j', date => expect(parseHttpDate(date, NOW)).toBeUndefined())

  it('throws at nothing', () => {
    fc.assert(fc.property(fc.string(), garbage => parseHttpDate(garbage, NOW) === undefined))
  })
})
