import fc from 'fast-check'
import { asciiOctets } from './grammar.ts'
import { encodePath, isHidden, normalisePath, representationPath } from './target.ts'

const normalise = (path: string) => {
  const octets = asciiOctets(`  ${path}  `)
  return normalisePath(octets, 2, 2 + path.length)
}

describe('RFC 3986 §6.2.2 normalisation', () => {
  it.each([
    ['', '/'],
    ['/', '/'],
    ['/a', '/a'],
    ['/a/', '/a/'],
    ['/a/b.html', '/a/b.html'],
    ['/%61', '/a'],
    ['/a%20b', '/a b'],
    ['/a+b', '/a+b'],
    ['/%25', '/%'],
    ['/%252e%252e/', '/%2e%2e/'],
    ['/%3f%23', '/?#'],
    ['/caf%C3%A9', '/café'],
    ['/./a', '/a'],
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/..', '/'],
    ['/a/.', '/a/'],
    ['/a/%2e%2E/b', '/b'],
    ['//', '/'],
    ['//evil.example/', '/evil.example/'],
    ['///a//b///', '/a/b/'],
    ['/.well-known/acme', '/.well-known/acme'],
    ['/a..b', '/a..b'],
    ['/a.', '/a.'],
  ])('%s is %s', (path, expected) => expect(normalise(path)).toBe(expected))
})

describe('what cannot name a file is refused', () => {
  it.each([
    ['/..', 400],
    ['/../etc/passwd', 400],
    ['/a/../../etc/passwd', 400],
    ['/%2e%2e/etc/passwd', 400],
    ['/%2e./', 400],
    ['/.%2E/', 400],
    ['/a/%2e%2e/%2e%2e/', 400],
    ['/..%2f..%2fetc/passwd', 404],
    ['/a%2Fb', 404],
    ['/..%5c..%5cetc', 400],
    ['/..\\..\\etc', 400],
    ['/a%00.html', 400],
    ['/%0d%0aSet-Cookie:x', 400],
    ['/%7f', 400],
    ['/%', 400],
    ['/%4', 400],
    ['/%zz', 400],
    ['/%u002e', 400],
    ['/%c0%ae%c0%ae/', 400],
    ['/%c0%af', 400],
    ['/%ff', 400],
    ['/%ed%a0%80', 400],
    ['/a#b', 400],
    ['a', 400],
    ['/.git/config', 404],
    ['/a/.htaccess', 404],
    ['/%2egit/config', 404],
    ['/...', 404],
    ['/..;/x', 404],
    ['/a/.well-known/x', 404],
  ])('%s: %d', (path, status) => expect(normalise(path)).toBe(status))
})

describe('laws', () => {
  const piece = fc.constantFrom(
    '/',
    '.',
    '..',
    '%2e',
    '%2E%2e',
    '%2f',
    '%5c',
    '\\',
    'a',
    'b',
    '%00',
    '%',
    '%c3%a9',
    '~',
    '//',
  )
  const path = fc.array(piece, { maxLength: 20 }).map(pieces => `/${pieces.join('')}`)

  it('a normal form never leaves the root and hides nothing', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          path,
          fc.string().map(text => `/${text.replace(/[^\0-\xff]/g, '')}`),
        ),
        raw => {
          const result = normalise(raw)
          if (typeof result === 'number') return
          expect(result).toMatch(/^\//)
          expect(result).not.toMatch(/\/\/|\\|\0|[\n\r\x7f]/)
          const segments = result.split('/').filter(segment => segment !== '')
          expect(segments.some(isHidden)).toBe(false)
        },
      ),
    )
  })

  it('is the same as the platform URL parser where that says anything comparable', () => {
    const plain = fc.array(fc.constantFrom('a', 'b', '.', '..', '%2e'), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(plain, segments => {
        const raw = `/${segments.join('/')}`
        const result = normalise(raw)
        if (result === 400) return
        expect(result).toBe(new URL(`http://h${raw}`).pathname)
      }),
    )
  })

  it('encoding and normalising again gives the same path', () => {
    fc.assert(
      fc.property(path, raw => {
        const result = normalise(raw)
        if (typeof result === 'number') return
        expect(encodePath(result)).toMatch(/^\/(?![/\\])/)
        expect(normalise(encodePath(result))).toBe(result)
      }),
    )
  })

  it('octets at random throw nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), octets => {
        normalisePath(octets, 0, octets.length)
      }),
    )
  })
})

it('a directory is represented by its index', () => {
  expect(representationPath('/')).toBe('/index.html')
  expect(representationPath('/a/')).toBe('/a/index.html')
  expect(representationPath('/a')).toBe('/a')
})
