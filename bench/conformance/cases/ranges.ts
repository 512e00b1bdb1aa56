/** RFC 9110 §14: ranges, one and many, sensible and abusive. */
import { ALPHABET, type Case, type Expected, FILE, LARGE_OCTETS, request, section } from '../case.ts'
import type { Response } from '../response.ts'
import { conditional, etag, modified, other } from './conditions.ts'

const get = (...fields: readonly string[]) => request('GET /file.txt', ...fields)
const FUTURE = 'Fri, 01 Jan 2100 00:00:00 GMT'

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
  status: [200, 206, 400, 416, 431],
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

export const RANGE_CASES: readonly Case[] = [...single, ...multiple, ...ifRange]
