import { isNegotiable, mediaTypeOf } from './media-type.ts'

it.each([
  ['/index.html', 'text/html; charset=utf-8'],
  ['/a/STYLE.CSS', 'text/css; charset=utf-8'],
  ['/a.js', 'text/javascript; charset=utf-8'],
  ['/a.mjs', 'text/javascript; charset=utf-8'],
  ['/a.txt', 'text/plain; charset=utf-8'],
  ['/a.json', 'application/json'],
  ['/a.svg', 'image/svg+xml; charset=utf-8'],
  ['/a.png', 'image/png'],
  ['/a.wasm', 'application/wasm'],
  ['/a.tar.gz', 'application/gzip'],
  ['/favicon.ico', 'image/vnd.microsoft.icon'],
  ['/LICENSE', 'application/octet-stream'],
  ['/a.b/LICENSE', 'application/octet-stream'],
  ['/.html', 'application/octet-stream'],
  ['/a.', 'application/octet-stream'],
  ['/a.unheard-of', 'application/octet-stream'],
  ['/a.constructor', 'application/octet-stream'],
  ['/a.__proto__', 'application/octet-stream'],
  ['/a.hasOwnProperty', 'application/octet-stream'],
])('%s: %s', (path, type) => expect(mediaTypeOf(path)).toBe(type))

it.each([
  ['/a.html', true],
  ['/a.css', true],
  ['/a.js', true],
  ['/a.json', true],
  ['/a.webmanifest', true],
  ['/a.svg', true],
  ['/a.xml', true],
  ['/a.wasm', true],
  ['/a.ttf', true],
  ['/a.ico', true],
  ['/a.png', false],
  ['/a.woff2', false],
  ['/a.mp4', false],
  ['/a.zip', false],
  ['/a.css.gz', false],
  ['/a.css.br', false],
  ['/LICENSE', false],
])('variants of %s are looked for: %s', (path, negotiable) => {
  expect(isNegotiable(mediaTypeOf(path))).toBe(negotiable)
})

it('a site may have types of its own, of which no parameter is guessed', () => {
  const own = { md: 'text/markdown', js: 'text/javascript; charset=iso-8859-1', constructor: 'a/b' }
  expect(mediaTypeOf('/a.MD', own)).toBe('text/markdown')
  expect(mediaTypeOf('/a.js', own)).toBe('text/javascript; charset=iso-8859-1')
  expect(mediaTypeOf('/a.css', own)).toBe('text/css; charset=utf-8')
  expect(mediaTypeOf('/a.toString', own)).toBe('application/octet-stream')
})
