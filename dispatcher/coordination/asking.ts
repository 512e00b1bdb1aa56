/** How the sans-IO parts of coordination ask: one question at a time, each answered by whoever has a store. */
import type { Entry } from './store.ts'

export interface Ask {
  readonly key: string
  readonly askedAt: number
  /** What to write, if the register is still at `revision` (0: not there); undefined: read. */
  readonly write: { readonly value: string; readonly revision: number } | undefined
}

/** Of a read the entry, of a write the new revision; undefined: nothing is there, or it is at another revision. `away`: none in time. */
export type Answer = Entry | number | undefined | 'away'

export interface LeaseTimes {
  /** Unwritten for so long, an id may be taken by another. */
  readonly leaseMs: number
  readonly renewMs: number
}

/** Ten chances to renew in the time of a lease. */
export const DEFAULT_LEASE_TIMES: LeaseTimes = { leaseMs: 5_000, renewMs: 500 }

export function read(key: string, askedAt: number): Ask {
  return { key, askedAt, write: undefined }
}

export function write(key: string, value: string, revision: number, askedAt: number): Ask {
  return { key, askedAt, write: { value, revision } }
}
