import { formatCounts, formatDuration, formatOctets, formatTable, printable } from './table.ts'

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

it.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [1024 * 1024 * 200, '200 MiB'],
  [2 ** 70, '1048576 PiB'],
])('formatOctets %d', (octets, text) => {
  expect(formatOctets(octets)).toBe(text)
})

it.each([
  [0.25, '250 us'],
  [1.26, '1.3 ms'],
  [999, '999 ms'],
  [61_000, '1 min 1 s'],
  [7_260_000, '2 h 1 min'],
  [90_000_000, '1 d 1 h'],
])('formatDuration %d', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})

it('formatCounts puts the most frequent first and leaves out zeros', () => {
  expect(formatCounts({ A: 1, B: 0, C: 5 })).toBe('C 5, A 1')
  expect(formatCounts({})).toBe('')
})
