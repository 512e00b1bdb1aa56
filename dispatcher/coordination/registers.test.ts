import { formatDirectory, isListed, parseDirectory, withPlace } from './directory.ts'
import { formatHolder, parseHolder } from './holder.ts'
import { Observations } from './observations.ts'

const RUN = '0000000000000001'
const place = (id: number, port = 7_700 + id, run = RUN) => ({ id, run, address: `10.0.0.2:${port}` })

describe('the directory of the dispatchers', () => {
  it('is read as it was written, with a place for each id and address', () => {
    const places = withPlace(withPlace(withPlace([], place(9)), place(3)), place(5))
    expect(parseDirectory(formatDirectory(places))).toEqual([place(3), place(5), place(9)])
    // Another run, with another id, at the address of 5; another run of 9.
    const next = withPlace(withPlace(places, place(7, 7_705)), place(9, 7_800, 'f'.repeat(16)))
    expect(next.map(({ id }) => id)).toEqual([3, 7, 9])
    expect([isListed(next, place(9)), isListed(next, place(7, 7_705))]).toEqual([false, true])
  })

  it.each([
    ['no JSON', '{'],
    ['no list', '{"id":1}'],
    ['what is no place', '[1,null,"a",{}]'],
    [
      'ids that there are not',
      JSON.stringify([
        { ...place(1), id: -1 },
        { ...place(1), id: 1_024 },
      ]),
    ],
    ['addresses that nobody can dial', JSON.stringify([{ ...place(1), address: 'http://a' }])],
  ])('is empty where there is %s', (_, value) => {
    expect(parseDirectory(value)).toEqual([])
  })

  it('is read up to a bound', () => {
    expect(parseDirectory(JSON.stringify(Array.from({ length: 1_000 }, (_, id) => place(id))))).toHaveLength(
      64,
    )
  })
})

it('a holder is read as it was written, and nothing else is one', () => {
  const holder = { run: RUN, name: 'a', role: 'node', released: true } as const
  expect(parseHolder(formatHolder(holder))).toEqual(holder)
  expect(parseHolder(JSON.stringify({ ...holder, name: 'x'.repeat(1_000) }))?.name).toHaveLength(64)
  const wrong = [
    '',
    'null',
    '1',
    JSON.stringify({ ...holder, run: 'x' }),
    JSON.stringify({ ...holder, role: 'x' }),
  ]
  expect(wrong.map(parseHolder)).toEqual(wrong.map(() => undefined))
})

describe('observations', () => {
  it('count the time between two answers in a row, and nothing of what a question took', () => {
    const seen = new Observations(1_000)
    expect(seen.note('a', 7, 0, 100)).toBe(0)
    expect(seen.note('a', 7, 600, 700)).toBe(500)
    // The engine did not run for an hour.
    expect(seen.note('a', 7, 1_200, 3_601_200)).toBe(1_000)
    expect(seen.note('a', 8, 3_601_700, 3_601_800)).toBe(0)
    expect(seen.moves('a')).toBe(1)
  })

  it('count nothing across a question that was not answered, or a reader that did not run', () => {
    const seen = new Observations(1_000)
    seen.note('a', 7, 0, 100)
    seen.note('b', 0, 0, 100)
    seen.note('b', 0, 600, 600)
    seen.interrupted()
    expect(seen.note('a', 7, 600, 700)).toBe(0)
    // What is not there may not be there in another storage.
    expect(seen.note('b', 0, 700, 700)).toBe(0)
    expect(seen.note('a', 7, 60_000, 60_000)).toBe(0)
    expect(seen.note('a', 7, 60_400, 60_400)).toBe(400)
  })
})
