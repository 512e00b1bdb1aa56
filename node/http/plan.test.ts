import fc from 'fast-check'
import { parseHttpDate } from './date.ts'
import { asciiOctets, latin1Text } from './grammar.ts'
import { createResponsePlan, plan, planError, planWithoutResource, type ResponsePlan } from './plan.ts'
import type { Representation, Resource } from './representation.ts'
import { MAX_REQUEST_BODY_OCTETS } from './request-body.ts'
import { createRequestHead, parseRequestHead, type RequestHead } from './request-head.ts'

const NOW = 1_763_887_500
const DATE = 'Sun, 23 Nov 2025 08:45:00 GMT'
const MODIFIED = 784_111_777
const MODIFIED_DATE = 'Sun, 06 Nov 1994 08:49:37 GMT'
const ETAG = '"v1"'
const TEXT = 'abcdefghijklmnopqrstuvwxyz'

interface File extends Representation {
  readonly text: string
}

function file(text = TEXT, changes: Partial<Representation> = {}): File {
  return {
    kind: 'object',
    path: '/a',
    etag: ETAG,
    lastModified: MODIFIED,
    lastModifiedStrong: true,
    mediaType: 'text/plain; charset=utf-8',
    contentEncoding: '',
    cacheFields: '',
    length: text.length,
    heads: [],
    text,
    ...changes,
  }
}

function parsed(text: string): RequestHead {
  const octets = asciiOctets(text)
  const head = createRequestHead()
  expect(parseRequestHead(octets, 0, octets.length, head)).toBe('complete')
  return head
}

const request = (line: string, ...fields: string[]) =>
  `${line} HTTP/1.1\r\nHost: a\r\n${fields.map(field => `${field}\r\n`).join('')}\r\n`

/** The body as it goes on the wire. */
function bodyOf(response: ResponsePlan<File>): string {
  const slice = (offset: number, length: number) =>
    (response.content as File).text.slice(offset, offset + length)
  switch (response.bodyKind) {
    case 'none':
      return ''
    case 'octets':
      return latin1Text(response.octets, 0, response.octets.length)
    case 'content':
      return slice(response.bodyOffset, response.bodyLength)
    default:
      return (
        response.parts
          .map(part => latin1Text(part.head, 0, part.head.length) + slice(part.offset, part.length))
          .join('') + latin1Text(response.tail, 0, response.tail.length)
      )
  }
}

interface Response {
  readonly status: number
  readonly head: string
  readonly body: string
  readonly close: boolean
  readonly sendContinue: boolean
  field(name: string): string | undefined
}

function respond(text: string, resource: Resource<File> = file(), now = NOW): Response {
  const response = createResponsePlan<File>()
  plan(parsed(text), resource, now, response)
  return seen(response)
}

function seen(response: ResponsePlan<File>): Response {
  const head = latin1Text(response.head, 0, response.head.length)
  const body = bodyOf(response)
  expect(body.length).toBe(response.bodyLength)
  expect(head.startsWith(`HTTP/1.1 ${response.status} `)).toBe(true)
  expect(head.endsWith('\r\n\r\n')).toBe(true)
  expect(/\r\nConnection: close\r\n/.test(head)).toBe(response.close)
  const field = (name: string) => new RegExp(`\r\n${name}: (.*)\r\n`).exec(head)?.[1]
  const length = field('Content-Length')
  if (body !== '') expect(length).toBe(String(body.length))
  return {
    status: response.status,
    head,
    body,
    field,
    close: response.close,
    sendContinue: response.sendContinue,
  }
}

