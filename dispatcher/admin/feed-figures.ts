/** Figures a second out of counters that grow, and the shifts of the last minute by who, whither and why. */
import type { Figures, Watched } from '../../node/server/watch.ts'
import { type FeedFigures, MAX_HISTORY, type MatrixCell } from './feed-messages.ts'

const MINUTE_SECONDS = 60
/** Pauses of one minute; with more shifts they are of the last of them. */
const MAX_PAUSES = 4_096

/** What one owner said last, and at the end of the second before. */
export interface OwnerCounts {
  readonly id: number
  readonly watched: Watched
  /** Undefined before a whole second of this run was seen. */
  readonly before: Watched | undefined
  /** The longest lag of this second. */
  readonly lagMs: number
}

export class FeedHistory {
  readonly #seconds: FeedFigures[] = []
  /** Counts of each second of the last minute, by `from to cause refusal`. */
  readonly #minute: ReadonlyMap<string, number>[] = []
  #pauses: { readonly at: number; readonly ms: number }[] = []

  get seconds(): readonly FeedFigures[] {
    return this.#seconds
  }

  pause(at: number, ms: number): void {
    this.#pauses.push({ at, ms })
    if (this.#pauses.length > MAX_PAUSES) this.#pauses = this.#pauses.slice(MAX_PAUSES / 2)
  }

  /** Closes a second that took `seconds`. */
  add(owners: readonly OwnerCounts[], srtts: readonly number[], at: number, seconds: number): FeedFigures {
    const counts = countsOf(owners)
    this.#minute.push(counts)
    if (this.#minute.length > MINUTE_SECONDS) this.#minute.shift()
    this.#pauses = this.#pauses.filter(pause => pause.at > at - MINUTE_SECONDS * 1000)
    const pauses = this.#pauses.map(({ ms }) => ms).sort((a, b) => a - b)
    const rate = (name: keyof Figures) => round(sum(owners, name) / seconds)
    const hits = sum(owners, 'hits')
    const packets = sum(owners, 'packetsIn')
    const figures: FeedFigures = {
      at,
      requests: rate('requests'),
      octets: rate('octetsOut'),
      shifts: rate('shifted'),
      clones: rate('cloned'),
      accepted: rate('accepted'),
      refusals: refusalsOf(counts),
      pauseP50Ms: quantile(pauses, 0.5),
      pauseP99Ms: quantile(pauses, 0.99),
      relayShare: packets === 0 ? null : Math.min(1, sum(owners, 'relayed') / packets),
      hitRatio: hits + sum(owners, 'misses') === 0 ? null : hits / (hits + sum(owners, 'misses')),
      connections: owners.reduce((all, { watched }) => all + watched.connections, 0),
      retransmitted: rate('retransmitted'),
      srttMs: quantile(
        [...srtts].sort((a, b) => a - b),
        0.5,
      ),
      rssOctets: owners.reduce((all, { watched }) => all + watched.figures.rssOctetsNow, 0),
      lagMs: Math.max(0, ...owners.map(({ lagMs }) => lagMs)),
      byOwner: owners.map(owner => [
        owner.id,
        round(grown(owner, 'requests') / seconds),
        round(grown(owner, 'octetsOut') / seconds),
        owner.watched.figures.rssOctetsNow,
        owner.lagMs,
      ]),
    }
    this.#seconds.push(figures)
    if (this.#seconds.length > MAX_HISTORY) this.#seconds.shift()
    return figures
  }

  /** Of the last minute. */
  matrix(): MatrixCell[] {
    const all = new Map<string, number>()
    for (const second of this.#minute) {
      for (const [key, count] of second) all.set(key, (all.get(key) ?? 0) + count)
    }
    return [...all].map(([key, count]) => {
      const [from = '', to = '', cause = '', refusal = ''] = key.split(' ')
      return [Number(from), Number(to), cause, refusal, count]
    })
  }
}

export function grown({ watched, before }: OwnerCounts, name: keyof Figures): number {
  return before === undefined ? 0 : Math.max(0, watched.figures[name] - before.figures[name])
}

function sum(owners: readonly OwnerCounts[], name: keyof Figures): number {
  return owners.reduce((all, owner) => all + grown(owner, name), 0)
}

function countsOf(owners: readonly OwnerCounts[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { id, watched, before } of owners) {
    if (before === undefined) continue
    for (const [key, count] of Object.entries(watched.counts)) {
      const more = count - (before.counts[key] ?? 0)
      if (more > 0) counts.set(`${id} ${key}`, more)
    }
  }
  return counts
}

function refusalsOf(counts: ReadonlyMap<string, number>): Record<string, number> {
  const refusals: Record<string, number> = {}
  for (const [key, count] of counts) {
    const refusal = key.split(' ')[3] ?? ''
    if (refusal !== '') refusals[refusal] = (refusals[refusal] ?? 0) + count
  }
  return refusals
}

function quantile(sorted: readonly number[], part: number): number | null {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? null
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
