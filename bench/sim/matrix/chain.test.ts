/** A connection that goes round among three nodes a hundred times a second for a minute, downloading all the while. */
import { TOMBSTONE_MS } from '../../../node/stack/forwards.ts'
import type { ShiftResult } from '../../../shift/outgoing.ts'
import type { Client } from '../cluster/client.ts'
import { Cluster } from '../cluster/cluster.ts'
import { exchangeOf } from '../cluster/exchange.ts'
import { delay } from '../network/delay.ts'
import { chain } from '../network/element.ts'
import { rate } from '../network/rate.ts'
import { segment } from '../network/segment.ts'
import { MAX_STALL_MS } from './faults.ts'

const SECONDS = 60
const EVERY_MS = 10
const FILES = { '/large.bin': 400_000, '/small.bin': 2_000 }
/** At this rate the minute costs seconds of computing, and there is always something in flight. */
const wan = () => chain([segment(1_500), rate(2e6, 200_000), delay(5)])

function download(family: 4 | 6, timestamps: boolean, seconds: number): { sim: Cluster; client: Client } {
  const sim = new Cluster({ seed: 1, files: FILES, wan })
  const exchange = ['/large.bin', '/small.bin'].map(path => exchangeOf(sim.files, path))
  // 400,000 octets take 1.6 s, or half of that where two owners' packets come by two ways.
  const exchanges = Array.from({ length: Math.ceil(seconds / 0.7) }, () => exchange).flat()
  return { sim, client: sim.client({ exchanges, family, timestamps }) }
}

describe('A→B→C→A at 100 shifts a second', () => {
  it.each([
    [4, true, SECONDS],
    [6, false, SECONDS / 4],
  ] as const)(
    'IPv%i, timestamps %s, for %i s: the octets are right, no pause is longer',
    (family, timestamps, seconds) => {
      const control = download(family, timestamps, seconds)
      expect(control.sim.runUntil(() => control.client.done, 3 * seconds * 1_000)).toBe(true)

      const { sim, client } = download(family, timestamps, seconds)
      sim.run(50)
      const results: ShiftResult[] = []
      let turn = 0
      for (const until = sim.now + seconds * 1_000; sim.now < until && !client.done; ) {
        const own = sim.ownerOf(client)?.owner.config.id ?? 0
        sim.shift(client, (own % 3) + 1, result => results.push(result))
        turn++
        sim.run(EVERY_MS)
      }
      expect(sim.runUntil(() => client.done, 2 * seconds * 1_000)).toBe(true)
      expect(client.failure).toBeUndefined()
      expect(client.resets).toBe(0)
      expect(client.longestGapMs).toBeLessThan(control.client.longestGapMs + MAX_STALL_MS)
      // Some are asked for while the one before is still under way: it waits for the gateway, or for an object.
      expect(results.filter(({ ok }) => ok).length).toBeGreaterThan(0.9 * turn)
      expect(turn).toBeGreaterThan(0.9 * seconds * (1_000 / EVERY_MS))
      sim.run(2 * TOMBSTONE_MS)
      for (const { forwards, connections, timeWait } of sim.owners()) {
        expect({ forwards: forwards.size, connections: connections - timeWait }).toEqual({
          forwards: 0,
          connections: 0,
        })
      }
    },
  )
})