describe('the octets of responses', () => {
  it('200', () => {
    const response = respond(request('GET /a'))
    expect(response.head).toBe(
      'HTTP/1.1 200 OK\r\nServer: gyre\r\n' +
        `Date: ${DATE}\r\n` +
        'Content-Type: text/plain; charset=utf-8\r\nContent-Length: 26\r\n' +
        `Last-Modified: ${MODIFIED_DATE}\r\nETag: "v1"\r\nAccept-Ranges: bytes\r\n\r\n`,
    )
    expect(response.body).toBe(TEXT)
  })

  it('304 holds what RFC 9110 §15.4.5 asks for and no other field of the representation', () => {
    const cacheFields = 'Cache-Control: max-age=5\r\nVary: Accept-Encoding\r\n'
    const response = respond(request('GET /a', 'If-None-Match: "v1"'), file(TEXT, { cacheFields }))
    expect(response.head).toBe(
      `HTTP/1.1 304 Not Modified\r\nServer: gyre\r\nDate: ${DATE}\r\nETag: "v1"\r\n${cacheFields}\r\n`,
    )
    expect(response.body).toBe('')
  })

  it('206 of several ranges', () => {
    const response = respond(request('GET /a', 'Range: bytes=20-,0-1,5-6'))
    const boundary = response.field('Content-Type')?.replace('multipart/byteranges; boundary=', '')
    expect(boundary).toMatch(/^gyre-[0-9a-f]{16}$/)
    const part = (range: string, octets: string) =>
      `--${boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes ${range}/26\r\n\r\n${octets}\r\n`
    expect(response.body).toBe(
      `${part('20-25', 'uvwxyz')}${part('0-1', 'ab')}${part('5-6', 'fg')}--${boundary}--\r\n`,
    )
    expect(response.status).toBe(206)
    expect(response.field('Content-Range')).toBeUndefined()
  })

  it('pages of errors are small and whole', () => {
    const response = respond(request('GET /a'), { kind: 'missing' })
    expect(response.head).toContain('HTTP/1.1 404 Not Found\r\n')
    expect(response.field('Content-Type')).toBe('text/html; charset=utf-8')
    expect(response.body).toBe(
      '<!doctype html>\n<html lang="en">\n<title>404 Not Found</title>\n<h1>404 Not Found</h1>\n</html>\n',
    )
  })
})

describe('methods', () => {
  it('RFC 9110 §9.3.2: HEAD has the fields of GET and no body', () => {
    expect(respond(request('HEAD /a'))).toMatchObject({ head: respond(request('GET /a')).head, body: '' })
    const get = respond(request('GET /a'), { kind: 'missing' })
    expect(respond(request('HEAD /a'), { kind: 'missing' })).toMatchObject({ head: get.head, body: '' })
  })

  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'TRACE'])('RFC 9110 §15.5.6: %s is 405 with Allow', method => {
    const response = respond(request(`${method} /a`))
    expect(response).toMatchObject({ status: 405, close: false })
    expect(response.field('Allow')).toBe('GET, HEAD, OPTIONS')
  })
  it('CONNECT is 405 and the end', () => {
    expect(respond(request('CONNECT a:80'))).toMatchObject({ status: 405, close: true })
  })
  it('RFC 9110 §15.6.2: an unknown method is 501', () => {
    expect(respond(request('BREW /a'))).toMatchObject({ status: 501, close: false })
  })
  it.each(['OPTIONS /a', 'OPTIONS *', 'OPTIONS http://a'])('RFC 9110 §9.3.7: %s', line => {
    const response = respond(request(line), { kind: 'missing' })
    expect(response).toMatchObject({ status: 200, body: '' })
    expect(response.field('Allow')).toBe('GET, HEAD, OPTIONS')
    expect(response.field('Content-Length')).toBe('0')
  })
  it('only what needs a resource is left to look for one', () => {
    const into = createResponsePlan<File>()
    expect(planWithoutResource(parsed(request('GET /a')), NOW, into)).toBe(false)
    expect(planWithoutResource(parsed(request('HEAD /a')), NOW, into)).toBe(false)
    expect(planWithoutResource(parsed(request('POST /a')), NOW, into)).toBe(true)
    expect(planWithoutResource(parsed(request('OPTIONS /a')), NOW, into)).toBe(true)
  })
})

