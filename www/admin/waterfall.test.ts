import type { LoggedMove } from './api.ts'
import { fallOf } from './waterfall.ts'

const move = (firstPacketMs: number | null): LoggedMove => {
  return [7, 1, 2, 'order', '', 1_800_000_000_000, 10, 2, 3, firstPacketMs]
}

it('gives each of the two messages half of the time that neither owner accounts for', () => {
  const { firstPacketAt, steps } = fallOf(move(4))
  expect(firstPacketAt).toBe(8.5)
  expect(steps).toEqual([
    [0, 0, 2],
    [1, 2, 3],
    [2, 3, 4.5],
    [3, 4.5, 8.5],
    [2, 8.5, 10],
  ])
})

it('claims no first packet where the new owner did not tell of one', () => {
  const { firstPacketAt, steps } = fallOf(move(null))
  expect(firstPacketAt).toBeUndefined()
  expect(steps.at(-1)).toEqual([2, 3, 10])
})

it('draws nothing backwards where the clocks disagree', () => {
  const { firstPacketAt, steps } = fallOf(move(9))
  expect(firstPacketAt).toBe(10)
  expect(steps.slice(2).every(([, from, to]) => to >= from && from >= 3 && to <= 10)).toBe(true)
})
