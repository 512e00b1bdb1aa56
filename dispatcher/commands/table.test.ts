import { formatCounts, formatTable, printable } from './table.ts'

it('formatTable aligns, without trailing blanks', () => {
  const table = formatTable(
    [{ title: 'ID', align: 'right' }, { title: 'NAME' }, { title: 'X' }],
    [
      ['1', 'dispatcher', ''],
      ['200', 'n', 'y'],
    ],
  )
  expect(table).toBe(' ID  NAME        X\n  1  dispatcher\n200  n           y\n')
  expect(formatTable([{ title: 'A' }], [])).toBe('A\n')
})

it.each([
  ['GET /\u001b[2J', 'GET /?[2J'],
  ['a\r\nb\tc', 'a??b?c'],
  ['x'.repeat(100), `${'x'.repeat(77)}...`],
])('printable %j', (text, shown) => {
  expect(printable(text)).toBe(shown)
})

it('formatCounts puts the most frequent first and leaves out zeros', () => {
  expect(formatCounts({ A: 1, B: 0, C: 5 })).toBe('C 5, A 1')
  expect(formatCounts({})).toBe('')
})
