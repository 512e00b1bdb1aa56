import { LinkError } from '../node/control/errors.ts'
import { type Hello, NO_OWNER, PROTOCOL_VERSION } from '../node/control/hello.ts'
import { introduced } from './introduction.ts'

const HELLO: Hello = {
  protocol: PROTOCOL_VERSION,
  cluster: 'gyre',
  ownerId: 3,
  role: 'node',
  name: 'node3',
  incarnation: '0000000000000003',
  addresses: ['10.78.0.13', 'fd78::13'],
  capabilities: ['control=10.78.0.13:7700'],
}

it('is what a node says of itself', () => {
  expect(introduced(HELLO, 8)).toEqual({
    ...{ id: 3, name: 'node3', address: '10.78.0.13', address6: 'fd78::13' },
    ...{ control: '10.78.0.13:7700', incarnation: '0000000000000003' },
  })
  const v6 = { ...HELLO, addresses: ['10.78.0.13'], capabilities: ['control=[fd78::13]:7700'] }
  expect(introduced(v6, 8)).toMatchObject({ address6: undefined, control: '[fd78::13]:7700' })
})

it('is what another dispatcher says of itself, whom nobody dials by that', () => {
  const hello = { ...HELLO, role: 'dispatcher', capabilities: [] } as const
  expect(introduced(hello, 8)).toMatchObject({ id: 3, address: '10.78.0.13', control: '' })
})

it.each<[string, Partial<Hello>, RegExp]>([
  ['another role', { role: 'gateway' }, /a gateway without/],
  ['no address, as a dispatcher', { role: 'dispatcher', addresses: [] }, /a dispatcher without/],
  [
    'a name as its address, as a dispatcher',
    { role: 'dispatcher', addresses: ['a'] },
    /not an IPv4 address: a$/,
  ],
  ['no control port', { capabilities: [] }, /without the addresses/],
  ['no address', { addresses: [] }, /without the addresses/],
  ['no owner id', { ownerId: NO_OWNER }, /owner id -1 does not fit 8 bits/],
  ['an owner id of more bits than ours', { ownerId: 300 }, /owner id 300 does not fit 8 bits/],
  ['a name as its address', { addresses: ['node3'] }, /not an IPv4 address: node3/],
  ['families in the other order', { addresses: ['fd78::13', '10.78.0.13'] }, /not an IPv4 address/],
  ['a port above 65535', { capabilities: ['control=10.78.0.13:77000'] }, /nobody could dial/],
  ['a bare IPv6 control host', { capabilities: ['control=fd78::13:7700'] }, /nobody could dial/],
  ['a control port without a host', { capabilities: ['control=http://'] }, /nobody could dial/],
])('with %s is refused, and says why', (_, more, why) => {
  const refusal = introduced({ ...HELLO, ...more }, 8)
  expect(refusal).toBeInstanceOf(LinkError)
  expect(refusal).toMatchObject({ code: 'HELLO_INVALID', message: expect.stringMatching(why) })
})
