import { MAX_LOGGED_SHIFTS, ShiftLog } from './shift-log.ts'

function shift(connection: number, to = 2) {
  const times = { startedAt: 1, endedAt: 3, preparedMs: 1, committedMs: 1 }
  return { connection, epoch: 1, to, cause: 'order', refusal: undefined, ...times } as const
}

it('tells what came after a number, oldest first, and only the last of them', () => {
  const log = new ShiftLog()
  expect([log.seq, log.since(0, 10)]).toEqual([0, []])
  for (let connection = 1; connection <= 5; connection++) log.add(shift(connection))
  const told = (seq: number, max: number) => log.since(seq, max).map(({ connection }) => connection)
  expect(told(0, 10)).toEqual([1, 2, 3, 4, 5])
  expect(told(3, 10)).toEqual([4, 5])
  expect(told(0, 2)).toEqual([4, 5])
  expect(told(5, 10)).toEqual([])
  // Of a run before this one, which had come further.
  expect(told(99, 10)).toEqual([])
})

it('counts every shift, and keeps the last', () => {
  const log = new ShiftLog()
  for (let turn = 0; turn < MAX_LOGGED_SHIFTS + 3; turn++) log.add(shift(turn, 1 + (turn % 2)))
  log.add({ ...shift(7), refusal: 'NO_OBJECT' })
  const kept = log.since(0, MAX_LOGGED_SHIFTS * 2)
  expect([kept.length, kept[0]?.seq, kept.at(-1)?.seq]).toEqual([MAX_LOGGED_SHIFTS, 5, log.seq])
  expect(Object.fromEntries(log.counts())).toEqual({
    '1 order ': MAX_LOGGED_SHIFTS / 2 + 2,
    '2 order ': MAX_LOGGED_SHIFTS / 2 + 1,
    '2 order NO_OBJECT': 1,
  })
  expect(log.of(7).map(({ refusal }) => refusal)).toEqual([undefined, 'NO_OBJECT'])
})
