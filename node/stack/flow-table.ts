/**
 * The table from a flow (remote address and port; the local address is the VIP) to what the owner knows of it.
 * Open addressing over an Int32Array with backward-shift deletion: a look-up touches one or two cache lines and
 * allocates nothing. It holds flows, not their meaning: what an entry is, the owner decides.
 */

/** What names a flow; addresses in four words, IPv4 mapped. */
export interface FlowKey {
  readonly remote0: number
  readonly remote1: number
  readonly remote2: number
  readonly remote3: number
  readonly remotePort: number
  readonly localPort: number
}

const INITIAL_SLOTS = 1_024
/** Half a million connections and as many tombstones; beyond it new flows are refused, never old ones lost. */
export const MAX_FLOWS = 1 << 20

export class FlowTable<Entry extends FlowKey> {
  readonly #max: number
  #seed: number
  #mask = INITIAL_SLOTS - 1
  /** Index into #entries plus one; 0 is an empty slot. */
  #slots = new Int32Array(INITIAL_SLOTS)
  /** The hash of each slot's entry, so that growing and deleting need not read the entries. */
  #hashes = new Int32Array(INITIAL_SLOTS)
  #entries: (Entry | undefined)[] = []
  #free: number[] = []
  size = 0

  /** `seed` makes slots unpredictable to clients, who choose their ports (hash flooding). */
  constructor(seed: number, max: number = MAX_FLOWS) {
    this.#seed = seed | 0
    this.#max = max
  }

  get(
    r0: number,
    r1: number,
    r2: number,
    r3: number,
    remotePort: number,
    localPort: number,
  ): Entry | undefined {
    const hash = this.#hash(r0, r1, r2, r3, remotePort, localPort)
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const index = this.#slots[slot] as number
      if (index === 0) return undefined
      if (this.#hashes[slot] !== hash) continue
      const entry = this.#entries[index - 1] as Entry
      if (
        entry.remote3 === r3 &&
        entry.remotePort === remotePort &&
        entry.localPort === localPort &&
        entry.remote2 === r2 &&
        entry.remote1 === r1 &&
        entry.remote0 === r0
      ) {
        return entry
      }
    }
  }

  find(key: FlowKey): Entry | undefined {
    return this.get(key.remote0, key.remote1, key.remote2, key.remote3, key.remotePort, key.localPort)
  }

  get full(): boolean {
    return this.size >= this.#max
  }

  /** Puts `entry` in the place of whatever had its flow. False where the table is full. */
  set(entry: Entry): boolean {
    const hash = this.#hashOf(entry)
    const slot = this.#slotOf(entry, hash)
    if (slot >= 0) {
      this.#entries[(this.#slots[slot] as number) - 1] = entry
      return true
    }
    if (this.full) return false
    if ((this.size + 1) * 2 > this.#slots.length) this.#grow()
    const index = this.#free.pop() ?? this.#entries.push(undefined) - 1
    this.#entries[index] = entry
    this.#place(hash, index + 1)
    this.size++
    return true
  }

  /** Removes the flow of `key`, but only while `key` itself is its entry: a late removal never hits a successor. */
  delete(key: Entry): boolean {
    const hash = this.#hashOf(key)
    let hole = this.#slotOf(key, hash)
    if (hole < 0) return false
    const index = (this.#slots[hole] as number) - 1
    if (this.#entries[index] !== key) return false
    this.#entries[index] = undefined
    this.#free.push(index)
    this.size--
    for (let next = (hole + 1) & this.#mask; this.#slots[next] !== 0; next = (next + 1) & this.#mask) {
      const home = (this.#hashes[next] as number) & this.#mask
      // The entry may move back only if its home does not lie between the hole and where it stands.
      if (((next - home) & this.#mask) < ((next - hole) & this.#mask)) continue
      this.#slots[hole] = this.#slots[next] as number
      this.#hashes[hole] = this.#hashes[next] as number
      hole = next
    }
    this.#slots[hole] = 0
    return true
  }

  *values(): IterableIterator<Entry> {
    for (const entry of this.#entries) if (entry !== undefined) yield entry
  }

  #hashOf(key: FlowKey): number {
    return this.#hash(key.remote0, key.remote1, key.remote2, key.remote3, key.remotePort, key.localPort)
  }

  #hash(r0: number, r1: number, r2: number, r3: number, remotePort: number, localPort: number): number {
    return hashOfFlow(this.#seed, r0, r1, r2, r3, remotePort, localPort)
  }

  #slotOf(key: FlowKey, hash: number): number {
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const index = this.#slots[slot] as number
      if (index === 0) return -1
      if (this.#hashes[slot] === hash && sameFlow(this.#entries[index - 1] as Entry, key)) return slot
    }
  }

  #place(hash: number, value: number): void {
    let slot = hash & this.#mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask
    this.#slots[slot] = value
    this.#hashes[slot] = hash
  }

  #grow(): void {
    const slots = this.#slots
    const hashes = this.#hashes
    this.#mask = slots.length * 2 - 1
    this.#slots = new Int32Array(slots.length * 2)
    this.#hashes = new Int32Array(slots.length * 2)
    for (let slot = 0; slot < slots.length; slot++) {
      if (slots[slot] !== 0) this.#place(hashes[slot] as number, slots[slot] as number)
    }
  }
}

/**
 * Every word goes in behind a multiplication of all before it, so that no two flows collide whatever the seed: a client
 * has a /64 of addresses to choose from, and would fill one chain with them.
 */
export function hashOfFlow(
  seed: number,
  r0: number,
  r1: number,
  r2: number,
  r3: number,
  remotePort: number,
  localPort: number,
): number {
  let h = seed ^ r0
  h = Math.imul(h ^ (h >>> 16), 0x27d4eb2f) ^ r1
  h = Math.imul(h ^ (h >>> 15), 0x9e3779b1) ^ r2
  h = Math.imul(h ^ (h >>> 16), 0xc2b2ae3d) ^ r3
  h = Math.imul(h ^ (h >>> 15), 0x85ebca77) ^ ((remotePort << 16) | localPort)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae3d)
  return h ^ (h >>> 16)
}

export function sameFlow(a: FlowKey, b: FlowKey): boolean {
  return (
    a.remote3 === b.remote3 &&
    a.remotePort === b.remotePort &&
    a.localPort === b.localPort &&
    a.remote2 === b.remote2 &&
    a.remote1 === b.remote1 &&
    a.remote0 === b.remote0
  )
}
