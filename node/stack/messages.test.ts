import fc from 'fast-check'
import type { Flow } from '../../clone/flow.ts'
import {
  decodeOwnerMessage,
  encodeOwnerMessage,
  MAX_ASKED,
  MAX_OWNED_PER_MESSAGE,
  type OwnerMessage,
} from './messages.ts'

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const port = fc.integer({ min: 1, max: 65_535 })
const count = fc.maxSafeNat()
const flow: fc.Arbitrary<Flow> = fc.record({
  family: fc.constant(6 as const),
  remote0: int32,
  remote1: int32,
  remote2: int32,
  remote3: int32,
  remotePort: port,
  localPort: port,
})
const owned = fc.record({
  connection: count,
  epoch: count,
  flow,
  timestamps: fc.boolean(),
  request: fc.string({ maxLength: 50 }),
})
const octets = fc.uint8Array({ maxLength: 100 })

const message: fc.Arbitrary<OwnerMessage> = fc.oneof(
  fc.record({ type: fc.constant('PACKET' as const), hops: fc.nat(20), octets }),
  fc.record({
    type: fc.constant('RETURNED' as const),
    hops: fc.nat(20),
    octets,
    leastIsn: fc.option(int32, { nil: undefined }),
  }),
  fc.record({ type: fc.constant('OWNED' as const), connections: fc.array(owned, { maxLength: 3 }) }),
  fc.record({ type: fc.constant('CLOSED' as const), connections: fc.array(owned, { maxLength: 3 }) }),
  fc.record({ type: fc.constant('STEER' as const), connection: count, epoch: count, flow, to: fc.nat(1023) }),
  fc.record({ type: fc.constant('STEERED' as const), connection: count, epoch: count, ok: fc.boolean() }),
  fc.record({
    type: fc.constant('STRAY' as const),
    hops: fc.nat(20),
    octets,
    returnedBy: fc.integer({ min: -1, max: 1023 }),
    asked: fc.array(fc.nat(1023), { maxLength: MAX_ASKED }),
  }),
)

describe('owner messages', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(message, original => {
        expect(decodeOwnerMessage(encodeOwnerMessage(original))).toEqual(original)
      }),
    )
  })

  it('never throw, whatever comes in', () => {
    fc.assert(
      fc.property(message, fc.nat(4), fc.anything(), (original, at, junk) => {
        const plain = encodeOwnerMessage(original)
        plain[at] = junk
        decodeOwnerMessage(plain)
      }),
      { numRuns: 2_000 },
    )
  })

  it('have bounded lists and packets', () => {
    const one = fc.sample(owned, 1)[0]
    const many = new Array(MAX_OWNED_PER_MESSAGE + 1).fill(one)
    expect(decodeOwnerMessage(encodeOwnerMessage({ type: 'OWNED', connections: many }))).toBeUndefined()
    expect(decodeOwnerMessage([0, 0, new Uint8Array(70_000)])).toBeUndefined()
    const asked = new Array(MAX_ASKED + 1).fill(0)
    const stray = { type: 'STRAY', hops: 0, octets: new Uint8Array(9), returnedBy: -1, asked } as const
    expect(decodeOwnerMessage(encodeOwnerMessage(stray))).toBeUndefined()
  })
})
