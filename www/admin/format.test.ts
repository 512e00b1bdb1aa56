import { countText, shareText } from './format.ts'

it.each([
  [countText(12_345), '12,345'],
  [countText(0.25), '0.3'],
  [countText(2_500_000), '2.5 M'],
  [shareText(null), '–'],
  [shareText(0.0123), '1.2 %'],
])('%s', (text, expected) => {
  expect(text).toBe(expected)
})
