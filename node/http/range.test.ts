import fc from 'fast-check'
import { type ByteRange, MAX_RANGES, parseRanges } from './range.ts'

const r = (first: number, last: number): ByteRange => ({ first, last })

describe('RFC 9110 §14.1.2 byte ranges of 100 octets', () => {
  it.each([
    ['bytes=0-0', [r(0, 0)]],
    ['bytes=0-99', [r(0, 99)]],
    ['bytes=0-100', [r(0, 99)]],
    ['bytes=50-', [r(50, 99)]],
    ['bytes=-1', [r(99, 99)]],
    ['bytes=-100', [r(0, 99)]],
    ['bytes=-1000', [r(0, 99)]],
    ['BYTES=1-2', [r(1, 2)]],
    ['bytes=1-2,4-5', [r(1, 2), r(4, 5)]],
    ['bytes=4-5,1-2', [r(4, 5), r(1, 2)]],
    ['bytes=1-2 ,\t4-5', [r(1, 2), r(4, 5)]],
    ['bytes=,1-2,,4-5,', [r(1, 2), r(4, 5)]],
    ['bytes=0-1,200-300', [r(0, 1)]],
    ['bytes=000000000000000000000-00000000000000000000001', [r(0, 1)]],
    ['bytes=0-99999999999999999999999', [r(0, 99)]],
  ])('%s', (value, expected) => expect(parseRanges(value, 100)).toEqual(expected))
})

describe('RFC 9110 §15.3.7.2 ranges that overlap or touch are joined where the first stood', () => {
  it.each([
    ['bytes=0-9,5-14', [r(0, 14)]],
    ['bytes=0-9,10-19', [r(0, 19)]],
    ['bytes=0-9,11-19', [r(0, 9), r(11, 19)]],
    ['bytes=90-99,0-9,85-92', [r(85, 99), r(0, 9)]],
    ['bytes=0-9,20-29,10-19', [r(0, 29)]],
    ['bytes=0-9,20-29,5-24', [r(0, 29)]],
    ['bytes=0-,0-,0-,0-', [r(0, 99)]],
    ['bytes=0-,-1', [r(0, 99)]],
  ])('%s', (value, expected) => expect(parseRanges(value, 100)).toEqual(expected))
})

describe('RFC 9110 §14.2 invalid and foreign sets are ignored', () => {
  it.each([
    '',
    'bytes',
    'bytes=',
    'bytes=,',
    'bytes=-',
    'bytes=a-b',
    'bytes=1',
    'bytes=2-1',
    'bytes=0-1,2-1',
    'bytes=1-2-3',
    'bytes=1 - 2',
    'bytes=-0x1',
    'bytes=1.5-2',
    'bytes=+1-2',
    'bytes =0-1',
    'seconds=0-1',
    'bytes=0-1, bytes=2-3',
    'bytes=9007199254740993-9007199254740992',
    `bytes=${'0'.repeat(3_000)}-1`,
  ])('%s', value => expect(parseRanges(value, 100)).toBe('ignore'))

  it('and so are more than MAX_RANGES', () => {
    const set = (count: number) =>
      `bytes=${Array.from({ length: count }, (_, at) => `${3 * at}-${3 * at}`).join()}`
    expect(parseRanges(set(MAX_RANGES), 1_000)).toHaveLength(MAX_RANGES)
    expect(parseRanges(set(MAX_RANGES + 1), 1_000)).toBe('ignore')
  })

  it('and every set on an empty representation', () => {
    expect(parseRanges('bytes=0-', 0)).toBe('ignore')
    expect(parseRanges('bytes=-1', 0)).toBe('ignore')
  })
})

describe('RFC 9110 §14.1.2 unsatisfiable', () => {
  it.each(['bytes=100-', 'bytes=100-200', 'bytes=-0', 'bytes=100-,-0', 'bytes=99999999999999999999999-'])(
    '%s',
    value => expect(parseRanges(value, 100)).toBe('unsatisfiable'),
  )
})

describe('laws', () => {
  const position = fc.integer({ min: 0, max: 40 })
  const spec = fc.oneof(
    fc.tuple(position, position).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
    position.map(a => `${a}-`),
    position.map(a => `-${a}`),
  )
  const set = fc.array(spec, { minLength: 1, maxLength: MAX_RANGES })

  /** Which octets are asked for, found one at a time. */
  function naive(specs: string[], length: number): number[] {
    const wanted = (octet: number) =>
      specs.some(text => {
        const [first, last] = text.split('-') as [string, string]
        if (first === '') return octet >= length - Number(last)
        return octet >= Number(first) && (last === '' || octet <= Number(last))
      })
    return Array.from({ length }, (_, octet) => octet).filter(wanted)
  }

  it('exactly the octets asked for, each once', () => {
    fc.assert(
      fc.property(set, fc.integer({ min: 1, max: 30 }), (specs, length) => {
        const expected = naive(specs, length)
        const verdict = parseRanges(`bytes=${specs.join(',')}`, length)
        if (expected.length === 0) {
          expect(verdict).toBe('unsatisfiable')
          return
        }
        const octets: number[] = []
        for (const range of verdict as ByteRange[]) {
          for (let octet = range.first; octet <= range.last; octet++) octets.push(octet)
        }
        expect(octets.sort((a, b) => a - b)).toEqual(expected)
      }),
    )
  })

  it('ranges stay apart by at least one octet', () => {
    fc.assert(
      fc.property(set, specs => {
        const verdict = parseRanges(`bytes=${specs.join(',')}`, 30)
        if (typeof verdict === 'string') return
        const sorted = [...verdict].sort((a, b) => a.first - b.first)
        for (let at = 1; at < sorted.length; at++) {
          expect(sorted[at]?.first).toBeGreaterThan((sorted[at - 1] as ByteRange).last + 1)
        }
      }),
    )
  })

  it('garbage throws nothing', () => {
    fc.assert(fc.property(fc.string(), fc.nat(), (text, length) => void parseRanges(`bytes=${text}`, length)))
  })
})
