import fc from 'fast-check'
import { Packr } from 'msgpackr'
import * as codec from './codec.ts'

const { MAX_MESSAGE_DEPTH, MAX_MESSAGE_OCTETS, MAX_MESSAGE_VALUES, unpackEach } = codec

function pack(message: unknown): Uint8Array {
  const octets = codec.pack(message)
  if (octets === undefined) throw new Error('above a limit')
  return octets
}

function unpackAll(octets: Uint8Array): { messages: unknown[]; code: string | undefined } {
  const messages: unknown[] = []
  const code = unpackEach(octets, message => {
    messages.push(message)
    return true
  })
  return { messages, code }
}

function join(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

const leaf = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  fc.double({ noNaN: true }).map(value => (Object.is(value, -0) ? 0 : value)),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.uint8Array({ maxLength: 300 }),
)
const { message: value } = fc.letrec<{ message: unknown }>(tie => ({
  message: fc.oneof(
    { maxDepth: 5 },
    leaf,
    fc.array(tie('message'), { maxLength: 40 }),
    fc.dictionary(
      fc.string({ maxLength: 40 }).filter(key => key !== '__proto__'),
      tie('message'),
      { maxKeys: 20, noNullPrototype: true },
    ),
  ),
}))

describe('pack and unpackEach', () => {
  it('give back every message, in order, and equal octets for equal messages', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 5 }), messages => {
        const packed = messages.map(message => pack(message))
        expect(unpackAll(join(...packed))).toEqual({ messages, code: undefined })
        expect(packed.map(octets => [...pack(unpackAll(octets).messages[0])])).toEqual(
          packed.map(octets => [...octets]),
        )
      }),
      { numRuns: 100 },
    )
  })

  it.each<[string, unknown]>([
    ['infinity', Number.POSITIVE_INFINITY],
    ['a 53-bit integer', 2 ** 53 - 1],
    ['a negative integer of more than 32 bits', -(2 ** 31) - 1],
    ['a tiny fraction', 1e-300],
    ['a bigint', 123n],
    ['the largest bigint', 2n ** 64n - 1n],
    ['a string of 40,000 characters beyond ASCII', 'é'.repeat(40_000)],
    ['a string of 200', 'a'.repeat(200)],
    ['70,000 numbers', new Array(70_000).fill(7)],
    ['70,000 octets', new Uint8Array(70_000).fill(9)],
    ['300 keys', Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`key${i}`, i]))],
  ])('carry %s', (_, message) => {
    expect(unpackAll(pack(message))).toEqual({ messages: [message], code: undefined })
  })

  it('makes nil of undefined and plain octets of a Buffer', () => {
    const octets = pack({ a: undefined, b: Buffer.from('xyz') })
    const [message] = unpackAll(octets).messages as [{ a: unknown; b: Uint8Array }]
    expect(message.a).toBeNull()
    expect(Buffer.isBuffer(message.b)).toBe(false)
    expect(message.b).toEqual(new Uint8Array([120, 121, 122]))
  })

  it('never writes again what it has returned', () => {
    const first = pack({ text: 'one', octets: new Uint8Array(5000).fill(1) })
    const copy = Buffer.from(first)
    for (let i = 0; i < 50; i++) pack({ octets: new Uint8Array(40_000 * (1 + (i % 3))).fill(2) })
    pack(new Uint8Array(3_000_000))
    for (let i = 0; i < 50; i++) pack({ octets: new Uint8Array(3000).fill(3) })
    expect(copy.equals(first)).toBe(true)
  })

  it('gives a large pool up after a large message', () => {
    pack(new Uint8Array(5_000_000))
    expect(pack('small').buffer.byteLength).toBeLessThanOrEqual(1024 * 1024)
  })

  it('stops when told to', () => {
    const seen: unknown[] = []
    const code = unpackEach(join(pack(1), pack(2), pack(3)), message => {
      seen.push(message)
      return seen.length < 2
    })
    expect([seen, code]).toEqual([[1, 2], undefined])
  })

  it.each([
    ['a date', new Date()],
    ['a map with numbers as keys', new Map([[1, 2]])],
  ])('refuses to pack %s: a mistake of ours', (_, message) => {
    expect(() => pack({ message })).toThrow('may not hold')
  })
})

