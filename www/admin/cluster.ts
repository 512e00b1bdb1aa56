/**
 * The cluster as the feed tells it: frames are applied to it, and whoever draws reads it or is told what happened. It knows
 * no page.
 */
import {
  type DemoReport,
  type FeedFigures,
  type FeedFrame,
  type FeedOwner,
  type FeedShift,
  type FeedSocket,
  MAX_HISTORY,
  type MatrixCell,
} from '../../dispatcher/admin/feed-messages.ts'

const MAX_RECENT = 500
/** A connection counts as busy this long after octets of it were acknowledged. */
export const BUSY_MS = 1_000

export interface Socket {
  readonly id: number
  owner: number
  state: number
  octets: number
  srttMs: number
  shifts: number
  retransmissions: number
  phase: number
  client: string
  request: string
  since: number
  /** When octets of it were acknowledged last, on the server's clock. */
  busyAt: number
}

export interface Watcher {
  opened?(socket: Socket, at: number): void
  /** `shift` where the feed told of it. */
  moved?(socket: Socket, from: number, at: number, shift: FeedShift | undefined): void
  ended?(socket: Socket, at: number): void
  /** After all that a frame says. */
  framed?(frame: FeedFrame): void
}

export class Cluster {
  owners: readonly FeedOwner[] = []
  readonly sockets = new Map<number, Socket>()
  figures: FeedFigures[] = []
  matrix: readonly MatrixCell[] = []
  demo: DemoReport | undefined
  connections = 0
  sampled = 0
  shifted = 0
  refused = 0
  engineAway = false
  /** The latest shifts, done and refused, the newest last. */
  recent: FeedShift[] = []
  /** False until the first frame, and again when the link is lost. */
  live = false
  /** The server's clock less ours. */
  #ahead = Number.NaN
  readonly #clock: () => number
  readonly #watchers: Watcher[] = []

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock
  }

  watch(watcher: Watcher): void {
    this.#watchers.push(watcher)
  }

  /** The server's clock, in ms since 1970. */
  now(): number {
    return this.#clock() + (Number.isNaN(this.#ahead) ? 0 : this.#ahead)
  }

  owner(id: number): FeedOwner | undefined {
    return this.owners.find(owner => owner.id === id)
  }

  name(id: number): string {
    return this.owner(id)?.name ?? `owner ${id}`
  }

  get nodes(): readonly FeedOwner[] {
    return this.owners.filter(({ role }) => role === 'node')
  }

  lost(): void {
    this.live = false
    this.#ahead = Number.NaN
  }

  apply(frame: FeedFrame): void {
    this.live = true
    // The frame that took least on its way says best how the clocks stand to each other.
    const ahead = frame.at - this.#clock()
    this.#ahead = Number.isNaN(this.#ahead) ? ahead : Math.max(ahead, this.#ahead - 0.05)
    this.connections = frame.connections
    this.sampled = frame.sampled
    this.shifted = frame.shifted
    this.refused = frame.refused
    this.engineAway = frame.engineAway
    if (frame.owners !== undefined) this.owners = frame.owners
    if (frame.matrix !== undefined) this.matrix = frame.matrix
    if (frame.demo !== undefined) this.demo = frame.demo
    if (frame.full) this.figures = []
    if (frame.figures !== undefined) this.figures = [...this.figures, ...frame.figures].slice(-MAX_HISTORY)
    if (frame.shifts.length > 0) this.recent = [...this.recent, ...frame.shifts].slice(-MAX_RECENT)
    this.#applySockets(frame)
    for (const watcher of this.#watchers) watcher.framed?.(frame)
  }

  #applySockets(frame: FeedFrame): void {
    const kept = frame.full ? new Set(frame.sockets.map(([id]) => id)) : undefined
    const ended = kept === undefined ? frame.ended : [...this.sockets.keys()].filter(id => !kept.has(id))
    for (const id of ended) {
      const socket = this.sockets.get(id)
      if (socket === undefined) continue
      this.sockets.delete(id)
      for (const watcher of this.#watchers) watcher.ended?.(socket, frame.at)
    }
    const shifts = new Map<number, FeedShift>()
    for (const shift of frame.shifts) if (shift[4] === '') shifts.set(shift[0], shift)
    for (const row of frame.sockets) this.#row(row, frame.at, shifts)
  }

  #row(row: FeedSocket, at: number, shifts: ReadonlyMap<number, FeedShift>): void {
    const [id, owner, state, octets, srttMs, moves, retransmissions, phase] = row
    const known = this.sockets.get(id)
    const words = row.length > 8 ? row.slice(8) : undefined
    if (known === undefined) {
      const [client = '', request = '', since = 0] = (words ?? []) as [string?, string?, number?]
      const socket: Socket = {
        ...{ id, owner, state, octets, srttMs, shifts: moves, retransmissions, phase },
        ...{ client, request, since, busyAt: Number.NEGATIVE_INFINITY },
      }
      this.sockets.set(id, socket)
      for (const watcher of this.#watchers) watcher.opened?.(socket, at)
      return
    }
    const from = known.owner
    if (octets > known.octets) known.busyAt = at
    Object.assign(known, { owner, state, octets, srttMs, shifts: moves, retransmissions, phase })
    if (words !== undefined) {
      const [client = '', request = '', since = 0] = words as [string?, string?, number?]
      Object.assign(known, { client, request, since })
    }
    if (from === owner) return
    const shift = shifts.get(id)
    for (const watcher of this.#watchers) watcher.moved?.(known, from, shift?.[5] ?? at, shift)
  }
}
