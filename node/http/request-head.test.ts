import fc from 'fast-check'
import { asciiOctets } from './grammar.ts'
import {
  authorityText,
  createRequestHead,
  type HeadVerdict,
  hasBody,
  hashPath,
  header,
  MAX_FIELD_SECTION_OCTETS,
  MAX_FIELDS,
  MAX_HEAD_OCTETS,
  MAX_TARGET_OCTETS,
  parseRequestHead,
  queryText,
  type RequestHead,
  requestLine,
} from './request-head.ts'

const HOST_LINE = 'Host: a\r\n'

function parse(text: string): { verdict: HeadVerdict; head: RequestHead } {
  const octets = asciiOctets(text)
  const head = createRequestHead()
  return { verdict: parseRequestHead(octets, 0, octets.length, head), head }
}

/** A GET of / with these field lines, Host among them. */
const withFields = (...lines: string[]) =>
  `GET / HTTP/1.1\r\n${HOST_LINE}${lines.map(line => `${line}\r\n`).join('')}\r\n`
const verdictOf = (text: string) => parse(text).verdict

describe('RFC 9112 §3 request line', () => {
  it('a plain GET', () => {
    const { verdict, head } = parse(
      'GET /a/b?c=d?e HTTP/1.1\r\nHost: Example.org:80\r\nX-Y:\t z \t\r\n\r\nGET',
    )
    expect(verdict).toBe('complete')
    expect(head).toMatchObject({
      method: 'GET',
      minorVersion: 1,
      form: 'origin',
      keepAlive: true,
      contentLength: -1,
    })
    expect(head).toMatchObject({
      chunked: false,
      expect: '',
      fieldCount: 2,
      headLength: 60,
    })
    expect(requestLine(head)).toBe('GET /a/b?c=d?e HTTP/1.1')
    expect(queryText(head)).toBe('?c=d?e')
    expect(authorityText(head)).toBe('example.org:80')
    expect(header(head, 'x-y')).toBe('z')
    expect(header(head, 'x-z')).toBeUndefined()
    expect(head.pathHash).toBe(hashPath(asciiOctets('/a/b'), 0, 4))
    expect(hasBody(head)).toBe(false)
  })

  it.each(['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'DELETE', 'PATCH', 'TRACE'])('method %s', method => {
    expect(parse(`${method} / HTTP/1.1\r\n${HOST_LINE}\r\n`)).toMatchObject({
      verdict: 'complete',
      head: { method },
    })
  })

  it.each(['get', 'GETS', 'GE', 'BREW', '!#$%&*+-.^_`|~9', 'X'.repeat(32)])(
    '§9.1 methods are case-sensitive tokens: %s is a method unknown',
    method => {
      expect(parse(`${method} / HTTP/1.1\r\n${HOST_LINE}\r\n`)).toMatchObject({
        verdict: 'complete',
        head: { method: '' },
      })
    },
  )

  it('a method longer than any that is known is 501', () => {
    expect(verdictOf(`${'X'.repeat(33)} / HTTP/1.1\r\n${HOST_LINE}\r\n`)).toBe(501)
  })

  it.each([
    ['an empty method', ' / HTTP/1.1'],
    ['a method that is no token', 'G@T / HTTP/1.1'],
    ['no target', 'GET HTTP/1.1'],
    ['an empty target', 'GET  HTTP/1.1'],
    ['two spaces before the target', 'GET  / HTTP/1.1'],
    ['two spaces before the version', 'GET /  HTTP/1.1'],
    ['a tab for a space', 'GET\t/ HTTP/1.1'],
    ['a space in the target', 'GET /a b HTTP/1.1'],
    ['a space at the end', 'GET / HTTP/1.1 '],
    ['a control character in the target', 'GET /\x01 HTTP/1.1'],
    ['DEL in the target', 'GET /\x7f HTTP/1.1'],
    ['octets beyond US-ASCII in the target', 'GET /\xe9 HTTP/1.1'],
    ['no version', 'GET /'],
    ['a version in lower case', 'GET / http/1.1'],
    ['a version without a minor', 'GET / HTTP/1'],
    ['a version of two digits', 'GET / HTTP/1.10'],
    ['a version with a sign', 'GET / HTTP/+1.1'],
    ['another protocol', 'GET / ICY/1.1'],
    ['a relative target', 'GET a HTTP/1.1'],
    ['an asterisk for GET', 'GET * HTTP/1.1'],
    ['an authority for GET', 'GET a:80 HTTP/1.1'],
  ])('%s is 400', (_, line) => expect(verdictOf(`${line}\r\n${HOST_LINE}\r\n`)).toBe(400))

  it.each(['HTTP/0.9', 'HTTP/2.0', 'HTTP/3.0', 'HTTP/9.9'])('%s is 505', version => {
    expect(verdictOf(`GET / ${version}\r\n${HOST_LINE}\r\n`)).toBe(505)
  })
  it('the preface of HTTP/2 is 505', () => expect(verdictOf('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')).toBe(505))
  it('RFC 9110 §2.5: a higher minor version is served as 1.1', () => {
    expect(parse(`GET / HTTP/1.7\r\n${HOST_LINE}\r\n`)).toMatchObject({
      verdict: 'complete',
      head: { minorVersion: 1 },
    })
  })

  it('§2.2: empty lines before the request line are ignored, within bounds', () => {
    expect(parse(`\r\n${withFields()}`)).toMatchObject({
      verdict: 'complete',
      head: { headLength: withFields().length + 2 },
    })
    expect(verdictOf(`\r\n\r\n${withFields()}`)).toBe('complete')
    expect(verdictOf(`\r\n\r\n\r\n${withFields()}`)).toBe(400)
  })

  it('a target of 8,000 octets passes, one more is 414 even before its line ends', () => {
    const target = `/${'a'.repeat(MAX_TARGET_OCTETS - 1)}`
    expect(verdictOf(`GET ${target} HTTP/1.1\r\n${HOST_LINE}\r\n`)).toBe('complete')
    expect(verdictOf(`GET ${target}b HTTP/1.1\r\n${HOST_LINE}\r\n`)).toBe(414)
    expect(verdictOf(`GET ${target}b`)).toBe(414)
    expect(verdictOf(`GET /?${target} HTTP/1.1\r\n`)).toBe(414)
    expect(verdictOf(`GET ${target}`)).toBe('incomplete')
  })
})

