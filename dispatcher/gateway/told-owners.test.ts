import type { NextHop } from '../steering/steering.ts'
import { ToldOwners } from './told-owners.ts'

function hop(owner: number, address = `10.78.0.${owner}`): NextHop {
  return { owner, address, address6: undefined }
}

const [D1, D2] = [0, 201]
const ids = (told: ToldOwners) => told.owners.map(({ owner }) => owner)

describe('what several dispatchers say of the owners', () => {
  it('is put together: one that has just started takes no owner away', () => {
    const told = new ToldOwners()
    told.told(D1, [hop(D1), hop(1), hop(2)])
    told.told(D2, [hop(D2), hop(2, '10.78.0.99')])
    expect(ids(told)).toEqual([D1, 1, 2, D2])
    expect(told.owners.find(({ owner }) => owner === 2)?.address).toBe('10.78.0.99')
  })

  it('gives new connections to those that know a node', () => {
    const told = new ToldOwners()
    told.told(D1, [hop(D1), hop(D2), hop(1)])
    told.told(D2, [hop(D2), hop(D1)])
    expect(told.dispatchers).toEqual([D1])
    told.told(D2, [hop(D2), hop(D1), hop(1)])
    expect(told.dispatchers).toEqual([D1, D2])
  })

  it('gives them to all where none knows a node', () => {
    const told = new ToldOwners()
    told.told(D2, [hop(D2)])
    told.told(D1, [hop(D1)])
    expect(told.dispatchers).toEqual([D1, D2])
  })

  it('forgets a dispatcher that is gone, and what it alone knew', () => {
    const told = new ToldOwners()
    told.told(D1, [hop(D1), hop(1), hop(2)])
    told.told(D2, [hop(D2), hop(2)])
    told.down(D1)
    expect(ids(told)).toEqual([2, D2])
    expect(told.dispatchers).toEqual([D2])
  })

  it('holds when the last one is gone, until one speaks again', () => {
    const told = new ToldOwners()
    told.told(D1, [hop(D1), hop(1)])
    told.told(D2, [hop(D2), hop(1)])
    told.down(D1)
    told.down(D2)
    expect(ids(told)).toEqual([1, D2])
    expect(told.dispatchers).toEqual([D2])
    told.told(D1, [hop(D1), hop(2)])
    expect(ids(told)).toEqual([D1, 2])
    expect(told.dispatchers).toEqual([D1])
  })

  it('knows nothing of one that never spoke', () => {
    const told = new ToldOwners()
    told.down(D1)
    expect(told.owners).toEqual([])
    expect(told.dispatchers).toEqual([])
  })
})
