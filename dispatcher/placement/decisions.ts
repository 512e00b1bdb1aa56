/** The last decisions of the placement, so that the operator can be told why a file is where it is; and how many there were. */
import type { PolicyName, Reason } from './policy.ts'

/** Some hundred octets each. */
export const MAX_DECISIONS = 4_096

export interface Decision {
  /** On the clock of the view. */
  readonly at: number
  readonly path: string | undefined
  readonly from: number | undefined
  readonly to: number
  readonly policy: PolicyName
  readonly reason: Reason
}

export class Decisions {
  readonly #ring: Decision[] = []
  #next = 0
  readonly #counts: Partial<Record<Reason, number>> = {}

  note(decision: Decision): void {
    this.#ring[this.#next] = decision
    this.#next = (this.#next + 1) % MAX_DECISIONS
    this.#counts[decision.reason] = (this.#counts[decision.reason] ?? 0) + 1
  }

  get counts(): Readonly<Partial<Record<Reason, number>>> {
    return this.#counts
  }

  /** Those of a path, the last first. */
  of(path: string, most: number): Decision[] {
    const found: Decision[] = []
    const { length } = this.#ring
    for (let back = 1; back <= length && found.length < most; back++) {
      const decision = this.#ring[(this.#next - back + length) % length] as Decision
      if (decision.path === path) found.push(decision)
    }
    return found
  }
}
