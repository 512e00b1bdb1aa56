import type { Connection } from '../../../node/stack/connection.ts'
import { createTcpHeader } from '../../../node/wire/emit.ts'
import { ACK, createSegment, RST, SYN } from '../../../node/wire/segment.ts'
import { delay } from '../network/delay.ts'
import type { Element, Packet } from '../network/element.ts'
import { readPacket, tcpPacket } from '../network/packet.ts'
import type { Client } from './client.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { exchangeOf } from './exchange.ts'

const FILES = { '/index.html': 3_000, '/large.bin': 300_000 }
/** Production's bound is 4,096, which the checks after every event would make slow. */
const MAX_HALF_OPEN = 32
const NO_OCTETS = new Uint8Array(0)

function cluster(options: Partial<ClusterOptions> & { readonly seed: number }): Cluster {
  return new Cluster({ files: FILES, ownerLimits: { halfOpen: MAX_HALF_OPEN }, ...options })
}

/** SYNs from `count` addresses that nobody has, as the Linux stack would send them. */
function spoofed(sim: Cluster, count: number, flags = SYN): Packet[] {
  const header = createTcpHeader()
  header.dst2 = sim.vips.v4.word2
  header.dst3 = sim.vips.v4.word3
  header.dstPort = sim.vips.port
  header.src2 = sim.vips.v4.word2
  header.flags = flags
  header.window = 64_240
  header.mss = 1_460
  header.hasTimestamps = true
  header.sackPermitted = true
  header.windowScale = 7
  return Array.from({ length: count }, () => {
    header.src3 = 0x0b000000 | sim.world.random.int(1 << 24)
    header.srcPort = 1_024 + sim.world.random.int(60_000)
    header.seq = sim.world.random.int32()
    header.ack = flags === SYN ? 0 : sim.world.random.int32()
    header.tsVal = sim.world.random.int32()
    return tcpPacket(header, NO_OCTETS)
  })
}

function succeeded(client: Client): void {
  expect(client.failure).toBeUndefined()
  expect(client.resets).toBe(0)
  expect(client.done).toBe(true)
}

function ofClient(sim: Cluster, client: Client): Connection {
  return sim.ownerOf(client)?.connection as Connection
}

/** Loses what `lost` says of the clients' segments, each judged once. */
function losing(lost: (segment: ReturnType<typeof createSegment>) => boolean): Element {
  const segment = createSegment()
  return {
    attach: (_world, next) => packet => {
      if (readPacket(packet, segment) !== 'tcp' || segment.dstPort !== 80 || !lost(segment)) next(packet)
    },
  }
}

describe('a flood of SYNs', () => {
  it('costs bounded memory, while clients are served', () => {
    const sim = cluster({ seed: 1 })
    const { owner } = sim.dispatcher
    const { listen } = owner.counters
    for (let round = 0; round < 4; round++) {
      sim.flood(spoofed(sim, 10_000))
      expect(owner.connections).toBeLessThanOrEqual(MAX_HALF_OPEN)
      sim.run(10)
    }
    expect(listen.SyncookiesSent).toBe(40_000 - MAX_HALF_OPEN)
    expect(listen.TCPReqQFullDoCookies).toBe(listen.SyncookiesSent)
    const clients = [4, 6].flatMap(family =>
      [true, false].map(timestamps =>
        sim.client({
          exchanges: [exchangeOf(sim.files, '/large.bin'), exchangeOf(sim.files, '/index.html')],
          family: family as 4 | 6,
          timestamps,
        }),
      ),
    )
    expect(sim.runUntil(() => clients.every(client => client.done), 10_000)).toBe(true)
    clients.forEach(succeeded)
    expect(listen.SyncookiesRecv).toBe(clients.length)
    expect(listen.SyncookiesFailed).toBe(0)
    // Nobody acknowledges the others; when the last SYN-ACK was repeated often enough, all is as before.
    sim.run(120_000)
    expect(owner.connections).toBe(0)
    const late = sim.client({ exchanges: [exchangeOf(sim.files, '/index.html')] })
    expect(sim.runUntil(() => late.done, 10_000)).toBe(true)
    succeeded(late)
    expect(listen.SyncookiesRecv).toBe(clients.length)
  })
})

