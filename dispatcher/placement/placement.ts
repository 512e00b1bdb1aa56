/**
 * Where requests go: asks the policy in force, keeps what it wants remembered, bounds how many connections are moved a
 * second, and knows why it did what it did last. It sends nothing.
 */
import { TokenBucket } from '../../node/stack/token-bucket.ts'
import { leastLoadedNode, roundRobin } from './by-connection.ts'
import { type Decision, Decisions } from './decisions.ts'
import type { Directory } from './directory.ts'
import { hash } from './hash.ts'
import { lardR } from './lard-r.ts'
import { costsOf, locality } from './locality.ts'
import {
  type Choice,
  type Cost,
  DEFAULT_POLICY,
  type NodeLoad,
  type Policy,
  type PolicyName,
  type Question,
  type View,
} from './policy.ts'
import { MAX_RELIEVED, RELIEF_MS, type Relief, reliefOf } from './relief.ts'
import { ServerSets } from './server-sets.ts'

/**
 * Connections moved a second because they are better served elsewhere: at the 0.45 ms that one took its source in `npm run
 * bench -- drain`, half a core if all were one node's. New connections are not counted: they have to be placed.
 */
export const DEFAULT_SHIFTS_PER_SECOND = 1_000
/**
 * Longer paths are placed, but nothing is remembered of them: a request may name 8,000 octets, and of paths that nobody has
 * hostile clients could send enough in EXPECTED_MS to fill 600 MB (measured).
 */
export const MAX_REMEMBERED_CHARACTERS = 512
/** Of decisions about one path. */
const MAX_TOLD = 10

const FUNCTIONS: Readonly<Record<PolicyName, Policy>> = {
  locality,
  'lard-r': lardR,
  'round-robin': roundRobin,
  'least-loaded': leastLoadedNode,
  hash,
}

export interface PlacementSettings {
  readonly policy: PolicyName
  readonly shiftsPerSecond: number
}

export const DEFAULT_PLACEMENT: PlacementSettings = {
  policy: DEFAULT_POLICY,
  shiftsPerSecond: DEFAULT_SHIFTS_PER_SECOND,
}

export class Placement {
  #policy: PolicyName
  readonly #directory: Directory
  readonly #sets = new ServerSets()
  readonly #shifts: TokenBucket
  readonly #decisions = new Decisions()
  /** When a node gave, or took, of late: bounded by the ids that there are. */
  readonly #relievedAt = new Map<number, number>()
  #turn = 0

  constructor(directory: Directory, { policy, shiftsPerSecond }: PlacementSettings = DEFAULT_PLACEMENT) {
    this.#directory = directory
    this.#policy = policy
    this.#shifts = new TokenBucket(shiftsPerSecond, shiftsPerSecond)
  }

  get policy(): PolicyName {
    return this.#policy
  }

  /** What another policy remembered is not this one's. */
  set policy(policy: PolicyName) {
    if (policy !== this.#policy) this.#sets.clear()
    this.#policy = policy
  }

  /** How many decisions there were, by reason. */
  get counts(): Decisions['counts'] {
    return this.#decisions.counts
  }

  /** The node among `nodes` that should have the connection, or undefined when there is none. */
  choose(question: Question, nodes: readonly NodeLoad[], now: number): number | undefined {
    const choice = this.explain(question, nodes, now)
    if (choice === undefined) return undefined
    this.#turn++
    const { from } = question
    const path = (question.path?.length ?? 0) > MAX_REMEMBERED_CHARACTERS ? undefined : question.path
    const moves = from !== undefined && choice.to !== from
    const { to, reason, set }: Choice =
      moves && !this.#shifts.take(now) ? { to: from, reason: 'shift-limit' } : choice
    if (path !== undefined && set !== undefined) this.#sets.note(path, set)
    // Told before the node has read it, so that the next request for it goes the same way.
    if (path !== undefined && (reason === 'first' || reason === 'replica'))
      this.#directory.expect(to, path, now)
    this.#decisions.note({ at: now, path, from, to, policy: this.#policy, reason })
    return to
  }

  /** Whose busiest connections are to move where now, and how many of them at most. */
  relief(nodes: readonly NodeLoad[], now: number): (Relief & { readonly most: number }) | undefined {
    // The other policies are what their authors made them.
    if (this.#policy !== 'locality') return undefined
    const settled = nodes.filter(({ id }) => now - (this.#relievedAt.get(id) ?? -RELIEF_MS) >= RELIEF_MS)
    const relief = reliefOf(settled)
    if (relief === undefined) return undefined
    let most = 0
    while (most < MAX_RELIEVED && this.#shifts.take(now)) most++
    if (most === 0) return undefined
    this.#relievedAt.set(relief.from, now).set(relief.to, now)
    return { ...relief, most }
  }

  /** Connections that ask for `path` were moved: the object is served at `to` as well from now on. */
  relieved(from: number, to: number, path: string, now: number): void {
    this.#directory.expect(to, path, now)
    this.#sets.note(path, { nodes: [...this.#directory.holders(path)], changedAt: now, asked: 0 })
    this.#decisions.note({ at: now, path, from, to, policy: this.#policy, reason: 'relief' })
  }

  /** What would be chosen now; nothing changes by asking. */
  explain(question: Question, nodes: readonly NodeLoad[], now: number): Choice | undefined {
    return nodes.length === 0
      ? undefined
      : FUNCTIONS[this.#policy](question, this.#view(question, nodes, now))
  }

  /** What every node would cost; none where the policy in force weighs none. */
  costs(question: Question, nodes: readonly NodeLoad[], now: number): readonly Cost[] {
    if (this.#policy !== 'locality' || question.path === undefined || nodes.length === 0) return []
    return costsOf(question, this.#view(question, nodes, now))
  }

  /** The last decisions about a path, the last first. */
  decisions(path: string): readonly Decision[] {
    return this.#decisions.of(path, MAX_TOLD)
  }

  #view({ path }: Question, nodes: readonly NodeLoad[], now: number): View {
    return {
      nodes,
      holders: path === undefined ? [] : this.#directory.holders(path),
      set: path === undefined ? undefined : this.#sets.of(path),
      turn: this.#turn,
      now,
    }
  }
}
