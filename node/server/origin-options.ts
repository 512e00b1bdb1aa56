/** How a process reaches origins, and what it says of those that it does not reach: never more than a line a second. */
import type { OriginLimits } from '../origin/limits.ts'
import { RELAY_VARIABLE, relayConnector } from '../origin/relay.ts'
import type { OriginOptions } from './sites.ts'

const SAY_MS = 1_000

export function originOptions(limits: OriginLimits, say: (text: string) => void): OriginOptions {
  const relay = process.env[RELAY_VARIABLE]
  let saidAt = Number.NEGATIVE_INFINITY
  let unsaid = 0
  return {
    limits,
    connect: relay === undefined ? undefined : relayConnector(relay, limits.connectMs),
    failed: reason => {
      const now = performance.now()
      if (now - saidAt < SAY_MS) {
        unsaid++
        return
      }
      say(`origin ${reason}${unsaid === 0 ? '' : ` (and ${unsaid} more failures)`}`)
      saidAt = now
      unsaid = 0
    },
  }
}
