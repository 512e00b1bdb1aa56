/** What clients may take of an owner, time and number; the same on every owner of a cluster. */
import { type ClientLimits, NO_CLIENT_LIMITS } from './client-table.ts'
import { DEFAULT_PACE, type PaceLimits } from './pace.ts'

export interface ServerLimits {
  readonly pace: PaceLimits
  readonly clients: ClientLimits
}

export const DEFAULT_LIMITS: ServerLimits = { pace: DEFAULT_PACE, clients: NO_CLIENT_LIMITS }
