import fc from 'fast-check'
import {
  acknowledge,
  appendRecord,
  clearDelivery,
  createDelivery,
  createSentRecords,
  endOf,
  firstLost,
  flagsOf,
  LOST,
  markLost,
  markRetransmitted,
  markSacked,
  markTimedOut,
  RETRANSMITTED,
  SACKED,
  type SentRecords,
  sentCount,
  split,
  startOf,
} from './sent-records.ts'
import { add, asSeq, diff, type Seq } from './seq.ts'

/** The same by octet: the flags of each from `una` on. */
interface Model {
  una: number
  flags: number[]
}

type Action =
  | { kind: 'send'; octets: number }
  | { kind: 'ack'; part: number }
  | { kind: 'sack'; from: number; to: number }
  | { kind: 'lose'; at: number }
  | { kind: 'timeout' }
  | { kind: 'again'; octets: number }

const part = fc.double({ min: 0, max: 1, noNaN: true })
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ kind: fc.constant('send' as const), octets: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ kind: fc.constant('ack' as const), part }),
  fc.record({ kind: fc.constant('sack' as const), from: part, to: part }),
  fc.record({ kind: fc.constant('lose' as const), at: part }),
  fc.record({ kind: fc.constant('timeout' as const) }),
  fc.record({ kind: fc.constant('again' as const), octets: fc.integer({ min: 1, max: 30 }) }),
)

const FIRST = asSeq(0x7ffffff0)
const delivery = createDelivery()

function apply(sent: SentRecords, model: Model, step: Action, now: number): void {
  const una = add(FIRST, model.una)
  const length = model.flags.length
  clearDelivery(delivery)
  switch (step.kind) {
    case 'send': {
      appendRecord(sent, add(una, length), add(una, length + step.octets), now, 0)
      for (let count = 0; count < step.octets; count++) model.flags.push(0)
      return
    }
    case 'ack': {
      const count = Math.floor(step.part * length)
      acknowledge(sent, add(una, count), una, delivery)
      const gone = model.flags.splice(0, count)
      model.una += count
      expect(delivery.acked).toBe(count)
      expect(delivery.delivered).toBe(gone.filter(flags => (flags & SACKED) === 0).length)
      return
    }
    case 'sack': {
      const from = Math.floor(Math.min(step.from, step.to) * length)
      const to = Math.floor(Math.max(step.from, step.to) * length)
      if (from === to) return
      markSacked(sent, add(una, from), add(una, to), una, delivery)
      let fresh = 0
      for (let index = from; index < to; index++) {
        if (((model.flags[index] as number) & SACKED) === 0) fresh++
        model.flags[index] = SACKED
      }
      expect(delivery.delivered).toBe(fresh)
      return
    }
    case 'lose': {
      if (sentCount(sent) === 0) return
      const index = Math.min(Math.floor(step.at * sentCount(sent)), sentCount(sent) - 1)
      if ((flagsOf(sent, index) & (SACKED | LOST)) !== 0) return
      const from = diff(startOf(sent, index), una)
      const to = diff(endOf(sent, index), una)
      markLost(sent, index)
      for (let at = from; at < to; at++) model.flags[at] = (model.flags[at] as number) | LOST
      return
    }
    case 'timeout': {
      markTimedOut(sent, now)
      model.flags = model.flags.map(flags => ((flags & SACKED) === 0 ? flags | LOST : flags))
      return
    }
    case 'again': {
      const index = firstLost(sent)
      if (index < 0) return
      const from = diff(startOf(sent, index), una)
      const octets = Math.min(step.octets, diff(endOf(sent, index), startOf(sent, index)))
      if (diff(endOf(sent, index), startOf(sent, index)) > octets)
        split(sent, index, add(startOf(sent, index), octets))
      markRetransmitted(sent, index, now)
      for (let at = from; at < from + octets; at++) model.flags[at] = RETRANSMITTED
    }
  }
}

function flagsByOctet(sent: SentRecords, una: Seq): number[] {
  const flags: number[] = []
  let at = una
  for (let index = 0; index < sentCount(sent); index++) {
    expect(startOf(sent, index)).toBe(at)
    at = endOf(sent, index)
    for (let count = diff(at, startOf(sent, index)); count > 0; count--) {
      const value = flagsOf(sent, index)
      flags.push((value & SACKED) !== 0 ? SACKED : value)
    }
  }
  return flags
}

describe('sent records', () => {
  it('say of every octet what a plain array of octets says', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), actions => {
        const sent = createSentRecords()
        const model: Model = { una: 0, flags: [] }
        let now = 0
        for (const step of actions) {
          apply(sent, model, step, now++)
          expect(flagsByOctet(sent, add(FIRST, model.una))).toEqual(model.flags)
          const of = (mask: number, none: number) =>
            model.flags.filter(flags => (flags & none) === 0 && (mask === 0 || (flags & mask) !== 0)).length
          expect(sent.sacked).toBe(of(SACKED, 0))
          expect(sent.lost).toBe(of(LOST, SACKED))
          expect(sent.inFlight).toBe(of(0, SACKED | LOST))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('of a super-segment are split by a SACK block inside, and joined again', () => {
    const sent = createSentRecords()
    appendRecord(sent, FIRST, add(FIRST, 64_000), 5, 0)
    clearDelivery(delivery)
    markSacked(sent, add(FIRST, 1_448), add(FIRST, 2_896), FIRST, delivery)
    expect(sentCount(sent)).toBe(3)
    expect(delivery.sampleAt).toBe(5)
    markSacked(sent, add(FIRST, 2_896), add(FIRST, 64_000), FIRST, delivery)
    expect(sentCount(sent)).toBe(2)
    expect(sent.inFlight).toBe(1_448)
  })
})
