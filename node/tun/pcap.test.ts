import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryPair } from './memory-device.ts'
import { PacketBatch } from './packet-batch.ts'
import { pcapHead, pcapPacket } from './pcap.ts'
import { PcapDevice } from './pcap-device.ts'
import { concat, pattern, tcpHead, udpPacket } from './test-packets.ts'

interface Block {
  type: number
  body: DataView
}

/** Reads blocks and checks that their two lengths agree. */
function blocksOf(octets: Uint8Array): Block[] {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
  const blocks: Block[] = []
  for (let at = 0; at < octets.length; ) {
    const total = view.getUint32(at + 4, true)
    expect(total % 4).toBe(0)
    expect(view.getUint32(at + total - 4, true)).toBe(total)
    const body = new DataView(octets.buffer, octets.byteOffset + at + 8, total - 12)
    blocks.push({ type: view.getUint32(at, true), body })
    at += total
  }
  return blocks
}

function optionsOf(body: DataView, start: number): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>()
  for (let at = start; body.getUint16(at, true) !== 0; ) {
    const length = body.getUint16(at + 2, true)
    options.set(body.getUint16(at, true), new Uint8Array(body.buffer, body.byteOffset + at + 4, length))
    at += 4 + ((length + 3) & ~3)
  }
  return options
}

function textOf(octets: Uint8Array | undefined): string {
  return new TextDecoder().decode(octets)
}

describe('pcapng', () => {
  it('begins with a section and its interfaces of raw IP', () => {
    const [section, first, second] = blocksOf(pcapHead(['tun0', 'node 1'])) as [Block, Block, Block]
    expect(section.type).toBe(0x0a0d0d0a)
    expect(section.body.getUint32(0, true)).toBe(0x1a2b3c4d)
    expect(first.type).toBe(1)
    expect(first.body.getUint16(0, true)).toBe(101)
    expect(optionsOf(first.body, 8).get(9)).toEqual(Uint8Array.of(9))
    expect(textOf(optionsOf(second.body, 8).get(2))).toBe('node 1')
  })

  it.each([0, 1, 2, 3, 4, 65_535])('writes a packet of %i octets', octets => {
    const packet = pattern(octets)
    const written = pcapPacket({
      timeMs: 1_700_000_000_000.5,
      interfaceIndex: 1,
      direction: 'out',
      octets: packet,
      originalOctets: octets + 7,
      comments: ['shift 3→1'],
    })
    const [{ type, body }] = blocksOf(written) as [Block]
    expect(type).toBe(6)
    expect(body.getUint32(0, true)).toBe(1)
    const time = (BigInt(body.getUint32(4, true)) << 32n) | BigInt(body.getUint32(8, true))
    expect(time).toBe(1_700_000_000_000_500_000n)
    expect([body.getUint32(12, true), body.getUint32(16, true)]).toEqual([octets, octets + 7])
    expect(new Uint8Array(body.buffer, body.byteOffset + 20, octets)).toEqual(packet)
    const options = optionsOf(body, 20 + ((octets + 3) & ~3))
    expect(options.get(2)).toEqual(Uint8Array.of(2, 0, 0, 0))
    expect(textOf(options.get(1))).toBe('shift 3→1')
  })
})

function capture(settings: { snapOctets?: number; captureOctets?: number; full?: () => void } = {}) {
  const [inner, peer] = memoryPair({ delivery: 'synchronous' })
  const written: Uint8Array[] = []
  let now = 1_000
  const device = new PcapDevice(inner, {
    write: octets => written.push(octets) > 0,
    clock: () => now++,
    comment: (direction, packet) => `${direction} ${packet.length}`,
    ...settings,
  })
  return { device, peer, written }
}

