/**
 * The least of an owner, for tests of steering: a TUN in a namespace that notes which segments of clients reach it
 * and sends those that the test makes up. It has no TCP of its own.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { PacketBatch, VNET_HEADER_OCTETS } from '../../node/tun/packet-batch.ts'
import { openTun, type TunDevice } from '../../node/tun/tun-device.ts'
import { parseAddress } from '../../node/wire/address.ts'
import {
  createTcpHeader,
  MAX_PACKET_HEAD_OCTETS,
  type TcpHeader,
  writeTcpPacket,
} from '../../node/wire/emit.ts'
import { parsePacket } from '../../node/wire/parse.ts'
import { ACK, createSegment, SYN } from '../../node/wire/segment.ts'
import { runCommand } from './command.ts'
import { type TunRoutesOptions, tunCommands } from './tun-routes.ts'

export interface Arrival {
  readonly flags: number
  readonly srcPort: number
  readonly seq: number
  readonly ack: number
  readonly tsVal: number
  /** The owner id in TSecr; -1 without timestamps. */
  readonly echoed: number
  readonly payload: number
  readonly ttl: number
}

const WAIT_MS = 3000

export class TestOwner {
  readonly id: number
  readonly arrivals: Arrival[] = []
  readonly #device: TunDevice
  readonly #vip: string
  readonly #client: string
  readonly #segment = createSegment()
  readonly #batch = new PacketBatch(8192)
  onArrival: (arrival: Arrival) => void = () => {}

  private constructor(id: number, device: TunDevice, vip: string, client: string) {
    this.id = id
    this.#device = device
    this.#vip = vip
    this.#client = client
    device.onReceive = batch => this.#receive(batch)
  }

  /** Opens the TUN with the routes of `bringUpTun`, for segments between `vip` and `client` of the same family. */
  static async open(
    id: number,
    namespace: string,
    routes: TunRoutesOptions,
    vip: string,
    client: string,
  ): Promise<TestOwner> {
    const device = openTun({ name: routes.device, namespace })
    await runCommand('ip', ['-n', namespace, '-batch', '-'], tunCommands(routes, 4))
    await runCommand('ip', ['-n', namespace, '-6', '-batch', '-'], tunCommands(routes, 6))
    return new TestOwner(id, device, vip, client)
  }

  close(): void {
    this.#device.close()
  }

  /** The first arrival from now on, or since the last `take`, that is as wanted. */
  async take(what: string, wanted: (arrival: Arrival) => boolean): Promise<Arrival> {
    for (let waited = 0; waited < WAIT_MS; waited += 5) {
      const found = this.arrivals.findIndex(wanted)
      if (found >= 0) return this.arrivals.splice(found, 1)[0] as Arrival
      await sleep(5)
    }
    const seen = this.arrivals.map(arrival => JSON.stringify(arrival)).join('\n')
    throw new Error(`owner ${this.id} got no ${what}, but:\n${seen}`)
  }

  /** Answers a SYN; the timestamp, where the client offers it, names `id`. */
  acceptSyn(syn: Arrival, id: number, tick = 1): void {
    this.send({
      flags: SYN | ACK,
      dstPort: syn.srcPort,
      seq: 1000,
      ack: syn.seq + 1,
      window: 65_535,
      mss: 1460,
      windowScale: 10,
      sackPermitted: true,
      ...this.#timestamps(syn, id, tick),
    })
  }

  /** Acknowledges what the segment carried. */
  acknowledge(arrival: Arrival, id: number, tick = 1): void {
    this.send({
      flags: ACK,
      dstPort: arrival.srcPort,
      seq: 1001,
      ack: arrival.seq + arrival.payload,
      window: 65_535,
      ...this.#timestamps(arrival, id, tick),
    })
  }

  send(fields: Partial<TcpHeader>): void {
    const vip = parseAddress(this.#vip)
    const client = parseAddress(this.#client)
    if (vip === undefined || client === undefined) throw new Error('no address')
    const addresses = {
      family: vip.family,
      ...{ src0: vip.word0, src1: vip.word1, src2: vip.word2, src3: vip.word3 },
      ...{ dst0: client.word0, dst1: client.word1, dst2: client.word2, dst3: client.word3 },
      srcPort: 80,
    }
    const header = Object.assign(createTcpHeader(), addresses, fields)
    const octets = new Uint8Array(MAX_PACKET_HEAD_OCTETS)
    const written = writeTcpPacket(octets, new DataView(octets.buffer), 0, header)
    this.#batch.clear()
    this.#batch.push(octets.subarray(0, written))
    this.#device.send(this.#batch)
  }

  #timestamps(arrival: Arrival, id: number, tick: number): Partial<TcpHeader> {
    if (arrival.echoed < 0) return { hasTimestamps: false }
    return { hasTimestamps: true, tsVal: ((1_000_000 + tick) << 8) | id, tsEcr: arrival.tsVal }
  }

  #receive(batch: PacketBatch): void {
    for (let index = 0; index < batch.count; index++) {
      const at = batch.offsetOf(index) + VNET_HEADER_OCTETS
      const octets = batch.headOctetsOf(index) - VNET_HEADER_OCTETS
      const segment = this.#segment
      if (parsePacket(batch.arena, batch.view, at, octets, true, segment) !== 'tcp') continue
      const { flags, srcPort, seq, ack, tsVal, ttl } = segment
      const echoed = segment.hasTimestamps ? segment.tsEcr & 0xff : -1
      const arrival = { flags, srcPort, seq, ack, tsVal, echoed, payload: segment.payloadLength, ttl }
      this.arrivals.push(arrival)
      this.onArrival(arrival)
    }
  }
}
