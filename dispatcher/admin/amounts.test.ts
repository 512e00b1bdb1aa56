import { formatDuration, formatOctets } from './amounts.ts'

it.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [6_291_456, '6.0 MiB'],
  [1024 * 1024 * 200, '200 MiB'],
  [2 ** 70, '1048576 PiB'],
])('formatOctets %d', (octets, text) => {
  expect(formatOctets(octets)).toBe(text)
})

it.each([
  [0.25, '250 µs'],
  [1.26, '1.3 ms'],
  [999, '999 ms'],
  [2_540, '2.5 s'],
  [12_900, '12 s'],
  [61_000, '1 min 1 s'],
  [7_260_000, '2 h 1 min'],
  [90_000_000, '1 d 1 h'],
])('formatDuration %d', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})
