import { Connection } from '../node/stack/connection.ts'
import { ESTABLISHED } from '../node/tcp/events.ts'
import { tcbIn } from '../node/tcp/tcb-in-state.ts'
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
  let isShifting = false
  const acceptor = new Acceptor({
    pathOf: () => '/',
    heldAs: path => path,
    place: () => undefined,
    hasApp: () => true,
    placeApp: (_port, not) => not.length + 1,
    port: 80,
    shift: (_connection, to, at) => {
      tries.push([to, at])
      isShifting = true
    },
    isShifting: () => isShifting,
    touched: () => {},
    owns: () => true,
    nowSecond: () => 0,
  })
  const connection = new Connection(1, 0, FLOW, tcbIn('ESTABLISHED'))
  acceptor.accepted(connection, 1_000)
  acceptor.advanced(connection, ESTABLISHED, 1_000)
  isShifting = false
  acceptor.kept(connection, 6_000)
  expect(tries).toEqual([
    [1, 1_000],
    [2, 6_000],
  ])
})
