/**
 * From the authority of a request to what is configured for its host: exact names first, then the longest `*.` name.
 * Looked up on the packet path, so in the octets as they came, without making a string.
 */
import { hostEnd, lower } from './authority.ts'
import { asciiOctets } from './grammar.ts'

const DOT = 0x2e

interface Named<T> {
  /** A host, or with its dot before it the end of all hosts below a name. */
  readonly octets: Uint8Array
  readonly value: T
}

export class HostTable<T> {
  /** By the hash of the name; names of one hash share a list. */
  readonly #exact = new Map<number, Named<T>[]>()
  readonly #below = new Map<number, Named<T>[]>()

  /** Names as `example.org`, `*.example.org`, `[fd77::1]`, in lower case; of equal ones the first counts. */
  constructor(names: Iterable<readonly [name: string, value: T]>) {
    for (const [name, value] of names) {
      const isWildcard = name.startsWith('*.')
      const octets = asciiOctets(isWildcard ? name.slice(1) : name)
      const table = isWildcard ? this.#below : this.#exact
      const hash = hashName(octets)
      table.set(hash, [...(table.get(hash) ?? []), { octets, value }])
    }
  }

  /**
   * What is configured for a well-formed authority (`isAuthority`): its port does not count, nor do case and a dot at the
   * end (RFC 9110 §4.2.3, RFC 3986 §3.2.2).
   */
  find(octets: Uint8Array, start: number, end: number): T | undefined {
    if (this.#exact.size === 0 && this.#below.size === 0) return undefined
    let last = hostEnd(octets, start, end)
    if (last > start && octets[last - 1] === DOT) last--
    let hash = SEED
    let found: T | undefined
    // Backwards, so that every end of the name has its hash on the way: the longest comes last.
    for (let at = last - 1; at >= start; at--) {
      const octet = lower(octets[at] as number)
      hash = step(hash, octet)
      if (octet === DOT && at > start) found = match(this.#below.get(hash), octets, at, last) ?? found
    }
    return match(this.#exact.get(hash), octets, start, last) ?? found
  }
}

/** FNV-1a, from the last octet to the first. */
const SEED = 0x811c9dc5 | 0

function step(hash: number, octet: number): number {
  return Math.imul(hash ^ octet, 0x01000193)
}

function hashName(octets: Uint8Array): number {
  let hash = SEED
  for (let at = octets.length - 1; at >= 0; at--) hash = step(hash, octets[at] as number)
  return hash
}

function match<T>(
  named: readonly Named<T>[] | undefined,
  octets: Uint8Array,
  start: number,
  end: number,
): T | undefined {
  if (named === undefined) return undefined
  for (const { octets: name, value } of named) {
    if (name.length !== end - start) continue
    let at = 0
    while (at < name.length && name[at] === lower(octets[start + at] as number)) at++
    if (at === name.length) return value
  }
  return undefined
}