describe('hostile octets', () => {
  const nested = (depth: number) => new Uint8Array(depth + 1).fill(0x91, 0, depth)

  it.each([
    ['nothing after a map', [0x81], 'MESSAGE_MALFORMED'],
    ['a truncated string', [0xa5, 0x61], 'MESSAGE_MALFORMED'],
    ['a truncated bin 8 length', [0xc4], 'MESSAGE_MALFORMED'],
    ['a truncated bin 8', [0xc4, 5, 1], 'MESSAGE_MALFORMED'],
    ['a bin 32 of 4 GiB', [0xc6, 0xff, 0xff, 0xff, 0xff, 0], 'MESSAGE_MALFORMED'],
    ['an array 32 of 4 G values', [0xdd, 0xff, 0xff, 0xff, 0xff, 0], 'MESSAGE_MALFORMED'],
    ['a map 32 of 4 G entries', [0xdf, 0xff, 0xff, 0xff, 0xff, 0], 'MESSAGE_MALFORMED'],
    ['a truncated float', [0xcb, 0, 0], 'MESSAGE_MALFORMED'],
    ['the unused octet 0xc1', [0xc1], 'MESSAGE_MALFORMED'],
    ['a record definition', [0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 1], 'MESSAGE_MALFORMED'],
    ['a record definition of two octets', [0xd5, 0x72, 0x40, 0x01, 0x91, 0xa1, 0x61, 1], 'MESSAGE_MALFORMED'],
    ['an undefined', [0xd4, 0, 0], 'MESSAGE_MALFORMED'],
    ['a date', [0xd6, 0xff, 0, 0, 0, 0], 'MESSAGE_MALFORMED'],
    ['a regular expression', [0xc7, 3, 0x78, 0x92, 0xa0, 0xa0], 'MESSAGE_MALFORMED'],
    ['a number as a key', [0x81, 0x01, 0x02], 'MESSAGE_MALFORMED'],
    ['a map as a key', [0x81, 0x80, 0x02], 'MESSAGE_MALFORMED'],
    ['nesting at the limit', [...nested(MAX_MESSAGE_DEPTH)], undefined],
    ['nesting above the limit', [...nested(MAX_MESSAGE_DEPTH + 1)], 'MESSAGE_TOO_DEEP'],
    ['nesting without end', [...nested(100_000)], 'MESSAGE_TOO_DEEP'],
  ])('%s', (_, octets, code) => {
    expect(unpackAll(new Uint8Array(octets)).code).toBe(code)
  })

  it('refuses more values than the limit, in one array or in many', () => {
    const flat = new Uint8Array(MAX_MESSAGE_VALUES + 5).fill(0x80)
    flat.set([0xdd, 0, 2, 0, 0])
    expect(unpackAll(flat).code).toBe('MESSAGE_TOO_MANY_VALUES')
    const one = join(new Uint8Array([0xdd, 0, 1, 0xff, 0xff]), new Uint8Array(0x1ffff).fill(0x80))
    expect(unpackAll(one).code).toBeUndefined()
  })

  it('refuses a message above the octet limit', () => {
    const octets = new Packr({ useRecords: false }).pack(new Uint8Array(MAX_MESSAGE_OCTETS))
    expect(unpackAll(octets).code).toBe('MESSAGE_TOO_LARGE')
  })

  it.each<[string, unknown]>([
    ['octets', new Uint8Array(MAX_MESSAGE_OCTETS)],
    ['values', new Array(MAX_MESSAGE_VALUES).fill(0)],
    ['depth', JSON.parse('['.repeat(MAX_MESSAGE_DEPTH + 1) + ']'.repeat(MAX_MESSAGE_DEPTH + 1))],
  ])('of ours above the limit of %s are not packed', (_, message) => {
    expect(codec.pack(message)).toBeUndefined()
  })

  it('does not touch prototypes', () => {
    const octets = new Uint8Array([0x81, 0xa9, ...Buffer.from('__proto__'), 0x81, 0xa1, 0x78, 1])
    const { messages } = unpackAll(octets)
    expect(Object.getPrototypeOf(messages[0])).toBe(Object.prototype)
    expect(({} as Record<string, unknown>).x).toBeUndefined()
  })

  it('never throws on garbage, and what it delivers it can pack again', () => {
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      fc
        .tuple(value, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }))
        .map(mutate),
    )
    fc.assert(
      fc.property(garbage, octets => {
        for (const message of unpackAll(octets).messages) pack(message)
      }),
      { numRuns: 3000 },
    )
  })
})

function mutate([message, changes]: [unknown, [number, number][]]): Uint8Array {
  const octets = new Uint8Array(pack(message))
  for (const [at, octet] of changes) octets[at % octets.length] = octet
  return octets
}
