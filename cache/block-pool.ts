/**
 * The memory that streamed files pass through: blocks of one size, bounded in number, the one used least recently
 * taken for what is read next. Nobody can hold a block, so no slow reader pins memory: a block lives until others are
 * wanted more, and what is needed again, for a retransmission, is read again.
 */

/** One super-segment. Larger blocks would be read in vain for slow readers, smaller ones cost calls. */
export const BLOCK_OCTETS = 65_536

/**
 * All blocks of a node: 64 readers at full speed have two reads of half a mebibyte each in it, and thousands of slow ones
 * a block each.
 */
export const MAX_STREAM_OCTETS = 64 * 1_048_576

/** Whose octets a block holds; told when they are gone. */
export interface BlockHolder {
  evicted(block: Block): void
}

export class Block {
  /** Reused for many stretches of many files, so valid for the call in which it was found. */
  readonly octets = new Uint8Array(BLOCK_OCTETS)
  holder: BlockHolder | undefined = undefined
  /** Which block of the holder's content. */
  index = 0
  /** Being filled: no octet of it is valid, and it cannot be taken. */
  reading = false
  /** Located since it was filled. */
  used = false
  /** Blocks to read ahead from `aheadFrom` on as soon as this one is used; 0: none. */
  aheadCount = 0
  aheadFrom = 0
  newer: Block | undefined = undefined
  older: Block | undefined = undefined
}

export class BlockPool {
  readonly maxBlocks: number
  /** Blocks filled in advance that went before anybody wanted them. */
  wasted = 0
  #allocated = 0
  #free: Block[] = []
  #newest: Block | undefined
  #oldest: Block | undefined

  /** At least one block, however few the octets. */
  constructor(octets: number) {
    this.maxBlocks = Math.max(1, Math.floor(octets / BLOCK_OCTETS))
  }

  get octets(): number {
    return this.#allocated * BLOCK_OCTETS
  }

  /** A block to be filled for `holder`, or undefined where all are being filled. */
  take(holder: BlockHolder, index: number): Block | undefined {
    const block = this.#obtain()
    if (block === undefined) return undefined
    block.holder = holder
    block.index = index
    block.reading = true
    block.used = false
    block.aheadCount = 0
    return block
  }

  /** The block holds its octets now. */
  filled(block: Block): void {
    block.reading = false
    this.#link(block)
  }

  /** A use, on the packet path. */
  touch(block: Block): void {
    block.used = true
    if (block === this.#newest) return
    this.#unlink(block)
    this.#link(block)
  }

  /** The block's octets are of no use any more. */
  release(block: Block): void {
    if (!block.reading) this.#unlink(block)
    block.reading = false
    block.holder = undefined
    this.#free.push(block)
  }

  #obtain(): Block | undefined {
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#allocated < this.maxBlocks) {
      this.#allocated++
      return new Block()
    }
    const oldest = this.#oldest
    if (oldest === undefined) return undefined
    this.#unlink(oldest)
    if (!oldest.used) this.wasted++
    oldest.holder?.evicted(oldest)
    return oldest
  }

  #link(block: Block): void {
    block.newer = undefined
    block.older = this.#newest
    if (this.#newest === undefined) this.#oldest = block
    else this.#newest.newer = block
    this.#newest = block
  }

  #unlink(block: Block): void {
    if (block.newer === undefined) this.#newest = block.older
    else block.newer.older = block.older
    if (block.older === undefined) this.#oldest = block.newer
    else block.older.newer = block.newer
    block.newer = undefined
    block.older = undefined
  }
}