describe('PcapDevice', () => {
  it('records both ways and changes nothing', () => {
    const { device, peer, written } = capture()
    const received: Uint8Array[] = []
    peer.onReceive = batch => {
      received.push(batch.copyOf(0))
      peer.send(batch)
    }
    device.onReceive = batch => received.push(batch.copyOf(0))
    const packet = udpPacket('10.0.0.1', '10.0.0.2', 9, pattern(33))
    const batch = new PacketBatch(1_000)
    batch.push(packet)
    expect(device.send(batch)).toBe(1)
    expect(received).toEqual([packet, packet])
    const [out, back] = blocksOf(concat(...written)).slice(2) as [Block, Block]
    for (const { body } of [out, back]) {
      expect(new Uint8Array(body.buffer, body.byteOffset + 20, packet.length - 10)).toEqual(
        packet.subarray(10),
      )
    }
    expect(textOf(optionsOf(out.body, 20 + 64).get(1))).toBe(`out ${packet.length}`)
    expect(textOf(optionsOf(back.body, 20 + 64).get(1))).toBe(`in ${packet.length}`)
  })

  it('completes partial checksums in the recording only', () => {
    const { device, peer, written } = capture()
    let passed = new Uint8Array(0)
    peer.onReceive = batch => {
      passed = batch.copyOf(0) as Uint8Array<ArrayBuffer>
    }
    const fields = {
      src: '10.0.0.1',
      dst: '10.0.0.2',
      srcPort: 1,
      dstPort: 2,
      seq: 3,
      ack: 4,
      flags: 16,
      window: 5,
    }
    const packet = tcpHead(fields, 0, 1_460)
    const batch = new PacketBatch(1_000)
    batch.push(packet)
    device.send(batch)
    expect(passed).toEqual(packet)
    const { body } = blocksOf(concat(...written))[2] as Block
    const recorded = new Uint8Array(body.buffer, body.byteOffset + 20, packet.length - 10)
    expect(recorded).not.toEqual(packet.subarray(10))
    expect(recorded.subarray(0, 36)).toEqual(packet.subarray(10, 46))
  })

  it('is bounded by octets a packet and octets in all', () => {
    const { device, written } = capture({ snapOctets: 20, captureOctets: 200 })
    const batch = new PacketBatch(4_096)
    for (let count = 0; count < 10; count++) batch.push(udpPacket('10.0.0.1', '10.0.0.2', 9, pattern(100)))
    device.send(batch)
    const { body } = blocksOf(concat(...written))[2] as Block
    expect([body.getUint32(12, true), body.getUint32(16, true)]).toEqual([20, 128])
    expect(device.recorded).toBe(3)
    expect(device.unrecorded).toBe(7)
  })

  it('has remarks as comments of the next packet', () => {
    const { device, peer, written } = capture()
    peer.onReceive = () => {}
    const batch = new PacketBatch(4_096)
    batch.push(udpPacket('10.0.0.1', '10.0.0.2', 9, pattern(100)))
    device.note('COMMIT')
    device.note('SHIFTED')
    device.send(batch)
    device.send(batch)
    const text = written.map(textOf)
    expect(text[1]).toMatch(/COMMIT.*SHIFTED.*out 138/s)
    expect(text[2]).not.toMatch(/COMMIT|SHIFTED/)
  })

  it('says once that it is full', () => {
    let times = 0
    const { device } = capture({ captureOctets: 300, full: () => times++ })
    const batch = new PacketBatch(4_096)
    batch.push(udpPacket('10.0.0.1', '10.0.0.2', 9, pattern(100)))
    for (let round = 0; round < 5; round++) device.send(batch)
    expect(times).toBe(1)
    expect([device.recorded, device.unrecorded]).toEqual([2, 3])
  })

  const tcpdump = ['/usr/bin/tcpdump', '/usr/sbin/tcpdump'].find(path => existsSync(path))
  const itReads = tcpdump === undefined ? it.skip : it
  itReads('is read by tcpdump, with good checksums (needs tcpdump)', () => {
    const { device, written } = capture()
    const batch = new PacketBatch(4_096)
    batch.push(udpPacket('10.0.0.1', '10.0.0.2', 9, pattern(100)))
    const fields = {
      src: 'fd00::1',
      dst: 'fd00::2',
      srcPort: 80,
      dstPort: 99,
      seq: 3,
      ack: 4,
      flags: 16,
      window: 5,
    }
    const payload = pattern(3_000)
    batch.arena.set(tcpHead(fields, payload.length, 1_440), batch.begin(70))
    batch.add(payload, 0, payload.length)
    device.send(batch)
    const folder = mkdtempSync(join(tmpdir(), 'gyre-pcap-'))
    try {
      const path = join(folder, 'capture')
      writeFileSync(path, concat(...written))
      const text = execFileSync(tcpdump as string, ['-nnvvtr', path], { encoding: 'utf8', stdio: 'pipe' })
      expect(text).toMatch(/10\.0\.0\.1\.9 > 10\.0\.0\.2\.9: \[udp sum ok\] UDP, length 100/)
      expect(text).toMatch(/fd00::1\.80 > fd00::2\.99: .*cksum 0x[0-9a-f]+ \(correct\).* length 3000/s)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
