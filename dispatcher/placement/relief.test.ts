import fc from 'fast-check'
import { choose } from '../../node/server/relief.ts'
import type { Connection } from '../../node/stack/connection.ts'
import { Directory } from './directory.ts'
import { DEFAULT_PLACEMENT, Placement } from './placement.ts'
import { MAX_RELIEVED, RELIEF_MS, reliefOf } from './relief.ts'

const nodes = (...loads: number[]) => loads.map((load, index) => ({ id: index + 1, connections: load, load }))

it('relieves the most loaded node at the bound at which an object is worth another holder', () => {
  expect(reliefOf([])).toBeUndefined()
  expect(reliefOf(nodes(500))).toBeUndefined()
  expect(reliefOf(nodes(10, 60, 11))).toBeUndefined()
  expect(reliefOf(nodes(10, 61, 11))).toEqual({ from: 2, to: 1, load: 10 })
})

describe('orders', () => {
  it('wait until it shows what the one before has moved', () => {
    const placement = new Placement(new Directory())
    const loaded = nodes(100, 0, 90)
    expect(placement.relief(loaded, 0)).toEqual({ from: 1, to: 2, load: 0, most: MAX_RELIEVED })
    expect(placement.relief(loaded, RELIEF_MS - 1)).toBeUndefined()
    expect(placement.relief(loaded, RELIEF_MS)?.from).toBe(1)
  })

  it('take their part of the shifts of a second, and are given under our own policy only', () => {
    const few = new Placement(new Directory(), { policy: 'locality', shiftsPerSecond: 7 })
    expect(few.relief(nodes(100, 0), 0)?.most).toBe(7)
    expect(few.choose({ path: '/a', from: 1 }, nodes(100, 0), 0)).toBe(1)
    const other = new Placement(new Directory(), { ...DEFAULT_PLACEMENT, policy: 'lard-r' })
    expect(other.relief(nodes(100, 0), 0)).toBeUndefined()
  })

  it('make the object of what was moved at home where it went', () => {
    const directory = new Directory()
    directory.add(1, '/hot')
    const placement = new Placement(directory)
    placement.relieved(1, 2, '/hot', 5)
    expect(placement.choose({ path: '/hot', from: 2 }, nodes(0, 0), 6)).toBe(2)
    expect(placement.decisions('/hot').map(({ reason }) => reason)).toEqual(['stay', 'relief'])
    expect(directory.holders('/hot')).toEqual([1, 2])
  })
})

describe('which connections', () => {
  const heats = (loads: readonly number[]) =>
    loads.map((load, id) => ({ connection: { id } as Connection, load }))
  const chosen = (loads: readonly number[], here: number, there: number, most: number) =>
    choose(heats(loads), here, there, most).map(({ id }) => id)

  it.each([
    ['the hottest first', [2, 9, 4], 20, 8, 1, [1]],
    ['until the nodes are alike', [5, 5, 5, 5], 20, 0, 9, [0, 1]],
    ['not one that would turn the imbalance round', [30, 4, 1], 35, 10, 9, [1, 2]],
    ['not the only one, which would take all the load with it', [80], 81, 0, 9, []],
    ['not one that is worth less than it costs', [50, 38], 91, 42, 9, [1]],
    ['none of none', [], 25, 0, 9, []],
    ['none when there is no room for any', [3], 25, 0, 0, []],
  ])('%s', (_name, loads, here, there, most, ids) => {
    expect(chosen(loads, here, there, most)).toEqual(ids)
  })

  it('never leave the other node more loaded than this one was', () => {
    const load = fc.double({ min: 1, max: 100, noNaN: true })
    fc.assert(
      fc.property(fc.array(load, { maxLength: 30 }), fc.nat(50), fc.nat(500), (loads, here, there) => {
        const sum = loads.reduce((a, b) => a + b, 0) + here
        const moved = chosen(loads, sum, there, 30).reduce((all, id) => all + (loads[id] as number), 0)
        const worst = Math.max(sum - moved, there + moved)
        expect(worst).toBeLessThanOrEqual(Math.max(sum, there) + 1e-9)
      }),
    )
  })
})
