/**
 * A batch of IP packets, each behind its virtio-net header, in the form that crosses the TUN in one call:
 * headers (and small payloads) lie in one arena, larger payloads are references to buffers that others own,
 * so that a cached file goes from memory to the kernel without a copy. Used for both directions; a received
 * packet has no references. What the octets mean is not known here.
 */

/** `struct virtio_net_hdr` without the num_buffers field: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset. */
export const VNET_HEADER_OCTETS = 10
export const VNET_NEEDS_CSUM = 1
export const VNET_DATA_VALID = 2
export const VNET_GSO_NONE = 0
export const VNET_GSO_TCPV4 = 1
export const VNET_GSO_TCPV6 = 4
export const VNET_GSO_ECN = 0x80

/** An IP packet is at most 65,535 octets (IPv4 total length). */
export const MAX_PACKET_OCTETS = 65_535
/** Enough for every header that we write: virtio 10, IPv6 40, TCP 60; and a small payload beside it. */
export const HEADER_ROOM_OCTETS = 2_048
/** One system call reads or writes one packet; this many share one crossing between C and JavaScript. */
export const MAX_BATCH_PACKETS = 64
/** One writev takes at most 1,024 pieces (IOV_MAX): the octets in the arena and this many references. */
export const MAX_BATCH_PARTS = 1_023

/** How many of the last buffers a part may share: the heads and bodies of two files that are asked for in turn. */
const REMEMBERED_BUFFERS = 4

/** Int32 a packet in `packets` and a part in `parts`; tun.c reads and writes the same tables. */
const PACKET_WORDS = 4
const PART_WORDS = 3

const NO_OCTETS = new Uint8Array(0)

export class PacketBatch {
  readonly arena: Uint8Array
  readonly view: DataView
  /** Packets in the batch. */
  count = 0
  /** Arena octets in use; the next packet begins here, always a multiple of 8. */
  used = 0
  partCount = 0
  bufferCount = 0
  /** Four int32 a packet: offset in the arena, octets in the arena, first part, number of parts. */
  readonly packets = new Int32Array(PACKET_WORDS * MAX_BATCH_PACKETS)
  /** Three int32 a part: index in `buffers`, offset in that buffer, octets. */
  readonly parts = new Int32Array(PART_WORDS * MAX_BATCH_PARTS)
  /**
   * The buffers that parts refer to. Parts of one buffer share an entry where they stand near each other, because
   * finding the octets of an entry costs the native side 95 ns. Never shortened: an array that is emptied and grown
   * again for each batch would be allocated anew each time.
   */
  readonly buffers: Uint8Array[] = new Array<Uint8Array>(MAX_BATCH_PARTS).fill(NO_OCTETS)
  /** What a device keeps with the batch: the native side's view of the tables above, made at the first send. */
  deviceHandle: unknown = null

  constructor(arenaOctets: number) {
    this.arena = new Uint8Array(arenaOctets)
    this.view = new DataView(this.arena.buffer)
  }

  clear(): void {
    // A batch that is kept must not keep contents alive that the cache has let go.
    for (let index = 0; index < this.bufferCount; index++) this.buffers[index] = NO_OCTETS
    this.count = 0
    this.used = 0
    this.partCount = 0
    this.bufferCount = 0
  }

  /** Whether one more packet with `headOctets` in the arena and `parts` references would fit. */
  fits(headOctets: number, parts: number): boolean {
    return (
      this.count < MAX_BATCH_PACKETS &&
      this.used + headOctets <= this.arena.length &&
      this.partCount + parts <= MAX_BATCH_PARTS
    )
  }

  /** Starts a packet whose first octets the caller writes at the returned arena offset; only after `fits`. */
  begin(headOctets: number): number {
    const offset = this.used
    const at = this.count * PACKET_WORDS
    this.packets[at] = offset
    this.packets[at + 1] = headOctets
    this.packets[at + 2] = this.partCount
    this.packets[at + 3] = 0
    this.count++
    this.used = (offset + headOctets + 7) & ~7
    return offset
  }

