import { decodeRecordsMessage, type RecordMessage } from '../node/server/record-messages.ts'
import { Forward } from '../node/stack/connection.ts'
import { Recovery } from './recovery.ts'

const FLOW = { family: 4 as const, remote0: 0, remote1: 0, remote2: 0xffff, remote3: 7, localPort: 80 }

/** Connections of node 1, and nodes 2 and 3 that can take them up. */
class Stand {
  readonly forwards = new Map<number, Forward>()
  readonly sent: { readonly to: number; readonly message: ReturnType<typeof decodeRecordsMessage> }[] = []
  readonly lost: number[] = []
  nodes: number[] = [2, 3]
  steers = true
  now = 1_000
  readonly recovery = new Recovery({
    id: 0,
    ownerIdBits: 8,
    forward: connection => this.forwards.get(connection),
    forwards: () => this.forwards.values(),
    place: (_path, not) => this.nodes.find(node => !not.includes(node)),
    send: (to, envelope) => this.sent.push({ to, message: decodeRecordsMessage(envelope.slice(1)) }) > 0,
    steer: (_forward, _to, steered) => steered(this.steers),
    moved: () => {},
    lost: ({ id }) => {
      this.lost.push(id)
      this.forwards.delete(id)
    },
  })

  begin(connection: number, timestamps = true, octets = 400): void {
    const flow = { ...FLOW, remotePort: connection }
    const forward = new Forward(connection, 1, flow, 1, Number.POSITIVE_INFINITY, timestamps, 'GET /a')
    this.forwards.set(connection, forward)
    this.recovery.told(record(connection, octets), this.now)
  }

  die(node = 1): void {
    this.recovery.died(node, this.now)
    this.run(0)
  }

  run(ms: number): void {
    const until = this.now + ms
    while (this.recovery.pollAt() <= until) {
      this.now = Math.max(this.now, this.recovery.pollAt())
      this.recovery.poll(this.now)
    }
    this.now = until
  }
}

function record(connection: number, octets = 400, epoch = 1): RecordMessage {
  const flow = { ...FLOW, remotePort: connection }
  const owned = { connection, epoch, flow, timestamps: true, request: 'GET /a' }
  return { type: 'RECORD', owned, record: new Uint8Array(octets) }
}

describe('recovery', () => {
  it('orders another node with an epoch that no attempt of the dead one has reached, and ticks beyond its clock', () => {
    const stand = new Stand()
    stand.begin(1)
    stand.run(5_120)
    stand.die()
    const [{ to, message } = { to: 0, message: undefined }] = stand.sent
    expect([to, message]).toMatchObject([2, { type: 'RECOVER', connection: 1, epoch: 1_025, from: 1 }])
    expect(message).toMatchObject({ ticks: Math.ceil((5_120 + 10_000) / 256) })
    stand.recovery.claimed(1, 2)
    stand.run(60_000)
    expect([stand.sent.length, stand.recovery.counters.recovered]).toEqual([1, 1])
  })

  it('repeats an order that nobody answers with the same epoch, and gives up after a while', () => {
    const stand = new Stand()
    stand.begin(1)
    stand.die()
    stand.run(2_000)
    expect(new Set(stand.sent.map(({ to }) => to))).toEqual(new Set([2]))
    expect(
      new Set(stand.sent.map(({ message }) => message && 'epoch' in message && message.epoch)).size,
    ).toBe(1)
    stand.run(60_000)
    expect([stand.lost, stand.recovery.size]).toEqual([[1], { records: 0, octets: 0, orphans: 0 }])
  })

  it('asks the next node where one refuses, or dies as well, and counts why all have refused', () => {
    const stand = new Stand()
    stand.begin(1)
    stand.die()
    const refuse = (from: number) => {
      const epoch = stand.forwards.get(1)?.epoch ?? 0
      const message = { type: 'NOT_RECOVERED', connection: 1, epoch, reason: 'NO_OBJECT' } as const
      stand.recovery.notRecovered(from, message, stand.now)
      stand.run(0)
    }
    refuse(3)
    expect(stand.sent.length).toBe(1)
    stand.nodes = [3]
    stand.die(2)
    refuse(3)
    expect(stand.sent.map(({ to }) => to)).toEqual([2, 3])
    expect([stand.lost, stand.recovery.counters.lost]).toEqual([[1], { NO_OBJECT: 1 }])
  })

  it('waits for a node to come where there is none', () => {
    const stand = new Stand()
    stand.nodes = []
    stand.begin(1)
    stand.die()
    stand.run(3_000)
    stand.nodes = [1]
    stand.run(1_000)
    expect(stand.sent[0]?.to).toBe(1)
  })

  it('has the gateway told first where a client has no timestamps', () => {
    const stand = new Stand()
    stand.steers = false
    stand.begin(1, false)
    stand.die()
    stand.run(1_000)
    expect(stand.sent).toEqual([])
    stand.steers = true
    stand.run(1_000)
    expect(stand.sent[0]?.to).toBe(2)
  })

  it('keeps the newest record of a connection, and none of one that it does not know', () => {
    const stand = new Stand()
    stand.recovery.told(record(9), stand.now)
    stand.begin(1)
    stand.recovery.told(record(1, 300, 3), stand.now)
    stand.recovery.told(record(1, 500, 2), stand.now)
    expect(stand.recovery.size).toMatchObject({ records: 1, octets: 300 })
    stand.forwards.clear()
    stand.recovery.sweep()
    expect(stand.recovery.size).toEqual({ records: 0, octets: 0, orphans: 0 })
  })

  it('keeps nothing of what a node takes back', () => {
    const stand = new Stand()
    stand.begin(1)
    stand.recovery.told(record(1, 0), stand.now)
    stand.die()
    expect([stand.recovery.size, stand.sent]).toEqual([{ records: 0, octets: 0, orphans: 0 }, []])
  })
})
