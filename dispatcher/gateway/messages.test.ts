import fc from 'fast-check'
import { pack, unpackEach } from '../../node/control/codec.ts'
import { MAX_OWNERS } from '../steering/steering.ts'
import {
  decodeGatewayMessage,
  encodeGatewayMessage,
  GATEWAY_PROTOCOL,
  GATEWAY_PROTOCOL_VERSION,
  type GatewayMessage,
  MAX_FLOWS_PER_MESSAGE,
} from './messages.ts'

const FLOW = { family: 4, address: '192.0.2.1', port: 5000 } as const
const COUNTERS = { packets: 7, octets: 700, byOwner: 4, byFlow: 2, unsteered: 1 }

const MESSAGES: readonly GatewayMessage[] = [
  { type: 'owners', seq: 1, owners: [{ owner: 3, address: '10.78.0.13', address6: 'fd78::d' }] },
  { type: 'owners', seq: 2, owners: [{ owner: 3, address: undefined, address6: undefined }] },
  { type: 'flows', seq: 3, reset: false, set: [{ ...FLOW, owner: 3, timeoutMs: 1000.5 }], remove: [FLOW] },
  { type: 'flows', seq: 4, reset: true, set: [], remove: [] },
  { type: 'owners-applied', seq: 5 },
  { type: 'flows-applied', seq: 6 },
  { type: 'owners-failed', seq: 7, code: 'NFT_REFUSED', error: 'no' },
  { type: 'flows-failed', seq: 8, code: 'UNKNOWN_OWNER', error: 'no' },
  { type: 'counters', counters: { ...COUNTERS, owners: [{ owner: 3, packets: 4, octets: 400 }] } },
]

it.each(MESSAGES)('$type $seq comes through the control link as it was', message => {
  let received: unknown
  const octets = pack(encodeGatewayMessage(message))
  if (octets === undefined) throw new Error('cannot be packed')
  unpackEach(octets, plain => {
    received = plain
    return true
  })
  expect(decodeGatewayMessage(received)).toEqual(message)
})

it('refuses another protocol and another version', () => {
  const [, , ...rest] = encodeGatewayMessage({ type: 'flows-applied', seq: 1 })
  expect(decodeGatewayMessage([GATEWAY_PROTOCOL, GATEWAY_PROTOCOL_VERSION, ...rest])).toBeDefined()
  expect(decodeGatewayMessage([GATEWAY_PROTOCOL, GATEWAY_PROTOCOL_VERSION + 1, ...rest])).toBeUndefined()
  expect(decodeGatewayMessage([GATEWAY_PROTOCOL - 1, GATEWAY_PROTOCOL_VERSION, ...rest])).toBeUndefined()
})

it('refuses lists that are too long', () => {
  const owners = new Array(MAX_OWNERS + 1).fill({ owner: 1, address: undefined, address6: undefined })
  expect(decodeGatewayMessage(encodeGatewayMessage({ type: 'owners', seq: 1, owners }))).toBeUndefined()
  const remove = new Array(MAX_FLOWS_PER_MESSAGE + 1).fill(FLOW)
  const flows = { type: 'flows', seq: 1, reset: false, set: [], remove } as const
  expect(decodeGatewayMessage(encodeGatewayMessage(flows))).toBeUndefined()
})

it('throws for nothing that a peer may send', () => {
  const value = fc.anything({ maxDepth: 4 })
  const envelope = fc.tuple(fc.constant(GATEWAY_PROTOCOL), fc.constant(GATEWAY_PROTOCOL_VERSION), fc.nat(8))
  fc.assert(
    fc.property(envelope, fc.array(value, { maxLength: 7 }), (head, plain) => {
      decodeGatewayMessage([...head, ...plain])
    }),
  )
  fc.assert(fc.property(value, plain => void decodeGatewayMessage(plain)))
})

it('refuses each message that lacks a part', () => {
  for (const message of MESSAGES) {
    const whole = encodeGatewayMessage(message)
    for (let index = 3; index < whole.length; index++) {
      const broken = whole.map((part, at) => (at === index ? { not: 'this' } : part))
      expect(decodeGatewayMessage(broken)).toBeUndefined()
    }
  }
})