/** A cluster that answers every SYN by a cookie. */
function underPressure(options: Partial<ClusterOptions> & { readonly seed: number }): Cluster {
  const sim = cluster(options)
  sim.flood(spoofed(sim, MAX_HALF_OPEN))
  return sim
}

describe('a connection from a cookie', () => {
  it.each([true, false])('has what both ends offered (timestamps: %s)', timestamps => {
    const sim = underPressure({ seed: 2 })
    const client = sim.client({
      exchanges: [exchangeOf(sim.files, '/index.html')],
      timestamps,
      closes: false,
      tcp: { mssV4: 1_300, receiveMaxOctets: 1 << 21 },
    })
    expect(sim.runUntil(() => client.done, 10_000)).toBe(true)
    succeeded(client)
    const { tcb } = ofClient(sim, client)
    expect(tcb.snd.peerMss).toBe(1_220)
    expect(tcb.ts.on).toBe(timestamps)
    // Without timestamps there is no place for the rest.
    expect(tcb.sack).toBe(timestamps)
    expect(tcb.snd.scale).toBe(timestamps ? 6 : 0)
    expect(client.tcb.snd.scale).toBe(tcb.rcv.scale)
    expect(sim.dispatcher.owner.counters.listen.SyncookiesRecv).toBe(1)
  })

  it('begins with the request where the bare acknowledgement was lost', () => {
    let acknowledgements = 0
    const lost = (segment: { flags: number; payloadLength: number }) =>
      (segment.flags & SYN) === 0 && segment.payloadLength === 0 && acknowledgements++ === 0
    const sim = underPressure({ seed: 3, wan: () => losing(lost) })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')] })
    expect(sim.runUntil(() => client.done, 10_000)).toBe(true)
    succeeded(client)
    expect(acknowledgements).toBeGreaterThan(0)
    expect(sim.dispatcher.owner.counters.listen.SyncookiesRecv).toBe(1)
  })

  it('is not reset where its second segment arrives first', () => {
    let begun = 0
    const lost = (segment: { flags: number }) => (segment.flags & SYN) === 0 && begun++ < 2
    const sim = underPressure({ seed: 4, wan: () => losing(lost) })
    const head = exchangeOf(sim.files, '/large.bin')
    const client = sim.client({ exchanges: [head], tcp: { mssV4: 88, initialCwndSegments: 10 } })
    expect(sim.runUntil(() => client.done, 20_000)).toBe(true)
    succeeded(client)
    expect(sim.dispatcher.owner.counters.resetsSent).toBe(0)
  })

  it('is taken by the next run of the dispatcher', () => {
    const sim = underPressure({ seed: 5, wan: () => delay(20) })
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/large.bin')] })
    expect(sim.runUntil(() => sim.dispatcher.owner.counters.listen.SyncookiesSent === 1, 1_000)).toBe(true)
    sim.kill(0)
    sim.restart(0)
    expect(sim.runUntil(() => client.done, 60_000)).toBe(true)
    succeeded(client)
    expect(sim.dispatcher.owner.counters.listen.SyncookiesRecv).toBe(1)
  })

  it('is not had by guessing, and a guess is only reset when no cookie is awaited', () => {
    const sim = cluster({ seed: 6 })
    const { owner } = sim.dispatcher
    sim.flood(spoofed(sim, 100, ACK))
    expect(owner.counters.resetsSent).toBe(100)
    expect(owner.counters.listen.SyncookiesFailed).toBe(0)
    sim.flood(spoofed(sim, MAX_HALF_OPEN + 1))
    sim.flood(spoofed(sim, 100, ACK))
    sim.flood(spoofed(sim, 100, RST))
    expect(owner.counters.resetsSent).toBe(100)
    expect(owner.counters.listen.SyncookiesFailed).toBe(100)
    expect(owner.connections).toBe(MAX_HALF_OPEN)
  })

  it('takes the place of one that is unproven where there is no room', () => {
    const sim = cluster({ seed: 7, ownerLimits: { connections: 10 } })
    const { owner } = sim.dispatcher
    sim.flood(spoofed(sim, 10))
    const client = sim.client({ exchanges: [exchangeOf(sim.files, '/index.html')] })
    expect(sim.runUntil(() => client.done, 1_000)).toBe(true)
    succeeded(client)
    expect(owner.counters.memory.TCPReqQFullDrop).toBe(1)
    expect(owner.connections).toBe(9)
  })
})
