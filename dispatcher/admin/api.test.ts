import { type CounterReport, sumCounters } from './api.ts'

it('sumCounters adds every counter, and the reasons one by one', () => {
  const one: CounterReport = {
    accepted: 1,
    requests: 2,
    cloned: 3,
    adopted: 4,
    shifted: 5,
    aborted: { TIMEOUT: 6, NO_OBJECT: 1 },
    relayedPackets: 7,
    tombstones: 8,
    resetsSent: 9,
  }
  expect(sumCounters([one, { ...one, aborted: { TIMEOUT: 1 } }])).toEqual({
    accepted: 2,
    requests: 4,
    cloned: 6,
    adopted: 8,
    shifted: 10,
    aborted: { TIMEOUT: 7, NO_OBJECT: 1 },
    relayedPackets: 14,
    tombstones: 16,
    resetsSent: 18,
  })
  expect(sumCounters([]).aborted).toEqual({})
})
