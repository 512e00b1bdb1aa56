/**
 * Clients without a TCP of their own, for the memory of owners: each is three numbers, and the segments that a client sends
 * on a network that loses nothing are written by hand. The real ones, of the kernel, are in `command.ts`.
 */
import type { Vips } from '../../node/stack/vips.ts'
import { PacketBatch } from '../../node/tun/packet-batch.ts'
import { createTcpHeader } from '../../node/wire/emit.ts'
import { ACK, createSegment, FIN, PSH, RST, SYN } from '../../node/wire/segment.ts'
import { readPacket, tcpPacket } from '../sim/network/packet.ts'

const NO_OCTETS = new Uint8Array(0)
const IPV4_MAPPED = 0xffff
const FIRST_ADDRESS = 0x0a010001
const FIRST_PORT = 1_024
/** Connections from each address. */
const PORTS = 16_384
const WINDOW = 65_535

export interface ClientNetwork {
  /** Takes a packet where its echoed timestamp, 0 of a SYN, says. */
  deliver(batch: PacketBatch, tsEcr: number, client: number): void
  /** The clients' clock, in ms. */
  now(): number
}

export class HandMadeClients {
  /** Octets of responses. */
  received = 0
  /** Segments of the owner with FIN. */
  ended = 0
  /** Called with each client that has something to acknowledge: new octets, or an old one that probes. */
  heard: (client: number) => void = () => {}
  /** Called with each new response, which is one segment. */
  answered: (client: number) => void = () => {}
  readonly #vips: Vips
  readonly #network: ClientNetwork
  readonly #next: Int32Array
  readonly #expected: Int32Array
  readonly #timestamps: Int32Array
  readonly #header = createTcpHeader()
  readonly #segment = createSegment()
  readonly #batch = new PacketBatch(4_096)

  constructor(most: number, vips: Vips, network: ClientNetwork) {
    this.#vips = vips
    this.#network = network
    this.#next = new Int32Array(most)
    this.#expected = new Int32Array(most)
    this.#timestamps = new Int32Array(most)
  }

  /** What an owner transmits. */
  take(batch: PacketBatch): void {
    const segment = this.#segment
    for (let index = 0; index < batch.count; index++) {
      if (readPacket(batch.copyOf(index), segment) !== 'tcp') throw new Error('not a segment')
      const client = (segment.dst3 - FIRST_ADDRESS) * PORTS + segment.dstPort - FIRST_PORT
      const length = segment.payloadLength + ((segment.flags & (SYN | FIN)) !== 0 ? 1 : 0)
      if ((segment.flags & RST) !== 0) continue
      const isNew = ((segment.seq + length - (this.#expected[client] as number)) | 0) > 0
      if (isNew || (segment.flags & SYN) !== 0) {
        this.#expected[client] = segment.seq + length
        this.received += segment.payloadLength
        if (segment.payloadLength > 0) this.answered(client)
        if ((segment.flags & FIN) !== 0) this.ended++
      }
      this.#timestamps[client] = segment.tsVal
      if (segment.payloadLength > 0) this.heard(client)
    }
  }

  open(client: number): void {
    this.#next[client] = client
    this.#send(client, SYN, NO_OCTETS)
    this.#send(client, ACK, NO_OCTETS)
  }

  ask(client: number, target = '/1k'): void {
    const request = new TextEncoder().encode(`GET ${target} HTTP/1.1\r\nHost: soak\r\n\r\n`)
    this.#send(client, ACK | PSH, request)
    this.#send(client, ACK, NO_OCTETS)
  }

  acknowledge(client: number): void {
    this.#send(client, ACK, NO_OCTETS)
  }

  close(client: number): void {
    this.#send(client, ACK | FIN, NO_OCTETS)
    this.#send(client, ACK, NO_OCTETS)
  }

  #send(client: number, flags: number, payload: Uint8Array): void {
    const header = this.#header
    const opens = (flags & SYN) !== 0
    header.src2 = IPV4_MAPPED
    header.src3 = FIRST_ADDRESS + Math.floor(client / PORTS)
    header.dst2 = IPV4_MAPPED
    header.dst3 = this.#vips.v4.word3
    header.srcPort = FIRST_PORT + (client % PORTS)
    header.dstPort = this.#vips.port
    header.flags = flags
    header.seq = this.#next[client] as number
    header.ack = opens ? 0 : (this.#expected[client] as number)
    header.window = WINDOW
    header.hasTimestamps = true
    header.tsVal = Math.floor(this.#network.now())
    header.tsEcr = opens ? 0 : (this.#timestamps[client] as number)
    header.mss = opens ? 1_460 : 0
    header.windowScale = opens ? 7 : -1
    header.sackPermitted = opens
    this.#next[client] = (header.seq + payload.length + ((flags & (SYN | FIN)) !== 0 ? 1 : 0)) | 0
    this.#batch.clear()
    this.#batch.push(tcpPacket(header, payload))
    this.#network.deliver(this.#batch, header.tsEcr, client)
  }
}
