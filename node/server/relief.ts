/**
 * Moves the connections that keep a node busiest to another node, at the dispatcher's word. Who they are is found by looking
 * twice, a moment apart: nothing is counted on the packet path for it. The hottest goes first, if that makes the more
 * loaded of the two nodes less loaded than it was.
 */
import type { Connection } from '../stack/connection.ts'
import type { Owner } from '../stack/owner.ts'

/** Between the two looks: long enough for several requests of whoever is hot. */
export const SAMPLE_MS = 250
/** Connections looked at, so that a look stays short; of more, a part is hot enough. */
const MAX_SAMPLED = 50_000
/** Octets that are about as much work as a request: what a full super-segment carries, measured on one core. */
const OCTETS_PER_REQUEST = 26_000
/** So many segments a second weigh as much as a connection, as the dispatcher counts load: at 4 µs each a thousandth of a core. */
export const SEGMENTS_PER_LOAD = 250

export interface ReliefOrder {
  readonly to: number
  /** Of that node, as the dispatcher knows it. */
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
    const sent = ((this.#host.segments() - sample.segments) * 1_000) / (now - sample.at) / SEGMENTS_PER_LOAD
    const heats = this.#heats(sample, sent)
    // Our own load by the same look: what the dispatcher knows of it is a mean over a longer time.
    const chosen = choose(heats, this.#host.owner.connections + sent, load, most)
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

  /** Connections that did something, with their part of what was sent. */
  #heats({ work }: Sample, sent: number): Heat[] {
    const heats: Heat[] = []
    let sum = 0
    for (const connection of this.#busy()) {
      const before = work.get(connection.id)
      const done = before === undefined ? 0 : this.#workOf(connection) - before
      if (done <= 0) continue
      heats.push({ connection, load: done })
      sum += done
    }
    return heats.map(({ connection, load }) => ({ connection, load: 1 + (sent * load) / sum }))
  }
}

export interface Heat {
  readonly connection: Connection
  readonly load: number
}

/** A move must take at least a tenth from the more loaded of the two nodes, or chance would move connections to and fro. */
const WORTH = 0.9

/** The hottest first, of those whose move makes the more loaded node less loaded: `here` and `there` are the loads of both. */
export function choose(heats: readonly Heat[], here: number, there: number, most: number): Connection[] {
  const chosen: Connection[] = []
  let [source, target] = [here, there]
  for (const { connection, load } of [...heats].sort((a, b) => b.load - a.load)) {
    if (chosen.length >= most) break
    if (target + load >= WORTH * source) continue
    chosen.push(connection)
    source -= load
    target += load
  }
  return chosen
}
