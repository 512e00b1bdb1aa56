/** Sums of the kernel's counters, as nft lists them in JSON. */
import type { SteeringCounters } from './steering.ts'

interface Count {
  packets: number
  octets: number
}

export class Totals {
  readonly #named = new Map<string, Count>()
  readonly #owners = new Map<number, Count>()

  add(other: Totals): void {
    for (const [name, count] of other.#named) addTo(this.#named, name, count)
    for (const [owner, count] of other.#owners) addTo(this.#owners, owner, count)
  }

  addOwners(other: Totals, owners: ReadonlySet<number>): void {
    for (const [owner, count] of other.#owners) if (owners.has(owner)) addTo(this.#owners, owner, count)
  }

  /** Adds one listing. What is not as expected counts as nothing: another nft may print more than ours. */
  parse(listing: string): void {
    const { nftables } = JSON.parse(listing) as { nftables?: unknown }
    if (!Array.isArray(nftables)) return
    for (const entry of nftables as Listed[]) {
      const { counter, map } = entry
      // Both families together: "packets4" and "packets6" are packets.
      if (counter?.name !== undefined) addTo(this.#named, counter.name.replace(/[46]$/, ''), countOf(counter))
      for (const element of map?.elem ?? []) {
        const [first] = element
        if (typeof first !== 'object' || first.elem?.val === undefined) continue
        addTo(this.#owners, first.elem.val, countOf(first.elem.counter))
      }
    }
  }

  counters(): SteeringCounters {
    const named = (name: string) => this.#named.get(name) ?? { packets: 0, octets: 0 }
    const { packets, octets } = named('packets')
    const unnamed = named('unnamed').packets
    const unsteered = named('unsteered').packets
    const owners = [...this.#owners].map(([owner, count]) => ({ owner, ...count }))
    owners.sort((a, b) => a.owner - b.owner)
    return { packets, octets, byOwner: packets - unnamed, byFlow: unnamed - unsteered, unsteered, owners }
  }
}

interface ListedCounter {
  readonly name?: string
  readonly packets?: number
  readonly bytes?: number
}

interface Listed {
  readonly counter?: ListedCounter
  readonly map?: {
    readonly elem?: readonly (readonly (
      | string
      | { readonly elem?: { readonly val?: number; readonly counter?: ListedCounter } }
    )[])[]
  }
}

function countOf(counter: ListedCounter | undefined): Count {
  return { packets: counter?.packets ?? 0, octets: counter?.bytes ?? 0 }
}

function addTo<K>(counts: Map<K, Count>, key: K, count: Count): void {
  const present = counts.get(key)
  if (present === undefined) counts.set(key, { ...count })
  else {
    present.packets += count.packets
    present.octets += count.octets
  }
}
