/** RFC 9110: methods, validators, conditions and ranges, and the fields that go with each status. */
import { ALPHABET, type Case, type Expected, FILE, LARGE_OCTETS, OK, request, section } from '../case.ts'
import type { Response } from '../response.ts'

const HOST = 'Host: example.test\r\n'
const get = (...fields: readonly string[]) => request('GET /file.txt', ...fields)
const PAST = 'Mon, 01 Jan 1990 00:00:00 GMT'
const FUTURE = 'Fri, 01 Jan 2100 00:00:00 GMT'

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

/** The first response gives the validators, the second request uses them. */
function conditional(
  name: string,
  fields: (first: Response) => readonly string[],
  expected: Expected,
  level: Case['level'] = 'must',
  rfc = 'RFC 9110 §13.1',
  line = 'GET /file.txt',
): Case {
  return {
    section: rfc,
    level,
    name,
    closes: false,
    steps: [
      { send: get(), expect: [FILE] },
      {
        send: ([first]) => request(line, ...fields(first as Response)),
        expect: [expected],
        methods: [line.split(' ')[0] as string],
      },
    ],
  }
}

const etag = ({ fields }: Response) => fields.get('etag') ?? '"none"'
const modified = ({ fields }: Response) => fields.get('last-modified') ?? PAST
const other = (value: string, seconds: number) => new Date(Date.parse(value) + seconds * 1_000).toUTCString()
const SAME: Expected = { status: [304], body: '' }
const FAILED: Expected = { status: [412] }

