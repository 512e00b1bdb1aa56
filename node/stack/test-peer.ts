/** The other end of one connection of a `TestStand`, segment by segment: no stack, only its numbers. */
import { createTcpHeader, type TcpHeader } from '../wire/emit.ts'
import { parsePacket } from '../wire/parse.ts'
import { ACK, createSegment, FIN, type Segment, SYN } from '../wire/segment.ts'
import { VIRTIO_HEADER_OCTETS } from '../wire/virtio.ts'
import type { Connection } from './connection.ts'
import type { TestStand } from './test-stand.ts'

export class TestPeer {
  readonly #stand: TestStand
  readonly port: number
  seq = 1_000
  ack = 0
  tsVal: number
  tsEcr = 0

  constructor(stand: TestStand, port: number, tsVal = 1) {
    this.#stand = stand
    this.port = port
    this.tsVal = tsVal
  }

  /** Sends a SYN; the stand's answer, if it came, is taken for the acknowledgement. */
  syn(): void {
    const options = { mss: 1_460, windowScale: 7, sackPermitted: true }
    const [answer] = this.send({ flags: SYN, ...options })
    this.seq++
    if (answer === undefined) return
    this.ack = (answer.seq + 1) | 0
    this.tsEcr = answer.tsVal
  }

  establish(): this {
    this.syn()
    this.send({})
    return this
  }

  /** Acknowledges a FIN of ours, and finishes as well. */
  finish(): void {
    this.ack = (this.ack + 1) | 0
    this.send({ flags: ACK | FIN })
  }

  /** Sends a segment with the numbers as they are, but for `fields`; returns what was sent to this port for it. */
  send(fields: Partial<TcpHeader>): Segment[] {
    const stand = this.#stand
    const from = stand.packets.length
    const { port: srcPort, seq, ack, tsVal, tsEcr } = this
    const numbers = { srcPort, flags: ACK, seq, ack: fields.flags === SYN ? 0 : ack, tsVal, tsEcr }
    stand.receive([
      stand.segment({ ...createTcpHeader(), ...numbers, window: 64_240, hasTimestamps: true, ...fields }),
    ])
    return stand.packets
      .slice(from)
      .map(parse)
      .filter(segment => segment.dstPort === this.port)
  }

  get connection(): Connection {
    return this.#stand.connections().find(({ remotePort }) => remotePort === this.port) as Connection
  }
}

function parse(packet: Uint8Array): Segment {
  const segment = createSegment()
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length)
  const octets = packet.length - VIRTIO_HEADER_OCTETS
  parsePacket(packet, view, VIRTIO_HEADER_OCTETS, octets, true, segment)
  return segment
}
