/** Links to addresses that may change while we run: each is dialed for as long as it is named, or as its link is up. */
import type { Dialer } from './dialer.ts'

/** Makes the dialer of an address; `down` is to be called when its link has gone down. */
export type DialerMaker = (address: string, down: () => void) => Dialer

export class Dialers {
  readonly #make: DialerMaker
  /** By host:port. */
  readonly #dialers = new Map<string, Dialer>()
  #named: ReadonlySet<string> = new Set()

  constructor(make: DialerMaker) {
    this.#make = make
  }

  /** Exactly these from now on. A link that is up stays until it breaks: whoever forgot it there may be wrong. */
  name(addresses: readonly string[]): void {
    this.#named = new Set(addresses)
    for (const address of this.#dialers.keys()) this.#prune(address)
    for (const address of this.#named) {
      if (this.#dialers.has(address)) continue
      this.#dialers.set(
        address,
        this.#make(address, () => this.#prune(address)),
      )
    }
  }

  get size(): number {
    return this.#dialers.size
  }

  *links() {
    for (const { link } of this.#dialers.values()) if (link !== undefined) yield link
  }

  has(address: string): boolean {
    return this.#dialers.has(address)
  }

  close(): void {
    for (const dialer of this.#dialers.values()) dialer.close()
    this.#dialers.clear()
  }

  #prune(address: string): void {
    const dialer = this.#dialers.get(address)
    if (dialer === undefined || this.#named.has(address) || dialer.link !== undefined) return
    this.#dialers.delete(address)
    dialer.close()
  }
}
