import { DEFAULT_LIMITS } from '../../node/server/limits.ts'
import type { Config } from './schema.ts'
import { serverLimits } from './server-limits.ts'
import { validateConfig } from './validate.ts'

function limitsOf(value: object) {
  const validation = validateConfig(value)
  expect(validation).not.toHaveProperty('issues')
  return serverLimits((validation as { config: Config }).config)
}

it('are the defaults where nothing is said', () => {
  expect(limitsOf({})).toEqual(DEFAULT_LIMITS)
  expect(limitsOf({ timeouts: {}, clients: {} })).toEqual(DEFAULT_LIMITS)
})

it('are what is said, in milliseconds and octets', () => {
  const { pace, clients } = limitsOf({
    timeouts: {
      ...{ head: '5s', idle: '2min', body: '1s', bodyOctetsPerSecond: '1KiB' },
      ...{ reader: '3s', readerOctetsPerSecond: 7, linger: '250ms', lingerOctets: '1MiB' },
    },
    clients: { connections: 10, requestsPerSecond: 20, requestBurst: 30 },
  })
  expect(pace).toEqual({
    ...{ headMs: 5_000, idleMs: 120_000, bodyMs: 1_000, bodyOctetsPerSecond: 1_024 },
    ...{ readerMs: 3_000, readerOctetsPerSecond: 7, lingerMs: 250, lingerOctets: 1_048_576 },
  })
  expect(clients).toEqual({ connections: 10, requestsPerSecond: 20, requestBurst: 30 })
})

it('are refused by path', () => {
  const validation = validateConfig({ timeouts: { head: '1ms', idel: '1s' }, clients: { connections: -1 } })
  expect(
    (validation as { issues: readonly { path: string }[] }).issues.map(({ path }) => path).sort(),
  ).toEqual(['clients.connections', 'timeouts.head', 'timeouts.idel'])
  expect(JSON.stringify(validation)).toContain('did you mean idle?')
})
