/** RFC 9110 §8, §9 and §15: methods, representations, and the fields that go with each status. */
import { type Case, FILE, LARGE_OCTETS, OK, request, section } from '../case.ts'
import type { Response } from '../response.ts'

const HOST = 'Host: example.test\r\n'
const get = (...fields: readonly string[]) => request('GET /file.txt', ...fields)
const PAST = 'Mon, 01 Jan 1990 00:00:00 GMT'

const methods: readonly Case[] = [
  ...section('RFC 9110 §9.3.2', 'must', false, [
    ['HEAD has no body', request('HEAD /file.txt'), OK, ['HEAD']],
    ['HEAD of what is not there', request('HEAD /none'), { status: [404] }, ['HEAD']],
    ['HEAD of a large file', request('HEAD /large.bin'), OK, ['HEAD']],
    [
      'HEAD of a directory without its slash',
      request('HEAD /docs'),
      { status: [301, 302, 307, 308] },
      ['HEAD'],
    ],
  ]),
  ...section('RFC 9110 §8.6', 'should', false, [
    [
      'HEAD has the length of GET',
      request('HEAD /file.txt'),
      { ...OK, fields: { 'content-length': '26' } },
      ['HEAD'],
    ],
  ]),
  {
    section: 'RFC 9110 §9.3.2',
    level: 'should',
    name: 'HEAD has the fields of GET',
    closes: false,
    steps: [
      { send: get(), expect: [FILE] },
      {
        send: request('HEAD /file.txt'),
        methods: ['HEAD'],
        expect: [
          {
            ...OK,
            check: ({ fields }, [first]) =>
              ['content-type', 'etag', 'last-modified', 'content-length', 'accept-ranges'].find(
                name => fields.get(name) !== first?.fields.get(name),
              ),
          },
        ],
      },
    ],
  },
  ...section('RFC 9110 §15.5.6', 'must', 'either', [
    ...['POST', 'PUT', 'DELETE', 'PATCH'].map(
      method =>
        [
          `${method} is not allowed, and Allow says what is`,
          request(`${method} /file.txt`, 'Content-Length: 0'),
          { status: [405, 501], check: allowFault },
        ] as const,
    ),
  ]),
  ...section('RFC 9110 §9.1', 'must', 'either', [
    ['methods are case-sensitive', request('get /file.txt'), { status: [400, 405, 501] }],
    ['an unknown method', request('BREW /file.txt'), { status: [400, 405, 501] }],
  ]),
  ...section('RFC 9110 §9.1', 'should', 'either', [
    ['an unknown method is 501', request('BREW /file.txt'), { status: [501, 405] }],
    ['a method of 31 letters is 501', request(`${'B'.repeat(31)} /file.txt`), { status: [501, 405] }],
  ]),
  ...section('RFC 9110 §9.3.7', 'should', false, [
    [
      'OPTIONS tells what is allowed',
      request('OPTIONS /file.txt'),
      { status: [200, 204], fields: { allow: /GET/ } },
    ],
    ['OPTIONS * too', request('OPTIONS *'), { status: [200, 204] }],
    ['OPTIONS with a body', `${request('OPTIONS *', 'Content-Length: 2')}ab`, { status: [200, 204] }],
  ]),
  ...section('RFC 9110 §9.3.8', 'safety', 'either', [
    [
      'TRACE echoes nothing',
      request('TRACE /file.txt', 'Cookie: secret'),
      { status: [405, 501, 403], check: ({ body }) => (body.includes('secret') ? 'an echo' : undefined) },
    ],
  ]),
  ...section('RFC 9110 §9.3.6', 'safety', 'either', [
    [
      'CONNECT opens nothing',
      `CONNECT example.test:80 HTTP/1.1\r\n${HOST}\r\n`,
      { status: [400, 403, 404, 405, 501] },
    ],
  ]),
]

function allowFault({ status, fields }: Response): string | undefined {
  return status === 405 && !/\bGET\b/.test(fields.get('allow') ?? '')
    ? `Allow ${fields.get('allow')}`
    : undefined
}

const representations: readonly Case[] = [
  ...section('RFC 9110 §8.3', 'should', false, [
    ['text has its type', get(), { ...FILE, fields: { 'content-type': /^text\/plain/ } }],
    ['HTML has its type', request('GET /'), { ...OK, fields: { 'content-type': /^text\/html/ } }],
    ['CSS has its type', request('GET /style.css'), { ...OK, fields: { 'content-type': /^text\/css/ } }],
  ]),
  ...section('RFC 9110 §8.6', 'must', false, [
    ['an empty file', request('GET /empty.txt'), { ...OK, body: '' }],
    [
      'a large file',
      request('GET /large.bin'),
      { ...OK, check: ({ body }) => (body.length === LARGE_OCTETS ? undefined : `${body.length} octets`) },
    ],
  ]),
  ...section('RFC 9110 §8.8.1', 'should', false, [
    ['a file has a strong tag', get(), { ...FILE, fields: { etag: /^"[!#-~\x80-\xff]*"$/ } }],
    ['a file has a date', get(), { ...FILE, fields: { 'last-modified': /GMT$/ } }],
    ['ranges are offered', get(), { ...FILE, fields: { 'accept-ranges': 'bytes' } }],
  ]),
  ...section('RFC 9110 §8.8.2.1', 'must', false, [
    [
      'Last-Modified is not later than Date',
      get(),
      {
        ...FILE,
        check: ({ fields }) =>
          Date.parse(fields.get('last-modified') ?? PAST) <= Date.parse(fields.get('date') ?? '')
            ? undefined
            : 'it is',
      },
    ],
  ]),
  ...section('RFC 9110 §15.4.2', 'must', false, [
    [
      'a directory without its slash',
      request('GET /docs'),
      { status: [301, 302, 307, 308], fields: { location: /\/docs\/$/ } },
    ],
    [
      'and a query',
      request('GET /docs?a=b'),
      { status: [301, 302, 307, 308], fields: { location: /\/docs\/(\?a=b)?$/ } },
    ],
    ['a directory with it', request('GET /docs/'), { ...OK, body: /conformance/ }],
  ]),
  ...section('RFC 9110 §15.5.5', 'must', false, [
    ['what is not there', request('GET /none'), { status: [404] }],
    ['a file taken for a directory', request('GET /file.txt/'), { status: [404, 403, 400] }],
    ['below a file', request('GET /file.txt/x'), { status: [404, 403, 400] }],
    ['a directory without an index', request('GET /bare/'), { status: [403, 404] }],
  ]),
]

export const SEMANTICS_CASES: readonly Case[] = [...methods, ...representations]
