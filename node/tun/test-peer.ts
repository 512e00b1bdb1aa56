/**
 * A plain TCP server for one client of the kernel, for the tests of the real device: just enough to exchange
 * super-packets both ways over a link that loses nothing.
 */
import { MAX_PACKET_OCTETS, PacketBatch, VNET_HEADER_OCTETS } from './packet-batch.ts'
import { ipOctetsOf, protocolOf, TCP, tcpHead } from './test-packets.ts'
import type { TunDevice } from './tun-device.ts'

/**
 * The least that speaks TCP with one kernel client over a lossless device: takes `uploadOctets`, then sends
 * `download` in the largest super-packets that the peer's window and an IP packet allow, then FIN.
 */
export class PlainPeer {
  received = 0
  receivedWrong = 0
  largestReceived = 0
  largestSent = 0
  unsent = 0
  readonly segmentSizes = new Set<number>()
  readonly #device: TunDevice
  readonly #own: string
  readonly #kernel: string
  readonly #download: Uint8Array
  readonly #uploadOctets: number
  readonly #mss: number
  readonly #batch = new PacketBatch(65_536)
  #clientPort = 0
  #rcvNxt = 0
  #windowScale = 0
  #sent = 0
  #finSent = false

  constructor(
    device: TunDevice,
    own: string,
    kernel: string,
    download: Uint8Array,
    uploadOctets: number,
    mss: number,
  ) {
    this.#device = device
    this.#own = own
    this.#kernel = kernel
    this.#download = download
    this.#uploadOctets = uploadOctets
    this.#mss = mss
    device.onReceive = batch => {
      this.#batch.clear()
      for (let index = 0; index < batch.count; index++) {
        const packet = batch.copyOf(index)
        if (protocolOf(packet) === TCP) this.#take(packet)
      }
      this.unsent += this.#batch.count - device.send(this.#batch)
    }
  }

  #take(packet: Uint8Array): void {
    const view = new DataView(packet.buffer)
    const tcp = VNET_HEADER_OCTETS + ipOctetsOf(packet)
    const payload = tcp + (view.getUint8(tcp + 12) >> 4) * 4
    const flags = view.getUint8(tcp + 13)
    if ((flags & 0x02) !== 0) {
      this.#clientPort = view.getUint16(tcp)
      this.#rcvNxt = (view.getUint32(tcp + 4) + 1) >>> 0
      // MSS, no-operation, window scale 7: the client always offers a scale too.
      const options = Uint8Array.of(2, 4, this.#mss >> 8, this.#mss & 0xff, 1, 3, 3, 7)
      this.#windowScale = scaleIn(packet.subarray(tcp + 20, payload))
      this.#queue(0x12, 0, NO_PAYLOAD, options)
      return
    }
    const octets = packet.length - payload
    if (octets > 0) this.#takePayload(packet.subarray(payload), view.getUint32(tcp + 4), view)
    if ((flags & 0x01) !== 0) this.#rcvNxt = (this.#rcvNxt + 1) >>> 0
    const acknowledged = Math.max(0, view.getUint32(tcp + 8) - 1)
    const window = view.getUint16(tcp + 14) << this.#windowScale
    if (this.received >= this.#uploadOctets) this.#sendWithin(acknowledged + window)
    if (octets > 0 || (flags & 0x01) !== 0)
      this.#queue(0x10, this.#sent + 1 + Number(this.#finSent), NO_PAYLOAD)
  }

  #takePayload(payload: Uint8Array, seq: number, view: DataView): void {
    if (seq !== this.#rcvNxt) return
    const letters = 'abcdefg'
    for (let at = 0; at < payload.length; at += 97) {
      if (payload[at] !== letters.charCodeAt((this.received + at) % 7)) this.receivedWrong++
    }
    this.received += payload.length
    this.#rcvNxt = (this.#rcvNxt + payload.length) >>> 0
    this.largestReceived = Math.max(this.largestReceived, payload.length)
    const segmentSize = view.getUint16(4, true)
    if (view.getUint8(1) !== 0) this.segmentSizes.add(segmentSize)
  }

  #sendWithin(limit: number): void {
    const most = MAX_PACKET_OCTETS - (this.#own.includes(':') ? 40 : 20) - 20
    for (;;) {
      const octets = Math.min(most, limit - this.#sent, this.#download.length - this.#sent)
      if (octets <= 0) break
      // The peer's window opens in steps; a full super-packet waits for one.
      if (octets < most && this.#sent + octets < this.#download.length && this.#sent > 1_000_000) break
      this.#queue(0x10, this.#sent + 1, this.#download.subarray(this.#sent, this.#sent + octets))
      this.#sent += octets
    }
    if (this.#sent < this.#download.length || this.#finSent) return
    this.#queue(0x11, this.#sent + 1, NO_PAYLOAD)
    this.#finSent = true
  }

  #queue(flags: number, seq: number, payload: Uint8Array, options: Uint8Array = NO_PAYLOAD): void {
    const fields = {
      src: this.#own,
      dst: this.#kernel,
      srcPort: 8_080,
      dstPort: this.#clientPort,
      seq,
      ack: this.#rcvNxt,
      flags,
      window: 65_535,
      options,
    }
    const head = tcpHead(fields, payload.length, this.#mss)
    if (!this.#batch.fits(head.length, 1)) {
      this.#device.send(this.#batch)
      this.#batch.clear()
    }
    this.#batch.arena.set(head, this.#batch.begin(head.length))
    if (payload.length > 0) this.#batch.add(payload, 0, payload.length)
    this.largestSent = Math.max(this.largestSent, head.length - VNET_HEADER_OCTETS + payload.length)
  }
}

const NO_PAYLOAD = new Uint8Array(0)

function scaleIn(options: Uint8Array): number {
  for (let at = 0; at < options.length; ) {
    const kind = options[at]
    if (kind === 3) return options[at + 2] ?? 0
    at += kind === 1 ? 1 : Math.max(2, options[at + 1] ?? 2)
  }
  return 0
}
