import fc from 'fast-check'
import { formatDurationMs, formatOctets, parseDurationMs, parseOctets } from './units.ts'

it.each([
  ['64MiB', 67_108_864],
  ['64 MiB', 67_108_864],
  ['1.5kB', 1_500],
  ['65536', 65_536],
  ['0', 0],
  ['2TiB', 2 ** 41],
])('%s are so many octets', (text, octets) => {
  expect(parseOctets(text)).toBe(octets)
})

it.each([
  '',
  'MiB',
  '-1MiB',
  '64m',
  '64mib',
  '1e3',
  '0x10',
  '64MiB ',
  '1..5kB',
  '64 constructor',
  '9'.repeat(16),
])('%p is no size', text => {
  expect(parseOctets(text)).toBeUndefined()
})

it.each([
  ['30s', 30_000],
  ['1.5min', 90_000],
  ['250ms', 250],
  ['0s', 0],
  ['2 h', 7_200_000],
  ['1d', 86_400_000],
])('%s are so many milliseconds', (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms)
})

it.each(['', '30', 's', '-1s', '30m', '30S', '1e3s', '30s '])('%p is no duration', text => {
  expect(parseDurationMs(text)).toBeUndefined()
})

it('writes what it reads', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 40), value => {
      expect(parseOctets(formatOctets(value))).toBe(value)
      expect(parseDurationMs(formatDurationMs(value % 1e9))).toBe(value % 1e9)
    }),
  )
})
