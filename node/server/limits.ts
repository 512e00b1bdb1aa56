/** What clients may take of an owner, time and number, and origins of its patience; the same on every owner of a cluster. */
import { DEFAULT_ORIGIN_LIMITS, type OriginLimits } from '../origin/limits.ts'
import { type ClientLimits, NO_CLIENT_LIMITS } from './client-table.ts'
import { DEFAULT_PACE, type PaceLimits } from './pace.ts'

export interface ServerLimits {
  readonly pace: PaceLimits
  readonly clients: ClientLimits
  readonly origin: OriginLimits
}

export const DEFAULT_LIMITS: ServerLimits = {
  pace: DEFAULT_PACE,
  clients: NO_CLIENT_LIMITS,
  origin: DEFAULT_ORIGIN_LIMITS,
}
