import { FaultDevice, type FaultOptions } from './fault-device.ts'
import { memoryPair } from './memory-device.ts'
import { PacketBatch } from './packet-batch.ts'
import { checksum, concat, pattern, pseudoHeader, TCP, tcpHead, UDP, udpPacket } from './test-packets.ts'

/** mulberry32: the same numbers for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const COUNT = 1_000

function numbered(number: number): Uint8Array {
  return udpPacket('10.0.0.1', '10.0.0.2', 9, Uint8Array.of(number >> 8, number & 0xff))
}

function numberOf(packet: Uint8Array): number {
  return ((packet.at(-2) ?? 0) << 8) | (packet.at(-1) ?? 0)
}

function send(
  options: Omit<FaultOptions, 'random'>,
  seed = 1,
  direction: 'outgoing' | 'incoming' = 'outgoing',
) {
  const [inner, peer] = memoryPair({ delivery: 'synchronous', queuePackets: 4 * COUNT })
  const device = new FaultDevice(inner, { random: randomFrom(seed), ...options })
  const received: Uint8Array[] = []
  const [from, to] = direction === 'outgoing' ? [device, peer] : [peer, device]
  to.onReceive = batch => {
    for (let index = 0; index < batch.count; index++) received.push(batch.copyOf(index))
  }
  const batch = new PacketBatch(65_536)
  for (let number = 0; number < COUNT; number++) {
    batch.clear()
    batch.push(numbered(number))
    expect(from.send(batch)).toBe(1)
  }
  return { device, received }
}

describe.each(['outgoing', 'incoming'] as const)('%s faults', direction => {
  it('passes everything where no fault is asked for', () => {
    const { received } = send({}, 1, direction)
    expect(received.map(numberOf)).toEqual(Array.from({ length: COUNT }, (_, number) => number))
  })

  it('drops', () => {
    const { device, received } = send({ [direction]: { drop: 0.1 } }, 1, direction)
    expect(device[direction].dropped).toBeGreaterThan(COUNT * 0.07)
    expect(device[direction].dropped).toBeLessThan(COUNT * 0.13)
    expect(received).toHaveLength(COUNT - device[direction].dropped)
  })

  it('duplicates', () => {
    const { device, received } = send({ [direction]: { duplicate: 0.1 } }, 1, direction)
    expect(received).toHaveLength(COUNT + device[direction].duplicated)
    expect(new Set(received.map(numberOf)).size).toBe(COUNT)
    expect(device[direction].duplicated).toBeGreaterThan(COUNT * 0.07)
  })

  it('reorders, by a few places, and loses nothing', () => {
    const { device, received } = send({ [direction]: { reorder: 0.1 } }, 1, direction)
    device.flush()
    const numbers = received.map(numberOf)
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: COUNT }, (_, number) => number))
    const late = numbers.filter((number, at) => number < Math.max(0, ...numbers.slice(0, at)))
    expect(late.length).toBe(device[direction].reordered)
    expect(Math.max(...numbers.map((number, at) => Math.abs(number - at)))).toBeLessThan(20)
  })

  it('damages one bit, and the checksums no longer hold', () => {
    const { device, received } = send({ [direction]: { corrupt: 1 } }, 1, direction)
    expect(device[direction].corrupted).toBe(COUNT)
    for (const [number, packet] of received.entries()) {
      const sent = numbered(number)
      const flipped = packet.map((octet, at) => octet ^ (sent[at] ?? 0))
      expect([...flipped].filter(octet => octet !== 0)).toHaveLength(1)
      const datagram = packet.subarray(30)
      const udp = checksum(pseudoHeader('10.0.0.1', '10.0.0.2', UDP, datagram.length), datagram)
      expect(udp !== 0 || checksum(packet.subarray(10, 30)) !== 0).toBe(true)
    }
  })
})

describe('FaultDevice', () => {
  it('does the same for the same random numbers', () => {
    const faults = { drop: 0.1, duplicate: 0.1, reorder: 0.1, corrupt: 0.1 }
    const [a, b, c] = [7, 7, 8].map(seed => send({ outgoing: faults }, seed).received)
    expect(a).toEqual(b)
    expect(a).not.toEqual(c)
  })

  it('meets single segments: super-packets are cut first', () => {
    const [inner, peer] = memoryPair({ delivery: 'synchronous' })
    const device = new FaultDevice(inner, { random: randomFrom(3), outgoing: { drop: 0.3 } })
    const received: Uint8Array[] = []
    peer.onReceive = batch => {
      for (let index = 0; index < batch.count; index++) received.push(batch.copyOf(index))
    }
    const fields = {
      src: '10.0.0.1',
      dst: '10.0.0.2',
      srcPort: 80,
      dstPort: 9,
      seq: 0,
      ack: 1,
      flags: 16,
      window: 5,
    }
    const payload = pattern(60_000)
    const batch = new PacketBatch(70_000)
    batch.push(concat(tcpHead(fields, payload.length, 1_000), payload))
    device.send(batch)
    expect(received).toHaveLength(60 - device.outgoing.dropped)
    expect(device.outgoing.dropped).toBeGreaterThan(0)
    for (const packet of received) {
      const segment = packet.subarray(30)
      expect(segment).toHaveLength(1_020)
      expect(checksum(pseudoHeader('10.0.0.1', '10.0.0.2', TCP, segment.length), segment)).toBe(0)
    }
  })

  it('counts packets that contradict themselves', () => {
    const [inner] = memoryPair({ delivery: 'manual' })
    const device = new FaultDevice(inner, { random: randomFrom(1) })
    const batch = new PacketBatch(1_000)
    batch.push(Uint8Array.of(1, 2, 3))
    expect(device.send(batch)).toBe(1)
    expect(device.outgoing.malformed).toBe(1)
  })

  it('passes what is sent while it is passing something on', () => {
    const [inner, peer] = memoryPair({ delivery: 'synchronous' })
    const device = new FaultDevice(inner, { random: randomFrom(1) })
    const atPeer: number[] = []
    peer.onReceive = batch => {
      for (let index = 0; index < batch.count; index++) atPeer.push(numberOf(batch.copyOf(index)))
      peer.send(batch)
    }
    let left = 5
    device.onReceive = () => {
      if (left-- === 0) return
      const answer = new PacketBatch(1_000)
      answer.push(numbered(100 + left))
      device.send(answer)
    }
    const batch = new PacketBatch(1_000)
    batch.push(numbered(1))
    batch.push(numbered(2))
    device.send(batch)
    expect(atPeer).toEqual([1, 2, 104, 103, 102, 101, 100])
  })
})
