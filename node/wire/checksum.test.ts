import fc from 'fast-check'
import { fold, pseudoHeaderSum4, pseudoHeaderSum6, sumIpv4Header, sumOctets } from './checksum.ts'

/** One's complement addition is addition modulo 65,535; RFC 1071 word by word. */
function naive(octets: ArrayLike<number>, initial = 0): number {
  let sum = initial
  for (let index = 0; index < octets.length; index += 2) {
    sum = (sum + (octets[index] ?? 0) * 256 + (octets[index + 1] ?? 0)) % 65_535
  }
  return sum % 65_535
}

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const viewOf = (octets: Uint8Array) => new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
const octetsOf = (...words: number[]) => {
  const octets = new Uint8Array(4 * words.length)
  words.forEach((value, index) => {
    viewOf(octets).setInt32(4 * index, value)
  })
  return octets
}

test('the sum equals the naive one at every offset and length', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.nat(20),
      fc.nat(65_535),
      fc.boolean(),
      (octets, skip, initial, saturated) => {
        if (saturated) octets.fill(0xff)
        const at = Math.min(skip, octets.length)
        const sum = sumOctets(viewOf(octets), at, octets.length - at, initial)
        expect(sum % 65_535).toBe(naive(octets.subarray(at), initial))
        expect(sum).toBeLessThanOrEqual(0xffff)
      },
    ),
    { numRuns: 500 },
  )
})

test('128 KiB of ones do not overflow', () => {
  const octets = new Uint8Array(131_072).fill(0xff)
  expect(sumOctets(viewOf(octets), 0, octets.length, 0xffff)).toBe(0xffff)
})

test('zero and 0xffff are told apart: a sum of something is never 0', () => {
  const octets = new Uint8Array([0xff, 0xff, 0, 0])
  expect(sumOctets(viewOf(octets), 0, 4, 0)).toBe(0xffff)
  expect(sumOctets(viewOf(new Uint8Array(4)), 0, 4, 0)).toBe(0)
  expect(fold(0xffff_ffff)).toBe(0xffff)
})

test('the unrolled IPv4 header sum is the general one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 24, maxLength: 24 }), fc.nat(4), (octets, at) => {
      expect(sumIpv4Header(viewOf(octets), at)).toBe(sumOctets(viewOf(octets), at, 20, 0))
    }),
  )
})

test('pseudo-headers sum like the octets that they stand for', () => {
  const words = fc.array(word, { minLength: 8, maxLength: 8 })
  fc.assert(
    fc.property(words, fc.nat(255), fc.nat(65_535), (addresses, protocol, length) => {
      const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = addresses
      const six = pseudoHeaderSum6(a, b, c, d, e, f, g, h, protocol, length)
      expect(six % 65_535).toBe(naive(octetsOf(a, b, c, d, e, f, g, h, length, protocol)))
      const four = pseudoHeaderSum4(a, b, protocol, length)
      expect(four % 65_535).toBe(naive(octetsOf(a, b, (protocol << 16) | length)))
    }),
  )
})
