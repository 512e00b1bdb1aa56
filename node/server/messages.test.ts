import fc from 'fast-check'
import {
  CLUSTER_PROTOCOL,
  type ClusterMessage,
  decodeClusterMessage,
  encodeClusterMessage,
  MAX_PATHS_PER_MESSAGE,
} from './messages.ts'

const text = fc.string({ maxLength: 20 })
const token = fc.maxSafeNat()

const members = fc.array(fc.record({ id: fc.nat(1023), name: text, url: text, incarnation: text }), {
  maxLength: 4,
})

const message: fc.Arbitrary<ClusterMessage> = fc.oneof(
  fc.record({ type: fc.constant('ROSTER' as const), members }),
  fc.record({ type: fc.constant('CHANGED' as const), came: members, left: fc.array(fc.nat(1023)) }),
  fc.record({ type: fc.constant('HAVE' as const), reset: fc.boolean(), paths: fc.array(text) }),
  fc.record({ type: fc.constant('GONE' as const), paths: fc.array(text) }),
  fc.record({ type: fc.constant('PLACE' as const), token, path: text }),
  fc.record({ type: fc.constant('PLACED' as const), token, owner: fc.integer({ min: -1, max: 1023 }) }),
  fc.record({ type: fc.constant('RELIEVE' as const), to: fc.nat(), load: fc.nat(), most: fc.nat() }),
  fc.record({ type: fc.constant('RELIEVED' as const), to: fc.nat(), paths: fc.array(text) }),
  fc.record({
    type: fc.constant('LOAD' as const),
    connections: fc.nat(),
    draining: fc.boolean(),
    segmentsPerSecond: fc.nat(),
  }),
  fc.record({ type: fc.constant('ASK' as const), token, what: text, details: fc.integer() }),
  fc.record({
    type: fc.constant('PORTS' as const),
    ports: fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 4 }),
  }),
  fc.record({ type: fc.constant('ANSWER' as const), token, value: text }),
)

describe('cluster messages', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(message, original => {
        const [protocol, ...plain] = encodeClusterMessage(original)
        expect(protocol).toBe(CLUSTER_PROTOCOL)
        expect(decodeClusterMessage(plain)).toEqual(original)
      }),
    )
  })

  it('never throw, whatever comes in', () => {
    fc.assert(
      fc.property(message, fc.nat(4), fc.anything(), (original, at, junk) => {
        const plain = encodeClusterMessage(original).slice(1)
        plain[at] = junk
        decodeClusterMessage(plain)
      }),
      { numRuns: 2_000 },
    )
    fc.assert(fc.property(fc.array(fc.anything()), plain => void decodeClusterMessage(plain)))
  })

  it('have bounded lists', () => {
    const paths = new Array<string>(MAX_PATHS_PER_MESSAGE + 1).fill('/a')
    expect(decodeClusterMessage(encodeClusterMessage({ type: 'GONE', paths }).slice(1))).toBeUndefined()
  })
})
