/**
 * What an owner knows of a flow: a connection that it owns, or a forward, the tombstone of one that it gave away
 * (at the dispatcher: the birth record). One table holds both, so that a packet needs one look-up.
 */
import type { Flow } from '../../clone/flow.ts'
import { type Resting, rest, wake } from '../tcp/resting.ts'
import type { Tcb } from '../tcp/tcb.ts'
import { pollAt } from '../tcp/timers.ts'
import { type PutAway, putAway, takeBack } from './put-away.ts'
import type { Timed } from './timer-queue.ts'

/** Up to where a birth record reaches: octets of the send queue since its beginning, and RCV.NXT. */
export interface Recorded {
  readonly end: number
  readonly released: number
  readonly received: number
  readonly closing: boolean
  /** `released` when the first record was told of what is being sent, and octets of all since then. */
  readonly begun: number
  readonly cost: number
}

export class Connection implements Flow, Timed {
  readonly kind = 'connection'
  readonly family: 4 | 6
  readonly remote0: number
  readonly remote1: number
  readonly remote2: number
  readonly remote3: number
  readonly remotePort: number
  readonly localPort: number
  /** Names the connection for its whole life, on every owner. */
  readonly id: number
  /** Grows with each change of owner. */
  epoch: number
  /** The highest epoch that any attempt to shift has used; attempts that failed use theirs up. */
  triedEpoch: number
  /** An epoch above its own whose COMMIT was refused here, or -1. */
  refusedEpoch = -1
  /** Undefined while the connection rests in TIME-WAIT, or is idle and put away: one of the three. */
  #tcb: Tcb | undefined
  #resting: Resting | undefined = undefined
  #putAway: PutAway | undefined = undefined
  /** When it is to be put away, if nothing happens until then; the owner sets it at each transmission. */
  putAwayAt = Number.POSITIVE_INFINITY
  /** The application's own state. */
  state: unknown = undefined
  /** When the application is to be called (`expired`) if nothing else happens, in ms of the owner's clock; Infinity: never. */
  applicationDeadline = Number.POSITIVE_INFINITY
  /** Changes of owner so far. */
  shifts = 0
  /** Segments sent again by this owner: for the operator. */
  retransmissions = 0
  /** Shown to the operator: method and path last read, and when the connection was accepted, in seconds since 1970. */
  method = ''
  path = ''
  since = 0
  /** Whether it waits in the owner's list of connections that may have something to send. */
  dirty = false
  /** Whether it is neither to transmit nor to be served: its state is on the way to another owner. */
  frozen = false
  /** The former owner that waits for SHIFTED, or -1. */
  confirmTo = -1
  /** When it came here from another owner, on the owner's clock. */
  adoptedAt = 0
  /** Octets of it that `ReceiveMemory` counts. */
  heldOctets = 0
  /** What the record says of it that the dispatcher keeps, where one was told since it began to send what it sends now. */
  recorded: Recorded | undefined = undefined
  queuedAt = Number.POSITIVE_INFINITY

  constructor(id: number, epoch: number, flow: Flow, tcb: Tcb) {
    this.family = flow.family
    this.remote0 = flow.remote0
    this.remote1 = flow.remote1
    this.remote2 = flow.remote2
    this.remote3 = flow.remote3
    this.remotePort = flow.remotePort
    this.localPort = flow.localPort
    this.id = id
    this.epoch = epoch
    this.triedEpoch = epoch
    this.#tcb = tcb
  }

  /** Its state; a connection at rest, or put away, is woken, because whoever asks may change it. */
  get tcb(): Tcb {
    if (this.#tcb === undefined) {
      this.#tcb = this.peek()
      this.#resting = undefined
      this.#putAway = undefined
    }
    return this.#tcb
  }

  /** The same for those who only look: whatever rests goes on resting. */
  peek(): Tcb {
    if (this.#tcb !== undefined) return this.#tcb
    return this.#resting === undefined ? takeBack(this.#putAway as PutAway) : wake(this.#resting)
  }

  /** The last request in words, joined only for who reads it: a response should not cost a string. */
  get request(): string {
    return this.method === '' ? this.path : `${this.method} ${this.path}`
  }

  set request(words: string) {
    this.method = ''
    this.path = words
  }

  /** Whether the client echoes timestamps. */
  get timestamps(): boolean {
    return this.#resting?.timestamps ?? this.#putAway?.timestamps ?? this.tcb.ts.on
  }

  get resting(): Resting | undefined {
    return this.#resting
  }

  get isInTimeWait(): boolean {
    return this.#resting !== undefined || this.#tcb?.state === 'TIME-WAIT'
  }

  get isPutAway(): boolean {
    return this.#putAway !== undefined
  }

  /** Keeps no more of the TCB than TIME-WAIT needs, where it is there and has nothing left to do. */
  rest(): void {
    if (this.#tcb === undefined || this.frozen || this.confirmTo >= 0) return
    this.#resting = rest(this.#tcb)
    if (this.#resting !== undefined) this.#tcb = undefined
  }

  /** Keeps the TCB as a text; false where it is not there, or something is under way. */
  putAway(now: number): boolean {
    if (this.#tcb === undefined || this.frozen || this.dirty || this.confirmTo >= 0) return false
    this.#putAway = putAway(this.#tcb, now)
    if (this.#putAway === undefined) return false
    this.#tcb = undefined
    this.putAwayAt = Number.POSITIVE_INFINITY
    return true
  }

  /** Whether its response is, or was, not over with what can be under way at once: the owner's death would cut it off. */
  needsRecord(): boolean {
    const { sendQueue, congestion, snd } = this.tcb
    return this.recorded !== undefined || sendQueue.octets > Math.min(congestion.cwnd, snd.wnd)
  }

  deadline(): number {
    if (this.frozen) return Number.POSITIVE_INFINITY
    const tcp =
      this.#resting?.lifetime ?? this.#putAway?.deadline ?? Math.min(pollAt(this.tcb), this.putAwayAt)
    return Math.min(tcp, this.applicationDeadline)
  }
}

/** A packet that an owner returned may be under way for so long; its client sends it again. */
const RETURNING_MS = 1_000

export class Forward implements Flow {
  readonly kind = 'forward'
  readonly family: 4 | 6
  readonly remote0: number
  readonly remote1: number
  readonly remote2: number
  readonly remote3: number
  readonly remotePort: number
  readonly localPort: number
  readonly id: number
  /** The highest epoch known here. */
  epoch: number
  /** The owner to which packets of the flow are passed on. */
  to: number
  /** Infinity at the dispatcher, whose birth records end with their connection. */
  expiresAt: number
  /** An epoch whose COMMIT was refused here, or -1. */
  refusedEpoch = -1
  /** When the owner said that the connection is its, on the clock of the one it said it to. */
  claimedAt = Number.NEGATIVE_INFINITY
  timestamps: boolean
  request: string

  constructor(
    id: number,
    epoch: number,
    flow: Flow,
    to: number,
    expiresAt: number,
    timestamps: boolean,
    request: string,
  ) {
    this.family = flow.family
    this.remote0 = flow.remote0
    this.remote1 = flow.remote1
    this.remote2 = flow.remote2
    this.remote3 = flow.remote3
    this.remotePort = flow.remotePort
    this.localPort = flow.localPort
    this.id = id
    this.epoch = epoch
    this.to = to
    this.expiresAt = expiresAt
    this.timestamps = timestamps
    this.request = request
  }

  /** Whether the owner claimed it so short a while ago that what it returned as unknown may have been sent before. */
  isNewly(now: number): boolean {
    return now - this.claimedAt < RETURNING_MS
  }
}
