import fc from 'fast-check'
import { type ConnectionReport, type ConnectionsQuery, SORTS } from './api.ts'
import { selectConnections } from './connection-query.ts'

const all: ConnectionReport[] = [
  {
    id: 1,
    client: '10.77.9.2:40001',
    owner: 1,
    ownerName: 'node1',
    state: 'ESTABLISHED',
    srttMs: 2,
    octetsSent: 10,
    shifts: 0,
    request: 'GET /a.html',
    since: 300,
  },
  {
    id: 2,
    client: '10.77.9.2:40002',
    owner: 2,
    ownerName: 'node2',
    state: 'ESTABLISHED',
    srttMs: null,
    octetsSent: 30,
    shifts: 2,
    request: 'GET /B.png',
    since: 100,
  },
  {
    id: 3,
    client: '[fd77::9]:40003',
    owner: 1,
    ownerName: 'node1',
    state: 'CLOSE-WAIT',
    srttMs: 1,
    octetsSent: 20,
    shifts: 2,
    request: '',
    since: null,
  },
]
const query: ConnectionsQuery = { limit: 10, offset: 0, filter: '', sort: 'id', descending: false }
const ids = (changes: Partial<ConnectionsQuery>) =>
  selectConnections(all, { ...query, ...changes }).connections.map(({ id }) => id)

it.each<[Partial<ConnectionsQuery>, number[]]>([
  [{}, [1, 2, 3]],
  [{ descending: true }, [3, 2, 1]],
  [{ sort: 'octetsSent' }, [1, 3, 2]],
  [{ sort: 'srttMs' }, [2, 3, 1]],
  [{ sort: 'since', descending: true }, [1, 2, 3]],
  [{ sort: 'shifts', descending: true }, [2, 3, 1]],
  [{ sort: 'state' }, [3, 1, 2]],
  [{ filter: 'b.PNG' }, [2]],
  [{ filter: 'fd77' }, [3]],
  [{ filter: 'close' }, [3]],
  [{ filter: 'Node1' }, [1, 3]],
  [{ filter: 'nothing' }, []],
  [{ limit: 1, offset: 1 }, [2]],
  [{ offset: 9 }, []],
])('%j', (changes, expected) => {
  expect(ids(changes)).toEqual(expected)
})

it('counts what the filter lets through, not what is shown', () => {
  expect(selectConnections(all, { ...query, filter: 'node1', limit: 1 })).toMatchObject({
    total: 2,
    limit: 1,
    offset: 0,
  })
})

it('pages neither overlap nor leave out, whatever the order', () => {
  const size = fc.integer({ min: 1, max: 7 })
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 60 }),
      size,
      fc.constantFrom(...SORTS),
      fc.boolean(),
      (count, limit, sort, descending) => {
        const many = Array.from({ length: count }, (_, id) => ({ ...(all[id % 3] as ConnectionReport), id }))
        const seen: number[] = []
        for (let offset = 0; offset < count; offset += limit) {
          const page = selectConnections(many, { ...query, limit, offset, sort, descending })
          seen.push(...page.connections.map(({ id }) => id))
        }
        expect(seen.sort((a, b) => a - b)).toEqual(many.map(({ id }) => id))
      },
    ),
  )
})
