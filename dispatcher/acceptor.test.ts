import { Connection } from '../node/stack/connection.ts'
import { ESTABLISHED } from '../node/tcp/events.ts'
import { tcbIn } from '../node/tcp/tcb-in-state.ts'
import type { ShiftResult } from '../shift/outgoing.ts'
import { Acceptor } from './acceptor.ts'

const FLOW = {
  family: 4,
  remote0: 0,
  remote1: 0,
  remote2: 0xffff,
  remote3: 9,
  remotePort: 4,
  localPort: 9_000,
} as const

it('gives each node that it tries its whole time', () => {
  const tries: [number, number][] = []
  const results: ((result: ShiftResult) => void)[] = []
  let now = 1_000
  const acceptor = new Acceptor({
    pathOf: () => '/',
    heldAs: path => path,
    place: () => undefined,
    hasApp: () => true,
    placeApp: (_port, not) => not.length + 1,
    port: 80,
    shift: (_connection, to, at, done) => {
      tries.push([to, at])
      results.push(done)
    },
    touched: () => {},
    owns: () => true,
    now: () => now,
    nowSecond: () => 0,
  })
  const connection = new Connection(1, 0, FLOW, tcbIn('ESTABLISHED'))
  acceptor.accepted(connection, now)
  acceptor.advanced(connection, ESTABLISHED, now)
  now = 6_000
  results[0]?.({ ok: false, reason: 'TIMEOUT' })
  expect(tries).toEqual([
    [1, 1_000],
    [2, 6_000],
  ])
})
