/**
 * Turns the segments of the TCP core into packets of a batch: headers and small payloads go into the arena, contents
 * follow by reference. Hands the batch on when it is full, or when the owner has nothing more to send for now.
 */
import type { Flow } from '../../clone/flow.ts'
import { setFields } from '../tcp/packet-header.ts'
import type { SendQueue } from '../tcp/send-queue.ts'
import type { Transmission } from '../tcp/transmission.ts'
import { PacketBatch } from '../tun/packet-batch.ts'
import { createTcpHeader, packetHeadOctets, writeTcpPacket } from '../wire/emit.ts'
import {
  echoReplyOctets,
  isParameterProblem,
  MAX_ICMP_ERROR_OCTETS,
  writeEchoReply,
  writeUnreachable,
} from '../wire/icmp.ts'
import type { Segment } from '../wire/segment.ts'
import type { Vips } from './vips.ts'

/** 64 packets with the largest headers and a kibibyte of small payload each. */
const ARENA_OCTETS = 128 * 1024
/** A super-segment over many small pipelined responses; one with more parts is cut by the kernel's own limit. */
const MAX_PARTS_PER_PACKET = 512
const REPLY_TTL = 64

export class Emitter {
  readonly #vips: Vips
  readonly #send: (batch: PacketBatch) => void
  readonly #batch = new PacketBatch(ARENA_OCTETS)
  readonly #header = createTcpHeader()
  /** Packets whose payload was not in memory when it was to be sent. */
  missing = 0

  constructor(vips: Vips, send: (batch: PacketBatch) => void) {
    this.#vips = vips
    this.#send = send
  }

  /** Appends one segment of `flow`; `queue` holds its payload, undefined for a segment without a TCB. */
  emit(flow: Flow, out: Transmission, queue: SendQueue | undefined): void {
    const header = this.#header
    const vip = flow.family === 4 ? this.#vips.v4 : this.#vips.v6
    if (vip === undefined) return
    header.family = flow.family
    header.src0 = vip.word0
    header.src1 = vip.word1
    header.src2 = vip.word2
    header.src3 = vip.word3
    header.dst0 = flow.remote0
    header.dst1 = flow.remote1
    header.dst2 = flow.remote2
    header.dst3 = flow.remote3
    header.srcPort = flow.localPort
    header.dstPort = flow.remotePort
    setFields(header, out)

    const probe = out.probe && out.payloadLength > 0
    const octets = packetHeadOctets(header)
    if (!this.#batch.fits(octets + 1, MAX_PARTS_PER_PACKET)) this.flush()
    const batch = this.#batch
    const offset = batch.begin(probe ? octets + 1 : octets)
    writeTcpPacket(batch.arena, batch.view, offset, header)
    if (probe) batch.arena[offset + octets] = 0
    else if (out.payloadLength > 0 && queue?.gather(out.payloadSeq, out.payloadLength, batch) !== true) {
      batch.cancel()
      this.missing++
    }
  }

  /** Answers an ICMP echo request; false where it is too long. */
  echo(request: Segment): boolean {
    const octets = echoReplyOctets(request)
    if (octets === 0) return false
    if (!this.#batch.fits(octets, 0)) this.flush()
    const batch = this.#batch
    writeEchoReply(batch.arena, batch.view, batch.begin(octets), REPLY_TTL, request)
    return true
  }

  /** Says that the packet of `octets` at `offset` of `batch` is for nobody here; what was sent, if anything may be. */
  unreachable(
    batch: PacketBatch,
    offset: number,
    octets: number,
  ): 'unreachable' | 'parameter-problem' | undefined {
    if (!this.#batch.fits(MAX_ICMP_ERROR_OCTETS, 0)) this.flush()
    const out = this.#batch
    const at = out.begin(MAX_ICMP_ERROR_OCTETS)
    const { arena, view } = batch
    const written = writeUnreachable(out.arena, out.view, at, REPLY_TTL, arena, view, offset, octets)
    out.cancel()
    if (written === 0) return undefined
    out.begin(written)
    return isParameterProblem(out.view, at) ? 'parameter-problem' : 'unreachable'
  }

  /** Sends what is in the batch. */
  flush(): void {
    if (this.#batch.count === 0) return
    this.#send(this.#batch)
    this.#batch.clear()
  }
}
