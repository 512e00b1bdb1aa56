import { churnOf } from './command.ts'

const NODES = 5
const CONNECTIONS = 600
/** Less than a connection lives. */
const CHANGE_MS = 400
/** Of wall time, on a machine with other work. */
const LIMIT_MS = 120_000

describe('while nodes leave and come back', () => {
  it(
    'no connection breaks where a node is emptied before it goes',
    async () => {
      const figures = await churnOf('gyre', NODES, CONNECTIONS, 1, CHANGE_MS)
      expect(figures.changes).toBeGreaterThanOrEqual(2)
      expect(figures.broken).toBe(0)
    },
    LIMIT_MS,
  )

  it(
    'connections break that hashes carry to other servers, more by the plain one than by the consistent one',
    async () => {
      const hash = await churnOf('hash', NODES, CONNECTIONS, 1, CHANGE_MS)
      const consistent = await churnOf('consistent hash', NODES, CONNECTIONS, 1, CHANGE_MS)
      expect(consistent.broken).toBeGreaterThan(0)
      expect(hash.broken).toBeGreaterThan(consistent.broken)
      expect(hash.broken).toBeLessThan(CONNECTIONS)
    },
    LIMIT_MS,
  )
})
