/** RFC 9110 §12: the codings of /style.css, which stands precompressed as brotli's and gzip's beside itself. */
import { type Case, type Expected, request, STYLE, STYLE_BR, STYLE_GZ, section } from '../case.ts'
import type { Response } from '../response.ts'

const style = (accept: string, ...fields: readonly string[]) =>
  request('GET /style.css', `Accept-Encoding: ${accept}`, ...fields)
const VARY = /accept-encoding/i
const identity: Expected = { status: [200], body: STYLE, fields: { 'content-encoding': null, vary: VARY } }
const coded = (coding: string, body: string): Expected => ({
  status: [200],
  body,
  fields: { 'content-encoding': coding, vary: VARY, 'content-type': /^text\/css/ },
})
const GZIP = coded('gzip', STYLE_GZ)
const BR = coded('br', STYLE_BR)

const choice: readonly Case[] = [
  ...section('RFC 9110 §12.5.3', 'must', false, [
    ['no field: as it is', request('GET /style.css'), { ...identity, fields: { 'content-encoding': null } }],
    ['an empty field: as it is', style(''), { ...identity, fields: { 'content-encoding': null } }],
    ['a coding that is not there', style('zstd'), { ...identity, fields: { 'content-encoding': null } }],
    ['identity alone', style('identity'), { ...identity, fields: { 'content-encoding': null } }],
    ['gzip refused', style('gzip;q=0'), { ...identity, fields: { 'content-encoding': null } }],
    [
      'all codings refused but by name',
      style('*;q=0, identity'),
      { ...identity, fields: { 'content-encoding': null } },
    ],
  ]),
  ...section('RFC 9110 §12.5.3', 'should', false, [
    ['gzip', style('gzip'), GZIP],
    ['gzip in capitals', style('GZIP'), GZIP],
    ['x-gzip', style('x-gzip'), { status: [200] }],
    ['br', style('br'), BR],
    ['gzip with a weight', style('gzip;q=0.5'), GZIP],
    [
      'what browsers send',
      style('gzip, deflate, br, zstd'),
      { status: [200], fields: { 'content-encoding': /^(br|gzip)$/, vary: VARY } },
    ],
    ['the higher weight', style('br;q=0.1, gzip;q=0.9'), GZIP],
    ['identity preferred', style('gzip;q=0.5, identity'), identity],
    [
      'gzip, br refused',
      style('*, br;q=0'),
      { status: [200], fields: { 'content-encoding': /^(gzip|zstd)$/ } },
    ],
    [
      'weights in two lines',
      request('GET /style.css', 'Accept-Encoding: br;q=0', 'Accept-Encoding: gzip'),
      GZIP,
    ],
    [
      'HEAD is negotiated as GET',
      request('HEAD /style.css', 'Accept-Encoding: gzip'),
      { status: [200], fields: { 'content-encoding': 'gzip', 'content-length': String(STYLE_GZ.length) } },
      ['HEAD'],
    ],
  ]),
  ...section('RFC 9110 §15.5.7', 'should', false, [
    ['nothing is acceptable', style('*;q=0'), { status: [406, 200] }],
    ['identity is refused and nothing else taken', style('identity;q=0'), { status: [406, 200] }],
  ]),
  ...section('RFC 9110 §12.5.5', 'should', false, [
    ['Vary of the file as it is', style('identity'), identity],
    ['Vary of a coded variant', style('gzip'), GZIP],
  ]),
]

/** The tags of two representations of one resource: the first step asks for each. */
function tagged(
  name: string,
  rfc: string,
  then: (seen: readonly Response[]) => string,
  expected: Expected,
): Case {
  return {
    section: rfc,
    level: 'must',
    name,
    closes: false,
    steps: [
      { send: style('identity') + style('gzip'), expect: [{ status: [200] }, GZIP] },
      { send: then, expect: [expected] },
    ],
  }
}

const tag = (seen: readonly Response[], index: number) => seen[index]?.fields.get('etag') ?? '"none"'

const validators: readonly Case[] = [
  {
    section: 'RFC 9110 §8.8.3.3',
    level: 'must',
    name: 'each representation has a strong tag of its own',
    closes: false,
    steps: [
      {
        send: style('identity') + style('gzip'),
        expect: [
          { status: [200] },
          {
            ...GZIP,
            check: ({ fields }, seen) => (tag(seen, 0) === fields.get('etag') ? 'equal tags' : undefined),
          },
        ],
      },
    ],
  },
  tagged(
    'its own tag is not modified',
    'RFC 9110 §13.1.2',
    seen => style('gzip', `If-None-Match: ${tag(seen, 1)}`),
    { status: [304], fields: { vary: VARY } },
  ),
  tagged(
    'the tag of another is no match',
    'RFC 9110 §13.1.2',
    seen => style('gzip', `If-None-Match: ${tag(seen, 0)}`),
    GZIP,
  ),
  tagged(
    'a range is one of the selected representation',
    'RFC 9110 §14.2',
    () => style('gzip', 'Range: bytes=0-2'),
    {
      status: [206],
      body: 'gz:',
      fields: { 'content-encoding': 'gzip', 'content-range': `bytes 0-2/${STYLE_GZ.length}` },
    },
  ),
  tagged(
    'If-Range with its own tag',
    'RFC 9110 §13.1.5',
    seen => style('gzip', `If-Range: ${tag(seen, 1)}`, 'Range: bytes=0-2'),
    { status: [206], body: 'gz:' },
  ),
  tagged(
    'If-Range with the tag of another',
    'RFC 9110 §13.1.5',
    seen => style('gzip', `If-Range: ${tag(seen, 0)}`, 'Range: bytes=0-2'),
    GZIP,
  ),
]

export const NEGOTIATION_CASES: readonly Case[] = [...choice, ...validators]
