import { countText, numbered, shareText } from './format.ts'

it.each([
  [countText(12_345), '12,345'],
  [countText(0.25), '0.3'],
  [countText(2_500_000), '2.5 M'],
  [numbered(1, 'socket'), '1 socket'],
  [numbered(2_000, 'socket'), '2,000 sockets'],
  [shareText(null), '–'],
  [shareText(0.0123), '1.2 %'],
])('%s', (text, expected) => {
  expect(text).toBe(expected)
})
