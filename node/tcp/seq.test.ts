import fc from 'fast-check'
import { add, asSeq, diff, ge, gt, le, lt, max, min } from './seq.ts'

const seq = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map(asSeq)
const distance = fc.integer({ min: 1, max: 2 ** 31 - 1 })

describe('sequence numbers (RFC 9293 §3.4)', () => {
  it('are int32 whatever they are made of', () => {
    expect(asSeq(0xffffffff)).toBe(-1)
    expect(asSeq(2 ** 32)).toBe(0)
    expect(add(asSeq(0x7fffffff), 1)).toBe(-(2 ** 31))
  })

  it('diff undoes add', () => {
    fc.assert(fc.property(seq, distance, (a, n) => diff(add(a, n), a) === n && diff(a, add(a, n)) === -n))
  })

  it('compare on the circle: what lies up to 2^31 ahead is greater', () => {
    fc.assert(
      fc.property(seq, distance, (a, n) => {
        const b = add(a, n)
        return lt(a, b) && le(a, b) && gt(b, a) && ge(b, a) && !lt(b, a) && !ge(a, b)
      }),
    )
  })

  it('are equal to themselves and to nothing else', () => {
    fc.assert(fc.property(seq, a => le(a, a) && ge(a, a) && !lt(a, a) && !gt(a, a) && diff(a, a) === 0))
  })

  it('add is associative', () => {
    fc.assert(fc.property(seq, distance, distance, (a, m, n) => add(add(a, m), n) === add(add(a, n), m)))
  })

  it('max and min choose one of both', () => {
    fc.assert(
      fc.property(seq, distance, (a, n) => {
        const b = add(a, n)
        return max(a, b) === b && max(b, a) === b && min(a, b) === a && min(b, a) === a
      }),
    )
  })
})
