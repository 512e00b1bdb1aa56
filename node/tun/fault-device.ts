/**
 * A device that loses, doubles, delays and damages what passes through another one, with given probabilities and
 * the caller's random numbers, so that a run can be repeated. Faults meet single segments, as on a wire:
 * super-packets are cut first, and checksums completed, or damage could not be noticed.
 */
import type { Device } from './device.ts'
import { cutPacket } from './offload.ts'
import { MAX_PACKET_OCTETS, PacketBatch, VNET_HEADER_OCTETS } from './packet-batch.ts'

/** A reordered packet is overtaken by 1 to this many others; RFC 8985 expects less than a round trip's worth. */
const MAX_OVERTAKING_PACKETS = 8
/** Packets held back at once in one direction; where there are more, the oldest goes on. */
const MAX_HELD_PACKETS = 64
const BATCH_ARENA_OCTETS = 4 * (MAX_PACKET_OCTETS + VNET_HEADER_OCTETS)

/** Probabilities, 0 to 1, for one direction. */
export interface Faults {
  readonly drop?: number
  readonly duplicate?: number
  /** Held back until a few others have passed; without others, until `flush`. */
  readonly reorder?: number
  /** One bit of the IP packet is inverted. */
  readonly corrupt?: number
}

export interface FaultOptions {
  readonly outgoing?: Faults
  readonly incoming?: Faults
  /** 0 ≤ x < 1. */
  readonly random: () => number
}

export interface FaultCounters {
  passed: number
  dropped: number
  duplicated: number
  reordered: number
  corrupted: number
  /** Packets whose virtio header contradicted their octets. */
  malformed: number
}

export class FaultDevice implements Device {
  onReceive: (batch: PacketBatch) => void = ignore
  onError: (error: Error) => void = ignore
  readonly #inner: Device
  readonly #outgoing: FaultyLane
  readonly #incoming: FaultyLane

  constructor(inner: Device, options: FaultOptions) {
    this.#inner = inner
    this.#outgoing = new FaultyLane(options.outgoing ?? {}, options.random, batch => inner.send(batch))
    this.#incoming = new FaultyLane(options.incoming ?? {}, options.random, batch => this.onReceive(batch))
    inner.onReceive = batch => this.#incoming.pass(batch)
    inner.onError = error => this.onError(error)
  }

  get name(): string {
    return this.#inner.name
  }

  get outgoing(): Readonly<FaultCounters> {
    return this.#outgoing.counters
  }

  get incoming(): Readonly<FaultCounters> {
    return this.#incoming.counters
  }

  /** Accepts every packet: a lost one was lost on the way. */
  send(batch: PacketBatch): number {
    this.#outgoing.pass(batch)
    return batch.count
  }

  /** Lets go of the packets that are held back, both ways. */
  flush(): void {
    this.#outgoing.flush()
    this.#incoming.flush()
  }

  close(): void {
    this.#inner.close()
  }
}

interface HeldPacket {
  readonly packet: Uint8Array
  /** Packets that still overtake it. */
  overtaking: number
}

/** One direction of a faulty device. */
class FaultyLane {
  readonly counters: FaultCounters = {
    passed: 0,
    dropped: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    malformed: 0,
  }
  readonly #faults: Required<Faults>
  readonly #random: () => number
  readonly #forward: (batch: PacketBatch) => void
  readonly #held: HeldPacket[] = []
  /** Batches that are not being forwarded now: forwarding may lead back here before it returns. */
  readonly #spare: PacketBatch[] = []
  #batch = new PacketBatch(BATCH_ARENA_OCTETS)

  constructor(faults: Faults, random: () => number, forward: (batch: PacketBatch) => void) {
    this.#faults = { drop: 0, duplicate: 0, reorder: 0, corrupt: 0, ...faults }
    this.#random = random
    this.#forward = forward
  }

  pass(batch: PacketBatch): void {
    for (let index = 0; index < batch.count; index++) {
      const pieces = cutPacket(batch.copyOf(index))
      if (pieces.length === 0) this.counters.malformed++
      for (const piece of pieces) this.#passPiece(piece)
    }
    this.#forwardBatch()
  }

  flush(): void {
    for (const { packet } of this.#held.splice(0)) this.#emit(packet)
    this.#forwardBatch()
  }

  #passPiece(piece: Uint8Array): void {
    if (this.#random() < this.#faults.drop) {
      this.counters.dropped++
      return
    }
    if (this.#random() < this.#faults.corrupt) this.#corrupt(piece)
    if (this.#random() < this.#faults.duplicate) {
      this.counters.duplicated++
      this.#emit(piece)
    }
    if (this.#random() < this.#faults.reorder) {
      this.counters.reordered++
      this.#hold(piece)
      return
    }
    this.#emit(piece)
    this.#releaseOvertaken()
  }

  #corrupt(piece: Uint8Array): void {
    const octets = piece.length - VNET_HEADER_OCTETS
    const bit = Math.floor(this.#random() * octets * 8)
    const at = VNET_HEADER_OCTETS + (bit >> 3)
    piece[at] = (piece[at] ?? 0) ^ (1 << (bit & 7))
    this.counters.corrupted++
  }

  #hold(packet: Uint8Array): void {
    if (this.#held.length >= MAX_HELD_PACKETS) this.#emit((this.#held.shift() as HeldPacket).packet)
    this.#held.push({ packet, overtaking: 1 + Math.floor(this.#random() * MAX_OVERTAKING_PACKETS) })
  }

  #releaseOvertaken(): void {
    for (const held of this.#held) held.overtaking--
    let index = 0
    while (index < this.#held.length) {
      const held = this.#held[index] as HeldPacket
      if (held.overtaking > 0) {
        index++
        continue
      }
      this.#held.splice(index, 1)
      this.#emit(held.packet)
    }
  }

  #emit(packet: Uint8Array): void {
    this.counters.passed++
    if (this.#batch.push(packet)) return
    this.#forwardBatch()
    this.#batch.push(packet)
  }

  #forwardBatch(): void {
    const batch = this.#batch
    if (batch.count === 0) return
    this.#batch = this.#spare.pop() ?? new PacketBatch(BATCH_ARENA_OCTETS)
    this.#forward(batch)
    batch.clear()
    this.#spare.push(batch)
  }
}

function ignore(): void {}
