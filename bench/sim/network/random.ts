/**
 * Random numbers that are the same for the same seed (sfc32 of PractRand, seeded by splitmix32). Good for
 * simulations, not for secrets. Each part of a simulation forks a stream of its own, so that one part's draws
 * do not shift another's.
 */

export class Random {
  #a = 0
  #b = 0
  #c = 0
  #counter = 1

  /** Equal seeds give equal streams; a number is taken modulo 2^32. */
  constructor(seed: number | string) {
    let state = typeof seed === 'number' ? seed >>> 0 : hashOf(seed)
    const mix = () => {
      state = (state + 0x9e3779b9) | 0
      let word = state ^ (state >>> 16)
      word = Math.imul(word, 0x21f0aaad)
      word ^= word >>> 15
      word = Math.imul(word, 0x735a2d97)
      return word ^ (word >>> 15)
    }
    this.#a = mix()
    this.#b = mix()
    this.#c = mix()
    // The first outputs still show the seed.
    for (let round = 0; round < 12; round++) this.uint32()
  }

  /** 0 to 2^32 - 1. */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    this.#c |= 0
    return sum >>> 0
  }

  /** Any int32: an initial sequence number, a word of an address. */
  int32(): number {
    return this.uint32() | 0
  }

  /** From 0 up to but not 1. */
  next(): number {
    return this.uint32() / 0x1_0000_0000
  }

  /** 0 to n - 1, n at most 2^32. */
  int(n: number): number {
    return Math.floor(this.next() * n)
  }

  /** From `low` up to but not `high`. */
  between(low: number, high: number): number {
    return low + this.next() * (high - low)
  }

  chance(p: number): boolean {
    return this.next() < p
  }

  /** With the given mean: the time between events that know nothing of each other. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next())
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new Error('nothing to pick from')
    return list[this.int(list.length)] as T
  }

  /** In place. */
  shuffle<T>(list: T[]): T[] {
    for (let last = list.length - 1; last > 0; last--) {
      const other = this.int(last + 1)
      const held = list[last] as T
      list[last] = list[other] as T
      list[other] = held
    }
    return list
  }

  octets(length: number): Uint8Array {
    const octets = new Uint8Array(length)
    for (let index = 0; index < length; index++) octets[index] = this.uint32() >>> 24
    return octets
  }

  /** A stream of its own; it costs this one a single draw. */
  fork(): Random {
    return new Random(this.uint32())
  }
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return hash >>> 0
}
