import { asciiOctets } from './grammar.ts'
import { HostTable } from './host-table.ts'

const TABLE = new HostTable(
  [
    'example.org',
    '*.example.org',
    '*.deep.example.org',
    'www.example.org',
    'localhost',
    '10.77.0.1',
    '[fd77::1]',
  ].map(name => [name, name] as const),
)

/** Within other octets, as in a request head. */
function find(authority: string, table: HostTable<string> = TABLE): string | undefined {
  const octets = asciiOctets(`xx${authority}yy`)
  return table.find(octets, 2, 2 + authority.length)
}

it.each([
  ['example.org', 'example.org'],
  ['EXAMPLE.Org', 'example.org'],
  ['example.org.', 'example.org'],
  ['example.org:80', 'example.org'],
  ['example.org:8080', 'example.org'],
  ['example.org.:8080', 'example.org'],
  ['www.example.org', 'www.example.org'],
  ['a.example.org', '*.example.org'],
  ['a.b.Example.org:1', '*.example.org'],
  ['deep.example.org', '*.example.org'],
  ['a.deep.example.org', '*.deep.example.org'],
  ['localhost', 'localhost'],
  ['10.77.0.1:80', '10.77.0.1'],
  ['[fd77::1]', '[fd77::1]'],
  ['[FD77::1]:80', '[fd77::1]'],
])('RFC 9110 §4.2.3: %s is %s', (authority, name) => {
  expect(find(authority)).toBe(name)
})

it.each([
  '',
  '.',
  'org',
  'xexample.org',
  '.example.org',
  'example.org.x',
  'example.or',
  'localhost.x',
  '[fd77::2]',
])('%p is none of them', authority => {
  expect(find(authority)).toBeUndefined()
})

it('has nothing where nothing is configured', () => {
  expect(find('example.org', new HostTable([]))).toBeUndefined()
})

it('keeps names of one hash apart', () => {
  // A collision of 32-bit FNV-1a, read backwards, found by search.
  const names = collision()
  const table = new HostTable(names.map(name => [name, name] as const))
  for (const name of names) expect(find(name, table)).toBe(name)
})

/** Two names with the same hash: among 200,000 there are some. */
function collision(): string[] {
  const seen = new Map<number, string>()
  for (let number = 0; ; number++) {
    const name = `h${number.toString(36)}.example`
    let hash = 0x811c9dc5 | 0
    for (let at = name.length - 1; at >= 0; at--) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
    const other = seen.get(hash)
    if (other !== undefined) return [other, name]
    seen.set(hash, name)
  }
}
