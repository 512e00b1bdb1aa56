import { acceptedCodings, CodingPreferences } from './content-coding.ts'
import { asciiOctets } from './grammar.ts'
import { createRequestHead, parseRequestHead } from './request-head.ts'

const ALL = ['br', 'zstd', 'gzip', 'identity']

describe('RFC 9110 §12.5.3 Accept-Encoding', () => {
  it.each([
    ['', ['identity']],
    ['gzip', ['gzip', 'identity']],
    ['GZIP', ['gzip', 'identity']],
    ['x-gzip', ['gzip', 'identity']],
    ['gzip, deflate, br, zstd', ALL],
    ['*', ALL],
    ['compress', ['identity']],
    ['gzip;q=1.0, br;q=0.5', ['gzip', 'br', 'identity']],
    ['gzip;q=0.001', ['gzip', 'identity']],
    ['gzip;q=0', ['identity']],
    ['gzip;q=0.000', ['identity']],
    ['gzip;q=0, *', ['br', 'zstd', 'identity']],
    ['identity', ['identity']],
    ['identity, gzip;q=0.5', ['identity', 'gzip']],
    ['identity;q=0.5, gzip', ['gzip', 'identity']],
    ['identity;q=0.5, gzip;q=0.1', ['identity', 'gzip']],
    ['identity;q=0', []],
    ['*;q=0', []],
    ['identity;q=0, gzip', ['gzip']],
    ['*;q=0, gzip', ['gzip']],
    ['*;q=0, identity', ['identity']],
    ['*;q=0.5, identity;q=0', ['br', 'zstd', 'gzip']],
    ['gzip ; q=0.2 ,\tbr;Q=0.1', ['gzip', 'br', 'identity']],
    [',,gzip,,', ['gzip', 'identity']],
    ['gzip;q=2', ['identity']],
    ['gzip;q=0.1234', ['identity']],
    ['gzip;q=-1', ['identity']],
    ['gzip;q=', ['identity']],
    ['gzip;level=9', ['identity']],
  ])('%j', (value, codings) => expect(acceptedCodings(value)).toEqual(codings))

  it('a value that names everything many times costs no more than a bounded look', () => {
    expect(acceptedCodings(`${'x,'.repeat(100_000)}gzip`)).toEqual(['identity'])
  })
})

describe('what is remembered of values', () => {
  const preferences = new CodingPreferences()
  const of = (...lines: string[]) => {
    const octets = asciiOctets(
      `GET / HTTP/1.1\r\nHost: a\r\n${lines.map(line => `${line}\r\n`).join('')}\r\n`,
    )
    const head = createRequestHead()
    expect(parseRequestHead(octets, 0, octets.length, head)).toBe('complete')
    return preferences.of(head)
  }

  it('is the same as what is read', () => {
    for (let round = 0; round < 3; round++) {
      expect(of()).toEqual(['identity'])
      expect(of('Accept-Encoding: gzip')).toEqual(['gzip', 'identity'])
      expect(of('Accept-Encoding: gzip;q=0')).toEqual(['identity'])
      for (let value = 0; value < 20; value++) {
        expect(of(`Accept-Encoding: br, x${value}`)).toEqual(['br', 'identity'])
      }
      expect(of('Accept-Encoding: gzip', 'Accept-Encoding: br')).toEqual(['br', 'gzip', 'identity'])
      expect(of('Accept-Encoding: gzip', 'Accept-Encoding: identity;q=0')).toEqual(['gzip'])
    }
    expect(of('Accept-Encoding: br')).toBe(of('Accept-Encoding: br'))
  })
})
