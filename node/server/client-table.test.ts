import { ClientTable, MAX_CLIENTS, NO_CLIENT_LIMITS } from './client-table.ts'

const v4 = (address: number) => ({
  family: 4 as const,
  remote0: 0,
  remote1: 0,
  remote2: 0xffff,
  remote3: address,
  remotePort: 1,
  localPort: 80,
})
const v6 = (prefix: number, host: number) => ({
  ...v4(host),
  family: 6 as const,
  remote0: 0x2001_0db8,
  remote1: prefix,
  remote2: host,
})

describe('connections of one client', () => {
  it('are counted as they come and go', () => {
    const table = new ClientTable({ ...NO_CLIENT_LIMITS, connections: 2 })
    expect([1, 1, 1, 2].map(address => table.opened(v4(address), 0))).toEqual([true, true, false, true])
    table.closed(v4(1))
    expect(table.opened(v4(1), 0)).toBe(false)
    table.closed(v4(1))
    table.closed(v4(1))
    expect(table.opened(v4(1), 0)).toBe(true)
    for (const address of [1, 1, 1, 2]) table.closed(v4(address))
    expect(table.size).toBe(0)
  })

  it('an IPv6 client has a /64', () => {
    const table = new ClientTable({ ...NO_CLIENT_LIMITS, connections: 1 })
    expect([v6(1, 1), v6(1, 2), v6(2, 1)].map(flow => table.opened(flow, 0))).toEqual([true, false, true])
  })
})

describe('requests of one client', () => {
  it('RFC 6585 §4: at the rate all pass, above it the rest is refused', () => {
    const table = new ClientTable({ ...NO_CLIENT_LIMITS, requestsPerSecond: 10, requestBurst: 4 })
    const passed = (requests: number, everyMs: number, from: number) =>
      Array.from({ length: requests }, (_, index) => table.requested(v4(1), from + index * everyMs)).filter(
        Boolean,
      ).length
    expect(passed(20, 0, 0)).toBe(5)
    expect(passed(100, 100, 100_000)).toBe(100)
    expect(passed(1_000, 10, 200_000)).toBe(104)
    expect(table.requested(v4(2), 210_000)).toBe(true)
  })

  it('time that seems to go back earns nothing', () => {
    const table = new ClientTable({ ...NO_CLIENT_LIMITS, requestsPerSecond: 1, requestBurst: 0 })
    expect([1_000, 0, 1_000].map(now => table.requested(v4(1), now))).toEqual([true, false, false])
  })
})

it('without limits nothing is kept', () => {
  const table = new ClientTable(NO_CLIENT_LIMITS)
  for (let address = 0; address < 100; address++) {
    expect(table.opened(v4(address), 0)).toBe(true)
    expect(table.requested(v4(address), 0)).toBe(true)
  }
  expect(table.size).toBe(0)
})

it('many clients fill no memory, and lock nobody out', () => {
  const table = new ClientTable({ connections: 1, requestsPerSecond: 1, requestBurst: 0 })
  for (let address = 0; address < MAX_CLIENTS; address++) table.opened(v4(address), 0)
  expect(table.opened(v4(-1), 0)).toBe(true)
  expect(table.requested(v4(-1), 0)).toBe(true)
  expect(table.size).toBe(MAX_CLIENTS)
  for (let address = 0; address < MAX_CLIENTS; address++) table.closed(v4(address))
  for (let address = MAX_CLIENTS; address < MAX_CLIENTS + 100; address++) table.opened(v4(address), 0)
  expect(table.size).toBe(MAX_CLIENTS)
  expect(table.opened(v4(MAX_CLIENTS), 0)).toBe(false)
})
