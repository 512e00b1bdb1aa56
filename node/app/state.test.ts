import fc from 'fast-check'
import { decode, encode, encodeState, MAX_STATE_OCTETS } from './state.ts'

const key = fc.string().filter(name => name !== '__proto__')
const { tree } = fc.letrec(tie => ({
  leaf: fc.oneof(
    fc.string(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.constant(undefined),
    fc.bigInt(),
    fc.uint8Array(),
    fc.date({ noInvalidDate: true }),
  ),
  tree: fc.oneof(
    { maxDepth: 4 },
    tie('leaf'),
    fc.array(tie('tree'), { maxLength: 5 }),
    fc.dictionary(key, tie('tree'), { maxKeys: 5, noNullPrototype: true }),
    fc.array(fc.tuple(key, tie('tree')), { maxLength: 5 }).map(entries => new Map(entries)),
    fc.array(fc.string(), { maxLength: 5 }).map(values => new Set(values)),
  ),
}))

describe('the state of an application', () => {
  it('comes out as it went in', () => {
    fc.assert(
      fc.property(tree, state => {
        expect(decode(encode(state) as Uint8Array)?.value).toEqual(state)
      }),
    )
  })

  it.each([
    ['a function', () => 1],
    ['one in an object', { deep: [{ act: () => 1 }] }],
    ['a symbol', Symbol('a')],
    ['a promise', Promise.resolve()],
    ['a WeakMap', { map: new WeakMap() }],
  ])('%s is refused, not left out', (_name, state) => {
    expect(encodeState(state)).toBe('BAD_STATE')
  })

  it('is bounded', () => {
    expect(encodeState(new Uint8Array(MAX_STATE_OCTETS - 16))).toBeInstanceOf(Uint8Array)
    expect(encodeState(new Uint8Array(MAX_STATE_OCTETS))).toBe('STATE_TOO_LARGE')
  })

  it('of a few octets that name a huge array is none, and costs no memory', () => {
    const dense = Uint8Array.of(0xff, 15, 0x41, 0x80, 0x80, 0x80, 0x80, 0x01)
    const before = process.memoryUsage().heapTotal
    for (let times = 0; times < 100; times++) expect(decode(dense)).toBeUndefined()
    expect(process.memoryUsage().heapTotal - before).toBeLessThan(2 ** 26)
  })

  it('of hostile octets is none, or some value: never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), octets => void decode(octets)),
      { numRuns: 2_000 },
    )
    fc.assert(
      fc.property(tree, fc.nat(), fc.nat(255), (state, at, value) => {
        const octets = encode(state) as Uint8Array
        octets[at % octets.length] = value
        decode(octets)
      }),
      { numRuns: 1_000 },
    )
  })
})
