import { isAuthority, isHttpAuthority, sameAuthority } from './authority.ts'
import { asciiOctets } from './grammar.ts'

const check = (text: string) => isAuthority(asciiOctets(text), 0, text.length)

describe('RFC 9110 §7.2 Host = uri-host [ ":" port ]', () => {
  it.each([
    '',
    'a',
    'example.org',
    'example.org:',
    'example.org:80',
    '10.77.0.1:8080',
    '[::1]',
    '[::1]:80',
    '[::ffff:1.2.3.4]',
    'a%20b',
    'a_b',
  ])('%j is one', text => expect(check(text)).toBe(true))
  it.each([
    'a b',
    'user@host',
    'a/b',
    'a:b',
    'a:80:80',
    'a:123456',
    '[',
    '[]',
    '[::1',
    '[::1]x',
    '[g]',
    'a%2',
    'a%zz',
    'http://a',
    'a?b',
    'a#b',
    'a\\b',
    'é',
  ])('%j is none', text => expect(check(text)).toBe(false))
  it('RFC 9110 §4.2.1: an http URI has a host', () => {
    expect(isHttpAuthority(asciiOctets(':80'), 0, 3)).toBe(false)
    expect(isHttpAuthority(asciiOctets('a:80'), 0, 4)).toBe(true)
  })
})

describe('RFC 3986 §6.2 equality', () => {
  it.each([
    ['example.org', 'EXAMPLE.org', true],
    ['example.org', 'example.org:80', true],
    ['example.org:', 'example.org:80', true],
    ['example.org:080', 'example.org:80', true],
    ['example.org', 'example.org:8080', false],
    ['example.org', 'example.com', false],
    ['[::1]:80', '[::1]', true],
    ['a', '', false],
  ])('%s and %s: %s', (one, other, expected) => {
    const octets = asciiOctets(one + other)
    expect(sameAuthority(octets, 0, one.length, one.length, octets.length)).toBe(expected)
  })
})
