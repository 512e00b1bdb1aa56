import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TunError } from './errors.ts'
import { completeChecksum } from './offload.ts'
import { MAX_BATCH_PACKETS, PacketBatch, VNET_HEADER_OCTETS } from './packet-batch.ts'
import { openTunDescriptors, TestNamespace, whyNoNamespace } from './test-namespace.ts'
import {
  addressOctets,
  concat,
  ICMP,
  ICMPV6,
  ipOctetsOf,
  pattern,
  protocolOf,
  TCP,
  tcpHead,
  UDP,
  udpPacket,
} from './test-packets.ts'
import { PlainPeer } from './test-peer.ts'
import { openTun, type TunDevice } from './tun-device.ts'

const reason = whyNoNamespace()
const describeWithTun = reason === undefined ? describe : describe.skip
const UNTIL_MS = 10_000

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + UNTIL_MS
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within ${UNTIL_MS} ms: ${holds}`)
    await sleep(2)
  }
}

function failureOf(action: () => unknown): TunError {
  try {
    action()
  } catch (error) {
    return error as TunError
  }
  throw new Error('did not fail')
}

function batchOf(...packets: Uint8Array[]): PacketBatch {
  const batch = new PacketBatch(512 * 1024)
  for (const packet of packets) expect(batch.push(packet)).toBe(true)
  return batch
}

/** Every packet of one protocol that the device receives: a new interface sends some of its own accord. */
function record(device: TunDevice, protocol: number): Uint8Array[] {
  const received: Uint8Array[] = []
  device.onReceive = batch => {
    for (let index = 0; index < batch.count; index++) {
      const packet = batch.copyOf(index)
      if (protocolOf(packet) === protocol) received.push(packet)
    }
  }
  return received
}

describeWithTun(`a TUN device${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  let namespace: TestNamespace
  const opened: TunDevice[] = []

  beforeAll(() => {
    namespace = new TestNamespace()
    const settings = ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'].map(
      key => `echo 1 >/proc/sys/net/${key}`,
    )
    settings.push('echo "4096 4194304 8388608" >/proc/sys/net/ipv4/tcp_rmem')
    namespace.runSync('sh', '-ec', settings.join('\n'))
  })

  afterEach(() => {
    for (const device of opened.splice(0)) device.close()
  })

  afterAll(() => namespace?.remove())

  function open(name: string): TunDevice {
    const device = openTun({ name, namespace: namespace.name })
    opened.push(device)
    return device
  }

  /** Opens a device whose kernel side has the addresses 10.<net>.0.1 and fd00:<net>::1, and is up. */
  function openUp(name: string, net: number): TunDevice {
    const device = open(name)
    namespace.ip('addr', 'add', `10.${net}.0.1/24`, 'dev', name)
    namespace.ip('addr', 'add', `fd00:${net}::1/64`, 'dev', name, 'nodad')
    namespace.ip('link', 'set', name, 'up')
    return device
  }

  describe('opening and closing', () => {
    it('creates the device, and closing removes it', () => {
      const device = open('life0')
      expect(device.name).toBe('life0')
      expect(namespace.ip('-d', 'link', 'show', 'life0')).toMatch(
        /tun type tun pi off vnet_hdr on persist off/,
      )
      device.close()
      expect(device.closed).toBe(true)
      expect(() => namespace.ip('link', 'show', 'life0')).toThrow()
      device.close()
      device.ref()
      device.unref()
    })

    it('attaches to a persistent device, and leaves it there', () => {
      namespace.ip('tuntap', 'add', 'dev', 'keep0', 'mode', 'tun')
      open('keep0').close()
      expect(namespace.ip('-d', 'link', 'show', 'keep0')).toMatch(/vnet_hdr on persist on/)
      open('keep0').close()
      namespace.ip('link', 'delete', 'keep0')
    })

    it.each(['', '.', '..', 'a/b', 'a:b', 'a b', 'tun%d', 'sixteen-octets-x', 'ä', 'a\0b'])(
      'refuses the name %j',
      name => expect(failureOf(() => open(name)).code).toBe('TUN_BAD_NAME'),
    )

    it('refuses a name that is open elsewhere', () => {
      open('once0')
      const error = failureOf(() => open('once0'))
      expect(error.code).toBe('TUN_NAME_TAKEN')
      expect(error.cause).toMatchObject({ code: 'EBUSY', syscall: 'TUNSETIFF' })
    })

    it('refuses the name of another kind of device', () => {
      expect(failureOf(() => open('lo')).code).toBe('TUN_NAME_TAKEN')
      namespace.ip('tuntap', 'add', 'dev', 'tap0', 'mode', 'tap')
      expect(failureOf(() => open('tap0')).code).toBe('TUN_NAME_TAKEN')
    })

    it('refuses a namespace that is not there', () => {
      const error = failureOf(() => openTun({ name: 'lost0', namespace: 'gyre-test-none' }))
      expect(error.code).toBe('TUN_NO_NAMESPACE')
    })

    it('needs the permission', () => {
      process.seteuid?.(65_534)
      try {
        expect(failureOf(() => openTun({ name: 'denied0' })).code).toBe('TUN_NO_PERMISSION')
        expect(failureOf(() => open('denied0')).code).toBe('TUN_NO_PERMISSION')
      } finally {
        process.seteuid?.(0)
      }
    })

    it.each([0, 65_544, 1e9, Number.NaN])('refuses an arena of %d octets', arenaOctets => {
      expect(() => openTun({ name: 'arena0', arenaOctets })).toThrow(RangeError)
    })

    it('leaks no descriptor in 100 openings', () => {
      const before = openTunDescriptors()
      for (let round = 0; round < 100; round++) {
        const device = open('leak0')
        expect(openTunDescriptors()).toBe(before + 1)
        device.close()
        expect(failureOf(() => open('lo')).code).toBe('TUN_NAME_TAKEN')
      }
      expect(openTunDescriptors()).toBe(before)
    })
  })

  describe('failing', () => {
    it('says once that it was deleted, and is closed then', async () => {
      const device = openUp('gone0', 30)
      const errors: Error[] = []
      device.onError = error => errors.push(error)
      namespace.ip('link', 'delete', 'gone0')
      await until(() => errors.length > 0)
      await sleep(20)
      expect(errors).toHaveLength(1)
      expect(errors[0]).toMatchObject({ code: 'TUN_DELETED', cause: { code: 'EBADFD', syscall: 'read' } })
      expect(device.closed).toBe(true)
      const packet = udpPacket('10.30.0.2', '10.30.0.1', 9, pattern(10))
      expect(device.send(batchOf(packet, packet))).toBe(0)
      expect(device.counters().droppedClosed).toBe(2)
    })

    it('drops what is sent between the deletion and its notice', () => {
      const device = openUp('gone1', 31)
      namespace.ip('link', 'delete', 'gone1')
      const packet = udpPacket('10.31.0.2', '10.31.0.1', 9, pattern(10))
      expect(device.send(batchOf(packet, packet, packet))).toBe(0)
      expect(device.counters().droppedClosed).toBe(3)
    })

    it('drops and counts while the interface is down', () => {
      const device = open('down0')
      const packet = udpPacket('10.32.0.2', '10.32.0.1', 9, pattern(10))
      expect(device.send(batchOf(packet, packet))).toBe(0)
      expect(device.counters()).toMatchObject({ droppedDown: 2, packetsOut: 0, batchesOut: 1 })
      namespace.ip('link', 'set', 'down0', 'up')
      expect(device.send(batchOf(packet))).toBe(1)
    })

    it('drops and counts a packet that the kernel refuses, and sends the others', () => {
      const device = openUp('odd0', 33)
      const good = udpPacket('10.33.0.2', '10.33.0.1', 9, pattern(10))
      const noSuchOffload = good.slice()
      noSuchOffload[1] = 0x7f
      expect(device.send(batchOf(good, noSuchOffload, Uint8Array.of(1, 2, 3), good))).toBe(2)
      expect(device.counters()).toMatchObject({ packetsOut: 2, droppedRejected: 2, octetsOut: 2 * 38 })
    })

    it('drops and counts a packet whose tables point outside its buffers', () => {
      const device = openUp('table0', 34)
      const good = udpPacket('10.34.0.2', '10.34.0.1', 9, pattern(10))
      const damages: ((batch: PacketBatch) => void)[] = [
        batch => batch.packets.set([-1], 0),
        batch => batch.packets.set([batch.arena.length - 4], 0),
        batch => batch.packets.set([0x7fff_ffff], 1),
        batch => batch.packets.set([1_023, 1], 2),
        batch => batch.packets.set([-1], 3),
        batch => batch.add(new Uint8Array(10), 5, 6),
        batch => batch.add(new Uint8Array(10), -1, 2),
        batch => batch.add(new Uint8Array(10), 0x7fff_ffff, 0x7fff_ffff),
        batch => batch.add('not octets' as unknown as Uint8Array, 0, 1),
        batch => batch.add(new Int32Array(10) as unknown as Uint8Array, 0, 1),
        batch => {
          batch.add(new Uint8Array(10), 0, 1)
          batch.parts.set([7], 0)
        },
      ]
      for (const [index, damage] of damages.entries()) {
        const batch = batchOf(good)
        damage(batch)
        expect(device.send(batch)).toBe(0)
        expect(device.counters().droppedInvalid).toBe(index + 1)
      }
      expect(device.counters().packetsOut).toBe(0)
    })
  })

  describe.each([
    {
      family: 'IPv4',
      kernel: '10.40.0.1',
      own: '10.40.0.2',
      protocol: ICMP,
      request: 8,
      reply: 0,
      name: 'ping4',
    },
    {
      family: 'IPv6',
      kernel: 'fd00:40::1',
      own: 'fd00:40::2',
      protocol: ICMPV6,
      request: 128,
      reply: 129,
      name: 'ping6',
    },
  ])('$family', ({ kernel, own, protocol, request, reply, name }) => {
    it('receives what the kernel sends, and is heard', async () => {
      const device = openUp(name, 40)
      const answer = new PacketBatch(65_536)
      device.onReceive = batch => {
        answer.clear()
        for (let index = 0; index < batch.count; index++) {
          const packet = batch.copyOf(index)
          const ip = ipOctetsOf(packet)
          completeChecksum(packet)
          if (protocolOf(packet) === protocol && packet[10 + ip] === request) answer.push(echoReply(packet))
        }
        device.send(answer)
      }
      // One at a time: behind a first answer ping waits for two round trips only, however busy the machine is meanwhile.
      for (let sent = 0; sent < 3; sent++) {
        expect(await namespace.run('ping', '-c', '1', '-s', '1000', '-W', '20', own)).toMatch(/1 received/)
      }
      const counters = device.counters()
      expect(counters.packetsOut).toBe(3)
      expect(counters.octetsOut).toBe(3 * (ipOctetsOf(answer.copyOf(0)) + 8 + 1_000))
      expect(counters.packetsIn).toBeGreaterThanOrEqual(3)
    })

    /** Source and destination change places, which leaves the sums as they are; the type does not. */
    function echoReply(packet: Uint8Array): Uint8Array {
      const ip = ipOctetsOf(packet)
      const addresses = ip === 40 ? 16 : 4
      const [src, dst] = [10 + ip - 2 * addresses, 10 + ip - addresses]
      packet.set(addressOctets(own), src)
      packet.set(addressOctets(kernel), dst)
      packet[10 + ip] = reply
      // RFC 1624: the type is the high octet of the first word of the sum.
      const view = new DataView(packet.buffer)
      let sum = (~view.getUint16(10 + ip + 2) & 0xffff) + (~(request << 8) & 0xffff) + (reply << 8)
      sum = (sum & 0xffff) + (sum >> 16)
      sum = (sum & 0xffff) + (sum >> 16)
      view.setUint16(10 + ip + 2, ~sum & 0xffff)
      return packet
    }
  })

  describe('two devices with the kernel routing between them', () => {
    it('receives a burst in batches, in order', async () => {
      const [near, far] = [openUp('burst0', 50), openUp('burst1', 51)]
      const received: number[] = []
      const sizes: number[] = []
      far.onReceive = batch => {
        sizes.push(batch.count)
        for (let index = 0; index < batch.count; index++) {
          expect(batch.offsetOf(index) % 8).toBe(0)
          const packet = batch.copyOf(index)
          if (protocolOf(packet) === UDP) received.push(new DataView(packet.buffer).getUint16(38))
        }
      }
      // Nothing is read while this loop runs: 400 packets wait in the kernel.
      for (let first = 0; first < 400; first += 50) {
        const packets = Array.from({ length: 50 }, (_, at) => {
          const number = first + at
          return udpPacket('10.50.0.2', '10.51.0.2', 9, Uint8Array.of(number >> 8, number & 0xff))
        })
        expect(near.send(batchOf(...packets))).toBe(50)
      }
      await until(() => received.length === 400)
      expect(received).toEqual(Array.from({ length: 400 }, (_, number) => number))
      expect(Math.max(...sizes)).toBe(MAX_BATCH_PACKETS)
      expect(sizes.length).toBeLessThan(20)
      // 256 packets are read in one go; then others get their turn.
      expect(far.counters().wakeUps).toBeGreaterThanOrEqual(2)
      expect(far.counters().batchesIn).toBe(sizes.length)
    })

    it('sends references to the octets of others', async () => {
      const [near, far] = [openUp('parts0', 52), openUp('parts1', 53)]
      namespace.ip('link', 'set', 'parts1', 'mtu', '65535')
      const received = record(far, UDP)
      const content = pattern(100_000)
      // A view that begins within its buffer, a small one that V8 keeps on its heap, and a Buffer of the pool.
      const shifted = new Uint8Array(content.buffer, 777, 5_000)
      const small = pattern(20, 5)
      const pooled = Buffer.from('from the pool')
      const pieces: [Uint8Array, number, number][] = [
        [content, 5, 1_000],
        [content, 50_000, 1],
        [shifted, 0, 5_000],
        [small, 3, 17],
        [small, 0, 0],
        [pooled, 0, pooled.length],
        [content, 60_000, 40_000],
      ]
      const payload = concat(
        ...pieces.map(([octets, start, length]) => octets.subarray(start, start + length)),
      )
      const packet = udpPacket('10.52.0.2', '10.53.0.2', 9, payload)
      const batch = new PacketBatch(65_536)
      for (let round = 0; round < 3; round++) {
        batch.arena.set(packet.subarray(0, 38), batch.begin(38))
        for (const [octets, start, length] of pieces) batch.add(octets, start, length)
      }
      expect(near.send(batch)).toBe(3)
      expect(near.send(batch)).toBe(3)
      await until(() => received.length === 6)
      for (const arrived of received) expect(Buffer.compare(arrived.subarray(38), payload)).toBe(0)
      expect(near.counters()).toMatchObject({ packetsOut: 6, octetsOut: 6 * (28 + payload.length) })
    })

    it.each(['10.54.0.2 10.55.0.2', 'fd00:54::2 fd00:55::2'])(
      'passes a super-packet whole: %s',
      async addresses => {
        const [src = '', dst = ''] = addresses.split(' ')
        const [near, far] = [openUp('super0', 54), openUp('super1', 55)]
        const received = record(far, TCP)
        const ip = src.includes(':') ? 40 : 20
        const payload = pattern(65_535 - ip - 20)
        const head = tcpHead(
          { src, dst, srcPort: 80, dstPort: 9, seq: 1, ack: 1, flags: 0x10, window: 500 },
          payload.length,
          1_400,
        )
        const batch = new PacketBatch(65_536)
        batch.arena.set(head, batch.begin(head.length))
        batch.add(payload, 0, payload.length)
        expect(near.send(batch)).toBe(1)
        await until(() => received.length > 0)
        const [arrived] = received as [Uint8Array]
        expect(arrived).toHaveLength(VNET_HEADER_OCTETS + 65_535)
        expect(Buffer.compare(arrived.subarray(head.length), payload)).toBe(0)
        expect([...arrived.subarray(0, 2)]).toEqual([...head.subarray(0, 2)])
        const virtio = new DataView(arrived.buffer)
        expect([virtio.getUint16(4, true), virtio.getUint16(6, true), virtio.getUint16(8, true)]).toEqual([
          1_400,
          ip,
          16,
        ])
      },
    )
  })

  it('allows closing within a callback', async () => {
    const [near, far] = [openUp('inner0', 70), openUp('inner1', 71)]
    let calls = 0
    far.onReceive = () => {
      calls++
      far.close()
    }
    const packet = udpPacket('10.70.0.2', '10.71.0.2', 9, pattern(10))
    for (let round = 0; round < 5; round++) near.send(batchOf(...new Array<Uint8Array>(60).fill(packet)))
    await until(() => calls > 0)
    await sleep(20)
    expect(calls).toBe(1)
    near.onError = () => near.close()
    namespace.ip('link', 'delete', 'inner0')
    await until(() => near.closed)
  })

  describe.each([
    { family: 'IPv4', own: '10.60.0.2', kernel: '10.60.0.1', name: 'peer4' },
    { family: 'IPv6', own: 'fd00:60::2', kernel: 'fd00:60::1', name: 'peer6' },
  ])('a TCP connection of the kernel over $family', ({ own, kernel, name }) => {
    const UPLOAD_OCTETS = 2_000_000
    const DOWNLOAD_OCTETS = 1_500_000
    const MSS = 1_400

    it('exchanges super-packets both ways', async () => {
      const device = openUp(name, 60)
      const peer = new PlainPeer(device, own, kernel, pattern(DOWNLOAD_OCTETS, 3), UPLOAD_OCTETS, MSS)
      const client = `
        const { createHash } = require('node:crypto')
        const hash = createHash('sha256')
        let octets = 0
        const socket = require('node:net').connect(8080, '${own}')
        socket.write(Buffer.alloc(${UPLOAD_OCTETS}, 'abcdefg'))
        socket.on('data', data => { hash.update(data); octets += data.length })
        socket.on('end', () => { console.log(octets + ' ' + hash.digest('hex')); socket.end() })`
      const text = await namespace.run(process.execPath, '-e', client)
      const hash = createHash('sha256').update(pattern(DOWNLOAD_OCTETS, 3)).digest('hex')
      expect(text.trim()).toBe(`${DOWNLOAD_OCTETS} ${hash}`)
      expect(peer.received).toBe(UPLOAD_OCTETS)
      expect(peer.receivedWrong).toBe(0)
      expect(peer.largestReceived).toBeGreaterThan(10 * MSS)
      expect(peer.segmentSizes).toEqual(new Set([MSS]))
      expect(peer.largestSent).toBe(65_535)
      expect(peer.unsent).toBe(0)
      expect(device.counters()).toMatchObject({ droppedRejected: 0, droppedInvalid: 0, droppedNoMemory: 0 })
    })
  })

  it('leaves the process in its own network namespace', () => {
    const here = execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' })
    open('home0')
    expect(execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' })).toBe(here)
    expect(namespace.runSync('readlink', '/proc/self/ns/net')).not.toBe(here)
  })
})
