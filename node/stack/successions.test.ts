import type { Flow } from '../../clone/flow.ts'
import { encodeShiftMessage, type ShiftMessage, type ShiftRefusal } from '../../shift/messages.ts'
import type { ShiftResult } from '../../shift/outgoing.ts'
import type { Connection } from './connection.ts'
import type { OwnerLimits } from './limits.ts'
import { SHIFT_PROTOCOL } from './owner.ts'
import { exportRecord, Successions } from './successions.ts'
import { TestPeer } from './test-peer.ts'
import { TestStand } from './test-stand.ts'

const DISPATCHER = 9
const DEAD = 2
const OTHER = 3
const PREPARE = 0
const EPOCH = 1_025

/** Connections as the dead owner had them. */
const dead = new TestStand()

function bequeathed(port: number): { readonly flow: Connection; readonly record: unknown[] } {
  const { connection: flow } = new TestPeer(dead, port).establish()
  return { flow, record: exportRecord(dead.owner, flow, dead.now) as unknown[] }
}

class Node {
  readonly owned: [number, number][] = []
  readonly stand: TestStand
  readonly successions: Successions

  constructor(limits: Partial<OwnerLimits> = {}) {
    const owned = ({ id, epoch }: Connection) => this.owned.push([id, epoch])
    this.stand = new TestStand(limits, { reachable: () => true, owned }, DISPATCHER)
    this.successions = new Successions(this.owner)
  }

  get owner() {
    return this.stand.owner
  }

  /** What is answered, at once or later. */
  takeUp(connection: number, flow: Flow, record: unknown, epoch = EPOCH): (ShiftRefusal | undefined)[] {
    const answers: (ShiftRefusal | undefined)[] = []
    const bequest = { connection, epoch, flow, ticks: 40, record, from: DEAD }
    this.successions.takeUp(
      bequest,
      () => this.stand.now,
      refusal => answers.push(refusal),
    )
    return answers
  }

  tell(message: ShiftMessage): void {
    this.owner.receiveMessage(OTHER, [SHIFT_PROTOCOL, ...encodeShiftMessage(message)], this.stand.now)
  }
}

afterEach(() => jest.restoreAllMocks())

describe('what a dead owner left', () => {
  it('is taken up once', () => {
    const node = new Node()
    const { flow, record } = bequeathed(5_000)
    expect([node.takeUp(1, flow, record), node.takeUp(1, flow, record)]).toEqual([[undefined], [undefined]])
    expect([node.owner.connections, node.owned]).toEqual([
      1,
      [
        [1, EPOCH],
        [1, EPOCH],
      ],
    ])
  })

  it('is of the flow that the dispatcher names, and has the name of no other connection', () => {
    const node = new Node()
    const first = bequeathed(5_001)
    const second = bequeathed(5_002)
    expect(node.takeUp(1, first.flow, second.record)).toEqual(['BAD_SNAPSHOT'])
    expect(node.takeUp(1, first.flow, first.record)).toEqual([undefined])
    expect(node.takeUp(1, second.flow, second.record, EPOCH + 1)).toEqual(['STALE'])
    expect([node.owner.connections, node.owner.byId.get(1)?.epoch]).toEqual([1, EPOCH])
  })

  it('does not end a connection that its client has begun meanwhile from the same port', () => {
    const node = new Node()
    const { flow, record } = bequeathed(5_003)
    let fetched = () => {}
    jest.spyOn(node.owner.application, 'fetch').mockImplementationOnce((_keys, done) => {
      fetched = () => done(undefined)
    })
    const answers = node.takeUp(1, flow, record)
    node.tell({ type: 'COMMIT', connection: 2, epoch: 1, flow, snapshot: record[1] })
    const begun = node.owner.byId.get(2)
    fetched()
    expect([answers, node.owner.flows.find(flow)]).toEqual([['STALE'], begun])
    expect(begun?.kind).toBe('connection')
  })
})

describe('a node that is asked to take up what it owns', () => {
  it('shifts it with epochs above the new one from then on, and not with an old one', () => {
    const node = new Node()
    const { flow, record } = bequeathed(5_004)
    node.tell({ type: 'COMMIT', connection: 1, epoch: 1, flow, snapshot: record[1] })
    const connection = node.owner.byId.get(1) as Connection
    const results: ShiftResult[] = []
    const shift = () =>
      node.owner.shift(connection, OTHER, node.stand.now, 'order', result => results.push(result))
    node.stand.runTo(5_000)
    shift()
    expect(node.takeUp(1, flow, record)).toEqual([undefined])
    expect(results).toEqual([{ ok: false, reason: 'STALE' }])
    expect(node.owned.at(-1)).toEqual([1, EPOCH])
    node.stand.messages.length = 0
    shift()
    const prepares = node.stand.messages.filter(({ envelope }) => envelope[1] === PREPARE)
    expect(prepares.map(({ envelope }) => envelope[3])).toEqual([EPOCH + 1])
  })

  it('and is about to give away leaves it to others', () => {
    const node = new Node()
    const { flow, record } = bequeathed(5_005)
    node.tell({ type: 'COMMIT', connection: 1, epoch: 1, flow, snapshot: record[1] })
    const connection = node.owner.byId.get(1) as Connection
    node.stand.runTo(5_000)
    node.owner.shift(connection, OTHER, node.stand.now, 'order', () => {})
    node.tell({ type: 'PREPARED', connection: 1, epoch: 2, round: 1 })
    expect(node.owner.byId.get(1)?.kind).toBe('forward')
    expect(node.takeUp(1, flow, record)).toEqual(['ALREADY_SHIFTING'])
  })
})

it('what others have taken up is let go of as if it had been given to them, and nothing else', () => {
  const node = new Node()
  const { flow, record } = bequeathed(5_006)
  node.takeUp(1, flow, record)
  const connection = node.owner.byId.get(1) as Connection
  const released = jest.spyOn(node.owner.application, 'released')
  node.successions.disown(1, EPOCH, node.stand.now)
  expect(node.owner.byId.get(1)).toBe(connection)
  node.successions.disown(1, EPOCH + 1, node.stand.now)
  expect([node.owner.connections, released.mock.calls.length, connection.frozen]).toEqual([0, 1, true])
  expect(node.takeUp(1, flow, record)).toEqual(['STALE'])
})
