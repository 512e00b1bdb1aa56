import fc from 'fast-check'
import { LinkError } from './errors.ts'
import {
  createIncarnation,
  decodeHello,
  decodeRefusal,
  encodeHello,
  encodeRefusal,
  type Hello,
  NO_OWNER,
  peerKey,
  refusal,
} from './hello.ts'

const node1: Hello = {
  protocol: 2,
  cluster: 'gyre',
  ownerId: 1,
  role: 'node',
  name: 'node1',
  incarnation: '0000000000000001',
  addresses: ['10.77.1.2', 'fd77::2'],
  capabilities: ['content'],
}
const node2: Hello = { ...node1, ownerId: 2, name: 'node2', incarnation: '0000000000000002' }

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

describe('hello', () => {
  it('passes through a header', () => {
    expect(decodeHello(encodeHello(node1))).toEqual(node1)
    expect(encodeHello(node1)).toMatch(/^[\w-]+$/)
  })

  it.each([
    ['none', undefined, 'HELLO_INVALID'],
    ['two', [encodeHello(node1), encodeHello(node2)], 'HELLO_INVALID'],
    ['garbage', '!!!!', 'HELLO_INVALID'],
    ['a list', encode([]), 'PROTOCOL_MISMATCH'],
    ['null', encode(null), 'HELLO_INVALID'],
    ['an older version, whatever else it says', encode({ protocol: 0 }), 'PROTOCOL_MISMATCH'],
    ['a later version', encode({ ...node1, protocol: 3 }), 'PROTOCOL_MISMATCH'],
    ['no cluster', encode({ ...node1, cluster: '' }), 'HELLO_INVALID'],
    ['a cluster with a line end', encode({ ...node1, cluster: 'a\r\nb' }), 'HELLO_INVALID'],
    ['an owner id out of range', encode({ ...node1, ownerId: 1024 }), 'HELLO_INVALID'],
    ['an owner id as text', encode({ ...node1, ownerId: '1' }), 'HELLO_INVALID'],
    ['an unknown role', encode({ ...node1, role: 'king' }), 'HELLO_INVALID'],
    ['a long name', encode({ ...node1, name: 'n'.repeat(65) }), 'HELLO_INVALID'],
    ['a short incarnation', encode({ ...node1, incarnation: '1' }), 'HELLO_INVALID'],
    ['too many addresses', encode({ ...node1, addresses: new Array(33).fill('::1') }), 'HELLO_INVALID'],
    ['capabilities that are no words', encode({ ...node1, capabilities: ['a b'] }), 'HELLO_INVALID'],
    ['one too long', encode({ ...node1, extra: 'x'.repeat(5000) }), 'HELLO_INVALID'],
  ])('%s is refused', (_, header, code) => {
    const error = decodeHello(header)
    expect(error).toBeInstanceOf(LinkError)
    expect((error as LinkError).code).toBe(code)
  })

  it('never throws on garbage', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json().map(encode)), text => void decodeHello(text)))
  })

  it.each([
    [{ ...node2, cluster: 'other' }, 'CLUSTER_MISMATCH'],
    [{ ...node2, incarnation: node1.incarnation }, 'SELF_CONNECTION'],
    [{ ...node2, ownerId: 1 }, 'OWNER_CONFLICT'],
    [node2, undefined],
  ])('%j at node1: %s', (peer, code) => {
    expect(refusal(node1, peer)?.code).toBe(code)
  })

  it('lets several peers own nothing', () => {
    const gateway = { ...node1, ownerId: NO_OWNER, role: 'gateway', name: 'gw1' } as const
    const other = { ...gateway, name: 'gw2', incarnation: node2.incarnation }
    expect(refusal(gateway, other)).toBeUndefined()
    expect(peerKey(gateway)).not.toBe(peerKey(other))
    expect(peerKey(node1)).toBe(peerKey({ ...node1, name: 'renamed' }))
  })
})

describe('createIncarnation', () => {
  it('orders runs by time and tells runs of one millisecond apart', () => {
    const times = fc.integer({ min: 0, max: 2 ** 41 })
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(times, times, random, random, (a, b, x, y) => {
        const first = createIncarnation(a, () => x)
        const second = createIncarnation(b, () => y)
        expect(first).toMatch(/^[0-9a-f]{16}$/)
        if (a !== b) expect(first < second).toBe(a < b)
      }),
    )
    expect(createIncarnation(5, () => 0.1)).not.toBe(createIncarnation(5, () => 0.2))
  })
})

describe('a refusal', () => {
  it('passes through a header, without line ends', () => {
    const header = encodeRefusal(new LinkError('CLUSTER_MISMATCH', 'no\r\nSet-Cookie: é'))
    expect(header).toBe('CLUSTER_MISMATCH no??Set-Cookie: ?')
    expect(decodeRefusal(header, 403)).toMatchObject({
      code: 'CLUSTER_MISMATCH',
      message: expect.stringContaining('no'),
    })
  })

  it.each([[undefined], ['NONSENSE text'], ['toString x'], ['CLOSED']])('%p is not one of ours', header => {
    expect(decodeRefusal(header, 404)).toMatchObject({
      code: 'REFUSED',
      message: 'refused with HTTP status 404',
    })
  })
})
