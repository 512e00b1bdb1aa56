/**
 * A device that records what passes through another one, both ways, as a capture. Checksums that were left to
 * the kernel are completed in the recording only; super-packets are recorded whole. What `send` offers is
 * recorded, whether or not the device then takes it.
 */
import type { Device } from './device.ts'
import { completeChecksum } from './offload.ts'
import { MAX_PACKET_OCTETS, type PacketBatch, VNET_HEADER_OCTETS } from './packet-batch.ts'
import { pcapHead, pcapPacket } from './pcap.ts'

/** A capture that nobody stops must not fill the disk. */
export const DEFAULT_CAPTURE_OCTETS = 256 * 1024 * 1024
/** Remarks that wait for the next packet; an idle device has few, and those beyond are left out. */
const MAX_WAITING_NOTES = 1_024

export type PacketDirection = 'in' | 'out'

export interface CaptureOptions {
  /** Takes the next octets of the capture, which may be kept; false where they are not taken. */
  readonly write: (octets: Uint8Array) => boolean
  /** Called once, when `captureOctets` are used up. */
  readonly full?: () => void
  /** Milliseconds since 1970, with fraction. */
  readonly clock?: () => number
  /** Octets recorded of a packet at most; default is all. */
  readonly snapOctets?: number
  /** Octets of the whole capture, after which packets are only counted; default 256 MiB. */
  readonly captureOctets?: number
  /** A remark that stands beside the packet (its IP header is at `VNET_HEADER_OCTETS`); empty for none. */
  readonly comment?: (direction: PacketDirection, packet: Uint8Array) => string
}

export class PcapDevice implements Device {
  onReceive: (batch: PacketBatch) => void = ignore
  onError: (error: Error) => void = ignore
  /** Packets that are in the capture. */
  recorded = 0
  /** Packets that came after the capture was full, or were not taken. */
  unrecorded = 0
  readonly #inner: Device
  readonly #write: (octets: Uint8Array) => boolean
  readonly #full: () => void
  readonly #clock: () => number
  readonly #snapOctets: number
  readonly #comment: (direction: PacketDirection, packet: Uint8Array) => string
  #octetsLeft: number
  #notes: string[] = []

  constructor(inner: Device, options: CaptureOptions) {
    this.#inner = inner
    this.#write = options.write
    this.#full = options.full ?? ignore
    this.#clock = options.clock ?? (() => performance.timeOrigin + performance.now())
    this.#snapOctets = options.snapOctets ?? MAX_PACKET_OCTETS
    this.#octetsLeft = options.captureOctets ?? DEFAULT_CAPTURE_OCTETS
    this.#comment = options.comment ?? (() => '')
    inner.onReceive = batch => {
      this.#record('in', batch)
      this.onReceive(batch)
    }
    inner.onError = error => this.onError(error)
    this.#write(pcapHead([inner.name]))
  }

  get name(): string {
    return this.#inner.name
  }

  send(batch: PacketBatch): number {
    this.#record('out', batch)
    return this.#inner.send(batch)
  }

  close(): void {
    this.#inner.close()
  }

  /** A remark, as a comment of the next packet. */
  note(text: string): void {
    if (this.#octetsLeft > 0 && this.#notes.length < MAX_WAITING_NOTES) this.#notes.push(text)
  }

  #record(direction: PacketDirection, batch: PacketBatch): void {
    const timeMs = this.#clock()
    for (let index = 0; index < batch.count; index++) {
      if (this.#octetsLeft <= 0) this.unrecorded++
      else this.#recordPacket(direction, timeMs, batch.copyOf(index))
    }
  }

  #recordPacket(direction: PacketDirection, timeMs: number, packet: Uint8Array): void {
    completeChecksum(packet)
    const captured = pcapPacket({
      timeMs,
      interfaceIndex: 0,
      direction,
      octets: packet.subarray(VNET_HEADER_OCTETS, VNET_HEADER_OCTETS + this.#snapOctets),
      originalOctets: Math.max(0, packet.length - VNET_HEADER_OCTETS),
      comments: this.#commentsOn(direction, packet),
    })
    if (this.#append(captured)) this.recorded++
    else this.unrecorded++
  }

  #commentsOn(direction: PacketDirection, packet: Uint8Array): string[] {
    const comments = this.#notes
    this.#notes = []
    const comment = this.#comment(direction, packet)
    if (comment !== '') comments.push(comment)
    return comments
  }

  #append(captured: Uint8Array): boolean {
    this.#octetsLeft -= captured.length
    if (this.#octetsLeft <= 0) this.#full()
    return this.#write(captured)
  }
}

function ignore(): void {}