describe('RFC 9112 §3.2 forms of the target', () => {
  it.each([
    ['GET http://a/b?c HTTP/1.1', 'absolute', '/b', 'a'],
    ['GET HTTP://A:80/b HTTP/1.1', 'absolute', '/b', 'a:80'],
    ['GET http://a HTTP/1.1', 'absolute', '', 'a'],
    ['GET http://a?x HTTP/1.1', 'absolute', '', 'a'],
    ['OPTIONS * HTTP/1.1', 'asterisk', '*', 'a'],
    ['CONNECT a:80 HTTP/1.1', 'authority', 'a:80', 'a'],
    ['GET //b/c HTTP/1.1', 'origin', '//b/c', 'a'],
  ])('%s', (line, form, path, authority) => {
    const { verdict, head } = parse(`${line}\r\n${HOST_LINE}\r\n`)
    expect(verdict).toBe('complete')
    expect(head.form).toBe(form)
    expect(String.fromCharCode(...head.octets.subarray(head.pathStart, head.pathEnd))).toBe(path)
    expect(authorityText(head)).toBe(authority)
    if (form === 'absolute') expect(head.pathHash).toBe(hashPath(asciiOctets(path), 0, path.length))
  })

  it.each([
    'GET https://a/ HTTP/1.1',
    'GET ftp://a/ HTTP/1.1',
    'GET http:a/ HTTP/1.1',
    'GET http:///b HTTP/1.1',
    'GET http://u@a/ HTTP/1.1',
    'GET http://a:b/ HTTP/1.1',
    'GET http://b/ HTTP/1.1',
    'GET http://a:81/ HTTP/1.1',
    'CONNECT / HTTP/1.1',
    'CONNECT a/b HTTP/1.1',
    'OPTIONS ** HTTP/1.1',
  ])('%s with Host: a is 400', line => {
    expect(verdictOf(`${line}\r\n${HOST_LINE}\r\n`)).toBe(400)
  })
})

