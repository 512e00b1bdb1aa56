import { ageText, countText, msText, octetsText, shareText } from './format.ts'

it.each([
  [octetsText(0), '0 B'],
  [octetsText(6_291_456), '6.0 MiB'],
  [octetsText(2 ** 62), '4096 PiB'],
  [countText(12_345), '12,345'],
  [countText(0.25), '0.3'],
  [countText(2_500_000), '2.5 M'],
  [msText(0.1234), '123 µs'],
  [msText(12.4), '12 ms'],
  [msText(2_500), '2.5 s'],
  [ageText(61_500), '1 min 1 s'],
  [ageText(7_260_000), '2 h 1 min'],
  [shareText(null), '–'],
  [shareText(0.0123), '1.2 %'],
])('%s', (text, expected) => {
  expect(text).toBe(expected)
})
