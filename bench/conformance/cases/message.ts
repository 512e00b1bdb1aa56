/** RFC 9112 §2 to §5: request lines, field lines, Host, and the limits of a head. */
import { type Case, FILE, OK, refused, request, section } from '../case.ts'

const HOST = 'Host: example.test\r\n'
const head = (...lines: readonly string[]) => `GET /file.txt HTTP/1.1\r\n${lines.join('')}\r\n`

const requestLine: readonly Case[] = [
  ...section('RFC 9112 §3', 'must', false, [
    ['origin-form', request('GET /file.txt'), FILE],
    ['a query', request('GET /file.txt?a=b&c'), FILE],
    ['octet by octet', [...request('GET /file.txt')], FILE],
    ['the line in two pieces', ['GET /fi', 'le.txt HTTP/1.1\r\nHost: example.test\r\n\r\n'], FILE],
    ['between CR and LF', ['GET /file.txt HTTP/1.1\r', '\nHost: example.test\r\n\r', '\n'], FILE],
    ['percent-encoded unreserved letters', request('GET /%66ile.txt'), FILE],
  ]),
  ...section('RFC 9112 §3.2.2', 'must', false, [
    ['absolute-form', request('GET http://example.test/file.txt'), FILE],
    ['absolute-form, scheme in capitals', request('GET HTTP://example.test/file.txt'), FILE],
    ['absolute-form without a path', request('GET http://example.test'), OK],
  ]),
  ...section('RFC 9112 §3.2.4', 'should', false, [
    ['asterisk-form of OPTIONS', request('OPTIONS *'), { status: [200, 204] }],
  ]),
  ...section('RFC 9112 §2.2', 'should', false, [
    ['an empty line before the request line is ignored', `\r\n${request('GET /file.txt')}`, FILE],
  ]),
  ...section('RFC 9112 §3', 'should', false, [
    ['a target of 8,000 octets', request(`GET /file.txt?${'q'.repeat(7_990)}`), FILE],
  ]),
  ...section('RFC 9112 §2.3', 'must', 'either', [
    ['a higher minor version is served', request('GET /file.txt HTTP/1.9'), { status: [200, 505] }],
  ]),
  ...refused('RFC 9112 §3', 'must', [400], {
    'no target': `GET HTTP/1.1\r\n${HOST}\r\n`,
    'no method': ` / HTTP/1.1\r\n${HOST}\r\n`,
    'white space in the target': `GET /a b HTTP/1.1\r\n${HOST}\r\n`,
    'white space before the method': ` GET / HTTP/1.1\r\n${HOST}\r\n`,
    'a target that is a word': `GET file.txt HTTP/1.1\r\n${HOST}\r\n`,
    'no HTTP at all': 'SSH-2.0-OpenSSH_9.6\r\n\r\n',
    'a TLS greeting': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
    'NUL in the target': `GET /\0 HTTP/1.1\r\n${HOST}\r\n`,
    'a bare CR in the request line': `GET /\r HTTP/1.1\r\n${HOST}\r\n`,
    'an octet beyond ASCII in the method': `G\xc9T / HTTP/1.1\r\n${HOST}\r\n`,
  }),
  ...refused('RFC 9112 §3', 'safety', [400], {
    'two spaces before the target': `GET  / HTTP/1.1\r\n${HOST}\r\n`,
    'a tab for a space': `GET\t/ HTTP/1.1\r\n${HOST}\r\n`,
    'a space behind the version': `GET / HTTP/1.1 \r\n${HOST}\r\n`,
    'HTTP/0.9': 'GET /\r\n',
    'asterisk-form of GET': `GET * HTTP/1.1\r\n${HOST}\r\n`,
  }),
  ...section('RFC 9112 §3.2', 'safety', 'either', [
    ['a fragment', request('GET /file.txt#a'), { status: [400, 404] }],
  ]),
  ...refused('RFC 9112 §2.3', 'must', [400, 505], {
    'a lower-case version': `GET / http/1.1\r\n${HOST}\r\n`,
    'a version without its point': `GET / HTTP/11\r\n${HOST}\r\n`,
    'a version of two digits': `GET / HTTP/1.10\r\n${HOST}\r\n`,
  }),
  ...refused('RFC 9112 §2.3', 'must', [505, 400], { 'HTTP/2.0': `GET / HTTP/2.0\r\n${HOST}\r\n` }),
  ...refused('RFC 9110 §15.6.6', 'should', [505], {
    'another major version is 505': `GET / HTTP/3.0\r\n${HOST}\r\n`,
  }),
  ...refused('RFC 9112 §3', 'must', [414], {
    'a target beyond every limit': `GET /${'a'.repeat(70_000)} HTTP/1.1\r\n${HOST}\r\n`,
  }),
]

