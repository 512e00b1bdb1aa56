/** The comparison of the policies, in short: virtual time, so that its figures are the same on every machine. */
import { replayPlacement, traceOf } from './placement.ts'

const trace = traceOf(0.8, 1_500, 3)

it('shows that placement by content makes one cache of many, and what shifts that takes', () => {
  const locality = replayPlacement('locality', trace, 3)
  const blind = replayPlacement('round-robin', trace, 3)
  expect(locality.hits).toBeGreaterThan(blind.hits + 0.1)
  expect(locality.requestsPerSecond).toBeGreaterThan(1.2 * blind.requestsPerSecond)
  expect(locality.imbalance).toBeLessThan(1.3)
  expect(blind.shiftsPerRequest).toBe(0)
  expect(locality.shiftsPerRequest).toBeGreaterThan(0)
  expect(locality.shiftsPerRequest).toBeLessThan(1)
})

it('is the same at each run', () => {
  const short = traceOf(1, 300, 4)
  expect(replayPlacement('lard-r', short, 4)).toEqual(replayPlacement('lard-r', short, 4))
})
