/**
 * Moves the connections that keep a node busiest to another node, at the dispatcher's word. Who they are is found by looking
 * twice, a moment apart: nothing is counted on the packet path for it. The hottest goes first, if that makes the more
 * loaded of the two nodes less loaded than it was.
 */
import type { Connection } from '../stack/connection.ts'
import type { Owner } from '../stack/owner.ts'

/** Between the two looks: long enough for several requests of whoever is hot. */
export const SAMPLE_MS = 250
/** Connections looked at, at some 0.2 µs each; of more, a part is hot enough. */
const MAX_SAMPLED = 50_000
/** Octets that are about as much work as a request: what a full super-segment carries, measured on one core. */
const OCTETS_PER_REQUEST = 26_000
/** So many segments a second weigh as much as a connection, as the dispatcher counts load: at 4 µs each a thousandth of a core. */
export const SEGMENTS_PER_LOAD = 250

export interface ReliefOrder {
  readonly to: number
  /** How much more this node is loaded than that one. */
  readonly load: number
  /** Connections at most. */
  readonly most: number
}

export interface ReliefHost {
  readonly owner: Owner
  /** Responses begun on a connection. */
  served(connection: Connection): number
  /** Segments sent so far. */
  segments(): number
  /** These objects will be asked for at `to` from now on. */
  relieved(to: number, paths: readonly string[]): void
}

interface Sample {
  readonly order: ReliefOrder
  readonly at: number
  readonly segments: number
  /** Work done so far by connection id, in requests. */
  readonly work: ReadonlyMap<number, number>
}

export class Relief {
  readonly #host: ReliefHost
  #sample: Sample | undefined = undefined

  constructor(host: ReliefHost) {
    this.#host = host
  }

  begin(order: ReliefOrder, now: number): void {
    const work = new Map<number, number>()
    for (const connection of this.#busy()) {
      work.set(connection.id, this.#workOf(connection))
      if (work.size === MAX_SAMPLED) break
    }
    this.#sample = { order, at: now, segments: this.#host.segments(), work }
  }

  pollAt(): number {
    return this.#sample === undefined ? Number.POSITIVE_INFINITY : this.#sample.at + SAMPLE_MS
  }

  poll(now: number): void {
    if (now < this.pollAt()) return
    const sample = this.#sample as Sample
    this.#sample = undefined
    const { to, load, most } = sample.order
    const chosen = choose(this.#heats(sample, now), load, most)
    // Told before they move: whoever asks for their objects there is to find that they belong there.
    const paths = chosen.filter(({ method }) => method !== '').map(({ path }) => path)
    if (paths.length > 0) this.#host.relieved(to, [...new Set(paths)])
    for (const connection of chosen) this.#host.owner.shift(connection, to, now, 'relief', () => {})
  }

  /** Neither idle for long nor at its end: looking at those would wake them. */
  *#busy(): Generator<Connection> {
    for (const entry of this.#host.owner.byId.values()) {
      if (entry.kind !== 'connection' || entry.isPutAway || entry.resting !== undefined || entry.frozen)
        continue
      if (entry.peek().state === 'ESTABLISHED') yield entry
    }
  }

  #workOf(connection: Connection): number {
    return this.#host.served(connection) + connection.peek().sendQueue.released / OCTETS_PER_REQUEST
  }

  /** Connections that did something, with their part of the node's load. */
  #heats({ at, segments, work }: Sample, now: number): Heat[] {
    const heats: Heat[] = []
    let sum = 0
    for (const connection of this.#busy()) {
      const before = work.get(connection.id)
      const done = before === undefined ? 0 : this.#workOf(connection) - before
      if (done <= 0) continue
      heats.push({ connection, load: done })
      sum += done
    }
    const sent = ((this.#host.segments() - segments) * 1_000) / (now - at) / SEGMENTS_PER_LOAD
    return heats.map(({ connection, load }) => ({ connection, load: 1 + (sent * load) / sum }))
  }
}

export interface Heat {
  readonly connection: Connection
  readonly load: number
}

/** The hottest first, each only if the other node is then less loaded than this one was. */
export function choose(heats: readonly Heat[], load: number, most: number): Connection[] {
  const chosen: Connection[] = []
  let difference = load
  for (const heat of [...heats].sort((a, b) => b.load - a.load)) {
    if (chosen.length >= most) break
    if (heat.load >= difference) continue
    chosen.push(heat.connection)
    difference -= 2 * heat.load
  }
  return chosen
}
