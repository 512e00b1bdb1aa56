import { fieldLines, fieldsFault, IMMUTABLE, ruleFault } from './field-rules.ts'
import { DEFAULT_HTTP_SETTINGS, httpSettingsFault } from './http-settings.ts'
import { matchesPath } from './path-pattern.ts'

describe('patterns of paths', () => {
  it.each([
    ['/a', '/a', true],
    ['/a', '/ab', false],
    ['/a*', '/ab', true],
    ['/a*', '/a/b', false],
    ['/*.css', '/a.css', true],
    ['/*.css', '/d/a.css', false],
    ['**.css', '/d/a.css', true],
    ['**/*.css', '/d/e/a.css', true],
    ['/d/**', '/d/e/a.css', true],
    ['/d/**', '/d/', true],
    ['/d/**', '/d', false],
    ['/*/a', '/d/a', true],
    ['/**/a', '/a', false],
    ['**', '/any/thing', true],
    ['/a.c', '/abc', false],
    ['***', '/a/b', true],
  ])('%s and %s: %s', (pattern, path, fits) => expect(matchesPath(pattern, path)).toBe(fits))

  it('many stars over a long path are no trap', () => {
    expect(matchesPath(`${'**a'.repeat(80)}b`, `/${'a'.repeat(8_000)}`)).toBe(false)
  })
})

describe('fields by rules', () => {
  const rules = [
    { paths: ['**'], fields: { 'Cache-Control': 'no-cache' } },
    { paths: ['**.js', '**.css'], hashedNames: true, fields: { 'cache-control': IMMUTABLE } },
    { paths: ['/p/**'], fields: { 'X-P': '1' } },
  ]
  it.each([
    ['/index.html', 'Cache-Control: no-cache\r\n'],
    ['/app.3f2a9c1b.js', `cache-control: ${IMMUTABLE}\r\n`],
    ['/app-3f2a9c1b5e.css', `cache-control: ${IMMUTABLE}\r\n`],
    ['/report-20240101.js', 'Cache-Control: no-cache\r\n'],
    ['/facade-deadbeef.js', 'Cache-Control: no-cache\r\n'],
    ['/p/a', 'Cache-Control: no-cache\r\nX-P: 1\r\n'],
  ])('%s', (path, lines) => expect(fieldLines({}, rules, path)).toBe(lines))

  it('those of every response come first, and a rule replaces them', () => {
    expect(fieldLines({ 'X-P': '0', 'X-Q': '2' }, rules, '/p/a')).toBe(
      'X-P: 1\r\nX-Q: 2\r\nCache-Control: no-cache\r\n',
    )
  })

  it.each([
    [{ 'X-A': 'b' }, undefined],
    [{ 'X A': 'b' }, '"X A" is no field name'],
    [{ '': 'b' }, '"" is no field name'],
    [{ 'X-Ä': 'b' }, '"X-Ä" is no field name'],
    [{ 'X-A': 'b\r\nX: c' }, '"b\\r\\nX: c" is no value of X-A'],
    [{ 'X-A': ' b' }, '" b" is no value of X-A'],
    [{ 'X-A': 'ä' }, '"ä" is no value of X-A'],
    [{ 'content-length': '1' }, 'content-length is set by the server'],
    [{ Vary: '*' }, 'Vary is set by the server'],
    [{ 'X-A': 'b'.repeat(5_000) }, 'X-A is too long'],
  ])('%j: %s', (fields, fault) => expect(fieldsFault(fields as Record<string, string>)).toBe(fault))

  it('faults say where they are', () => {
    expect(ruleFault({ paths: ['a'], fields: {} })).toBe('"a" begins neither with / nor with *')
    const wrong = [
      { paths: ['/'], fields: {} },
      { paths: ['/'], fields: { Date: 'x' } },
    ]
    expect(httpSettingsFault({ ...DEFAULT_HTTP_SETTINGS, rules: wrong })).toBe(
      'rules[1]: Date is set by the server',
    )
    expect(httpSettingsFault({ ...DEFAULT_HTTP_SETTINGS, fields: { Date: 'x' } })).toBe(
      'fields: Date is set by the server',
    )
    expect(httpSettingsFault(DEFAULT_HTTP_SETTINGS)).toBeUndefined()
  })
})
