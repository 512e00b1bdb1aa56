/**
 * Packets that nobody honest sends, at a whole cluster: what each costs in packets, messages and state, and that clients
 * notice nothing of it. Floods of SYNs are in `syn-flood.test.ts`, what one connection bears in `node/tcp`.
 */
import { createTcpHeader, type TcpHeader } from '../../../node/wire/emit.ts'
import { ACK, PSH, RST, SYN } from '../../../node/wire/segment.ts'
import type { Packet } from '../network/element.ts'
import { tcpPacket } from '../network/packet.ts'
import type { Client } from './client.ts'
import { Cluster } from './cluster.ts'
import { exchangeOf } from './exchange.ts'

const FILES = { '/large.bin': 400_000 }
const FORGED = 2_000
const NODES = 3
const PAYLOAD = new Uint8Array(100)

function forged(sim: Cluster, fields: Partial<TcpHeader>, payload = new Uint8Array(0)): Packet {
  const header = createTcpHeader()
  const { v4, port } = sim.vips
  const { random } = sim.world
  Object.assign(header, {
    ...{ dst2: v4.word2, dst3: v4.word3, dstPort: port, src2: v4.word2 },
    ...{ src3: 0x0b000000 | random.int(1 << 24), srcPort: 1_024 + random.int(30_000) },
    ...{ flags: ACK, seq: random.int32(), ack: random.int32(), window: 64_240 },
    ...{ hasTimestamps: true, tsVal: random.int32(), tsEcr: random.int32() },
    ...fields,
  })
  return tcpPacket(header, payload)
}

/** A client in the middle of its download, and how many packets and messages the cluster has sent. */
function busy(seed: number): {
  readonly sim: Cluster
  readonly client: Client
  readonly messages: () => number
} {
  const sim = new Cluster({ seed, nodes: NODES, files: FILES, isAttacked: true })
  const client = sim.client({
    exchanges: [exchangeOf(sim.files, '/large.bin')],
    closes: false,
    tcp: { receiveMaxOctets: 8_192 },
  })
  expect(sim.runUntil(() => client.octets > 20_000, 10_000)).toBe(true)
  let sent = 0
  sim.watch = {
    sent: () => {
      sent++
      return true
    },
    delivered: () => {},
  }
  return { sim, client, messages: () => sent }
}

function arrivesWhole(sim: Cluster, client: Client): void {
  expect(sim.runUntil(() => client.done, 60_000)).toBe(true)
  expect([client.failure, client.resets]).toEqual([undefined, 0])
}

function resetsSent(sim: Cluster): number {
  return sim.owners().reduce((sum, owner) => sum + owner.counters.resetsSent, 0)
}

function connections(sim: Cluster): number {
  return sim.owners().reduce((sum, owner) => sum + owner.connections, 0)
}

it('timestamps that name an owner wrongly: a message to the dispatcher and one reset each, and no state', () => {
  const { sim, client, messages } = busy(1)
  const before = connections(sim)
  const { forwards } = sim.dispatcher.owner
  const records = forwards.size
  for (let node = 1; node <= NODES; node++) {
    for (let sent = 0; sent < FORGED; sent += 50) {
      const packets = Array.from({ length: 50 }, () =>
        forged(sim, { tsEcr: (sim.world.random.int32() << 8) | node }),
      )
      sim.flood(packets, node)
      sim.run(1)
    }
  }
  const all = NODES * FORGED
  expect(resetsSent(sim)).toBe(all)
  expect(messages()).toBeGreaterThanOrEqual(all)
  // The rest is the cluster's own: loads and the like.
  expect(messages()).toBeLessThan(all + 500)
  expect([connections(sim), forwards.size]).toEqual([before, records])
  for (let node = 1; node <= NODES; node++) expect(sim.node(node).owner.counters.resetsSent).toBe(0)
  arrivesWhole(sim, client)
})

it("timestamps of one's own connection that name another owner: the packets find their way, and one message each", () => {
  const { sim, client, messages } = busy(2)
  const owner = sim.ownerOf(client)?.owner.config.id ?? 0
  const other = (owner % NODES) + 1
  const { flow } = client.tcb
  const mine = { src3: flow.local3, srcPort: flow.localPort }
  const before = messages()
  const start = sim.now
  for (let sent = 0; sent < 200; sent++) {
    sim.flood([forged(sim, { ...mine, flags: ACK | PSH, tsEcr: other }, PAYLOAD)], other)
    sim.run(0.1)
  }
  // RETURNED to the dispatcher, PACKET to the owner.
  expect(messages() - before).toBeLessThan(2 * 200 + (sim.now - start) + 100)
  arrivesWhole(sim, client)
})

it('a flood of acknowledgements at the dispatcher: a reset each, no state, no message', () => {
  const { sim, client, messages } = busy(3)
  const before = connections(sim)
  const told = messages()
  sim.flood(Array.from({ length: 10_000 }, () => forged(sim, { tsEcr: 0 })))
  expect([resetsSent(sim), connections(sim), messages() - told]).toEqual([10_000, before, 0])
  arrivesWhole(sim, client)
})

it('resets of flows that nobody knows: nothing at all', () => {
  const { sim, client, messages } = busy(4)
  const told = messages()
  sim.flood(Array.from({ length: 10_000 }, () => forged(sim, { flags: RST, hasTimestamps: false })))
  expect([resetsSent(sim), messages() - told]).toEqual([0, 0])
  arrivesWhole(sim, client)
})

it.each([
  ['SYNs', { flags: SYN }],
  ['acknowledgements', { flags: ACK, tsEcr: 0 }],
] as const)('%s from our own address: dropped unanswered, wherever they come in', (_, fields) => {
  const { sim, client } = busy(5)
  const { v4, port } = sim.vips
  const before = connections(sim)
  for (let owner = 0; owner <= NODES; owner++) {
    sim.flood(
      Array.from({ length: 500 }, () => forged(sim, { ...fields, src3: v4.word3, srcPort: port })),
      owner,
    )
    expect(sim.owners()[owner]?.counters.discarded.martian).toBe(500)
  }
  expect([resetsSent(sim), connections(sim)]).toEqual([0, before])
  arrivesWhole(sim, client)
})

it('a gateway whose map is full: clients with timestamps need none of it, the others are told 503 and not reset', () => {
  const { sim, client } = busy(6)
  // As the kernel says when there is no room for one more element.
  sim.gatewayUp = false
  const exchange = exchangeOf(sim.files, '/large.bin')
  const with4 = sim.client({ exchanges: [exchange] })
  const without = sim.client({ raw: true, timestamps: false })
  without.write('GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n')
  arrivesWhole(sim, client)
  arrivesWhole(sim, with4)
  expect(sim.runUntil(() => without.finished || without.ended, 60_000)).toBe(true)
  expect(without.transcript).toMatch(/^HTTP\/1\.1 503 /)
  expect([without.failure, without.resets]).toEqual([undefined, 0])
})
