import { SLOTS, slotsOf } from './slots.ts'

function shares(dispatchers: readonly number[]): number[] {
  const slots = slotsOf(dispatchers)
  return dispatchers.map(id => slots.filter(owner => owner === id).length)
}

describe('the slots of dispatchers', () => {
  it('are all given, in fair parts', () => {
    for (const dispatchers of [[0], [0, 201], [0, 201, 202], [0, 201, 202, 203, 204, 205, 206, 207]]) {
      const fair = SLOTS / dispatchers.length
      for (const share of shares(dispatchers)) expect(Math.abs(share - fair)).toBeLessThan(fair / 2)
      expect(shares(dispatchers).reduce((sum, share) => sum + share)).toBe(SLOTS)
    }
  })

  it('stay with a dispatcher when another comes or goes', () => {
    const two = slotsOf([0, 202])
    const three = slotsOf([0, 201, 202])
    three.forEach((id, slot) => {
      if (id !== 201) expect(two[slot]).toBe(id)
    })
  })

  it('do not depend on the order in which the dispatchers are named', () => {
    expect(slotsOf([202, 0, 201])).toEqual(slotsOf([0, 201, 202]))
  })

  it('are none where there is no dispatcher', () => {
    expect(slotsOf([])).toEqual([])
  })
})
