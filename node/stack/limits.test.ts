import { asSeq, diff } from '../tcp/seq.ts'
import { isnAfter } from '../tcp/time-wait.ts'
import { close } from '../tcp/user.ts'
import { ACK } from '../wire/segment.ts'
import type { Connection } from './connection.ts'
import { TestPeer } from './test-peer.ts'
import { TestStand } from './test-stand.ts'

/** A connection that we closed first, and that is in TIME-WAIT now. */
function timeWait(stand: TestStand, port: number): TestPeer {
  const peer = new TestPeer(stand, port).establish()
  const { connection } = peer
  close(connection.tcb)
  stand.owner.touched(connection, stand.now)
  peer.finish()
  expect(connection.tcb.state).toBe('TIME-WAIT')
  return peer
}

describe('connections in TIME-WAIT', () => {
  it('end, the oldest first, when there are too many', () => {
    const stand = new TestStand({ timeWait: 3 })
    const peers = [1, 2, 3, 4, 5].map(port => timeWait(stand, port))
    expect(stand.owner.usage().timeWait).toEqual({ used: 3, max: 3 })
    expect(stand.owner.counters.memory.TCPTimeWaitOverflow).toBe(2)
    expect(peers.map(peer => peer.connection?.tcb.state)).toEqual([
      undefined,
      undefined,
      'TIME-WAIT',
      'TIME-WAIT',
      'TIME-WAIT',
    ])
    stand.runTo(stand.now + 60_000)
    expect(stand.owner.usage().timeWait?.used).toBe(0)
    expect(stand.owner.connections).toBe(0)
  })

  it('leave their successor an ISN above all that they sent (RFC 9293 §3.10.7.4, RFC 6191)', () => {
    const stand = new TestStand()
    const old = timeWait(stand, 1)
    const { tcb } = old.connection
    // As after 1 GiB, which the clock of RFC 6528 takes more than an hour for.
    tcb.snd.nxt = asSeq(tcb.snd.nxt + 2 ** 30)
    const least = isnAfter(tcb)
    const successor = new TestPeer(stand, 1, 2)
    successor.syn()
    expect(successor.connection.tcb.state).toBe('SYN-RECEIVED')
    expect(successor.connection.tcb.snd.iss).toBe(least)
    expect(stand.owner.connections).toBe(1)
  })

  it('leave the clock its say where it is ahead already', () => {
    const stand = new TestStand()
    const least = isnAfter(timeWait(stand, 1).connection.tcb)
    stand.now += 10_000
    const successor = new TestPeer(stand, 1, 2)
    successor.syn()
    expect(diff(successor.connection.tcb.snd.iss, asSeq(least))).toBeGreaterThan(2_000_000)
  })

  it('are taken over by state, never by a cookie', () => {
    const stand = new TestStand({ halfOpen: 1 })
    timeWait(stand, 1)
    new TestPeer(stand, 2).syn()
    new TestPeer(stand, 3).syn()
    new TestPeer(stand, 1, 2).syn()
    expect(stand.owner.counters.listen.SyncookiesSent).toBe(1)
    expect(stand.owner.usage().halfOpen?.used).toBe(2)
  })
})

describe('a full table', () => {
  it('sheds the oldest in TIME-WAIT, then the oldest half-open one, and no other', () => {
    const stand = new TestStand({ connections: 4 })
    const established = new TestPeer(stand, 1).establish()
    timeWait(stand, 2)
    const halfOpen = [3, 4].map(port => {
      const peer = new TestPeer(stand, port)
      peer.syn()
      return peer
    })
    const { memory, listen } = stand.owner.counters
    const held = () => stand.connections().map(({ remotePort }) => remotePort)

    const first = new TestPeer(stand, 11)
    first.syn()
    expect(held()).toEqual([1, 2, 3, 4])
    first.send({})
    expect(held()).toEqual([1, 3, 4, 11])
    expect(memory.TCPTimeWaitOverflow).toBe(1)

    new TestPeer(stand, 12).establish()
    expect(held()).toEqual([1, 4, 11, 12])
    new TestPeer(stand, 13).establish()
    expect(held()).toEqual([1, 11, 12, 13])
    expect(memory.TCPReqQFullDrop).toBe(2)

    expect(stand.owner.full).toBe(true)
    const refused = new TestPeer(stand, 14).establish()
    expect(held()).toEqual([1, 11, 12, 13])
    expect([listen.ListenOverflows, listen.ListenDrops]).toEqual([1, 1])
    expect(stand.owner.counters.resetsSent).toBe(0)
    expect(established.connection.tcb.state).toBe('ESTABLISHED')

    // What was shed has no more a claim; who was refused sends again, and there is room now.
    stand.owner.remove(established.connection)
    refused.send({ payloadLength: 100 })
    expect(refused.connection.tcb.receiveQueue.octets).toBe(100)
    expect(halfOpen.map(peer => peer.connection)).toEqual([undefined, undefined])
  })
})