describe('resources', () => {
  it.each([
    ['missing', 404],
    ['forbidden', 403],
    ['unstable', 503],
    ['busy', 503],
    ['failed', 500],
  ] as const)('%s is %d, whatever the conditions (RFC 9110 §13.2.1)', (kind, status) => {
    const resource = { kind, reason: '' } as Resource<File>
    expect(
      respond(request('GET /a', 'If-Match: "x"', 'If-None-Match: *', 'Range: bytes=0-1'), resource).status,
    ).toBe(status)
  })
  it('RFC 9110 §15.5.7: where the client takes none of the representations it is 406, and Vary says why', () => {
    const response = respond(request('GET /a', 'Accept-Encoding: *;q=0'), { kind: 'unacceptable' })
    expect(response.status).toBe(406)
    expect(response.field('Vary')).toBe('Accept-Encoding')
  })
  it('a path that is refused keeps the status of the refusal', () => {
    expect(respond(request('GET /..'), { kind: 'refused', status: 400 }).status).toBe(400)
  })
  it.each([
    ['GET /a', '/a/', '/a/'],
    ['GET /a?x=1&y', '/a/', '/a/?x=1&y'],
    ['GET //evil.example', '/evil.example/', '/evil.example/'],
    ['GET http://a/b%20c', '/b c/', '/b%20c/'],
    ['GET /x', '/é?#"\r\n/', '/%C3%A9%3F%23%22%0D%0A/'],
  ])('RFC 9110 §15.4.2: %s of directory %j redirects to %s', (line, path, location) => {
    const response = respond(request(line), { kind: 'redirect', path })
    expect(response.status).toBe(301)
    expect(response.field('Location')).toBe(location)
  })
  it('an empty file has a length and no body', () => {
    const response = respond(request('GET /a'), file(''))
    expect(response).toMatchObject({ status: 200, body: '' })
    expect(response.field('Content-Length')).toBe('0')
    expect(respond(request('GET /a', 'Range: bytes=0-'), file('')).status).toBe(200)
  })
  it('an encoded variant says so', () => {
    const response = respond(request('GET /a'), file(TEXT, { contentEncoding: 'br' }))
    expect(response.field('Content-Encoding')).toBe('br')
  })
})

describe('RFC 9112 §9.3 persistence', () => {
  it.each([
    ['1.1', '', undefined],
    ['1.1', 'Connection: close\r\n', 'close'],
    ['1.0', '', 'close'],
    ['1.0', 'Connection: keep-alive\r\n', 'keep-alive'],
  ])('HTTP/%s %j: Connection: %s', (version, line, expected) => {
    for (const more of ['', 'If-None-Match: "v1"\r\n', 'Range: bytes=1-2\r\n', 'Range: bytes=99-\r\n']) {
      const response = respond(`GET /a HTTP/${version}\r\nHost: a\r\n${line}${more}\r\n`)
      expect(response.field('Connection')).toBe(expected)
      expect(response.close).toBe(expected === 'close')
    }
  })
  it.each([400, 408, 414, 431, 501, 505])('an error of the parser, %d, ends the connection', status => {
    const into = createResponsePlan<File>()
    planError(status, NOW, into)
    expect(seen(into)).toMatchObject({ status, close: true, body: expect.stringContaining(`<h1>${status} `) })
  })
})

describe('bodies of requests', () => {
  it('RFC 9110 §15.5.14: too long a body is 413 and the end, for every method', () => {
    for (const line of ['GET /a', 'POST /a', 'OPTIONS *']) {
      expect(respond(request(line, `Content-Length: ${MAX_REQUEST_BODY_OCTETS + 1}`))).toMatchObject({
        status: 413,
        close: true,
      })
      expect(respond(request(line, `Content-Length: ${MAX_REQUEST_BODY_OCTETS}`))).toMatchObject({
        close: false,
      })
      expect(respond(request(line, `Content-Length: ${'9'.repeat(99)}`)).status).toBe(413)
    }
  })
  it('RFC 9110 §15.5.18: an unknown expectation is 417', () => {
    expect(respond(request('GET /a', 'Expect: tea')).status).toBe(417)
  })
  it.each([
    ['GET /a', 'Content-Length: 5', 200, true, false],
    ['GET /a', 'Transfer-Encoding: chunked', 200, true, false],
    ['GET /a', 'Content-Length: 0', 200, false, false],
    ['POST /a', 'Content-Length: 5', 405, false, true],
    ['OPTIONS /a', 'Content-Length: 5', 200, false, true],
  ])(
    'RFC 9110 §10.1.1: %s with %s: %d, invited %s, closed %s',
    (line, length, status, sendContinue, close) => {
      expect(respond(request(line, 'Expect: 100-continue', length))).toMatchObject({
        status,
        sendContinue,
        close,
      })
    },
  )
  it('a final status before the body ends the connection of a client that may not send it', () => {
    const fields = ['Expect: 100-continue', 'Content-Length: 5']
    expect(respond(request('GET /a', ...fields), { kind: 'missing' })).toMatchObject({
      status: 404,
      close: true,
    })
    expect(respond(request('GET /a', ...fields, 'If-None-Match: *'))).toMatchObject({
      status: 304,
      close: true,
    })
  })
})

