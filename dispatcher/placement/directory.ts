/**
 * Which node holds what in memory: soft state, told by the nodes in batches and wrong for a moment now and then. A wrong
 * entry costs a read from disk, never a wrong answer. It decides nothing: the policies do.
 */
import { dropOldest } from '../../node/stack/oldest.ts'

/** Paths known of all nodes together; beyond it the oldest entries go, and their objects count as held by nobody. */
export const MAX_DIRECTORY_PATHS = 1_000_000
/** Their characters together: paths are short, but a client may ask for long ones, and a node may say anything. */
export const MAX_DIRECTORY_CHARS = 128 * 1024 * 1024
/** A node that was given a path reads it now; where it has not said so after this, there is no such file. Large ones are hashed first. */
export const EXPECTED_MS = 15_000
/** Of those: more than a second of new paths at any rate that a dispatcher accepts. */
export const MAX_EXPECTED = 65_536
/** Their characters together. */
export const MAX_EXPECTED_CHARS = 16 * 1024 * 1024

interface Expected {
  readonly owner: number
  readonly path: string
  readonly until: number
}

export class Directory {
  /** Path to the owner ids that hold it. */
  readonly #holders = new Map<string, number[]>()
  /** The same by owner: a node that comes or goes must not cost a walk over the paths of all. */
  readonly #held = new Map<number, Set<string>>()
  /** What nodes were given and have not confirmed, the oldest first. */
  readonly #expected = new Map<string, Expected>()
  readonly #max: number
  readonly #maxChars: number
  #expectedChars = 0
  /** Of the paths that are held. */
  chars = 0

  constructor(max: number = MAX_DIRECTORY_PATHS, maxChars: number = MAX_DIRECTORY_CHARS) {
    this.#max = max
    this.#maxChars = maxChars
  }

  get size(): number {
    return this.#holders.size
  }

  holders(path: string): readonly number[] {
    return this.#holders.get(path) ?? []
  }

  /** Whether the node has not said itself that it holds the object. */
  isExpected(owner: number, path: string): boolean {
    return this.#expected.has(keyOf(owner, path))
  }

  /** The node says that it holds the object. */
  add(owner: number, path: string): void {
    this.#confirm(owner, path)
    this.#add(owner, path)
  }

  /** The node was given a request for it, and will hold it in a moment. */
  expect(owner: number, path: string, now: number): void {
    if (this.holders(path).includes(owner)) return
    this.#expected.set(keyOf(owner, path), { owner, path, until: now + EXPECTED_MS })
    this.#expectedChars += path.length
    while (this.#expected.size > MAX_EXPECTED || this.#expectedChars > MAX_EXPECTED_CHARS) {
      this.#expire(Number.POSITIVE_INFINITY, 1)
    }
    this.#add(owner, path)
  }

  /** What was expected and did not come is not waited for any longer. */
  expire(now: number): void {
    this.#expire(now, this.#expected.size)
  }

  remove(owner: number, path: string): void {
    const holders = this.#holders.get(path)
    const index = holders?.indexOf(owner) ?? -1
    if (holders === undefined || index < 0) return
    this.#confirm(owner, path)
    holders.splice(index, 1)
    this.#held.get(owner)?.delete(path)
    if (holders.length === 0) this.#forgetPath(path)
  }

  /** The node is gone, or begins to tell its whole cache again. */
  forget(owner: number): void {
    for (const path of this.#held.get(owner) ?? []) this.remove(owner, path)
    this.#held.delete(owner)
  }

  #add(owner: number, path: string): void {
    const holders = this.#holders.get(path)
    if (holders === undefined) {
      while (this.#holders.size >= this.#max || this.chars + path.length > this.#maxChars) this.#dropOldest()
      this.#holders.set(path, [owner])
      this.chars += path.length
    } else if (!holders.includes(owner)) holders.push(owner)
    else return
    const held = this.#held.get(owner)
    if (held === undefined) this.#held.set(owner, new Set([path]))
    else held.add(path)
  }

  #expire(now: number, most: number): void {
    for (const { owner, path, until } of this.#expected.values()) {
      if (until > now || most-- === 0) return
      this.#confirm(owner, path)
      this.remove(owner, path)
    }
  }

  #dropOldest(): void {
    dropOldest(this.#holders, this.#max, (path, holders) => {
      this.#forgetPath(path)
      for (const owner of holders) {
        this.#confirm(owner, path)
        this.#held.get(owner)?.delete(path)
      }
    })
  }

  #forgetPath(path: string): void {
    if (this.#holders.delete(path)) this.chars -= path.length
  }

  /** What was expected came, or is not waited for any more. */
  #confirm(owner: number, path: string): void {
    if (this.#expected.delete(keyOf(owner, path))) this.#expectedChars -= path.length
  }
}

function keyOf(owner: number, path: string): string {
  return `${owner} ${path}`
}
