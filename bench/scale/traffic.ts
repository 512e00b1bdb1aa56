/** What crossed the control links of a simulated cluster, by the type of the message: each is packed as a link packs it. */
import { pack, unpackEach } from '../../node/control/codec.ts'
import { CLUSTER_PROTOCOL, decodeClusterMessage } from '../../node/server/messages.ts'
import { decodeOwnerMessage } from '../../node/stack/messages.ts'
import { OWNER_PROTOCOL, SHIFT_PROTOCOL } from '../../node/stack/owner.ts'
import { decodeShiftMessage } from '../../shift/messages.ts'

export interface Sum {
  messages: number
  octets: number
}

export type Sums = ReadonlyMap<string, Readonly<Sum>>

export class Traffic {
  readonly #sums = new Map<string, Sum>()
  /** By protocol and tag: what a message is called. */
  readonly #names = new Map<string, string>()

  /** Counts the message; its name, and what its receiver makes of its octets. */
  carry(envelope: readonly unknown[]): { readonly name: string; readonly received: readonly unknown[] } {
    const octets = pack(envelope)
    if (octets === undefined) throw new Error('a message above a limit of the links')
    const name = this.#nameOf(envelope)
    const sum = this.#sums.get(name) ?? { messages: 0, octets: 0 }
    sum.messages++
    sum.octets += octets.length
    this.#sums.set(name, sum)
    let received: readonly unknown[] = []
    unpackEach(octets, message => {
      received = message as unknown[]
      return true
    })
    return { name, received }
  }

  /** What has been counted since the last call. */
  take(): Sums {
    const sums = new Map(this.#sums)
    this.#sums.clear()
    return sums
  }

  #nameOf(envelope: readonly unknown[]): string {
    const key = `${envelope[0]} ${envelope[1]}`
    const known = this.#names.get(key)
    if (known !== undefined) return known
    const plain = envelope.slice(1)
    const decoded =
      envelope[0] === CLUSTER_PROTOCOL
        ? decodeClusterMessage(plain)
        : envelope[0] === SHIFT_PROTOCOL
          ? decodeShiftMessage(plain)
          : envelope[0] === OWNER_PROTOCOL
            ? decodeOwnerMessage(plain)
            : undefined
    const name = decoded?.type ?? key
    this.#names.set(key, name)
    return name
  }
}

export function totalOf(sums: Sums, but: readonly string[] = []): Sum {
  const total = { messages: 0, octets: 0 }
  for (const [name, { messages, octets }] of sums) {
    if (but.includes(name)) continue
    total.messages += messages
    total.octets += octets
  }
  return total
}
