/** RFC 3986 §5.2.4, RFC 9110 §17.3: no target leaves the document root, and none sends a client elsewhere. */
import { type Case, FILE, request, section } from '../case.ts'
import type { Response } from '../response.ts'

/** Whatever the status: nothing of what lies outside, or is hidden. */
const KEPT = {
  status: [200, 301, 302, 307, 308, 400, 403, 404],
  check: ({ body }: Response) =>
    /secret|root:|daemon:/.test(body) ? `it got out: ${body.slice(0, 40)}` : undefined,
}
const REFUSED = { ...KEPT, status: [400, 403, 404] }

const traversal: readonly Case[] = section('RFC 9110 §17.3', 'safety', 'either', [
  ...[
    '/../outside.txt',
    '/../../../../../../etc/passwd',
    '/docs/../../outside.txt',
    '/%2e%2e/outside.txt',
    '/%2E%2E/%2e%2e/%2e%2e/etc/passwd',
    '/.%2e/outside.txt',
    '/%2e./outside.txt',
    '/..%2foutside.txt',
    '/..%2Foutside.txt',
    '/%2e%2e%2foutside.txt',
    '/..%5coutside.txt',
    '/..\\outside.txt',
    '/docs\\..\\..\\outside.txt',
    '/%252e%252e/outside.txt',
    '/..%252foutside.txt',
    '/%c0%ae%c0%ae/outside.txt',
    '/%c0%ae%c0%ae%c0%afoutside.txt',
    '/%e0%80%ae%e0%80%ae/outside.txt',
    '/..;/outside.txt',
    '/..%00/outside.txt',
    '/....//outside.txt',
    '//etc/passwd',
    '/%2fetc/passwd',
    '/file.txt%00.html',
    '/file.txt%00',
    '/%00',
    '/leak.txt',
  ].map(path => [path, request(`GET ${path}`), REFUSED] as const),
  ['absolute-form that climbs', request('GET http://example.test/../outside.txt'), REFUSED],
])

const hidden: readonly Case[] = section('RFC 8615 §1', 'safety', 'either', [
  ...[
    '/.secret',
    '/.git/config',
    '/.git',
    '/%2egit/config',
    '/docs/../.secret',
    '/./.secret',
    '/.git%2fconfig',
    '/.%67it/config',
  ].map(
    path => [`${path} is hidden`, request(`GET ${path}`), { ...KEPT, status: [301, 400, 403, 404] }] as const,
  ),
])

const normal: readonly Case[] = [
  ...section('RFC 3986 §5.2.4', 'must', false, [
    ['a dot segment', request('GET /./file.txt'), FILE],
    ['a segment and its parent', request('GET /docs/../file.txt'), FILE],
    ['encoded dot segments', request('GET /docs/%2e%2e/file.txt'), { ...FILE, status: [200] }],
  ]),
  ...section('RFC 3986 §6.2.2', 'must', false, [
    ['a space in a name', request('GET /with%20space.txt'), FILE],
    ['a letter in either spelling', request('GET /f%69le.txt'), FILE],
  ]),
  ...section('RFC 3986 §2.1', 'should', 'either', [
    ...['/%', '/%4', '/%zz', '/%u0041'].map(
      path => [`${path} is no escape`, request(`GET ${path}`), { status: [400, 404] }] as const,
    ),
  ]),
  ...section('RFC 9110 §4.2.3', 'must', false, [
    ['names are case-sensitive', request('GET /FILE.TXT'), { status: [404] }],
    ['a plus is no space', request('GET /with+space.txt'), { status: [404] }],
  ]),
]

/** A Location that a browser would take for another site, or a header of its own. */
const HOME = {
  status: [200, 301, 302, 307, 308, 400, 403, 404],
  check: ({ fields, lines }: Response) => {
    const location = fields.get('location')
    if (location !== undefined && /^(?:\/\/|\/\\|\\|https?:\/\/(?!example\.test(?::\d+)?\/))/i.test(location))
      return `Location ${location}`
    return lines.some(line => /^x-injected/i.test(line)) ? 'an injected field' : undefined
  },
}

const redirects: readonly Case[] = section('RFC 9110 §17.9', 'safety', 'either', [
  ...[
    '//docs',
    '//evil.test/..;/docs',
    '//evil.test/%2e%2e/docs',
    '/\\docs',
    '/%5cdocs',
    '/%2fdocs',
    '//evil.test/%2f..',
    '///docs',
    '/docs%0d%0aX-Injected:%20a',
    '/docs%0aX-Injected:%20a',
    '/docs?a=%0d%0aX-Injected:%20a',
    '/.//evil.test/../docs',
    '/docs/..//docs',
  ].map(path => [path, request(`GET ${path}`), HOME] as const),
  ['absolute-form', request('GET http://example.test//docs'), HOME],
  [
    'a Host that is another',
    'GET /docs HTTP/1.1\r\nHost: example.test\r\nX-Forwarded-Host: evil.test\r\n\r\n',
    HOME,
  ],
])

export const PATH_CASES: readonly Case[] = [...traversal, ...hidden, ...normal, ...redirects]