const conditions: readonly Case[] = [
  conditional(
    'If-None-Match of the tag',
    first => [`If-None-Match: ${etag(first)}`],
    SAME,
    'should',
    'RFC 9110 §13.1.2',
  ),
  conditional(
    'in a list',
    first => [`If-None-Match: "x", ${etag(first)}, "y"`],
    SAME,
    'should',
    'RFC 9110 §13.1.2',
  ),
  conditional(
    'in two lines',
    first => ['If-None-Match: "x"', `If-None-Match: ${etag(first)}`],
    SAME,
    'should',
    'RFC 9110 §13.1.2',
  ),
  conditional(
    'compared weakly',
    first => [`If-None-Match: W/${etag(first)}`],
    SAME,
    'must',
    'RFC 9110 §13.1.2',
  ),
  conditional('of any', () => ['If-None-Match: *'], SAME, 'must', 'RFC 9110 §13.1.2'),
  conditional('of another tag', () => ['If-None-Match: "x"'], FILE, 'must', 'RFC 9110 §13.1.2'),
  conditional('of a tag that holds a comma', () => ['If-None-Match: "a,b"'], FILE, 'must', 'RFC 9110 §8.8.3'),
  conditional(
    'with HEAD',
    first => [`If-None-Match: ${etag(first)}`],
    SAME,
    'must',
    'RFC 9110 §13.1.2',
    'HEAD /file.txt',
  ),
  conditional(
    'If-Modified-Since of the date',
    first => [`If-Modified-Since: ${modified(first)}`],
    SAME,
    'should',
    'RFC 9110 §13.1.3',
  ),
  conditional(
    'of a second before',
    first => [`If-Modified-Since: ${other(modified(first), -1)}`],
    FILE,
    'should',
    'RFC 9110 §13.1.3',
  ),
  conditional(
    'of a later date',
    first => [`If-Modified-Since: ${other(modified(first), 1)}`],
    { status: [304, 200] },
    'should',
    'RFC 9110 §13.1.3',
  ),
  conditional('of no date', () => ['If-Modified-Since: yesterday'], FILE, 'must', 'RFC 9110 §13.1.3'),
  conditional('of a number', () => ['If-Modified-Since: 1700000000'], FILE, 'must', 'RFC 9110 §13.1.3'),
  conditional(
    'in the form of RFC 850',
    () => ['If-Modified-Since: Monday, 01-Jan-90 00:00:00 GMT'],
    FILE,
    'must',
    'RFC 9110 §5.6.7',
  ),
  conditional(
    'in the form of asctime',
    () => ['If-Modified-Since: Mon Jan  1 00:00:00 1990'],
    FILE,
    'must',
    'RFC 9110 §5.6.7',
  ),
  conditional(
    'is ignored beside If-None-Match',
    first => ['If-None-Match: "x"', `If-Modified-Since: ${modified(first)}`],
    FILE,
    'must',
    'RFC 9110 §13.1.3',
  ),
  conditional(
    'is not needed beside If-None-Match',
    first => [`If-None-Match: ${etag(first)}`, `If-Modified-Since: ${PAST}`],
    SAME,
    'should',
    'RFC 9110 §13.2.2',
  ),
  conditional('If-Match of the tag', first => [`If-Match: ${etag(first)}`], FILE, 'must', 'RFC 9110 §13.1.1'),
  conditional('If-Match of any', () => ['If-Match: *'], FILE, 'must', 'RFC 9110 §13.1.1'),
  conditional('If-Match of another tag', () => ['If-Match: "x"'], FAILED, 'must', 'RFC 9110 §13.1.1'),
  conditional(
    'If-Match compared strongly',
    first => [`If-Match: W/${etag(first)}`],
    FAILED,
    'must',
    'RFC 9110 §13.1.1',
  ),
  conditional(
    'If-Match with HEAD',
    () => ['If-Match: "x"'],
    FAILED,
    'must',
    'RFC 9110 §13.1.1',
    'HEAD /file.txt',
  ),
  conditional(
    'If-Unmodified-Since of the date',
    first => [`If-Unmodified-Since: ${modified(first)}`],
    FILE,
    'must',
    'RFC 9110 §13.1.4',
  ),
  conditional(
    'If-Unmodified-Since of the past',
    () => [`If-Unmodified-Since: ${PAST}`],
    FAILED,
    'must',
    'RFC 9110 §13.1.4',
  ),
  conditional(
    'If-Unmodified-Since of no date',
    () => ['If-Unmodified-Since: x'],
    FILE,
    'must',
    'RFC 9110 §13.1.4',
  ),
  conditional(
    'If-Match comes before If-Unmodified-Since',
    first => [`If-Match: ${etag(first)}`, `If-Unmodified-Since: ${PAST}`],
    FILE,
    'must',
    'RFC 9110 §13.2.2',
  ),
  conditional(
    'If-Match comes before If-None-Match',
    first => ['If-Match: "x"', `If-None-Match: ${etag(first)}`],
    FAILED,
    'must',
    'RFC 9110 §13.2.2',
  ),
  conditional(
    'both hold',
    first => [`If-Match: ${etag(first)}`, `If-None-Match: ${etag(first)}`],
    SAME,
    'must',
    'RFC 9110 §13.2.2',
  ),
  conditional(
    'conditions come before ranges',
    first => [`If-None-Match: ${etag(first)}`, 'Range: bytes=0-1'],
    SAME,
    'must',
    'RFC 9110 §13.2.2',
  ),
  conditional(
    'a failed condition comes before a bad range',
    () => ['If-Match: "x"', 'Range: bytes=1000-'],
    FAILED,
    'must',
    'RFC 9110 §13.2.2',
  ),
  conditional(
    'conditions of what is not there are ignored',
    () => ['If-Match: "x"'],
    { status: [404] },
    'must',
    'RFC 9110 §13.2.1',
    'GET /none',
  ),
  {
    section: 'RFC 9110 §15.4.5',
    level: 'must',
    name: '304 has the tag and the date of the response',
    closes: false,
    steps: [
      { send: get(), expect: [FILE] },
      {
        send: ([first]) => get(`If-None-Match: ${etag(first as Response)}`),
        expect: [
          {
            status: [304],
            check: ({ fields }, [first]) =>
              fields.get('etag') === first?.fields.get('etag') ? undefined : 'another tag',
          },
        ],
      },
    ],
  },
]

const part = (text: string, range: string): Expected => ({
  status: [206],
  body: text,
  fields: { 'content-range': `bytes ${range}/26`, 'content-length': String(text.length) },
})
const UNSATISFIABLE: Expected = { status: [416], fields: { 'content-range': 'bytes */26' } }

