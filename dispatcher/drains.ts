/**
 * Emptying nodes: while a node drains it takes nothing new, and its connections are given to the others in rounds until
 * none is left or the time is over. Nothing is ever cut: what could not be moved stays and is named with its reason.
 */
import type { Spread } from '../node/server/operator.ts'
import type { DrainReport, DrainState } from './admin/api.ts'
import { MAX_SHIFT_RESULTS } from './admin/api.ts'

/** Between rounds that moved nothing more. */
const ROUND_MS = 100

export interface DrainHost {
  /** Undefined where the node does not answer. */
  ask(node: number, what: string, details: unknown): Promise<unknown>
  /** Nodes that take connections of `node`, the least loaded first. */
  targets(node: number): readonly number[]
  /** The node that asked to leave may do so. */
  left(node: number): void
  now(): number
  /** Resolves after `ms` of that clock. */
  pause(ms: number): Promise<void>
}

class Drain {
  readonly node: number
  readonly startedAt: number
  deadline: number
  state: DrainState = 'draining'
  /** It ends afterwards, and does not wait for somebody to come who could take its connections. */
  leaving = false
  total = -1
  left = 0
  shifted = 0
  /** Why those that are left stayed, by connection, as of the last round. */
  stayed: ReadonlyMap<number, string> = new Map()
  endedAt = Number.NaN

  constructor(node: number, now: number, deadlineMs: number) {
    this.node = node
    this.startedAt = now
    this.deadline = now + deadlineMs
  }
}

export class Drains {
  readonly #host: DrainHost
  /** One for each node that drains or has been drained: bounded by the nodes there are. */
  readonly #drains = new Map<number, Drain>()

  constructor(host: DrainHost) {
    this.#host = host
  }

  /** Empties `node` within `deadlineMs`; one that drains already gets the new time. */
  start(node: number, deadlineMs: number): DrainReport {
    const now = this.#host.now()
    const running = this.#drains.get(node)
    if (running?.state === 'draining') {
      running.deadline = now + deadlineMs
      return this.#report(running)
    }
    const drain = new Drain(node, now, deadlineMs)
    this.#drains.set(node, drain)
    void this.#run(drain)
    return this.#report(drain)
  }

  /** The node itself asks to be emptied, because it ends; it is told LEFT. */
  leave(node: number, deadlineMs: number): void {
    this.start(node, deadlineMs)
    const drain = this.#drains.get(node) as Drain
    drain.leaving = true
    if (drain.state !== 'draining') this.#host.left(node)
  }

  /** The node takes connections again; one that ends cannot. Where it is silent it drains still, and may be told again. */
  async cancel(node: number): Promise<'cancelled' | 'silent' | 'leaving'> {
    const drain = this.#drains.get(node)
    if (drain?.leaving === true) return 'leaving'
    if (drain !== undefined) this.#end(drain, 'cancelled')
    if ((await this.#host.ask(node, 'drain', false)) !== true) return 'silent'
    if (this.#drains.get(node) === drain) this.#drains.delete(node)
    return 'cancelled'
  }

  /** Undefined where the node was never asked to drain, or takes connections again. */
  report(node: number): DrainReport | undefined {
    const drain = this.#drains.get(node)
    return drain === undefined ? undefined : this.#report(drain)
  }

  /** Another run of the node knows nothing of a drain; one that is gone has nothing to drain. */
  forget(node: number): void {
    const drain = this.#drains.get(node)
    this.#drains.delete(node)
    if (drain !== undefined) this.#end(drain, 'cancelled')
  }

  async #run(drain: Drain): Promise<void> {
    const { node } = drain
    const { now, pause } = this.#host
    await this.#host.ask(node, 'drain', true)
    for (let round = 0; drain.state === 'draining'; round++) {
      // Who cannot take a connection, as it does not run its application, is not asked for it every time.
      const targets = turned(this.#takers(node), round)
      const spread = readSpread(await this.#host.ask(node, 'spread', targets))
      if (drain.state !== 'draining') return
      if (spread !== undefined) this.#note(drain, spread)
      if (spread?.left === 0) return this.#end(drain, 'drained')
      const hopeless = drain.leaving && targets.length === 0
      if (hopeless || now() >= drain.deadline) return this.#end(drain, 'expired')
      await pause(ROUND_MS)
    }
  }

  /** Not those that are emptied with it: they say so themselves only in a moment, and all would move twice. */
  #takers(node: number): number[] {
    return this.#host.targets(node).filter(id => (this.#drains.get(id)?.state ?? 'cancelled') === 'cancelled')
  }

  #note(drain: Drain, { left, shifted, stayed }: Spread): void {
    drain.shifted += shifted
    drain.left = left
    drain.stayed = new Map(stayed)
    drain.total = Math.max(drain.total, drain.shifted + left)
  }

  #end(drain: Drain, state: DrainState): void {
    if (drain.state !== 'draining') return
    drain.state = state
    drain.endedAt = this.#host.now()
    if (drain.leaving) this.#host.left(drain.node)
  }

  #report(drain: Drain): DrainReport {
    const { node, state, total, left, shifted, startedAt, endedAt, stayed } = drain
    const elapsedMs = Math.round((state === 'draining' ? this.#host.now() : endedAt) - startedAt)
    const remaining = [...stayed]
      .slice(0, MAX_SHIFT_RESULTS)
      .map(([connection, code]) => ({ connection, code }))
    return { node, state, total: Math.max(total, 0), left, shifted, elapsedMs, remaining }
  }
}

function turned(targets: readonly number[], by: number): number[] {
  return targets.map((_, index) => targets[(index + by) % targets.length] as number)
}

function readSpread(answer: unknown): Spread | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined
  const { left, shifted, stayed } = answer as Partial<Spread>
  return typeof left === 'number' && typeof shifted === 'number' && Array.isArray(stayed)
    ? { left, shifted, stayed }
    : undefined
}
