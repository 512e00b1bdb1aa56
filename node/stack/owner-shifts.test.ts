import { encodeShiftMessage, type ShiftMessage } from '../../shift/messages.ts'
import type { ShiftResult } from '../../shift/outgoing.ts'
import type { Connection } from './connection.ts'
import type { OwnerLimits } from './limits.ts'
import { SHIFT_PROTOCOL } from './owner.ts'
import { TestPeer } from './test-peer.ts'
import { TestStand } from './test-stand.ts'

const OTHER = 2
const PREPARE = 0
const COMMIT = 4

class Stand {
  readonly closed: Connection[] = []
  readonly stand: TestStand
  #ports = 5_000

  constructor(limits: Partial<OwnerLimits> = {}) {
    const closed = (connection: Connection) => this.closed.push(connection)
    this.stand = new TestStand(limits, { reachable: () => true, closed })
  }

  get owner() {
    return this.stand.owner
  }

  established(): Connection {
    return new TestPeer(this.stand, this.#ports++).establish().connection
  }

  tell(message: ShiftMessage): void {
    this.owner.receiveMessage(OTHER, [SHIFT_PROTOCOL, ...encodeShiftMessage(message)], this.stand.now)
  }

  /** How many messages of a type were sent. */
  told(tag: number): number {
    return this.stand.messages.filter(({ envelope }) => envelope[0] === SHIFT_PROTOCOL && envelope[1] === tag)
      .length
  }
}

afterEach(() => jest.restoreAllMocks())

it('a refused COMMIT leaves a connection alone that has its flow here', () => {
  const stand = new Stand()
  const connection = stand.established()
  stand.tell({ type: 'COMMIT', connection: 99, epoch: 3, flow: connection, snapshot: [] })
  stand.tell({ type: 'COMMIT', connection: 99, epoch: 3, flow: connection, snapshot: [] })
  const refusals = stand.stand.messages.map(({ envelope }) => envelope)
  expect(refusals).toHaveLength(2)
  expect(refusals.every(([, tag]) => tag === 2)).toBe(true)
  const { owner } = stand
  expect(owner.flows.find(connection)).toBe(connection)
  // Nor does it when that is forgotten.
  stand.stand.runTo(120_000)
  expect(owner.forwards.size).toBe(0)
  expect(owner.flows.find(connection)).toBe(connection)
})

it('a connection that comes back to an owner without room ends there', () => {
  const stand = new Stand({ connections: 1 })
  const { owner } = stand
  const connection = stand.established()
  const established = owner.config.tcp.counters.CurrEstab
  const results: ShiftResult[] = []
  owner.shift(connection, OTHER, stand.stand.now, 'order', result => results.push(result))
  const epoch = connection.triedEpoch
  stand.tell({ type: 'PREPARED', connection: connection.id, epoch, round: 1 })
  expect([stand.told(PREPARE), stand.told(COMMIT)]).toEqual([1, 1])
  stand.established()
  const released = jest.spyOn(owner.application, 'released')
  const resumed = jest.spyOn(owner.application, 'resumed')
  stand.tell({ type: 'REFUSED', connection: connection.id, epoch, reason: 'NO_MEMORY', stage: 'COMMIT' })
  expect(results).toEqual([{ ok: false, reason: 'NO_MEMORY' }])
  expect(released.mock.calls.map(([ended]) => ended)).toEqual([connection])
  expect(resumed).not.toHaveBeenCalled()
  expect(stand.closed).toEqual([connection])
  expect(connection.frozen).toBe(false)
  expect([owner.connections, owner.config.tcp.counters.CurrEstab]).toEqual([1, established])
})

it('nothing is given away from within a callback, not even after an untimely `touched`', () => {
  const stand = new Stand()
  const { owner } = stand
  const connection = stand.established()
  // Whoever was just heard is not asked first.
  stand.tell({ type: 'ABORT', connection: 1, epoch: 1 })
  const within: number[] = []
  jest.spyOn(owner.application, 'advanced').mockImplementationOnce(() => {
    owner.touched(connection, stand.stand.now)
    owner.shift(connection, OTHER, stand.stand.now, 'order', () => {})
    within.push(stand.told(COMMIT))
  })
  const peer = new TestPeer(stand.stand, connection.remotePort)
  Object.assign(peer, { seq: 1_001, ack: connection.tcb.snd.nxt, tsVal: 2 })
  peer.send({ payloadLength: 10 })
  expect(within).toEqual([0])
  expect(stand.told(COMMIT)).toBe(1)
})

it('remembers no targets that no owner can have', () => {
  const stand = new Stand()
  const { owner } = stand
  const connection = stand.established()
  for (const to of [-1, 0.5, Number.NaN, 2 ** 40, 256, 257])
    owner.shift(connection, to, 1, 'application', () => {})
  expect([...owner.shiftLog.counts().keys()]).toEqual([])
})