const BEFORE = 'Sun, 06 Nov 1994 08:49:36 GMT'
const AFTER = 'Sun, 06 Nov 1994 08:49:38 GMT'

describe('RFC 9110 §13.1 conditions', () => {
  it.each([
    ['§13.1.1', 'If-Match: "v1"', 200],
    ['§13.1.1', 'If-Match: "x"', 412],
    ['§13.1.1', 'If-Match: "x", "v1"', 200],
    ['§13.1.1', 'If-Match: *', 200],
    ['§13.1.1 strong comparison', 'If-Match: W/"v1"', 412],
    ['§13.1.1 not a tag', 'If-Match: v1', 412],
    ['§13.1.2', 'If-None-Match: "v1"', 304],
    ['§13.1.2', 'If-None-Match: "x"', 200],
    ['§13.1.2 a list', 'If-None-Match: "x","y" , "v1"', 304],
    ['§13.1.2 a list with empty elements', 'If-None-Match: ,, "v1",', 304],
    ['§13.1.2 a comma in a tag', 'If-None-Match: "x,"v1"', 200],
    ['§13.1.2 commas in a tag', 'If-None-Match: ",x,", "v1"', 304],
    ['§13.1.2 weak comparison', 'If-None-Match: W/"v1"', 304],
    ['§13.1.2 case of W', 'If-None-Match: w/"v1"', 200],
    ['§13.1.2', 'If-None-Match: *', 304],
    ['§13.1.2 not a tag', 'If-None-Match: v1', 200],
    ['§13.1.2 an asterisk in a list', 'If-None-Match: "x", *', 200],
    ['§13.1.2 nothing', 'If-None-Match:', 200],
    ['§13.1.3', `If-Modified-Since: ${MODIFIED_DATE}`, 304],
    ['§13.1.3', `If-Modified-Since: ${AFTER}`, 304],
    ['§13.1.3', `If-Modified-Since: ${BEFORE}`, 200],
    ['§13.1.3 obsolete form', 'If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT', 304],
    ['§13.1.3 obsolete form', 'If-Modified-Since: Sun Nov  6 08:49:37 1994', 304],
    ['§13.1.3 invalid is ignored', 'If-Modified-Since: yesterday', 200],
    ['§13.1.4', `If-Unmodified-Since: ${MODIFIED_DATE}`, 200],
    ['§13.1.4', `If-Unmodified-Since: ${BEFORE}`, 412],
    ['§13.1.4 invalid is ignored', 'If-Unmodified-Since: 0', 200],
  ])('%s %s: %d', (_, field, status) => {
    expect(respond(request('GET /a', field)).status).toBe(status)
    expect(respond(request('HEAD /a', field)).status).toBe(status)
  })

  it('§13.1.3: two lines are no date and are ignored', () => {
    const field = `If-Modified-Since: ${AFTER}`
    expect(respond(request('GET /a', field, field)).status).toBe(200)
  })
  it('a long list of white space costs its length', () => {
    const field = `If-None-Match: "x"${' '.repeat(15_000)}y`
    expect(respond(request('GET /a', field)).status).toBe(200)
  })
})

describe('RFC 9110 §13.2.2 precedence', () => {
  const outcomes = ['true', 'false', 'absent'] as const
  const fields = {
    match: { true: ['If-Match: "v1"'], false: ['If-Match: "x"'], absent: [] },
    unmodified: {
      true: [`If-Unmodified-Since: ${AFTER}`],
      false: [`If-Unmodified-Since: ${BEFORE}`],
      absent: [],
    },
    none: { true: ['If-None-Match: "x"'], false: ['If-None-Match: "v1"'], absent: [] },
    modified: { true: [`If-Modified-Since: ${BEFORE}`], false: [`If-Modified-Since: ${AFTER}`], absent: [] },
    range: { true: ['If-Range: "v1"'], false: ['If-Range: "x"'], absent: [] },
  }
  const rows = outcomes.flatMap(match =>
    outcomes.flatMap(unmodified =>
      outcomes.flatMap(none =>
        outcomes.flatMap(modified =>
          outcomes.map(range => [match, unmodified, none, modified, range] as const),
        ),
      ),
    ),
  )

  it.each(rows)(
    'If-Match %s, If-Unmodified-Since %s, If-None-Match %s, If-Modified-Since %s, If-Range %s',
    (...row) => {
      const [match, unmodified, none, modified, range] = row
      let expected = range === 'false' ? 200 : 206
      if (none === 'false' || (none === 'absent' && modified === 'false')) expected = 304
      if (match === 'false' || (match === 'absent' && unmodified === 'false')) expected = 412
      const lines = [
        ...fields.range[range],
        ...fields.modified[modified],
        ...fields.none[none],
        ...fields.unmodified[unmodified],
        ...fields.match[match],
      ]
      expect(respond(request('GET /a', 'Range: bytes=0-1', ...lines)).status).toBe(expected)
    },
  )
})

