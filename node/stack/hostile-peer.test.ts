/** Another owner is not what it should be: it speaks the protocol, and lies. It may not cost what it does not speak of. */
import type { Flow } from '../../clone/flow.ts'
import { exportSnapshot } from '../../clone/snapshot.ts'
import { encodeShiftMessage, type ShiftMessage } from '../../shift/messages.ts'
import { send } from '../tcp/user.ts'
import type { Connection } from './connection.ts'
import type { OwnerLimits } from './limits.ts'
import { SHIFT_PROTOCOL } from './owner.ts'
import { TestPeer } from './test-peer.ts'
import { TestStand } from './test-stand.ts'

const HOSTILE = 2
const DISPATCHER = 9
const MEBIBYTE = 2 ** 20
const REFUSED = 2
const TAGS = { NO_MEMORY: 1, STALE: 3, BAD_SNAPSHOT: 4 }

class Node {
  readonly stand: TestStand

  constructor(limits: Partial<OwnerLimits> = {}, dispatcherId = DISPATCHER) {
    this.stand = new TestStand(limits, { reachable: () => true }, dispatcherId)
  }

  tell(message: ShiftMessage): void {
    const { owner, now } = this.stand
    owner.receiveMessage(HOSTILE, [SHIFT_PROTOCOL, ...encodeShiftMessage(message)], now)
  }

  commit(connection: number, epoch: number, flow: Flow, snapshot: unknown): void {
    this.tell({ type: 'COMMIT', connection, epoch, flow, snapshot })
  }

  /** Reasons of the refusals since the last time, by their numbers. */
  refusals(): unknown[] {
    const all = this.stand.messages.splice(0)
    return all.filter(({ envelope }) => envelope[1] === REFUSED).map(({ envelope }) => envelope[4])
  }
}

/** Connections as another owner has them. */
const others = new TestStand()

function given(port: number, octets = 0): { readonly flow: Connection; readonly snapshot: unknown[] } {
  const { connection } = new TestPeer(others, port).establish()
  const { tcb } = connection
  for (let left = octets; left > 0; left -= 65_536)
    send(tcb, new Uint8Array(Math.min(left, 65_536)), others.now)
  const state = { tcb, application: null, shifts: 0, request: '', since: 0 }
  return { flow: connection, snapshot: exportSnapshot(state, others.now) }
}

/** The client acknowledges what is sent to it until that is all. */
function takeAll(stand: TestStand, { remotePort, tcb }: Connection): void {
  const peer = new TestPeer(stand, remotePort, 100)
  peer.seq = tcb.rcv.nxt
  for (let turns = 0; turns < 1_000 && tcb.sendQueue.octets > 0; turns++) {
    peer.ack = tcb.snd.nxt
    peer.send({})
  }
  expect(tcb.sendQueue.octets).toBe(0)
}

describe('a hostile peer', () => {
  it('cannot give its connection the name of another one', () => {
    const node = new Node()
    const first = given(5_000)
    node.commit(1, 1, first.flow, first.snapshot)
    const connection = node.stand.owner.byId.get(1)
    expect(connection?.kind).toBe('connection')
    node.stand.messages.length = 0
    const second = given(5_001)
    node.commit(1, 7, second.flow, second.snapshot)
    node.tell({ type: 'PREPARE', connection: 1, epoch: 8, flow: second.flow, needs: [], octets: 0, round: 1 })
    expect(node.refusals()).toEqual([TAGS.STALE, TAGS.STALE])
    const { owner } = node.stand
    expect([owner.byId.get(1), owner.connections, owner.flows.size]).toEqual([connection, 1, 1])
  })

  it('costs no connection by a COMMIT that is refused, and hears the same again', () => {
    const node = new Node()
    const { flow, snapshot } = given(5_002)
    node.commit(1, 1, flow, snapshot)
    const connection = node.stand.owner.byId.get(1)
    node.stand.messages.length = 0
    node.commit(1, 2, flow, [])
    node.commit(1, 2, flow, snapshot)
    expect(node.refusals()).toEqual([TAGS.BAD_SNAPSHOT, TAGS.STALE])
    expect(node.stand.owner.byId.get(1)).toBe(connection)
  })

  it('cannot have us answer a client from a flow that COMMIT does not name', () => {
    const node = new Node()
    const { snapshot } = given(5_003)
    node.commit(1, 1, given(5_004).flow, snapshot)
    const { flow: third } = given(5_005)
    const { tcb } = third
    const elsewhere = { ...tcb, flow: { ...tcb.flow, local3: tcb.flow.local3 + 1 } }
    const state = { tcb: elsewhere, application: null, shifts: 0, request: '', since: 0 }
    node.commit(2, 1, third, exportSnapshot(state, others.now))
    expect(node.refusals()).toEqual([TAGS.BAD_SNAPSHOT, TAGS.BAD_SNAPSHOT])
    expect(node.stand.owner.connections).toBe(0)
  })

  it('fills no memory with octets to send: of 8 MiB for 3 MiB the rest is refused, until those are sent', () => {
    const node = new Node({ heldOctets: 3 * MEBIBYTE })
    const offer = (port: number) => {
      const { flow, snapshot } = given(port, MEBIBYTE)
      node.commit(port, 1, flow, snapshot)
    }
    for (let port = 6_001; port <= 6_008; port++) offer(port)
    const { owner, now } = node.stand
    expect(node.refusals()).toEqual(Array(5).fill(TAGS.NO_MEMORY))
    expect(owner.usage().carriedOctets).toEqual({ used: 3 * MEBIBYTE, max: 3 * MEBIBYTE })
    const [first] = node.stand.connections() as [Connection]
    takeAll(node.stand, first)
    node.stand.now = now + 1_000
    offer(6_009)
    offer(6_010)
    expect(node.refusals()).toEqual([TAGS.NO_MEMORY])
  })

  it('fills no table with refusals: 5,000 COMMITs leave 100 tombstones, and none at a dispatcher', () => {
    const node = new Node({ forwards: 100 })
    const dispatcher = new Node({ forwards: 100 }, 0)
    const { flow, snapshot } = given(7_001)
    node.commit(1, 1, flow, snapshot)
    new TestPeer(dispatcher.stand, 7_000).establish()
    for (let id = 1_000; id < 6_000; id++) {
      const other = { ...flow, remotePort: 10_000 + id }
      node.commit(id, 1, other, [])
      dispatcher.commit(id, 1, other, [])
    }
    expect([node.stand.owner.forwards.size, dispatcher.stand.owner.forwards.size]).toEqual([100, 0])
    expect(node.stand.owner.flows.size).toBe(101)
    for (const { stand } of [node, dispatcher]) expect(stand.connections()).toHaveLength(1)
  })
})
