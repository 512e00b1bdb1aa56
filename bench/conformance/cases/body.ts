/** RFC 9112 §6, §7 and §11.2: where a message ends, and every known way to have two servers disagree about it. */
import { type Case, FILE, OK, refused, request, section } from '../case.ts'

const HOST = 'Host: example.test\r\n'
const post = (fields: string, body = '') => `POST /file.txt HTTP/1.1\r\n${HOST}${fields}\r\n${body}`
const chunked = (body: string, fields = '') => post(`Transfer-Encoding: chunked\r\n${fields}`, body)
const SMUGGLED = request('GET /index.html')

/** What a static server may answer to POST while it reads the body: it need not take one. */
const DECLINED = { status: [200, 204, 403, 404, 405, 501] }
/** The same where the body itself is at fault. */
const FAULTY = { status: [400, 403, 404, 405, 413, 501] }

const lengths: readonly Case[] = [
  ...section('RFC 9112 §6.3', 'must', 'either', [
    ['a body with a length is read', post('Content-Length: 4\r\n', 'abcd'), DECLINED],
    ['a body that looks like a request', post(`Content-Length: ${SMUGGLED.length}\r\n`, SMUGGLED), DECLINED],
    [
      'a body in pieces',
      ['POST /file.txt HTTP/1.1\r\n', `${HOST}Content-Length: 4\r\n\r\n`, 'ab', 'cd'],
      DECLINED,
    ],
    ['a length of 0', post('Content-Length: 0\r\n'), DECLINED],
    ['no body without a length', post(''), { status: [...DECLINED.status, 411] }],
  ]),
  ...section('RFC 9110 §9.3.1', 'must', 'either', [
    [
      'a GET with a body',
      `GET /file.txt HTTP/1.1\r\n${HOST}Content-Length: 4\r\n\r\nabcd`,
      { status: [200, 400, 413] },
    ],
    [
      'a GET with a chunked body',
      `GET /file.txt HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n`,
      { status: [200, 400, 413] },
    ],
    [
      'a HEAD with a body',
      `HEAD /file.txt HTTP/1.1\r\n${HOST}Content-Length: 4\r\n\r\nabcd`,
      { status: [200, 400, 413] },
      ['HEAD'],
    ],
  ]),
  ...refused('RFC 9110 §8.6', 'must', [400], {
    'a negative length': post('Content-Length: -1\r\n'),
    'a length with a sign': post('Content-Length: +4\r\n', 'abcd'),
    'a length in hexadecimal': post('Content-Length: 0x4\r\n', 'abcd'),
    'a length with a point': post('Content-Length: 4.0\r\n', 'abcd'),
    'a length with a space': post('Content-Length: 4 4\r\n', 'abcd'),
    'a length of letters': post('Content-Length: abc\r\n', 'abcd'),
  }),
  ...refused('RFC 9110 §8.6', 'safety', [400], {
    'an empty length': post('Content-Length:\r\n'),
  }),
  ...refused('RFC 9112 §6.3', 'must', [400], {
    'two lengths that differ': post('Content-Length: 4\r\nContent-Length: 5\r\n', 'abcde'),
    'a list of lengths that differ': post('Content-Length: 4, 5\r\n', 'abcde'),
  }),
  ...section('RFC 9112 §6.3', 'must', true, [
    [
      'two equal lengths are refused or are one',
      post('Content-Length: 4\r\nContent-Length: 4\r\nConnection: close\r\n', 'abcd'),
      { status: [400, ...DECLINED.status] },
    ],
  ]),
  ...refused('RFC 9110 §15.5.14', 'should', [413, 400, 403, 404, 405], {
    'a length beyond every limit': post('Content-Length: 99999999999999999999999\r\n'),
  }),
]

