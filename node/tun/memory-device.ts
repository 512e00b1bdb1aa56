/**
 * Two devices joined in memory: what one sends, the other receives, in order, octet for octet, virtio header
 * included. For tests and simulators; it adds no delay, no loss (beyond its bounded queue) and no offload
 * of its own.
 */
import type { Device } from './device.ts'
import { MAX_PACKET_OCTETS, PacketBatch, VNET_HEADER_OCTETS } from './packet-batch.ts'

/** Packets that wait in one direction; a TUN device has room for 500 by default. */
const DEFAULT_QUEUE_PACKETS = 1_024
const MAX_QUEUE_PACKETS = 65_536
/** Room for seven of the largest packets a batch. */
const BATCH_ARENA_OCTETS = 8 * (MAX_PACKET_OCTETS + VNET_HEADER_OCTETS)

/**
 * When packets reach the other side: `manual` only by `deliver`; `turn` in the event loop's next turn, as from a
 * real device; `synchronous` before the outermost `send` returns, so that a handler can be called within its own
 * `send`.
 */
export type MemoryDelivery = 'manual' | 'turn' | 'synchronous'

export interface MemoryPairOptions {
  readonly delivery?: MemoryDelivery
  readonly queuePackets?: number
  readonly names?: readonly [string, string]
}

export class MemoryDevice implements Device {
  readonly name: string
  onReceive: (batch: PacketBatch) => void = ignore
  onError: (error: Error) => void = ignore
  /** Packets that were refused because the other side's queue was full or closed. */
  dropped = 0
  readonly #link: Link
  readonly #queue: Uint8Array[] = []
  readonly #received = new PacketBatch(BATCH_ARENA_OCTETS)
  #peer: MemoryDevice | undefined
  #closed = false
  #delivering = false

  /** One end; use `memoryPair`. */
  constructor(name: string, link: Link) {
    this.name = name
    this.#link = link
  }

  /** Packets that wait to be received here. */
  get waiting(): number {
    return this.#queue.length
  }

  send(batch: PacketBatch): number {
    const peer = this.#peer
    let accepted = 0
    if (!this.#closed && peer !== undefined && !peer.#closed) {
      while (accepted < batch.count && peer.#queue.length < this.#link.queuePackets) {
        peer.#queue.push(batch.copyOf(accepted))
        accepted++
      }
    }
    this.dropped += batch.count - accepted
    if (accepted > 0) this.#link.wake()
    return accepted
  }

  /**
   * Hands up to `limit` waiting packets to `onReceive`, and returns how many; 0 while a delivery to this device
   * is under way.
   */
  deliver(limit = Number.POSITIVE_INFINITY): number {
    let delivered = 0
    if (this.#delivering) return 0
    this.#delivering = true
    try {
      while (delivered < limit && this.#queue.length > 0 && !this.#closed) {
        delivered += this.#deliverBatch(limit - delivered)
      }
    } finally {
      this.#delivering = false
    }
    return delivered
  }

  close(): void {
    this.#closed = true
    this.#queue.length = 0
  }

  /** Joins two ends; use `memoryPair`. */
  join(peer: MemoryDevice): void {
    this.#peer = peer
    peer.#peer = this
  }

  #deliverBatch(limit: number): number {
    const batch = this.#received
    batch.clear()
    let taken = 0
    while (taken < limit && taken < this.#queue.length && batch.push(this.#queue[taken] as Uint8Array))
      taken++
    // A packet that no batch can hold, which no IP packet is, must not block the queue.
    if (taken === 0) this.#queue.shift()
    this.#queue.splice(0, taken)
    if (taken > 0) this.onReceive(batch)
    return taken
  }
}

/** What both ends share: the bound of their queues, and the one loop that empties them. */
class Link {
  readonly queuePackets: number
  readonly #delivery: MemoryDelivery
  #ends: readonly MemoryDevice[] = []
  #awake = false

  constructor(delivery: MemoryDelivery, queuePackets: number) {
    this.#delivery = delivery
    this.queuePackets = queuePackets
  }

  connect(ends: readonly [MemoryDevice, MemoryDevice]): void {
    this.#ends = ends
    ends[0].join(ends[1])
  }

  wake(): void {
    if (this.#delivery === 'manual' || this.#awake) return
    this.#awake = true
    if (this.#delivery === 'turn') setImmediate(() => this.#turn())
    else this.#drain()
  }

  /** One round a turn of the event loop, so that timers run between them. */
  #turn(): void {
    this.#awake = false
    for (const end of this.#ends) {
      if (end.waiting > 0) end.deliver(end.waiting)
    }
    if (this.#ends.some(end => end.waiting > 0)) this.wake()
  }

  #drain(): void {
    try {
      while (this.#ends.some(end => end.deliver() > 0));
    } finally {
      this.#awake = false
    }
  }
}

function ignore(): void {}

export function memoryPair(options: MemoryPairOptions = {}): [MemoryDevice, MemoryDevice] {
  const { delivery = 'turn', queuePackets = DEFAULT_QUEUE_PACKETS, names = ['memory0', 'memory1'] } = options
  if (!(queuePackets >= 1 && queuePackets <= MAX_QUEUE_PACKETS)) {
    throw new RangeError(`queuePackets: 1 to ${MAX_QUEUE_PACKETS}`)
  }
  const link = new Link(delivery, queuePackets)
  const pair: [MemoryDevice, MemoryDevice] = [
    new MemoryDevice(names[0], link),
    new MemoryDevice(names[1], link),
  ]
  link.connect(pair)
  return pair
}
