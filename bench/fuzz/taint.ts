/**
 * Which octets of a stream an attacker may have set: those of injected segments that lay inside the receiver's window
 * when they arrived. TCP cannot tell them from the peer's; every other octet must be the peer's own.
 */
export class Taint {
  readonly #ranges: number[] = []

  add(from: number, to: number): void {
    if (to > from) this.#ranges.push(from, to)
  }

  has(position: number): boolean {
    for (let at = 0; at < this.#ranges.length; at += 2)
      if (position >= (this.#ranges[at] as number) && position < (this.#ranges[at + 1] as number)) return true
    return false
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0
  }
}
