/** The times and numbers that a configuration grants to clients, whole: what it does not say is as it is by default. */
import { DEFAULT_ORIGIN_LIMITS } from '../../node/origin/limits.ts'
import { NO_CLIENT_LIMITS } from '../../node/server/client-table.ts'
import type { ServerLimits } from '../../node/server/limits.ts'
import { DEFAULT_PACE } from '../../node/server/pace.ts'
import type { Config } from './schema.ts'

export function serverLimits({ timeouts = {}, clients = {}, origins = {} }: Config): ServerLimits {
  return {
    pace: {
      headMs: timeouts.head ?? DEFAULT_PACE.headMs,
      idleMs: timeouts.idle ?? DEFAULT_PACE.idleMs,
      bodyMs: timeouts.body ?? DEFAULT_PACE.bodyMs,
      bodyOctetsPerSecond: timeouts.bodyOctetsPerSecond ?? DEFAULT_PACE.bodyOctetsPerSecond,
      readerMs: timeouts.reader ?? DEFAULT_PACE.readerMs,
      readerOctetsPerSecond: timeouts.readerOctetsPerSecond ?? DEFAULT_PACE.readerOctetsPerSecond,
      lingerMs: timeouts.linger ?? DEFAULT_PACE.lingerMs,
      lingerOctets: timeouts.lingerOctets ?? DEFAULT_PACE.lingerOctets,
    },
    clients: {
      connections: clients.connections ?? NO_CLIENT_LIMITS.connections,
      requestsPerSecond: clients.requestsPerSecond ?? NO_CLIENT_LIMITS.requestsPerSecond,
      requestBurst: clients.requestBurst ?? NO_CLIENT_LIMITS.requestBurst,
    },
    origin: {
      connectMs: origins.connect ?? DEFAULT_ORIGIN_LIMITS.connectMs,
      headMs: origins.head ?? DEFAULT_ORIGIN_LIMITS.headMs,
      bodyMs: origins.body ?? DEFAULT_ORIGIN_LIMITS.bodyMs,
      objectOctets: origins.objectOctets ?? DEFAULT_ORIGIN_LIMITS.objectOctets,
      parallel: origins.parallel ?? DEFAULT_ORIGIN_LIMITS.parallel,
    },
  }
}
