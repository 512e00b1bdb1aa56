/**
 * Where a request goes: to a node that holds the file in memory, or to the least loaded, which reads it and holds it
 * from then on. A pure choice over what the directory and the nodes' loads say at the moment.
 */
import type { Directory } from './directory.ts'

export interface Candidate {
  readonly id: number
  /** Connections that the node owns, as last told, and those given to it since. */
  readonly connections: number
}

/**
 * A holder may have this many connections more than twice the least loaded node's before the object is given a second
 * holder (LARD/R's imbalance bound; its paper uses T_high = 65 over T_low = 25).
 */
const IMBALANCE_CONNECTIONS = 40

export class Placement {
  readonly #directory: Directory
  #turn = 0

  constructor(directory: Directory) {
    this.#directory = directory
  }

  /** The node for `path` among `candidates`, or undefined when there is none. */
  choose(path: string, candidates: readonly Candidate[]): number | undefined {
    const least = this.#leastLoaded(candidates)
    if (least === undefined) return undefined
    const holders = this.#directory.holders(path)
    let best: Candidate | undefined
    for (const candidate of candidates) {
      if (!holders.includes(candidate.id)) continue
      if (best === undefined || candidate.connections < best.connections) best = candidate
    }
    if (best === undefined) {
      // Told before the node has read it, so that the next request for it goes the same way.
      this.#directory.add(least.id, path)
      return least.id
    }
    if (best.connections > 2 * least.connections + IMBALANCE_CONNECTIONS) {
      this.#directory.add(least.id, path)
      return least.id
    }
    return best.id
  }

  /** Among equals in turn, or an idle cluster would put everything on its first node. */
  #leastLoaded(candidates: readonly Candidate[]): Candidate | undefined {
    if (candidates.length === 0) return undefined
    let best: Candidate | undefined
    this.#turn++
    for (let index = 0; index < candidates.length; index++) {
      const candidate = candidates[(index + this.#turn) % candidates.length] as Candidate
      if (best === undefined || candidate.connections < best.connections) best = candidate
    }
    return best
  }
}