const smuggling: readonly Case[] = [
  ...refused('RFC 9112 §6.1', 'safety', [400, 501], {
    'a length and chunks (CL.TE)': post(
      'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n',
      `0\r\n\r\n${SMUGGLED}`,
    ),
    'chunks and a length (TE.CL)': post(
      `Transfer-Encoding: chunked\r\nContent-Length: 4\r\n`,
      `0\r\n\r\n${SMUGGLED}`,
    ),
    'chunks and a length of 0': post('Transfer-Encoding: chunked\r\nContent-Length: 0\r\n', '0\r\n\r\n'),
    'chunks in HTTP/1.0': `POST /file.txt HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  }),
  ...refused('RFC 9112 §6.3', 'must', [400, 501], {
    'chunked is not last': post('Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n'),
    'chunked twice': post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n'),
    'chunked twice, in two lines': post(
      'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n',
      '0\r\n\r\n',
    ),
    'gzip alone': post('Transfer-Encoding: gzip\r\n', '0\r\n\r\n'),
    'identity alone': post('Transfer-Encoding: identity\r\n', '0\r\n\r\n'),
  }),
  ...refused('RFC 9112 §6.1', 'must', [501, 400], {
    'a coding nobody knows': post('Transfer-Encoding: cow\r\n', '0\r\n\r\n'),
    'a coding nobody knows before chunked': post('Transfer-Encoding: cow, chunked\r\n', '0\r\n\r\n'),
  }),
  ...refused('RFC 9112 §11.2', 'safety', [400, 501], {
    xchunked: post('Transfer-Encoding: xchunked\r\n', `0\r\n\r\n`),
    'chunked in quotes': post('Transfer-Encoding: "chunked"\r\n', '0\r\n\r\n'),
    'chunked with a parameter': post('Transfer-Encoding: chunked;a=b\r\n', '0\r\n\r\n'),
    'chunked behind a vertical tab': post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n'),
    'chunked before NUL': post('Transfer-Encoding: chunked\0\r\n', '0\r\n\r\n'),
    'an empty coding': post('Transfer-Encoding:\r\n', '0\r\n\r\n'),
    'a space before its colon': post('Transfer-Encoding : chunked\r\n', '0\r\n\r\n'),
    'a folded coding': post('Transfer-Encoding:\r\n chunked\r\n', '0\r\n\r\n'),
    'a name with a space before it': post(' Transfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    'a line that ends with LF before it': post('X: a\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
  }),
  ...section('RFC 9112 §11.2', 'must', 'either', [
    [
      'Transfer_Encoding is another field',
      `GET /file.txt HTTP/1.1\r\n${HOST}Transfer_Encoding: chunked\r\n\r\n`,
      { status: [200, 400] },
    ],
    [
      'Content_Length is another field',
      `GET /file.txt HTTP/1.1\r\n${HOST}Content_Length: 5\r\n\r\n`,
      { status: [200, 400] },
    ],
    ['CHUNKED in capitals', post('Transfer-Encoding: CHUNKED\r\n', `0\r\n\r\n`), DECLINED],
    ['an empty element before chunked', post('Transfer-Encoding: , chunked\r\n', '0\r\n\r\n'), FAULTY],
  ]),
]

const chunks: readonly Case[] = [
  ...section('RFC 9112 §7.1', 'must', 'either', [
    ['chunks', chunked('4\r\nabcd\r\n6\r\nefghij\r\n0\r\n\r\n'), DECLINED],
    ['chunks octet by octet', [chunked(''), ...'4\r\nabcd\r\n0\r\n\r\n'], DECLINED],
    ['a size in capitals', chunked(`A\r\n${'a'.repeat(10)}\r\n0\r\n\r\n`), DECLINED],
    ['a size with zeros before it', chunked('00004\r\nabcd\r\n000\r\n\r\n'), DECLINED],
    [
      'data that looks like a request',
      chunked(`${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`),
      DECLINED,
    ],
    ['data that looks like the last chunk', chunked('5\r\n0\r\n\r\n\r\n0\r\n\r\n'), DECLINED],
    ['no chunk but the last', chunked('0\r\n\r\n'), DECLINED],
  ]),
  ...section('RFC 9112 §7.1.1', 'must', 'either', [
    ['extensions are ignored', chunked('4;a=b;c="d e"\r\nabcd\r\n0;x\r\n\r\n'), DECLINED],
  ]),
  ...section('RFC 9112 §7.1.2', 'must', 'either', [
    [
      'trailers are read',
      chunked('4\r\nabcd\r\n0\r\nX-Sum: 1\r\nX: 2\r\n\r\n', 'Trailer: X-Sum\r\n'),
      DECLINED,
    ],
    ['a trailer cannot frame the message', chunked('0\r\nContent-Length: 50\r\n\r\n'), DECLINED],
    ['nor end its chunks anew', chunked('0\r\nTransfer-Encoding: chunked\r\n\r\n'), DECLINED],
  ]),
  // The response may have been sent before the fault was met; then the end is the only thing left to say.
  ...section(
    'RFC 9112 §7.1',
    'must',
    true,
    Object.entries({
      'a size that is none': 'x\r\nabcd\r\n0\r\n\r\n',
      'a negative size': '-4\r\nabcd\r\n0\r\n\r\n',
      'a size with 0x': '0x4\r\nabcd\r\n0\r\n\r\n',
      'no size': '\r\nabcd\r\n0\r\n\r\n',
      'data longer than its size': '3\r\nabcd\r\n0\r\n\r\n',
      'a size beyond 64 bits': `${'f'.repeat(17)}\r\nabcd\r\n0\r\n\r\n`,
      'a size that wraps 64 bits': '10000000000000004\r\nabcd\r\n0\r\n\r\n',
      'a size behind a space': ' 4\r\nabcd\r\n0\r\n\r\n',
    }).map(([name, body]) => [name, chunked(body), FAULTY] as const),
  ),
  ...section(
    'RFC 9112 §7.1',
    'safety',
    true,
    Object.entries({
      'a size that ends with LF': '4\nabcd\r\n0\r\n\r\n',
      'data that ends with LF': '4\r\nabcd\n0\r\n\r\n',
      'a bare CR in an extension': '4;a\rb\r\nabcd\r\n0\r\n\r\n',
      'LF in an extension': '4;a\nX\r\nabcd\r\n0\r\n\r\n',
      'a size that wraps 32 bits': '100000004\r\nabcd\r\n0\r\n\r\n',
      'an underscore in a size': '1_0\r\nabcdefghijklmnop\r\n0\r\n\r\n',
      'a folded trailer': '0\r\nX: a\r\n b\r\n\r\n',
      'a trailer without a colon': '0\r\nnonsense\r\n\r\n',
      'a trailer with a space before its colon': '0\r\nX : a\r\n\r\n',
      'extensions without end': `4;${'a'.repeat(200_000)}\r\nabcd\r\n0\r\n\r\n`,
      'trailers without end': `0\r\n${`X: ${'a'.repeat(1_000)}\r\n`.repeat(200)}\r\n`,
    }).map(([name, body]) => [name, chunked(body), FAULTY] as const),
  ),
]

const persistence: readonly Case[] = [
  ...section('RFC 9112 §9.3', 'must', false, [
    ['HTTP/1.1 stays', request('GET /file.txt'), FILE],
    ['keep-alive is one of several options', request('GET /file.txt', 'Connection: foo, keep-alive'), FILE],
    ['a name of another option', request('GET /file.txt', 'Connection: closed'), FILE],
  ]),
  ...section('RFC 9112 §9.6', 'must', true, [
    ['close ends it', request('GET /file.txt', 'Connection: close'), FILE],
    ['Close in capitals', request('GET /file.txt', 'Connection: CLOSE'), FILE],
    ['close among others', request('GET /file.txt', 'Connection: foo , close'), FILE],
    ['close in a second line', request('GET /file.txt', 'Connection: foo', 'Connection: close'), FILE],
    [
      'requests behind close are not answered',
      request('GET /file.txt', 'Connection: close') + request('GET /index.html'),
      { ...FILE, check: () => undefined },
    ],
  ]),
  ...section('RFC 9112 §9.6', 'should', true, [
    [
      'the response says close',
      request('GET /file.txt', 'Connection: close'),
      { ...FILE, fields: { connection: /close/i } },
    ],
  ]),
  ...section('RFC 9112 §9.3', 'must', true, [
    ['HTTP/1.0 ends', 'GET /file.txt HTTP/1.0\r\n\r\n', FILE],
    ['HTTP/1.0 with Host ends', `GET /file.txt HTTP/1.0\r\n${HOST}\r\n`, FILE],
  ]),
  ...section('RFC 9112 §9.3', 'should', false, [
    [
      'HTTP/1.0 stays where it asks',
      `GET /file.txt HTTP/1.0\r\n${HOST}Connection: keep-alive\r\n\r\n`,
      { ...FILE, fields: { connection: /keep-alive/i } },
    ],
  ]),
  ...section('RFC 9112 §6.1', 'must', true, [
    [
      'no chunks to HTTP/1.0',
      'GET /file.txt HTTP/1.0\r\n\r\n',
      { ...FILE, fields: { 'transfer-encoding': null } },
    ],
  ]),
  ...section('RFC 9112 §9.3.2', 'must', false, [
    [
      'pipelined responses keep their order',
      request('GET /file.txt') + request('GET /none') + request('GET /docs/') + request('GET /file.txt'),
      [FILE, { status: [404] }, OK, FILE],
    ],
    [
      'HEAD among pipelined requests',
      request('HEAD /file.txt') + request('GET /file.txt') + request('HEAD /none') + request('GET /file.txt'),
      [OK, FILE, { status: [404] }, FILE],
      ['HEAD', 'GET', 'HEAD', 'GET'],
    ],
    ['thirty at once', request('GET /file.txt').repeat(30), Array.from({ length: 30 }, () => FILE)],
    [
      'a second request cut in two',
      [request('GET /file.txt') + request('GET /file.txt').slice(0, 20), request('GET /file.txt').slice(20)],
      [FILE, FILE],
    ],
  ]),
  {
    section: 'RFC 9112 §9.6',
    level: 'must',
    name: 'a client that has closed its half is answered',
    steps: [{ send: request('GET /file.txt'), expect: [FILE] }],
    closes: true,
    finishes: true,
  },
]

const expectations: readonly Case[] = [
  {
    section: 'RFC 9110 §10.1.1',
    level: 'must',
    name: 'an expected 100 comes before the body, or a final status instead',
    steps: [
      { send: post('Content-Length: 4\r\nExpect: 100-continue\r\n'), expect: [DECLINED] },
      { send: 'abcd', expect: [] },
    ],
    closes: 'either',
  },
  {
    section: 'RFC 9110 §10.1.1',
    level: 'must',
    name: 'no 100 to HTTP/1.0',
    steps: [
      {
        send: `GET /file.txt HTTP/1.0\r\n${HOST}Content-Length: 4\r\nExpect: 100-continue\r\n\r\nabcd`,
        expect: [
          {
            status: [200, 400, 413],
            check: ({ interim }) => (interim.length > 0 ? 'an interim response' : undefined),
          },
        ],
      },
    ],
    closes: true,
  },
  ...section('RFC 9110 §10.1.1', 'must', 'either', [
    ['an unknown expectation', request('GET /file.txt', 'Expect: 200-maybe'), { status: [417, 200] }],
    [
      '100-continue in capitals',
      `GET /file.txt HTTP/1.1\r\n${HOST}Expect: 100-CONTINUE\r\nContent-Length: 2\r\n\r\nab`,
      { status: [200, 400, 413] },
    ],
  ]),
]

export const BODY_CASES: readonly Case[] = [
  ...lengths,
  ...smuggling,
  ...chunks,
  ...persistence,
  ...expectations,
]
