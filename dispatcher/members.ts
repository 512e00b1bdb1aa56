/**
 * The nodes of the cluster as the dispatcher knows them: from their links and their reports. Decides who is a candidate
 * for new connections; sends nothing.
 */
import { SEGMENTS_PER_LOAD } from '../node/server/relief.ts'
import type { NodeLoad } from './placement/policy.ts'

/** A node whose link is down this long is taken for dead: its connections are nobody's. */
export const DEAD_AFTER_MS = 10_000

/** What of a member is known by its link. */
export interface Introduced {
  readonly id: number
  readonly name: string
  readonly address: string
  readonly address6: string | undefined
  /** host:port of its control links. */
  readonly control: string
  readonly incarnation: string
}

export class Member implements Introduced, NodeLoad {
  readonly id: number
  readonly name: string
  readonly address: string
  readonly address6: string | undefined
  readonly control: string
  readonly incarnation: string
  up = true
  downSince = Number.POSITIVE_INFINITY
  /** Its connections were given to others: nothing is steered to it until it is up again. */
  failed = false
  draining = false
  /** As last told, and those given to it since. */
  connections = 0
  /** Segments that it sends a second, as last told; a super-segment is one. */
  segmentsPerSecond = 0
  /** On which its applications listen. */
  ports: readonly number[]

  constructor(introduced: Introduced, ports: readonly number[]) {
    this.id = introduced.id
    this.name = introduced.name
    this.address = introduced.address
    this.address6 = introduced.address6
    this.control = introduced.control
    this.incarnation = introduced.incarnation
    this.ports = ports
  }

  /** What it has to do: for what its connections are about to ask, and for what they are being sent. */
  get load(): number {
    return this.connections + this.segmentsPerSecond / SEGMENTS_PER_LOAD
  }
}

export class Members {
  readonly #members = new Map<number, Member>()
  /** By id; put in order when members come and go, because every placement looks at them. */
  #all: readonly Member[] = []

  get all(): readonly Member[] {
    return this.#all
  }

  get(id: number): Member | undefined {
    return this.#members.get(id)
  }

  /** By its id as a number, or by its name; of two runs with one name that which is up. */
  named(name: string): Member | undefined {
    const id = /^\d+$/.test(name) ? Number(name) : Number.NaN
    const named = this.all.filter(member => member.name === name)
    return this.#members.get(id) ?? named.find(({ up }) => up) ?? named[0]
  }

  up(member: Introduced): void {
    // Its ports are as before until it says so again, right after.
    this.#members.set(member.id, new Member(member, this.#members.get(member.id)?.ports ?? []))
    this.#order()
  }

  down(id: number, now: number): void {
    const member = this.#members.get(id)
    if (member === undefined) return
    member.up = false
    member.downSince = now
  }

  remove(id: number): void {
    this.#members.delete(id)
    this.#order()
  }

  #order(): void {
    this.#all = [...this.#members.values()].sort((a, b) => a.id - b.id)
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
      if (best === undefined || member.load < best.load) best = member
    }
    return best
  }

  /** Who may be given connections, by id, with the loads that they have whenever they are looked at. */
  candidates(not: readonly number[]): readonly NodeLoad[] {
    return this.#all.filter(member => member.up && !member.draining && !not.includes(member.id))
  }
}
