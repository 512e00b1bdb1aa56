import { isIP } from 'node:net'
import fc from 'fast-check'
import { formatAddress, formatEndpoint, isMartian4, isMartian6, parseAddress } from './address.ts'

const word = fc.oneof(
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  fc.constantFrom(0, 0xffff, 1, 1 << 16, -1),
)

test('parse ∘ format is the identity on words', () => {
  fc.assert(
    fc.property(word, word, word, word, (word0, word1, word2, word3) => {
      const text = formatAddress(word0, word1, word2, word3)
      const mapped = word0 === 0 && word1 === 0 && word2 === 0xffff
      expect(parseAddress(text)).toEqual({ family: mapped ? 4 : 6, word0, word1, word2, word3 })
      expect(isIP(text)).toBe(mapped ? 4 : 6)
      // The URL standard writes the same canonical form.
      if (!mapped) expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`)
    }),
    { numRuns: 1_000 },
  )
})

test('exactly what the platform takes for an address is parsed, zones left out', () => {
  const part = fc.constantFrom(
    '0',
    '1',
    'ffff',
    '12345',
    'g',
    '',
    '::',
    ':',
    '.',
    '1.2.3.4',
    '256',
    '%',
    '01',
  )
  const text = fc.oneof(
    fc.array(part, { maxLength: 10 }).map(parts => parts.join(':')),
    fc.array(part, { maxLength: 5 }).map(parts => parts.join('.')),
    fc.array(part, { maxLength: 9 }).map(parts => parts.join('')),
    fc.ipV4(),
    fc.ipV6(),
  )
  fc.assert(
    fc.property(text, candidate => {
      expect(parseAddress(candidate) !== undefined).toBe(isIP(candidate) !== 0 && !candidate.includes('%'))
    }),
    { numRuns: 5_000 },
  )
})

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['255.255.255.255', '255.255.255.255'],
  ['::', '::'],
  ['::1', '::1'],
  ['2001:DB8::', '2001:db8::'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
])('%s reads as %s (RFC 5952)', (text, canonical) => {
  const address = parseAddress(text)
  expect(address && formatAddress(address.word0, address.word1, address.word2, address.word3)).toBe(canonical)
})

test.each([
  '',
  '1.2.3',
  '1.2.3.4.5',
  '01.2.3.4',
  '256.1.1.1',
  '1.2.3.4 ',
  '[::1]',
  'fe80::1%eth0',
  ':::',
  '1::2::3',
])('%p is refused', text => {
  expect(parseAddress(text)).toBeUndefined()
})

test('endpoints', () => {
  expect(formatEndpoint(0, 0, 0xffff, 0x0a000001, 80)).toBe('10.0.0.1:80')
  expect(formatEndpoint(0x20010db8, 0, 0, 1, 443)).toBe('[2001:db8::1]:443')
})

test.each([
  ['0.1.2.3', true],
  ['127.0.0.1', true],
  ['224.0.0.1', true],
  ['239.255.255.255', true],
  ['255.255.255.255', true],
  ['10.0.0.1', false],
  ['223.255.255.255', false],
  ['240.0.0.1', false],
  ['::', true],
  ['::1', true],
  ['::10.0.0.1', true],
  ['ff02::1', true],
  ['fe80::1', false],
  ['2001:db8::1', false],
])('martian %s: %p (RFC 1122 §3.2.1.3)', (text, martian) => {
  const address = parseAddress(text)
  if (address === undefined) throw new Error(text)
  const { family, word0, word1, word2, word3 } = address
  expect(family === 4 ? isMartian4(word3) : isMartian6(word0, word1, word2)).toBe(martian)
})

test('the mapped form is martian as an IPv6 address', () => {
  expect(isMartian6(0, 0, 0xffff)).toBe(true)
})
