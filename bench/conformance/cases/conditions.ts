/** RFC 9110 §13: conditional requests, alone and together. */
import { type Case, type Expected, FILE, request } from '../case.ts'
import type { Response } from '../response.ts'

const get = (...fields: readonly string[]) => request('GET /file.txt', ...fields)
const PAST = 'Mon, 01 Jan 1990 00:00:00 GMT'

/** The first response gives the validators, the second request uses them. */
export function conditional(
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
    // RFC 9112 §9.6: a server may end the connection whenever it likes; it does so at most after an error.
    closes: expected.status.every(status => status < 400) ? false : 'either',
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

export const etag = ({ fields }: Response) => fields.get('etag') ?? '"none"'
export const modified = ({ fields }: Response) => fields.get('last-modified') ?? PAST
export const other = (value: string, seconds: number) =>
  new Date(Date.parse(value) + seconds * 1_000).toUTCString()
const SAME: Expected = { status: [304], body: '' }
const FAILED: Expected = { status: [412] }

export const CONDITION_CASES: readonly Case[] = [
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
