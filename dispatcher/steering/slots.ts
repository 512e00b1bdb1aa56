/**
 * Packets that name nobody (SYNs, those of clients without timestamps) are spread over several dispatchers by parts of a hash
 * of their source. Which dispatcher has which part follows from the ids alone (rendezvous hashing), so that every gateway
 * decides alike, and one that comes or goes takes or leaves its own parts only.
 */

/** Enough that 16 dispatchers differ by a few in a hundred; all of it is one small map of the kernel. */
export const SLOTS = 256

/** The dispatcher of each slot; empty where there is none. */
export function slotsOf(dispatchers: readonly number[]): number[] {
  if (dispatchers.length === 0) return []
  return Array.from({ length: SLOTS }, (_, slot) => {
    return dispatchers.reduce((best, id) => (weight(slot, id) > weight(slot, best) ? id : best))
  })
}

/** The mixing function of MurmurHash3: differs in half of the bits for ids and slots that differ in one. */
function weight(slot: number, id: number): number {
  let hash = Math.imul((id + 1) * SLOTS + slot, 0x9e3779b1)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
