import { mediaTypeOf } from './media-type.ts'

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
  ['/LICENSE', 'application/octet-stream'],
  ['/a.b/LICENSE', 'application/octet-stream'],
  ['/.html', 'application/octet-stream'],
  ['/a.', 'application/octet-stream'],
  ['/a.unheard-of', 'application/octet-stream'],
  ['/a.constructor', 'application/octet-stream'],
  ['/a.__proto__', 'application/octet-stream'],
  ['/a.hasOwnProperty', 'application/octet-stream'],
])('%s: %s', (path, type) => expect(mediaTypeOf(path)).toBe(type))
