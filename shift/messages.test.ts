import fc from 'fast-check'
import type { Flow } from '../clone/flow.ts'
import {
  decodeShiftMessage,
  encodeShiftMessage,
  MAX_NEED_CHARS,
  MAX_NEEDS,
  SHIFT_REFUSALS,
  type ShiftMessage,
} from './messages.ts'

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const port = fc.integer({ min: 1, max: 65_535 })
const count = fc.maxSafeNat()

const flow: fc.Arbitrary<Flow> = fc.oneof(
  fc.tuple(int32, port, port).map(([remote3, remotePort, localPort]) => ({
    family: 4 as const,
    remote0: 0,
    remote1: 0,
    remote2: 0xffff,
    remote3,
    remotePort,
    localPort,
  })),
  fc.record({
    family: fc.constant(6 as const),
    remote0: int32,
    remote1: int32,
    remote2: int32,
    remote3: int32,
    remotePort: port,
    localPort: port,
  }),
)

const named = { connection: count, epoch: count }
const message: fc.Arbitrary<ShiftMessage> = fc.oneof(
  fc.record({
    type: fc.constant('PREPARE' as const),
    ...named,
    flow,
    needs: fc.array(fc.string(), { maxLength: 5 }),
    octets: count,
    round: count,
  }),
  fc.record({ type: fc.constant('PREPARED' as const), ...named, round: count }),
  fc.record({
    type: fc.constant('REFUSED' as const),
    ...named,
    reason: fc.constantFrom(...SHIFT_REFUSALS),
    stage: fc.constantFrom('PREPARE' as const, 'COMMIT' as const),
  }),
  fc.record({ type: fc.constant('ABORT' as const), ...named }),
  fc.record({
    type: fc.constant('COMMIT' as const),
    ...named,
    flow,
    snapshot: fc.array(fc.integer()),
  }),
  fc.record({ type: fc.constant('SHIFTED' as const), ...named, confirmed: fc.boolean() }),
)

describe('shift messages', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(message, original => {
        expect(decodeShiftMessage(encodeShiftMessage(original))).toEqual(original)
      }),
    )
  })

  it('are undefined, and never an exception, when they are anything else', () => {
    fc.assert(
      fc.property(fc.array(fc.anything({ withBigInt: true, withNullPrototype: true })), plain => {
        const decoded = decodeShiftMessage(plain)
        if (decoded !== undefined)
          expect(encodeShiftMessage(decoded).length).toBeLessThanOrEqual(plain.length)
      }),
      { numRuns: 2_000 },
    )
    fc.assert(
      fc.property(message, fc.nat(5), fc.anything(), (original, at, junk) => {
        const plain = encodeShiftMessage(original)
        plain[at] = junk
        decodeShiftMessage(plain)
      }),
      { numRuns: 2_000 },
    )
  })

  it('have bounded lists', () => {
    const prepare = { type: 'PREPARE', connection: 1, epoch: 1, octets: 0, round: 1 } as const
    const client = {
      family: 4,
      remote0: 0,
      remote1: 0,
      remote2: 0xffff,
      remote3: 1,
      remotePort: 1,
      localPort: 80,
    } as const
    const with_ = (needs: string[]) =>
      decodeShiftMessage(encodeShiftMessage({ ...prepare, flow: client, needs }))
    expect(with_(new Array(MAX_NEEDS).fill('/a'))).toBeDefined()
    expect(with_(new Array(MAX_NEEDS + 1).fill('/a'))).toBeUndefined()
    expect(with_(['x'.repeat(MAX_NEED_CHARS + 1)])).toBeUndefined()
  })
})
