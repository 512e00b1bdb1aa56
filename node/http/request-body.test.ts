import fc from 'fast-check'
import { asciiOctets } from './grammar.ts'
import {
  beginBody,
  createRequestBody,
  discardBody,
  MAX_CHUNK_EXTENSION_OCTETS,
  MAX_REQUEST_BODY_OCTETS,
  MAX_TRAILER_OCTETS,
  type RequestBody,
} from './request-body.ts'
import { createRequestHead } from './request-head.ts'

function begun(contentLength: number, chunked: boolean): RequestBody {
  const head = createRequestHead()
  head.contentLength = contentLength
  head.chunked = chunked
  const body = createRequestBody()
  beginBody(body, head)
  return body
}

function discard(body: RequestBody, text: string): number {
  return discardBody(body, asciiOctets(text), 0, text.length)
}

describe('RFC 9112 §6.2 Content-Length', () => {
  it('no body is done at once', () => {
    expect(begun(-1, false).phase).toBe('done')
    expect(begun(0, false).phase).toBe('done')
  })
  it('ends where the length says, and not one octet later', () => {
    const body = begun(5, false)
    expect(discard(body, 'abc')).toBe(3)
    expect(body.phase).toBe('length')
    expect(discard(body, 'deGET /')).toBe(2)
    expect(body.phase).toBe('done')
    expect(discard(body, 'GET /')).toBe(0)
  })
  it('is 413 beyond the limit', () => {
    expect(begun(MAX_REQUEST_BODY_OCTETS, false).phase).toBe('length')
    expect(begun(MAX_REQUEST_BODY_OCTETS + 1, false)).toMatchObject({ phase: 'error', status: 413 })
  })
})

describe('RFC 9112 §7.1 chunked', () => {
  it.each([
    '0\r\n\r\n',
    '5\r\nhello\r\n0\r\n\r\n',
    '05\r\nhello\r\n000\r\n\r\n',
    'a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n',
    '5;name=value;other="q;uoted"\r\nhello\r\n0;last\r\n\r\n',
    '5 ;name\r\nhello\r\n0\r\n\r\n',
    '5\r\n\r\n\r\n\r\r\n0\r\n\r\n',
    '0\r\nTrailer: value\r\nX: y\r\n\r\n',
  ])('%j is one body', text => {
    const body = begun(-1, true)
    expect(discard(body, `${text}GET /`)).toBe(text.length)
    expect(body.phase).toBe('done')
  })

  it.each([
    '\r\n',
    'g\r\n',
    '-1\r\n',
    '0x5\r\n',
    '5 \r\nhello\r\n',
    '5\nhello\n',
    '5\r\nhelloX',
    '5\r\nhello\n',
    '5\r\nhello\rX',
    '5\rX',
    '5;a\nb\r\n',
    '5;a\0\r\n',
    '5 x\r\n',
    '00000000000000000\r\n',
    '0\r\n\n',
    '0\r\n\rX',
    '0\r\n folded\r\n',
    '0\r\nno colon\r\n',
    '0\r\nspace : x\r\n',
    '0\r\n: x\r\n',
    '0\r\na: \0\r\n',
    '0\r\na: b\n\r\n',
  ])('%j is malformed', text => {
    const body = begun(-1, true)
    discard(body, text)
    expect(body).toMatchObject({ phase: 'error', status: 400 })
  })

  it.each([
    ['a chunk', 'ffffffffffffffff\r\n', 413],
    ['the sum of chunks', `fffff\r\n${'x'.repeat(0xfffff)}\r\n2\r\n`, 413],
    ['extensions', `1;${'x'.repeat(MAX_CHUNK_EXTENSION_OCTETS + 1)}`, 413],
    ['many small extensions', '1;xxxxxxxxx\r\nx\r\n'.repeat(MAX_CHUNK_EXTENSION_OCTETS / 8), 413],
    ['the trailer', `0\r\n${'a: b\r\n'.repeat(MAX_TRAILER_OCTETS / 5)}`, 431],
  ])('%s are bounded', (_, text, status) => {
    const body = begun(-1, true)
    discard(body, text)
    expect(body).toMatchObject({ phase: 'error', status })
  })
})

describe('laws', () => {
  const chunks = fc.array(
    fc.string({ unit: fc.constantFrom('a', '\r', '\n', '0', ';'), minLength: 1, maxLength: 9 }),
  )

  it('however the octets arrive, the body ends at the same octet', () => {
    fc.assert(
      fc.property(chunks, fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }), (data, steps) => {
        const whole = `${data.map(chunk => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')}0\r\nA: b\r\n\r\n`
        const octets = asciiOctets(`${whole}GET / HTTP/1.1`)
        const body = begun(-1, true)
        let at = 0
        for (let step = 0; body.phase !== 'done' && at < octets.length; step++) {
          const end = Math.min(octets.length, at + (steps[step % steps.length] as number))
          at += discardBody(body, octets, at, end)
          // The state is plain data: it may travel anywhere in between.
          Object.assign(body, JSON.parse(JSON.stringify(body)))
        }
        expect(at).toBe(whole.length)
      }),
    )
  })

  it('garbage throws nothing and is never consumed past an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), octets => {
        const body = begun(-1, true)
        expect(discardBody(body, octets, 0, octets.length)).toBeLessThanOrEqual(octets.length)
        if (body.phase === 'error') expect(discardBody(body, octets, 0, octets.length)).toBe(0)
      }),
    )
  })
})
