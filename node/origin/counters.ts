/** What the cache in front of origins has done, of all sites of a node. */
export interface OriginCounters {
  /** Answered from memory, fresh. */
  hits: number
  /** Asked of the origin, and kept. */
  misses: number
  /** Found unchanged by the origin. */
  revalidated: number
  /** Answered from memory though no longer fresh. */
  stale: number
  /** Asked of the origin for one client alone. */
  passed: number
  /** Requests that had the answer to another one under way. */
  collapsed: number
  /** Taken from the memory of a peer. */
  peerFills: number
  /** The origin did not answer, or not with anything that can be passed on. */
  errors: number
}

export function createOriginCounters(): OriginCounters {
  return { hits: 0, misses: 0, revalidated: 0, stale: 0, passed: 0, collapsed: 0, peerFills: 0, errors: 0 }
}
