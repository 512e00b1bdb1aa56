import { TestStand } from '../stack/test-stand.ts'
import { inspect } from './inspect.ts'
import { answer, type OperatorHost } from './operator.ts'
import { hashOf, MAX_SAMPLED, type Watched, watch } from './watch.ts'

const QUERY = { since: 0, below: 65_536, focus: [], client: '', fresh: false }

function standOf(connections: number): { stand: TestStand; host: OperatorHost } {
  const stand = new TestStand({ halfOpen: 10_000 })
  stand.receive(Array.from({ length: connections }, () => stand.segment({})))
  const host = {
    owner: stand.owner,
    store: undefined,
    requests: () => 7,
    draining: () => false,
    device: () => ({ packetsIn: 5, octetsOut: 9 }),
    now: () => stand.now,
  } as unknown as OperatorHost
  return { stand, host }
}

function watched(host: OperatorHost, query: Partial<typeof QUERY> = {}): Watched {
  return watch(host, { ...QUERY, ...query }) as Watched
}

it('tells the words of a connection once, and its figures each time', () => {
  const { stand, host } = standOf(2)
  const [first] = stand.connections()
  expect(watched(host).sockets.map(row => row.slice(0, 2))).toEqual(
    stand.connections().map(({ id }) => [id, 2]),
  )
  expect(watched(host).sockets.map(row => row.length)).toEqual([8, 8])
  ;(first as { request: string }).request = 'GET /film.bin'
  expect(watched(host).sockets[0]?.slice(8)).toEqual(['10.9.0.1:1024', 'GET /film.bin', 1_800_000_000])
  expect(watched(host, { fresh: true }).sockets.map(row => row.length)).toEqual([11, 11])
  expect(watched(host).figures).toMatchObject({ requests: 7, accepted: 2, packetsIn: 5, octetsOut: 9 })
})

it('samples by the hash of ids, at most so many, and whom it is asked for by name', () => {
  const { stand, host } = standOf(2_000)
  expect(watched(host).connections).toBe(2_000)
  expect(watched(host).sockets).toHaveLength(MAX_SAMPLED)
  const below = 6_554
  const ids = watched(host, { below }).sockets.map(([id]) => id as number)
  expect(ids.length).toBeGreaterThan(150)
  expect(ids.length).toBeLessThan(250)
  expect(ids.every(id => hashOf(id) < below)).toBe(true)
  const outside = stand.connections().filter(({ id }) => hashOf(id) >= below)
  const [one = 0, other = 0] = outside.map(({ id }) => id)
  const client = `10.9.0.1:${outside[1]?.remotePort}`
  const named = watch(host, { ...QUERY, below: 0, focus: [one], client }) as Watched
  expect(named.sockets.map(([id]) => id as number).sort((a, b) => a - b)).toEqual([one, other])
})

it('tells the shifts since the last question, refusals too', () => {
  const { stand, host } = standOf(1)
  const [connection] = stand.connections()
  stand.owner.shift(connection as never, 3, stand.now, 'order', () => {})
  stand.now += 10
  const { seq, shifts, counts } = watched(host)
  expect([seq, counts]).toEqual([1, { '3 order UNKNOWN_TARGET': 1 }])
  expect(shifts).toEqual([[1, connection?.id, 3, 'order', 'UNKNOWN_TARGET', 10, 0, 0, 0]])
  expect(watched(host, { since: 1 }).shifts).toEqual([])
})

it('inspects one connection in the words of ss', () => {
  const { stand, host } = standOf(1)
  const [connection] = stand.connections()
  expect(inspect(host, connection?.id)).toMatchObject({
    client: '10.9.0.1:1024',
    shifts: 0,
    log: [],
    tcp: { state: 'SYN-RECEIVED', retrans: 0, bytes_acked: 0, cwnd: 10 },
  })
  expect(inspect(host, 99)).toMatchObject({ tcp: null, client: '', log: [] })
})

it('counts what is sent again', () => {
  const { stand, host } = standOf(1)
  stand.runTo(stand.now + 5_000)
  const [connection] = stand.connections()
  expect(connection?.retransmissions).toBeGreaterThan(0)
  expect(watched(host).sockets[0]?.[5]).toBe(connection?.retransmissions)
  expect(watched(host).figures.retransmitted).toBe(connection?.retransmissions)
})

it.each([
  ['watch', null],
  ['watch', { ...QUERY, since: '0' }],
  ['watch', { ...QUERY, focus: Array.from({ length: 9 }, () => 1) }],
  ['watch', { ...QUERY, client: 5 }],
  ['inspect', 'x'],
  ['end', 'SIGSTOP'],
  ['forget', 5],
])('%s with %j changes nothing', async (what, details) => {
  const { host } = standOf(1)
  expect([undefined, 'false']).toContain(await answer(host, what, details))
})