const host: readonly Case[] = [
  ...refused('RFC 9112 §3.2', 'must', [400], {
    'no Host': 'GET / HTTP/1.1\r\n\r\n',
    'two Hosts': `GET / HTTP/1.1\r\n${HOST}Host: other.test\r\n\r\n`,
    'two equal Hosts': `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`,
    'a Host with a path': 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n',
    'a Host with user information': 'GET / HTTP/1.1\r\nHost: user@example.test\r\n\r\n',
    'a Host with a space': 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n',
    'a Host with a comma of two': 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n',
    'a port of letters': 'GET / HTTP/1.1\r\nHost: a:b\r\n\r\n',
    'absolute-form without Host': 'GET http://example.test/ HTTP/1.1\r\n\r\n',
  }),
  ...refused('RFC 9112 §3.2.2', 'safety', [400, 421], {
    'a Host that is not the authority of the target': 'GET http://a.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n',
    'user information in the target': 'GET http://u:p@example.test/ HTTP/1.1\r\nHost: example.test\r\n\r\n',
  }),
  ...refused('RFC 9110 §4.2.1', 'must', [400], {
    'absolute-form without a host': 'GET http:///file.txt HTTP/1.1\r\nHost: example.test\r\n\r\n',
  }),
  ...section('RFC 9112 §3.2', 'must', 'either', [
    [
      'an empty Host has the form of one',
      'GET /file.txt HTTP/1.1\r\nHost:\r\n\r\n',
      { status: [200, 400, 421] },
    ],
  ]),
  ...section('RFC 9110 §7.2', 'must', false, [
    ['a Host with a port', 'GET /file.txt HTTP/1.1\r\nHost: example.test:80\r\n\r\n', FILE],
    ['a Host of IPv6', 'GET /file.txt HTTP/1.1\r\nHost: [::1]:80\r\n\r\n', FILE],
    ['a Host in capitals', 'GET /file.txt HTTP/1.1\r\nHOST: EXAMPLE.TEST\r\n\r\n', FILE],
  ]),
]

const fields: readonly Case[] = [
  ...section('RFC 9112 §5', 'must', false, [
    ['white space around a value', head('Host: \t example.test \t \r\n'), FILE],
    ['no white space before a value', head('Host:example.test\r\n'), FILE],
    ['an empty value', head(HOST, 'X-Empty:\r\n'), FILE],
    ['octets beyond ASCII in a value', head(HOST, 'X: \xe9\xff\r\n'), FILE],
    ['a name of all token characters', head(HOST, "!#$%&'*+-.^_`|~9: a\r\n"), FILE],
    ['fields nobody knows', head(HOST, 'X-A: 1\r\nX-A: 2\r\nUpgrade: websocket\r\n'), FILE],
  ]),
  ...refused('RFC 9112 §5.1', 'must', [400], {
    'white space before the colon': head('Host : example.test\r\n'),
    'a tab before the colon': head(HOST, 'X\t: a\r\n'),
    'white space before the colon of a length': `POST / HTTP/1.1\r\n${HOST}Content-Length : 4\r\n\r\nabcd`,
  }),
  ...refused('RFC 9112 §5.2', 'must', [400], {
    'a folded value': head(HOST, 'X: a\r\n b\r\n'),
    'a folded Host': head('Host:\r\n example.test\r\n'),
    'a folded length': `POST / HTTP/1.1\r\n${HOST}Content-Length:\r\n 4\r\n\r\nabcd`,
  }),
  ...refused('RFC 9112 §2.2', 'must', [400], {
    'white space before the first field': head(` ${HOST}`),
  }),
  ...refused('RFC 9110 §5.5', 'must', [400], {
    'NUL in a value': head(HOST, 'X: a\0b\r\n'),
    'a bare CR in a value': head(HOST, 'X: a\rb\r\n'),
    'a bare CR before a smuggled field': head(HOST, 'X: a\rTransfer-Encoding: chunked\r\n'),
  }),
  ...refused('RFC 9110 §5.5', 'safety', [400], {
    'another control character in a value': head(HOST, 'X: a\x01b\r\n'),
    'DEL in a value': head(HOST, 'X: a\x7fb\r\n'),
  }),
  ...refused('RFC 9110 §5.6.2', 'must', [400], {
    'a line without a colon': head(HOST, 'nonsense\r\n'),
    'a line without a name': head(HOST, ': value\r\n'),
    'a space in a name': head(HOST, 'X Y: a\r\n'),
    'a name in parentheses': head(HOST, 'X(a): b\r\n'),
    'a name beyond ASCII': head(HOST, 'X\xe9: b\r\n'),
    'NUL in a name': head(HOST, 'X\0: b\r\n'),
  }),
  ...refused('RFC 9112 §2.2', 'safety', [400], {
    'lines that end with LF alone': `GET / HTTP/1.1\nHost: example.test\n\n`,
    'one line that ends with LF alone': head(HOST, 'X: a\n'),
    'a head that ends with LF alone': `GET / HTTP/1.1\r\n${HOST}\n`,
  }),
  ...refused('RFC 6585 §5', 'should', [431, 400], {
    'a field of 70,000 octets': head(HOST, `X: ${'a'.repeat(70_000)}\r\n`),
    'a name of 70,000 octets': head(HOST, `${'X'.repeat(70_000)}: a\r\n`),
    'two thousand fields': head(
      HOST,
      ...Array.from({ length: 2_000 }, (_, index) => `X-${index}: ${'a'.repeat(40)}\r\n`),
    ),
  }),
  ...section('RFC 9110 §5.4', 'should', false, [
    [
      'fields of 6,000 octets',
      head(HOST, `X: ${'a'.repeat(3_000)}\r\n`, `Y: ${'b'.repeat(3_000)}\r\n`),
      FILE,
    ],
    ['fifty fields', head(HOST, ...Array.from({ length: 50 }, (_, index) => `X-${index}: a\r\n`)), FILE],
  ]),
]

export const MESSAGE_CASES: readonly Case[] = [...requestLine, ...host, ...fields]