const single: readonly Case[] = [
  ...section('RFC 9110 §14.2', 'should', false, [
    ['the first octet', get('Range: bytes=0-0'), part('a', '0-0')],
    ['the last octet', get('Range: bytes=25-25'), part('z', '25-25')],
    ['from the middle', get('Range: bytes=10-12'), part('klm', '10-12')],
    ['to the end', get('Range: bytes=20-'), part('uvwxyz', '20-25')],
    ['beyond the end', get('Range: bytes=20-99'), part('uvwxyz', '20-25')],
    ['a suffix', get('Range: bytes=-3'), part('xyz', '23-25')],
    ['a suffix longer than all', get('Range: bytes=-99'), { status: [206, 200], body: ALPHABET }],
    ['all', get('Range: bytes=0-'), { status: [206, 200], body: ALPHABET }],
    ['in capitals', get('Range: BYTES=0-0'), { status: [206, 200] }],
    [
      'of a large file',
      request('GET /large.bin', 'Range: bytes=99990-'),
      { status: [206], body: '0123456789' },
    ],
  ]),
  ...section('RFC 9110 §15.5.17', 'should', false, [
    ['behind the end', get('Range: bytes=26-'), UNSATISFIABLE],
    ['far behind the end', get('Range: bytes=1000-2000'), UNSATISFIABLE],
    ['an empty suffix', get('Range: bytes=-0'), UNSATISFIABLE],
  ]),
  ...section('RFC 9110 §14.2', 'must', false, [
    ['another unit is ignored', get('Range: lines=0-1'), FILE],
    ['HEAD has no ranges', request('HEAD /file.txt', 'Range: bytes=0-0'), { status: [200] }, ['HEAD']],
  ]),
  ...section('RFC 9110 §14.1.1', 'should', false, [
    ...[
      'bytes=2-1',
      'bytes=a-b',
      'bytes=',
      'bytes',
      'bytes=-',
      'bytes=0',
      'bytes=0-1-2',
      'bytes 0-1',
      'bytes=0x0-0x1',
      'bytes=+0-1',
      'bytes=0.0-1',
    ].map(value => [`${value} is none`, get(`Range: ${value}`), { status: [200, 416, 400] }] as const),
  ]),
  ...section('RFC 9110 §14.1.2', 'safety', false, [
    [
      'a number without end',
      get(`Range: bytes=0-99999999999999999999999`),
      { status: [206, 200, 416], check: wholeOrRange },
    ],
    ['a first position without end', get('Range: bytes=99999999999999999999999-'), { status: [416, 200] }],
    [
      'a suffix without end',
      get('Range: bytes=-99999999999999999999999'),
      { status: [206, 200, 416], check: wholeOrRange },
    ],
    ['2^63', get('Range: bytes=9223372036854775808-'), { status: [416, 200] }],
    ['2^64 and one', get('Range: bytes=18446744073709551617-18446744073709551618'), { status: [416, 200] }],
    [
      'a last position that wraps 64 bits',
      get('Range: bytes=5-18446744073709551620'),
      {
        status: [206, 200, 416],
        check: ({ status, body }) => (status === 206 && body !== ALPHABET.slice(5) ? body : undefined),
      },
    ],
    [
      'a value of 7,000 digits',
      get(`Range: bytes=0-${'9'.repeat(7_000)}`),
      { status: [206, 200, 416, 400], check: wholeOrRange },
    ],
  ]),
]

function wholeOrRange({ status, body }: Response): string | undefined {
  return status < 300 && body !== ALPHABET ? `${body.length} octets` : undefined
}

/** The parts of multipart/byteranges (RFC 9110 §14.6), or what is wrong with them. */
export function partsOf({ fields, body }: Response): readonly { range: string; text: string }[] | string {
  const boundary = /^multipart\/byteranges;\s*boundary="?([^";]+)"?$/i.exec(
    fields.get('content-type') ?? '',
  )?.[1]
  if (boundary === undefined) return `Content-Type ${fields.get('content-type')}`
  const parts = `\r\n${body}`.split(`\r\n--${boundary}`)
  if (parts.pop()?.startsWith('--') !== true) return 'no closing delimiter'
  return parts.slice(1).map(text => {
    const end = text.indexOf('\r\n\r\n')
    const range = /\r\nContent-Range:\s*bytes (\d+-\d+\/\d+)/i.exec(text.slice(0, end))?.[1] ?? ''
    return { range, text: text.slice(end + 4) }
  })
}

function parts(...wanted: readonly (readonly [string, string])[]): Expected {
  return {
    status: [206],
    fields: { 'content-range': null },
    check: response => {
      const found = partsOf(response)
      if (typeof found === 'string') return found
      const texts = found.map(({ range, text }) => `${range} ${text}`)
      const same =
        texts.length === wanted.length &&
        wanted.every(([range, text]) => texts.includes(`${range}/26 ${text}`))
      return same ? undefined : texts.join()
    },
  }
}