describe('RFC 9110 §14 ranges', () => {
  it.each([
    ['bytes=0-4', 'abcde', 'bytes 0-4/26'],
    ['bytes=-3', 'xyz', 'bytes 23-25/26'],
    ['bytes=25-', 'z', 'bytes 25-25/26'],
    ['bytes=0-99999999999999999999999', TEXT, 'bytes 0-25/26'],
    ['bytes=0-1,1-4', 'abcde', 'bytes 0-4/26'],
    ['bytes=0-1,99-', 'ab', 'bytes 0-1/26'],
  ])('%s', (range, body, contentRange) => {
    const response = respond(request('GET /a', `Range: ${range}`))
    expect(response).toMatchObject({ status: 206, body })
    expect(response.field('Content-Range')).toBe(contentRange)
    expect(response.field('ETag')).toBe(ETAG)
    expect(response.field('Accept-Ranges')).toBe('bytes')
  })
  it('§15.5.17: 416 tells the length', () => {
    const response = respond(request('GET /a', 'Range: bytes=26-'))
    expect(response.status).toBe(416)
    expect(response.field('Content-Range')).toBe('bytes */26')
  })
  it.each(['lines=1-2', 'bytes=2-1', 'bytes'])('§14.2: %s is ignored', range => {
    expect(respond(request('GET /a', `Range: ${range}`))).toMatchObject({ status: 200, body: TEXT })
  })
  it('§14.2: Range has no meaning but for GET', () => {
    expect(respond(request('HEAD /a', 'Range: bytes=0-1')).status).toBe(200)
    expect(respond(request('HEAD /a', 'Range: bytes=99-')).status).toBe(200)
  })
  it('two lines of Range are no set of ranges', () => {
    expect(respond(request('GET /a', 'Range: bytes=0-1', 'Range: bytes=2-3')).status).toBe(200)
  })

  it.each([
    ['"v1"', 206],
    ['"x"', 200],
    ['W/"v1"', 200],
    ['v1', 200],
    ['*', 200],
    [MODIFIED_DATE, 206],
    [AFTER, 200],
    [BEFORE, 200],
    ['"v1", "v1"', 200],
  ])('§13.1.5 If-Range: %s is %d', (value, status) => {
    expect(respond(request('GET /a', 'Range: bytes=0-1', `If-Range: ${value}`)).status).toBe(status)
    expect(respond(request('GET /a', 'Range: bytes=99-', `If-Range: ${value}`)).status).toBe(
      status === 206 ? 416 : 200,
    )
  })
  it('§13.1.5: a date that is no strong validator does not match', () => {
    const weak = file(TEXT, { lastModifiedStrong: false })
    expect(respond(request('GET /a', 'Range: bytes=0-1', `If-Range: ${MODIFIED_DATE}`), weak).status).toBe(
      200,
    )
  })
  it('§13.1.5: If-Range without Range is ignored', () => {
    expect(respond(request('GET /a', 'If-Range: "x"')).status).toBe(200)
  })

  it('the parts of a multipart response, taken apart, are the ranges; and no response is much longer than the file', () => {
    const position = fc.integer({ min: 0, max: 60 })
    const set = fc.array(fc.tuple(position, position), { minLength: 1, maxLength: 32 })
    fc.assert(
      fc.property(set, ranges => {
        const specs = ranges.map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`)
        const response = respond(request('GET /a', `Range: bytes=${specs.join()}`))
        if (response.status !== 206) return
        const boundary = /boundary=(.*)$/.exec(response.field('Content-Type') as string)?.[1]
        const pieces = boundary === undefined ? [] : response.body.split(`--${boundary}`).slice(1, -1)
        let octets = 0
        for (const piece of pieces) {
          const [, first, last, body] = /Content-Range: bytes (\d+)-(\d+)\/26\r\n\r\n(.*)\r\n$/s.exec(
            piece,
          ) as RegExpExecArray
          expect(body).toBe(TEXT.slice(Number(first), Number(last) + 1))
          octets += (body as string).length
        }
        expect(octets).toBeLessThanOrEqual(TEXT.length)
      }),
    )
  })
})

describe('octets that were handed out', () => {
  it('are the same object within a second, and never change afterwards', () => {
    const object = file()
    const into = createResponsePlan<File>()
    const head = parsed(request('GET /a'))
    plan(head, object, NOW, into)
    const first = into.head
    const text = latin1Text(first, 0, first.length)
    plan(head, object, NOW, into)
    expect(into.head).toBe(first)
    plan(head, object, NOW + 1, into)
    expect(into.head).not.toBe(first)
    expect(latin1Text(first, 0, first.length)).toBe(text)
    const second = latin1Text(into.head, 0, into.head.length)
    expect(parseHttpDate(/Date: (.*)\r/.exec(second)?.[1] as string, NOW)).toBe(NOW + 1)
  })

  it('are the same on every node: equal representations give equal octets', () => {
    const fields = [
      'Range: bytes=0-1,5-9',
      'If-None-Match: "v1"',
      'If-Match: "x"',
      'Connection: close',
      'Range: bytes=7-',
    ]
    fc.assert(
      fc.property(fc.subarray(fields), fc.nat({ max: 1e9 }), (lines, now) => {
        const text = request('GET /a?b', ...lines)
        const one = respond(text, file(), now)
        // The other node has served other requests of the object before.
        const object = file()
        respond(request('GET /a', 'Connection: close'), object, now - 1)
        respond(request('GET /a', 'If-None-Match: *'), object, now)
        const other = respond(text, object, now)
        expect(other.head + other.body).toBe(one.head + one.body)
      }),
    )
  })

  it('a plan that is used again keeps nothing of the last response', () => {
    const used = createResponsePlan<File>()
    plan(parsed(request('GET /a', 'Range: bytes=0-1,5-6', 'Connection: close')), file(), NOW, used)
    plan(parsed(request('GET /a')), file(), NOW, used)
    const fresh = createResponsePlan<File>()
    plan(parsed(request('GET /a')), file(), NOW, fresh)
    expect(used).toEqual(fresh)
  })
})

describe('what a site adds', () => {
  const context = {
    lines: 'X-Site: a\r\n',
    page: (status: number) => (status === 404 ? asciiOctets('<p>gone astray</p>') : undefined),
  }
  const planned = (text: string, resource: Resource<File>): Response => {
    const into = createResponsePlan<File>()
    plan(parsed(text), resource, NOW, into, context)
    return seen(into)
  }

  it('its page for an error, with its own length, and none for HEAD', () => {
    const response = planned(request('GET /a'), { kind: 'missing' })
    expect(response).toMatchObject({ status: 404, body: '<p>gone astray</p>' })
    expect(response.field('Content-Length')).toBe('18')
    expect(planned(request('HEAD /a'), { kind: 'missing' })).toMatchObject({ head: response.head, body: '' })
  })
  it('ours where it has none', () => {
    expect(planned(request('GET /a'), { kind: 'forbidden' }).body).toContain('403 Forbidden')
  })
  it.each([
    ['GET /a', { kind: 'missing' }],
    ['GET /a', { kind: 'redirect', path: '/a/' }],
    ['GET /a', { kind: 'unacceptable' }],
    ['POST /a', { kind: 'missing' }],
    ['OPTIONS /a', { kind: 'missing' }],
  ] as const)('its fields: %s %j', (line, resource) => {
    expect(planned(request(line), resource as Resource<File>).field('X-Site')).toBe('a')
  })
  it.each([['If-Match: "x"'], ['Range: bytes=100-']])('its fields: %s', field => {
    expect(planned(request('GET /a', field), file()).field('X-Site')).toBe('a')
  })
})
