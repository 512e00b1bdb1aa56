/** The octets that both ends of a transfer know: a block of pseudo-random ones over and over (`peer.c` has the same). */

/** A prime, so that no power of two shifts the stream onto itself. */
const BLOCK_OCTETS = 65_521

export function octetBlock(seed: number): Uint8Array {
  const block = new Uint8Array(BLOCK_OCTETS)
  let state = seed >>> 0
  for (let index = 0; index < BLOCK_OCTETS; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    block[index] = state >>> 24
  }
  return block
}

/** Octets of the stream from `position` on, at most `length` and as far as they lie together. */
export function octetsAt(block: Uint8Array, position: number, length: number): Uint8Array {
  const from = position % BLOCK_OCTETS
  return block.subarray(from, Math.min(from + length, BLOCK_OCTETS))
}

/** Position of the first of `octets` that is not the stream's at `position`; -1: all are. */
export function firstWrong(
  block: Uint8Array,
  position: number,
  octets: Uint8Array,
  start: number,
  length: number,
): number {
  let from = position % BLOCK_OCTETS
  for (let index = 0; index < length; index++) {
    if (octets[start + index] !== block[from]) return position + index
    if (++from === BLOCK_OCTETS) from = 0
  }
  return -1
}