describe('octets held for applications', () => {
  const KIB = 1_024

  it('are counted while they are held', () => {
    const stand = new TestStand()
    const peer = new TestPeer(stand, 1).establish()
    peer.send({ payloadLength: 1_000 })
    expect(stand.owner.usage().heldOctets?.used).toBe(1_000)
    // Beyond a gap the buffer counts.
    peer.send({ seq: peer.seq + 5_000, payloadLength: 10 })
    expect(stand.owner.usage().heldOctets?.used).toBe(1_000 + 2 * KIB)
    stand.owner.remove(peer.connection)
    expect(stand.owner.usage().heldOctets?.used).toBe(0)
  })

  it('are bounded, whatever peers send', () => {
    const max = 64 * KIB
    const stand = new TestStand({ heldOctets: max })
    const peers = [1, 2, 3, 4].map(port => new TestPeer(stand, port).establish())
    for (let hole = 0; hole < 100; hole++) {
      for (const peer of peers) peer.send({ seq: peer.seq + 2 + 2 * hole, payloadLength: 1 })
      expect(stand.owner.usage().heldOctets?.used).toBeLessThanOrEqual(0.75 * max + 2 * KIB)
    }
    expect(stand.owner.config.tcp.counters.TCPOFODrop).toBeGreaterThan(300)
  })

  it('are given up beyond gaps where one batch brought too many', () => {
    const stand = new TestStand({ heldOctets: 64 * KIB })
    const peers = [1, 2].map(port => new TestPeer(stand, port).establish())
    const { memory } = stand.owner.counters
    const packets = peers.flatMap(({ port, seq, ack, tsVal, tsEcr }) =>
      Array.from({ length: 30 }, (_, hole) => {
        const numbers = { srcPort: port, ack, tsVal, tsEcr, hasTimestamps: true, flags: ACK }
        return stand.segment({ ...numbers, seq: seq + 2 + 2 * hole, payloadLength: 1 })
      }),
    )
    stand.receive(packets)
    expect(memory.PruneCalled).toBe(1)
    expect(memory.OfoPruned).toBe(30)
    expect(stand.owner.usage().heldOctets?.used).toBe(60 * KIB)
    // The peer fills the gap, and what was given up comes again.
    const pruned = peers.find(peer => peer.connection.tcb.outOfOrder.runs.length === 0) as TestPeer
    pruned.send({ payloadLength: 100 })
    expect(pruned.connection.tcb.receiveQueue.octets).toBe(100)
  })

  it('leave room for the next octets of a queue that is empty, and for acknowledgements', () => {
    const stand = new TestStand({ heldOctets: 8 * KIB })
    const hoarders = Array.from({ length: 10 }, (_, index) => new TestPeer(stand, 10 + index).establish())
    for (const peer of hoarders) {
      peer.send({ payloadLength: 700 })
      peer.seq += 700
      peer.send({ payloadLength: 700 })
    }
    const { tcp } = stand.owner.config
    expect(tcp.counters.TCPRcvQDrop).toBeGreaterThan(0)
    const fresh = new TestPeer(stand, 1).establish()
    expect(stand.owner.usage().heldOctets?.used).toBeLessThan(8 * KIB + 700)
    stand.owner.remove(hoarders[0]?.connection as Connection)
    fresh.send({ payloadLength: 300 })
    const { tcb } = fresh.connection
    expect(tcb.receiveQueue.octets).toBe(300)
    // The second part is refused, and still acknowledges what we sent.
    fresh.seq += 300
    close(tcb)
    stand.owner.touched(fresh.connection, stand.now)
    fresh.ack = (fresh.ack + 1) | 0
    fresh.send({ payloadLength: 300, flags: ACK })
    expect(tcb.receiveQueue.octets).toBe(300)
    expect(tcb.state).toBe('FIN-WAIT-2')
  })

  it('are refused to all when there is no room at all', () => {
    const stand = new TestStand({ heldOctets: 2 * KIB })
    const [first, second] = [1, 2].map(port => new TestPeer(stand, port).establish()) as [TestPeer, TestPeer]
    first.send({ payloadLength: 2_048 })
    second.send({ payloadLength: 100 })
    expect(second.connection.tcb.receiveQueue.octets).toBe(0)
    stand.owner.remove(first.connection)
    second.send({ payloadLength: 100 })
    expect(second.connection.tcb.receiveQueue.octets).toBe(100)
  })

  it('keep windows from growing while they are scarce', () => {
    const stand = new TestStand({ heldOctets: 8 * KIB })
    const { tcp } = stand.owner.config
    const peer = new TestPeer(stand, 1).establish()
    peer.connection.tcb.rcv.limit = tcp.receiveMaxOctets
    peer.send({ payloadLength: 7_000 })
    expect(peer.connection.tcb.rcv.limit).toBe(tcp.receiveInitialOctets)
    expect(stand.owner.counters.memory.TCPMemoryPressures).toBe(1)
  })
})