describe('RFC 9112 §3.2 Host', () => {
  it.each([
    ['missing in HTTP/1.1', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['missing in an absolute-form target', 'GET http://a/ HTTP/1.1\r\n\r\n', 400],
    ['missing in HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', 'complete'],
    ['twice', withFields('Host: b'), 400],
    ['twice the same', withFields('Host: a'), 400],
    ['twice in HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n', 400],
    ['malformed', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 400],
    ['with a path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
    ['with user information', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 400],
    ['empty', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 'complete'],
    ['IPv6', 'GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n', 'complete'],
  ])('%s', (_, text, verdict) => expect(verdictOf(text)).toBe(verdict))
})

describe('RFC 9112 §5 field lines', () => {
  it.each([
    ['§5.1 a space before the colon', 'X : y'],
    ['§5.1 a tab before the colon', 'X\t: y'],
    ['§5.1 a space before the name', ' X: y'],
    ['§5.2 obs-fold', 'X: y\r\n z'],
    ['§5.2 obs-fold with a tab', 'X: y\r\n\tz'],
    ['an empty name', ': y'],
    ['no colon', 'X'],
    ['a name that is no token', 'X(y): z'],
    ['a name beyond US-ASCII', 'X\xe9: z'],
    ['NUL in a value', 'X: \0'],
    ['a control character in a value', 'X: a\x0bb'],
    ['DEL in a value', 'X: \x7f'],
    ['§2.2 a bare CR in a value', 'X: a\rb'],
    ['§2.2 a bare LF in a value', 'X: a\nY: b'],
    ['a bare CR at the end', 'X: a\r'],
  ])('%s is 400', (_, line) => expect(verdictOf(withFields(line))).toBe(400))

  it('a first field line that is folded is 400', () => {
    expect(verdictOf('GET / HTTP/1.1\r\n Host: a\r\n\r\n')).toBe(400)
  })

  it.each([
    ['the request line', 'GET / HTTP/1.1\nHost: a\r\n\r\n'],
    ['a field line', 'GET / HTTP/1.1\r\nHost: a\n\r\n'],
    ['the empty line', 'GET / HTTP/1.1\r\nHost: a\r\n\n'],
    ['all lines', 'GET / HTTP/1.1\nHost: a\n\n'],
    ['an empty line before', '\nGET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ])('§2.2 a bare LF at the end of %s is 400', (_, text) => expect(verdictOf(text)).toBe(400))

  it('RFC 9110 §5.3: lines of one name are joined in order', () => {
    expect(header(parse(withFields('X: a', 'y: -', 'x:b', 'X:')).head, 'x')).toBe('a, b, ')
  })
  it('RFC 9110 §5.5: obs-text and tabs are part of a value', () => {
    expect(header(parse(withFields('X: \xe9\t\xff')).head, 'x')).toBe('\xe9\t\xff')
  })

  it('RFC 6585 §5: 100 fields pass, one more is 431', () => {
    const lines = (count: number) => Array.from({ length: count }, (_, at) => `X${at}: y`)
    expect(verdictOf(withFields(...lines(MAX_FIELDS - 1)))).toBe('complete')
    expect(verdictOf(withFields(...lines(MAX_FIELDS)))).toBe(431)
  })

  it('RFC 6585 §5: fields of 16 KiB pass, one octet more is 431 even before it ends', () => {
    const rest = HOST_LINE.length + 'X: \r\n\r\n'.length
    const fits = 'y'.repeat(MAX_FIELD_SECTION_OCTETS - rest)
    expect(verdictOf(withFields(`X: ${fits}`))).toBe('complete')
    expect(verdictOf(withFields(`X: ${fits}y`))).toBe(431)
    expect(verdictOf(`GET / HTTP/1.1\r\nX: ${'y'.repeat(MAX_FIELD_SECTION_OCTETS)}`)).toBe(431)
    expect(verdictOf(`GET / HTTP/1.1\r\n${'y'.repeat(MAX_FIELD_SECTION_OCTETS + 1)}`)).toBe(431)
  })

  it('the longest head that passes is shorter than MAX_HEAD_OCTETS', () => {
    const start = `\r\n\r\n${'X'.repeat(32)} /${'a'.repeat(MAX_TARGET_OCTETS - 1)} HTTP/1.1\r\n${HOST_LINE}X: `
    const text = `${start}${'y'.repeat(MAX_HEAD_OCTETS - 1 - start.length - 4)}\r\n\r\n`
    expect(text.length).toBe(MAX_HEAD_OCTETS - 1)
    expect(verdictOf(text)).toBe('complete')
  })
})

describe('RFC 9112 §6 framing', () => {
  it.each([
    ['0', 0],
    ['5', 5],
    ['00005', 5],
    ['999999999999999', 999_999_999_999_999],
  ])('Content-Length: %s', (value, contentLength) => {
    expect(parse(withFields(`Content-Length: ${value}`))).toMatchObject({
      verdict: 'complete',
      head: { contentLength },
    })
  })
  it('RFC 9110 §8.6: a length beyond exactness stays enormous', () => {
    const { verdict, head } = parse(withFields(`Content-Length: ${'9'.repeat(400)}`))
    expect(verdict).toBe('complete')
    expect(head.contentLength).toBeGreaterThanOrEqual(1e14)
    expect(Number.isSafeInteger(head.contentLength)).toBe(true)
  })
  it.each(['', '-1', '+1', '1.0', '0x10', '1e3', '1 2', '5,5', '5, 5', '5;', 'five', '\xb2'])(
    '§6.3 Content-Length: %j is 400',
    value => expect(verdictOf(withFields(`Content-Length: ${value}`))).toBe(400),
  )

  it.each([
    ['§6.3 two lengths', ['Content-Length: 5', 'Content-Length: 6'], 400],
    ['§6.3 two equal lengths', ['Content-Length: 5', 'Content-Length: 5'], 400],
    ['§6.1 length, then coding', ['Content-Length: 5', 'Transfer-Encoding: chunked'], 400],
    ['§6.1 coding, then length', ['Transfer-Encoding: chunked', 'content-length: 5'], 400],
    ['§6.1 an unknown coding last', ['Transfer-Encoding: gzip'], 400],
    ['§6.1 identity', ['Transfer-Encoding: identity'], 400],
    ['§6.1 chunked not last', ['Transfer-Encoding: chunked, gzip'], 400],
    ['§7.1 chunked twice', ['Transfer-Encoding: chunked, chunked'], 400],
    ['§7.1 chunked twice in two lines', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], 400],
    ['an empty coding', ['Transfer-Encoding:'], 400],
    ['a coding that only looks like chunked', ['Transfer-Encoding: xchunked'], 400],
    ['chunked with a parameter', ['Transfer-Encoding: chunked;q=1'], 400],
    ['chunked in quotes', ['Transfer-Encoding: "chunked"'], 400],
    ['chunked and a no-break space', ['Transfer-Encoding: chunked\xa0'], 400],
    ['chunked before a vertical tab', ['Transfer-Encoding: chunked\x0b'], 400],
    ['§6.1 an unknown coding before chunked', ['Transfer-Encoding: gzip, chunked'], 501],
    ['the same in two lines', ['Transfer-Encoding: gzip', 'Transfer-Encoding: chunked'], 501],
  ])('%s', (_, lines, verdict) => expect(verdictOf(withFields(...lines))).toBe(verdict))

  it.each(['chunked', 'Chunked', ', chunked ,', '\tCHUNKED'])('Transfer-Encoding: %j', value => {
    expect(parse(withFields(`Transfer-Encoding: ${value}`))).toMatchObject({
      verdict: 'complete',
      head: { chunked: true },
    })
  })
  it('§6.1 Transfer-Encoding in HTTP/1.0 is 400', () => {
    expect(verdictOf('GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n')).toBe(400)
  })
})

describe('RFC 9112 §9.3 persistence', () => {
  it.each([
    ['1.1', [], true],
    ['1.1', ['Connection: close'], false],
    ['1.1', ['Connection: keep-alive'], true],
    ['1.1', ['Connection: Keep-Alive, CLOSE'], false],
    ['1.1', ['Connection: upgrade', 'Connection: close'], false],
    ['1.1', ['Connection: closed'], true],
    ['1.0', [], false],
    ['1.0', ['Connection: keep-alive'], true],
    ['1.0', ['Connection: keep-alive, close'], false],
  ])('HTTP/%s %j: %s', (version, lines, keepAlive) => {
    const text = `GET / HTTP/${version}\r\n${HOST_LINE}${lines.map(line => `${line}\r\n`).join('')}\r\n`
    expect(parse(text)).toMatchObject({ verdict: 'complete', head: { keepAlive } })
  })
})

describe('RFC 9110 §10.1.1 Expect', () => {
  it.each([
    ['1.1', '100-continue', '100-continue'],
    ['1.1', '100-Continue', '100-continue'],
    ['1.1', '200-ok', 'other'],
    ['1.1', '100-continue, x', 'other'],
    ['1.1', '', 'other'],
    ['1.0', '100-continue', ''],
  ])('HTTP/%s, %j', (version, value, expected) => {
    const { head } = parse(`GET / HTTP/${version}\r\n${HOST_LINE}Expect: ${value}\r\n\r\n`)
    expect(head.expect).toBe(expected)
  })
})

describe('laws', () => {
  const piece = fc.constantFrom(
    'GET',
    'HEAD',
    'POST',
    ' ',
    ' ',
    '/',
    '/a?b',
    '*',
    'http://a/',
    'HTTP/1.1',
    'HTTP/1.0',
    'HTTP/2.0',
    '\r\n',
    '\r\n',
    '\r\n\r\n',
    '\r',
    '\n',
    ':',
    'Host: a',
    'Host: b',
    'Content-Length: 5',
    'Transfer-Encoding: chunked',
    'X:',
    'y',
    '\t',
    '\0',
    'Connection: close',
    'Expect: 100-continue',
    '\xff',
  )
  const nearly = fc.array(piece, { maxLength: 14 }).map(pieces => pieces.join(''))
  const valid = fc
    .array(fc.tuple(fc.stringMatching(/^[A-Za-z-]{1,20}$/), fc.stringMatching(/^[\x20-\x7e]{0,30}$/)), {
      maxLength: 12,
    })
    .map(fields => withFields(...fields.map(([name, value]) => `X-${name}: ${value}`)))
  const broken = fc.tuple(valid, fc.nat(), fc.integer({ min: 0, max: 255 })).map(([text, at, octet]) => {
    const place = at % text.length
    return text.slice(0, place) + String.fromCharCode(octet) + text.slice(place + 1)
  })
  const any = fc.oneof(
    nearly,
    nearly.map(text => `GET / HTTP/1.1\r\nHost: a\r\n${text}`),
    valid,
    broken,
  )

  /** What matters of a verdict, without the buffer. */
  function outcome(verdict: HeadVerdict, head: RequestHead): unknown {
    if (verdict !== 'complete') return verdict
    const { octets: _, fields, scanFrom: __, ...rest } = head
    return { ...rest, fields: [...fields.subarray(0, 5 * head.fieldCount)] }
  }

  /** Feeds the octets up to each of `ends`, as a connection does: until the verdict is final. */
  function feed(octets: Uint8Array, ends: readonly number[], head: RequestHead): HeadVerdict {
    let verdict: HeadVerdict = 'incomplete'
    head.scanFrom = 0
    for (const end of ends) {
      verdict = parseRequestHead(octets, 0, end, head)
      if (verdict !== 'incomplete') return verdict
    }
    return verdict
  }

  it('the verdict does not depend on how the octets arrive', () => {
    fc.assert(
      fc.property(any, text => {
        // An error may be told only when its line ends, so the last line does.
        const octets = asciiOctets(`${text}\n`)
        const whole = createRequestHead()
        const expected = outcome(parseRequestHead(octets, 0, octets.length, whole), whole)
        const head = createRequestHead()
        const everyOctet = Array.from({ length: octets.length }, (_, at) => at + 1)
        expect(outcome(feed(octets, [0, ...everyOctet], head), head)).toEqual(expected)
        for (let split = 0; split <= octets.length; split++) {
          expect(outcome(feed(octets, [split, octets.length], head), head)).toEqual(expected)
        }
      }),
    )
  })

  it('limits neither', () => {
    const over = [
      `GET /${'a'.repeat(MAX_TARGET_OCTETS)}\x01 HTTP/1.1\r\n${HOST_LINE}\r\n`,
      withFields(`X: ${'y'.repeat(MAX_FIELD_SECTION_OCTETS)}\x01`),
      withFields(`X: ${'y'.repeat(MAX_FIELD_SECTION_OCTETS - 50)}\x01${'y'.repeat(100)}`),
      withFields(...Array.from({ length: MAX_FIELDS }, () => 'X:'), ' bad'),
      `${'X'.repeat(40)}\x01 / HTTP/1.1\r\n`,
    ]
    for (const text of over) {
      const octets = asciiOctets(text)
      const head = createRequestHead()
      const expected = parseRequestHead(octets, 0, octets.length, head)
      expect(typeof expected).toBe('number')
      for (const step of [1, 7, 1_460]) {
        const ends = Array.from({ length: Math.ceil(octets.length / step) }, (_, at) =>
          Math.min(octets.length, (at + 1) * step),
        )
        expect(feed(octets, ends, head)).toBe(expected)
      }
    }
  })

  it('octets around the head do not matter: pipelined requests are parsed one by one', () => {
    fc.assert(
      fc.property(
        any,
        fc.uint8Array({ maxLength: 20 }),
        fc.uint8Array({ maxLength: 20 }),
        (text, before, after) => {
          const octets = asciiOctets(text)
          const alone = createRequestHead()
          const verdict = parseRequestHead(octets, 0, octets.length, alone)
          if (verdict === 'incomplete') return
          const buffer = new Uint8Array([...before, ...octets, ...after])
          const head = createRequestHead()
          expect(parseRequestHead(buffer, before.length, buffer.length, head)).toBe(verdict)
          if (verdict !== 'complete') return
          expect(head.headLength).toBe(alone.headLength)
          expect(head.targetStart - before.length).toBe(alone.targetStart)
        },
      ),
    )
  })

  it('octets at random throw nothing and are never read past their end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), octets => {
        const head = createRequestHead()
        const verdict = parseRequestHead(octets, 0, octets.length, head)
        expect(verdict === 'complete' || verdict === 'incomplete' || (verdict >= 400 && verdict <= 505)).toBe(
          true,
        )
        if (verdict === 'complete') expect(head.headLength).toBeLessThanOrEqual(octets.length)
      }),
    )
  })

  it('a head that arrives octet by octet costs about its length', () => {
    const octets = asciiOctets(withFields(`X: ${'y'.repeat(16_000)}`))
    const head = createRequestHead()
    const counted = new Proxy(octets, {
      get(target, property) {
        if (typeof property === 'string' && /^\d+$/.test(property)) reads++
        return Reflect.get(target, property, target)
      },
    })
    let reads = 0
    const ends = Array.from({ length: octets.length }, (_, at) => at + 1)
    expect(feed(counted, ends, head)).toBe('complete')
    expect(reads).toBeLessThan(12 * octets.length)
  })
})
