import { Holders } from './holders.ts'

describe('what owners are known to hold', () => {
  it('is what was noted of each, and nothing is held by all', () => {
    const holders = new Holders()
    holders.note(1, ['/a', '/b'])
    expect(holders.hold(1, ['/b', '/a'])).toBe(true)
    expect(holders.hold(1, ['/a', '/c'])).toBe(false)
    expect(holders.hold(2, ['/a'])).toBe(false)
    expect(holders.hold(2, [])).toBe(true)
    holders.forget(1, ['/a'])
    expect(holders.hold(1, ['/a'])).toBe(false)
    expect(holders.hold(1, ['/b'])).toBe(true)
  })

  it('is bounded: the first is forgotten first', () => {
    const holders = new Holders(2)
    holders.note(1, ['/a', '/b', '/c'])
    expect(['/a', '/b', '/c'].map(key => holders.hold(1, [key]))).toEqual([false, true, true])
  })
})
