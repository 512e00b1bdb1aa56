import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fixedSettings, listSettings, settingsTable, withTable } from './table.ts'

it('stands in the README as the schema has it (npm run settings)', () => {
  const readme = readFileSync(join(__dirname, '..', '..', 'README.md'), 'utf8')
  expect(withTable(readme)).toBe(readme)
})

it('says of every setting what it is', () => {
  const all = listSettings()
  expect(all.length).toBeGreaterThan(20)
  expect(new Set(all.map(({ key }) => key)).size).toBe(all.length)
  for (const { facts } of all) {
    expect(facts.about).toMatch(/^\S.*\S$/)
    expect(facts.range).not.toBe('')
  }
  expect(settingsTable().split('\n')).toHaveLength(all.length + 2)
})

it('knows what a reload leaves alone', () => {
  expect(fixedSettings()).toEqual(expect.arrayContaining(['port', 'cacheOctets', 'mode']))
  expect(fixedSettings()).not.toContain('root')
  expect(fixedSettings()).not.toContain('unknownHost')
})

it('needs a place in the README', () => {
  expect(() => withTable('# gyre')).toThrow(RangeError)
})
