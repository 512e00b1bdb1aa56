/**
 * The nodes of the cluster as the dispatcher knows them: from their links and their reports. Decides who is a candidate
 * for new connections; sends nothing.
 */
import { SEGMENTS_PER_LOAD } from '../node/server/relief.ts'
import type { NodeLoad } from './placement/policy.ts'

/** A node whose link is down this long is taken for dead: its connections are nobody's. */
export const DEAD_AFTER_MS = 10_000

export interface Member {
  readonly id: number
  readonly name: string
  readonly address: string
  readonly address6: string | undefined
  /** host:port of its control links. */
  readonly control: string
  readonly incarnation: string
  up: boolean
  downSince: number
  /** Its connections were given to others: nothing is steered to it until it is up again. */
  failed: boolean
  draining: boolean
  /** As last told, and those given to it since. */
  connections: number
  /** Segments that it sends a second, as last told; a super-segment is one. */
  segmentsPerSecond: number
  /** On which its applications listen. */
  ports: readonly number[]
}

type Told = 'up' | 'downSince' | 'failed' | 'draining' | 'connections' | 'segmentsPerSecond' | 'ports'

/** What of a member is known by its link. */
export type Introduced = Omit<Member, Told>

/** What a node has to do: for what its connections are about to ask, and for what they are being sent. */
export function loadOf({ connections, segmentsPerSecond }: Member): number {
  return connections + segmentsPerSecond / SEGMENTS_PER_LOAD
}

export class Members {
  readonly #members = new Map<number, Member>()

  get all(): readonly Member[] {
    return [...this.#members.values()].sort((a, b) => a.id - b.id)
  }

  get(id: number): Member | undefined {
    return this.#members.get(id)
  }

  /** By its id as a number, or by its name. */
  named(name: string): Member | undefined {
    const id = /^\d+$/.test(name) ? Number(name) : Number.NaN
    return this.#members.get(id) ?? this.all.find(member => member.name === name)
  }

  up(member: Introduced): void {
    this.#members.set(member.id, {
      ...member,
      up: true,
      downSince: Number.POSITIVE_INFINITY,
      failed: false,
      draining: false,
      connections: 0,
      segmentsPerSecond: 0,
      // Until it says so again, right after.
      ports: this.#members.get(member.id)?.ports ?? [],
    })
  }

  down(id: number, now: number): void {
    const member = this.#members.get(id)
    if (member === undefined) return
    member.up = false
    member.downSince = now
  }

  remove(id: number): void {
    this.#members.delete(id)
  }

  /** Those that are to be given up, and were not yet. */
  failing(now: number, afterMs: number): Member[] {
    return this.all.filter(({ up, failed, downSince }) => !up && !failed && now - downSince >= afterMs)
  }

  /** Those that are down for too long. */
  dead(now: number): Member[] {
    return this.all.filter(member => !member.up && now - member.downSince >= DEAD_AFTER_MS)
  }

  /** Who takes the connections of `node`, the least loaded first. */
  takers(node: number): number[] {
    return [...this.candidates([node])].sort((a, b) => a.load - b.load).map(({ id }) => id)
  }

  /** Whether a node that is up, or may come back, runs an application on `port`. */
  hasApp(port: number): boolean {
    for (const { ports } of this.#members.values()) if (ports.includes(port)) return true
    return false
  }

  /** The least loaded node that runs an application on `port` and takes connections. */
  runs(port: number, not: readonly number[]): Member | undefined {
    let best: Member | undefined
    for (const member of this.#members.values()) {
      if (!member.up || member.draining || not.includes(member.id) || !member.ports.includes(port)) continue
      if (best === undefined || loadOf(member) < loadOf(best)) best = member
    }
    return best
  }

  /** Who may be given connections, by id. */
  candidates(not: readonly number[]): readonly NodeLoad[] {
    return this.all
      .filter(member => member.up && !member.draining && !not.includes(member.id))
      .map(member => ({ id: member.id, connections: member.connections, load: loadOf(member) }))
  }
}
