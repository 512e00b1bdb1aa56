/** Tests run beside each other, and each may start a cluster: two with the same name, address or admin port end each other. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDERS = [
  '.',
  'acceptance',
  'chaos',
  'conformance',
  'connections',
  'cyclone',
  'flood',
  'rolling',
  'shift',
  'skew',
]
/** What a cluster is told in so many words, and the numbers of those that `cluster.test.ts` makes theirs of. */
const OWN = /'(gyre-[\w-]*\w|10\.77\.\d+\.\d+|127\.0\.0\.1:\d+)'/g
const NUMBERED = /cluster\((\d+), /g

function told(path: string): Set<string> {
  const text = readFileSync(join(__dirname, path), 'utf8')
  if (!text.includes('withCluster(') || path === 'local-cluster.ts') return new Set()
  const words = [...text.matchAll(OWN)].map(match => match[1] as string)
  const numbers = [...text.matchAll(NUMBERED)].map(match => Number(match[1]))
  return new Set([
    ...words,
    ...numbers.flatMap(number => [
      `gyre-t${number}`,
      `10.77.${100 + number}.1`,
      `127.0.0.1:${8900 + number}`,
    ]),
  ])
}

it('no two of the files that start clusters give theirs the same name, address or admin port', () => {
  const byWord = new Map<string, string[]>()
  for (const folder of FOLDERS) {
    for (const name of readdirSync(join(__dirname, folder)).filter(name => name.endsWith('.ts'))) {
      const path = join(folder, name)
      for (const word of told(path)) byWord.set(word, [...(byWord.get(word) ?? []), path])
    }
  }
  // Names, addresses and ports of a dozen files and more.
  expect(byWord.size).toBeGreaterThan(36)
  expect([...byWord].filter(([, paths]) => paths.length > 1)).toEqual([])
})
