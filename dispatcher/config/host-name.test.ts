import { normaliseHost } from './host-name.ts'

it.each([
  ['example.org', 'example.org'],
  ['Example.ORG.', 'example.org'],
  ['*.Example.org', '*.example.org'],
  ['bücher.example', 'xn--bcher-kva.example'],
  ['localhost', 'localhost'],
  ['10.77.0.1', '10.77.0.1'],
  ['[FD77:0::1]', '[fd77::1]'],
  ['fd77::1', '[fd77::1]'],
  ['a_b.example', 'a_b.example'],
])('%s is compared as %s', (text, host) => {
  expect(normaliseHost(text)).toBe(host)
})

it.each([
  '',
  '*',
  '*.',
  '**.example',
  'a.*.example',
  'http://example.org',
  'example.org:80',
  'example.org/x',
  'exa mple.org',
  '-a.example',
  'a..b',
  'a'.repeat(64),
  `${'a.'.repeat(127)}aa`,
  'a\0b',
])('%p is no host', text => {
  expect(normaliseHost(text)).toBeUndefined()
})