/** Whatever the set: no more than the file and the frame of its parts. */
const bounded = (limit: number): Expected => ({
  status: [200, 206, 416],
  check: ({ body }) => (body.length <= limit ? undefined : `${body.length} octets`),
})

const multiple: readonly Case[] = [
  ...section('RFC 9110 §14.6', 'should', false, [
    ['two ranges', get('Range: bytes=0-1,4-5'), parts(['0-1', 'ab'], ['4-5', 'ef'])],
    [
      'white space and empty elements',
      get('Range: bytes=0-1 , ,\t4-5,'),
      parts(['0-1', 'ab'], ['4-5', 'ef']),
    ],
    ['a range and a suffix', get('Range: bytes=0-1,-2'), parts(['0-1', 'ab'], ['24-25', 'yz'])],
  ]),
  ...section('RFC 9110 §15.3.7.2', 'must', false, [
    [
      'one satisfiable of two is a single part',
      get('Range: bytes=0-1,99-100'),
      {
        status: [206, 200],
        check: ({ status, body }) => (status === 206 && !body.includes('ab') ? body : undefined),
      },
    ],
  ]),
  ...section('RFC 9110 §15.5.17', 'should', false, [
    ['none satisfiable of two', get('Range: bytes=30-40,50-60'), { status: [416, 200] }],
  ]),
  ...section('RFC 9110 §14.2', 'safety', false, [
    [
      'the whole a hundred times',
      request('GET /large.bin', `Range: bytes=${Array(100).fill('0-').join()}`),
      bounded(LARGE_OCTETS + 20_000),
    ],
    [
      'overlapping ranges',
      request(
        'GET /large.bin',
        `Range: bytes=${Array.from({ length: 50 }, (_, index) => `${index}-`).join()}`,
      ),
      bounded(LARGE_OCTETS + 20_000),
    ],
    [
      'a thousand single octets',
      request(
        'GET /large.bin',
        `Range: bytes=${Array.from({ length: 1_000 }, (_, index) => `${2 * index}-${2 * index}`).join()}`,
      ),
      bounded(LARGE_OCTETS + 20_000),
    ],
    [
      'suffixes that hold each other',
      request('GET /large.bin', 'Range: bytes=-99999,-99998,-99997,-99996'),
      bounded(LARGE_OCTETS + 20_000),
    ],
  ]),
]

const ifRange: readonly Case[] = [
  conditional(
    'the tag',
    first => [`If-Range: ${etag(first)}`, 'Range: bytes=0-1'],
    part('ab', '0-1'),
    'must',
    'RFC 9110 §13.1.5',
  ),
  conditional('another tag', () => ['If-Range: "x"', 'Range: bytes=0-1'], FILE, 'must', 'RFC 9110 §13.1.5'),
  conditional(
    'a weak tag never holds',
    first => [`If-Range: W/${etag(first)}`, 'Range: bytes=0-1'],
    FILE,
    'must',
    'RFC 9110 §13.1.5',
  ),
  conditional(
    'an older date',
    first => [`If-Range: ${other(modified(first), -10)}`, 'Range: bytes=0-1'],
    FILE,
    'must',
    'RFC 9110 §13.1.5',
  ),
  conditional(
    'a later date is no exact match',
    first => [`If-Range: ${other(modified(first), 10)}`, 'Range: bytes=0-1'],
    FILE,
    'must',
    'RFC 9110 §13.1.5',
  ),
  conditional(
    'the far future',
    () => [`If-Range: ${FUTURE}`, 'Range: bytes=0-1'],
    FILE,
    'must',
    'RFC 9110 §13.1.5',
  ),
  conditional('nonsense', () => ['If-Range: x', 'Range: bytes=0-1'], FILE, 'must', 'RFC 9110 §13.1.5'),
  conditional('without Range it is ignored', () => ['If-Range: "x"'], FILE, 'must', 'RFC 9110 §13.1.5'),
  conditional(
    'a bad range with another tag is the whole',
    () => ['If-Range: "x"', 'Range: bytes=1000-'],
    FILE,
    'must',
    'RFC 9110 §13.1.5',
  ),
]

export const SEMANTICS_CASES: readonly Case[] = [
  ...methods,
  ...representations,
  ...conditions,
  ...single,
  ...multiple,
  ...ifRange,
]
