/**
 * The feed's content: asks every owner ten times a second while somebody watches, puts the answers together, and says in each
 * frame what changed. It knows no socket; who watches is given each frame as a text that is made once.
 */
import {
  MAX_FOCUS,
  MAX_SAMPLED,
  type Watched,
  type WatchedSocket,
  type WatchQuery,
} from '../../node/server/watch.ts'
import { FeedHistory, grown, type OwnerCounts } from './feed-figures.ts'
import {
  type DemoReport,
  type FeedFigures,
  type FeedFrame,
  type FeedOwner,
  type FeedShift,
  type FeedSocket,
  MAX_FRAME_SHIFTS,
  MAX_SOCKETS,
} from './feed-messages.ts'

/** Questions in one period; with more owners each is asked less often. */
const MAX_ASKED = 32
const SECOND_FRAMES = 10
/** A socket that no owner tells of is between two of them, or has ended. */
const MISSING_MS = 400
/** Of an owner that has died: another may take it up (`dispatcher/recovery.ts`), which takes half a second. */
const ORPHAN_MS = 2_000
/** An owner that ends does not wait longer for us. */
const FAREWELL_MS = 250
/** Of the hashes of ids, 0 to 65535; the aim leaves room for connections in focus and for chance. */
const HASHES = 65_536
const AIM = 0.85 * MAX_SOCKETS

export type WatchedOwner = Pick<FeedOwner, 'id' | 'name' | 'role' | 'state' | 'address'>

/** The cluster as the feed sees it. */
export interface FeedSource {
  /** All there are, by id; those that are down are not asked. */
  owners(): readonly WatchedOwner[]
  /** Undefined where it did not answer. */
  watch(owner: number, query: WatchQuery): Promise<Watched | undefined>
  demo(): DemoReport
  /** Whether the engine that coordinates the cluster, if there is one, does not answer. */
  engineAway(): boolean
}

interface Known {
  watched: Watched | undefined
  /** At the end of the second before. */
  before: Watched | undefined
  asking: boolean
  fresh: boolean
  lagMs: number
}

interface Socket {
  readonly id: number
  owner: number
  row: WatchedSocket
  octets: number
  /** SND.UNA as last told: it goes on modulo 2^32, through every shift. */
  wrapped: number
  words: readonly [string, string, number]
  wordsChanged: boolean
  changed: boolean
  missingAt: number
}

export class Feed {
  readonly #source: FeedSource
  readonly #now: () => number
  readonly #known = new Map<number, Known>()
  readonly #sockets = new Map<number, Socket>()
  readonly #history = new FeedHistory()
  #ended: number[] = []
  #shifts: FeedShift[] = []
  #turn = 0
  #secondAt = Number.NaN
  #owners = ''
  #demo: DemoReport | undefined
  focus: readonly number[] = []

  constructor(source: FeedSource, now: () => number = Date.now) {
    this.#source = source
    this.#now = now
  }

  /** Nothing that was known is true any more: nobody has watched for a while. */
  reset(): void {
    this.#known.clear()
    this.#sockets.clear()
    this.#shifts = []
    this.#ended = []
    this.#owners = ''
    this.#secondAt = Number.NaN
  }

