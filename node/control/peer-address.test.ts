import { parsePeerAddress } from './peer-address.ts'

describe('the address of a peer', () => {
  it.each([
    ['10.0.0.1:7700', '10.0.0.1', 7_700],
    ['[fd00::1]:65535', 'fd00::1', 65_535],
    ['node-1.example:80', 'node-1.example', 80],
  ])('%s is a host and a port', (text, host, port) => {
    expect(parsePeerAddress(text)).toEqual({ host, port })
  })

  it.each([
    '',
    '10.0.0.1',
    ':7700',
    '10.0.0.1:',
    '10.0.0.1:0',
    '10.0.0.1:65536',
    'a b:1',
    'a/b:1',
    'u@h:1',
    'fd00::1:1',
  ])('cannot be "%s"', text => {
    expect(parsePeerAddress(text)).toBeUndefined()
  })
})