  /** Drops the packet begun last, with its references. */
  cancel(): void {
    this.count--
    const at = this.count * PACKET_WORDS
    this.used = this.packets[at] ?? 0
    this.partCount = this.packets[at + 2] ?? 0
  }

  /** Appends a reference to the packet begun last; `octets` must not change until the batch was sent. */
  add(octets: Uint8Array, start: number, length: number): void {
    const buffer = this.#bufferOf(octets)
    const at = this.partCount * PART_WORDS
    this.parts[at] = buffer
    this.parts[at + 1] = start
    this.parts[at + 2] = length
    this.partCount++
    const packet = (this.count - 1) * PACKET_WORDS + 3
    this.packets[packet] = (this.packets[packet] ?? 0) + 1
  }

  /** The entry of `octets`: one of the last few, or a new one. */
  #bufferOf(octets: Uint8Array): number {
    const { buffers, bufferCount } = this
    const oldest = Math.max(0, bufferCount - REMEMBERED_BUFFERS)
    for (let index = bufferCount - 1; index >= oldest; index--) if (buffers[index] === octets) return index
    buffers[bufferCount] = octets
    this.bufferCount++
    return bufferCount
  }

  /** Offset of packet `index` in the arena. */
  offsetOf(index: number): number {
    return this.packets[index * PACKET_WORDS] ?? 0
  }

  /** Octets of packet `index` that lie in the arena, the virtio header included. */
  headOctetsOf(index: number): number {
    return this.packets[index * PACKET_WORDS + 1] ?? 0
  }

  /** Octets of packet `index` in all, the virtio header and the references included. */
  octetsOf(index: number): number {
    let total = this.headOctetsOf(index)
    const firstPart = this.packets[index * PACKET_WORDS + 2] ?? 0
    const endPart = firstPart + (this.packets[index * PACKET_WORDS + 3] ?? 0)
    for (let part = firstPart; part < endPart; part++) total += this.parts[part * PART_WORDS + 2] ?? 0
    return total
  }

  /** Copies packet `index` whole to `target` from `at` on and returns where it ends. */
  copyTo(index: number, target: Uint8Array, at: number): number {
    const offset = this.offsetOf(index)
    const head = this.headOctetsOf(index)
    target.set(this.arena.subarray(offset, offset + head), at)
    let end = at + head
    const firstPart = this.packets[index * PACKET_WORDS + 2] ?? 0
    const endPart = firstPart + (this.packets[index * PACKET_WORDS + 3] ?? 0)
    for (let part = firstPart; part < endPart; part++) {
      const buffer = this.buffers[this.parts[part * PART_WORDS] ?? 0] ?? NO_OCTETS
      const start = this.parts[part * PART_WORDS + 1] ?? 0
      const length = this.parts[part * PART_WORDS + 2] ?? 0
      target.set(buffer.subarray(start, start + length), end)
      end += length
    }
    return end
  }

  /** One packet whole, virtio header included, as a copy: for tests, captures and relays, not for the fast path. */
  copyOf(index: number): Uint8Array {
    const whole = new Uint8Array(this.octetsOf(index))
    this.copyTo(index, whole, 0)
    return whole
  }

  /** Appends a whole packet, virtio header included, by copying it into the arena; false where it does not fit. */
  push(packet: Uint8Array): boolean {
    if (!this.fits(packet.length, 0)) return false
    this.arena.set(packet, this.begin(packet.length))
    return true
  }

  /** Appends packet `index` of another batch by copying it into the arena; false where it does not fit. */
  pushFrom(other: PacketBatch, index: number): boolean {
    const octets = other.octetsOf(index)
    if (!this.fits(octets, 0)) return false
    other.copyTo(index, this.arena, this.begin(octets))
    return true
  }
}