  /** One period is over: asks anew, and returns what changed since the last. */
  tick(): FeedFrame {
    const owners = this.#source.owners()
    this.#forgetGone(owners)
    const turns = Math.ceil(owners.length / MAX_ASKED)
    for (const [index, owner] of owners.entries()) {
      if (index % turns === this.#turn % turns && owner.state !== 'down') this.#ask(owner.id)
    }
    const at = this.#now()
    this.#sweep(at)
    const isSecond = this.#turn++ % SECOND_FRAMES === 0
    const figures = isSecond ? this.#second(at) : undefined
    const told = this.#ownersIfChanged(owners, isSecond)
    const demo = this.#source.demo()
    const frame: FeedFrame = {
      ...this.#head(at, false),
      ...(told && { owners: told }),
      sockets: [...this.#sockets.values()].filter(({ changed }) => changed).map(rowOf),
      ended: this.#ended,
      shifts: this.#shifts.slice(-MAX_FRAME_SHIFTS),
      ...(figures && { figures: [figures], matrix: this.#history.matrix() }),
      ...(demo !== this.#demo && { demo }),
    }
    this.#demo = demo
    this.#ended = []
    this.#shifts = []
    for (const socket of this.#sockets.values()) {
      socket.changed = false
      socket.wordsChanged = false
    }
    return frame
  }

  /** Everything, for who has seen nothing. */
  full(): FeedFrame {
    const at = this.#now()
    return {
      ...this.#head(at, true),
      owners: this.#source.owners().map(owner => this.#report(owner)),
      sockets: [...this.#sockets.values()].map(socket => rowWithWords(socket)),
      ended: [],
      shifts: [],
      figures: this.#history.seconds,
      matrix: this.#history.matrix(),
      demo: this.#source.demo(),
    }
  }

  #head(at: number, full: boolean) {
    let connections = 0
    let shifted = 0
    let refused = 0
    for (const { watched } of this.#known.values()) {
      connections += watched?.connections ?? 0
      for (const [key, count] of Object.entries(watched?.counts ?? {})) {
        if (key.endsWith(' ')) shifted += count
        else refused += count
      }
    }
    const sampled = this.#sockets.size
    const engineAway = this.#source.engineAway()
    return { version: 1 as const, full, at, connections, sampled, shifted, refused, engineAway }
  }

  /** An owner is about to end: what it has not told yet is heard first. Resolves soon, whatever it says. */
  async farewell(id: number): Promise<void> {
    const known = this.#known.get(id)
    if (known?.watched === undefined) return
    const query = { since: known.watched.seq, below: 0, focus: [], client: '', fresh: false }
    const told = this.#source.watch(id, query).catch(() => undefined)
    const late = new Promise<undefined>(resolve => setTimeout(resolve, FAREWELL_MS, undefined))
    const watched = await Promise.race([told, late])
    if (watched !== undefined && this.#known.get(id) === known) this.#answered(id, known, watched)
  }

  #ask(id: number): void {
    let known = this.#known.get(id)
    if (known === undefined) {
      known = { watched: undefined, before: undefined, asking: false, fresh: true, lagMs: 0 }
      this.#known.set(id, known)
    }
    if (known.asking) return
    known.asking = true
    const query = {
      since: known.watched?.seq ?? 0,
      below: this.#below(),
      focus: this.focus.slice(0, MAX_FOCUS),
      client: this.#source.demo().client,
      fresh: known.fresh,
    }
    const owner = known
    this.#source.watch(id, query).then(
      watched => {
        owner.asking = false
        if (this.#known.get(id) === owner && watched !== undefined) this.#answered(id, owner, watched)
      },
      () => {
        owner.asking = false
      },
    )
  }

  /** So many of the hashes of ids that the sample is nearly full. */
  #below(): number {
    let connections = 0
    let isKnown = false
    for (const { watched } of this.#known.values()) {
      connections += watched?.connections ?? 0
      isKnown ||= watched !== undefined
    }
    // The first answers only count.
    if (!isKnown) return 0
    return connections <= MAX_SOCKETS ? HASHES : Math.floor((AIM / connections) * HASHES)
  }

  #answered(id: number, owner: Known, watched: Watched): void {
    const at = this.#now()
    const isFirst = owner.watched === undefined
    // A farewell may be asked for while another answer is under way, which tells the same.
    const told = owner.watched?.pid === watched.pid ? owner.watched.seq : 0
    // Another run: its counters begin anew, and it knows nothing of what we know.
    owner.fresh = !isFirst && owner.watched?.pid !== watched.pid
    if (isFirst || owner.fresh) owner.before = watched
    owner.watched = watched
    owner.lagMs = Math.max(owner.lagMs, watched.figures.lagMsNow)
    for (const shift of watched.shifts) {
      const [seq, connection, to, cause, refusal, ago, ms, preparedMs, committedMs] = shift
      if (seq <= told) continue
      if (refusal === '') this.#history.pause(at - ago, ms - committedMs)
      // What was before we watched is history, not news.
      if (isFirst) continue
      const when = Math.round(at - ago)
      this.#shifts.push([connection, id, to, cause, refusal, when, ms, preparedMs, committedMs])
    }
    const listed = new Set<number>()
    for (const row of watched.sockets.slice(0, MAX_SAMPLED)) {
      listed.add(row[0] as number)
      // There was no room for it when the words came: all are asked for anew.
      if (!this.#socket(id, row)) owner.fresh = true
    }
    for (const socket of this.#sockets.values()) {
      if (socket.owner === id && !listed.has(socket.id) && socket.missingAt === Number.POSITIVE_INFINITY) {
        socket.missingAt = at
      }
    }
  }

  /** False where it is new, and came without its words. */
  #socket(owner: number, row: WatchedSocket): boolean {
    const [id, , wrapped, , shifts] = row as readonly number[]
    let socket = this.#sockets.get(id as number)
    const isKnown = socket !== undefined
    if (socket === undefined) {
      if (this.#sockets.size >= MAX_SOCKETS) return true
      socket = {
        ...{ id: id as number, owner, row, octets: row[7] as number, wrapped: wrapped as number },
        ...{ words: ['', '', 0], wordsChanged: true, changed: true, missingAt: Number.POSITIVE_INFINITY },
      }
      this.#sockets.set(socket.id, socket)
    }
    // An older owner's word may come after a newer owner's.
    if ((shifts as number) < (socket.row[4] as number)) return true
    socket.missingAt = Number.POSITIVE_INFINITY
    const more = ((wrapped as number) - socket.wrapped) >>> 0
    if (more < 2 ** 31) {
      socket.octets += more
      socket.wrapped = wrapped as number
    }
    if (row.length > 8) {
      socket.words = [`${row[8]}`, `${row[9]}`, Number(row[10])]
      socket.wordsChanged = true
    }
    const same = socket.owner === owner && row.slice(0, 7).every((value, at) => value === socket.row[at])
    if (!same || socket.wordsChanged) socket.changed = true
    socket.owner = owner
    socket.row = row.slice(0, 7)
    return isKnown || row.length > 8
  }

  #sweep(at: number): void {
    for (const socket of this.#sockets.values()) {
      if (at < socket.missingAt + (this.#known.has(socket.owner) ? MISSING_MS : ORPHAN_MS)) continue
      this.#sockets.delete(socket.id)
      this.#ended.push(socket.id)
    }
  }

  #forgetGone(owners: readonly WatchedOwner[]): void {
    const answering = new Set(owners.filter(({ state }) => state !== 'down').map(({ id }) => id))
    for (const id of this.#known.keys()) {
      if (answering.has(id)) continue
      this.#known.delete(id)
      for (const socket of this.#sockets.values()) {
        if (socket.owner === id) socket.missingAt = Math.min(socket.missingAt, this.#now())
      }
    }
  }

  #second(at: number): FeedFigures | undefined {
    const seconds = (at - this.#secondAt) / 1000
    this.#secondAt = at
    const owners: OwnerCounts[] = []
    for (const [id, known] of this.#known) {
      if (known.watched === undefined) continue
      owners.push({ id, watched: known.watched, before: known.before, lagMs: known.lagMs })
    }
    const isWhole = seconds > 0 && owners.some(({ before }) => before !== undefined)
    const srtts = [...this.#sockets.values()].map(({ row }) => row[3] as number).filter(srtt => srtt > 0)
    const figures = isWhole ? this.#history.add(owners, srtts, at, seconds) : undefined
    this.#rates = new Map(
      owners.map(owner => [
        owner.id,
        [grown(owner, 'requests'), grown(owner, 'octetsOut'), grown(owner, 'shifted'), owner.lagMs].map(
          (value, index) => (index === 3 ? value : Math.round(value / (seconds || 1))),
        ),
      ]),
    )
    for (const known of this.#known.values()) {
      known.before = known.watched
      known.lagMs = 0
    }
    return figures
  }

  /** Requests, octets and shifts a second, and the lag, by owner. */
  #rates: ReadonlyMap<number, readonly number[]> = new Map()

  #report(owner: WatchedOwner): FeedOwner {
    const { id, name, role, state, address } = owner
    const watched = this.#known.get(id)?.watched
    const [requests = 0, octets = 0, shifts = 0, lagMs = 0] = this.#rates.get(id) ?? []
    return {
      ...{
        id,
        name,
        role,
        state: state === 'up' && watched?.draining === true ? 'draining' : state,
        address,
      },
      connections: watched?.connections ?? 0,
      cacheOctets: watched?.figures.cacheOctetsNow ?? 0,
      cacheObjects: watched?.figures.cacheObjectsNow ?? 0,
      rssOctets: watched?.figures.rssOctetsNow ?? 0,
      ...{ lagMs, requests, octets, shifts },
    }
  }

  /** Twice a second, and at once when somebody comes, goes or drains. */
  #ownersIfChanged(owners: readonly WatchedOwner[], isSecond: boolean): FeedOwner[] | undefined {
    const states = owners.map(({ id, state }) => `${id}${state}`).join()
    if (states === this.#owners && !isSecond && this.#turn % (SECOND_FRAMES / 2) !== 0) return undefined
    this.#owners = states
    return owners.map(owner => this.#report(owner))
  }
}

function rowOf(socket: Socket): FeedSocket {
  return socket.wordsChanged ? rowWithWords(socket) : figuresOf(socket)
}

function rowWithWords(socket: Socket): FeedSocket {
  return [...figuresOf(socket), ...socket.words]
}

function figuresOf({ id, owner, row, octets }: Socket) {
  const [, state, , srttMs, shifts, retransmissions, phase] = row as readonly number[]
  return [
    ...[id, owner, state as number, octets],
    ...[srttMs as number, shifts as number, retransmissions as number, phase as number],
  ] as unknown as [number, number, number, number, number, number, number, number]
}
