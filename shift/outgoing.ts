/**
 * The source's half of the shift protocol: every connection that this owner is giving away, from PREPARE to SHIFTED.
 * Before COMMIT the connection is untouched and goes on being served; sending COMMIT is the single point of no
 * return. Where a target may be trusted to take the connection, PREPARE is left out: its refusal of the COMMIT gives the
 * connection back, as any refusal does. It knows connections by number only: what freezing one means, its host does.
 */
import type { Flow } from '../clone/flow.ts'
import {
  type Commit,
  MAX_NEEDS,
  type Prepared,
  type Refused,
  type Shifted,
  type ShiftMessage,
  type ShiftRefusal,
} from './messages.ts'

/** A target that must first read a large object from disk needs time; the client loses nothing meanwhile. */
export const DEFAULT_PREPARE_TIMEOUT_MS = 5_000
/**
 * First repeat of an unanswered PREPARE, or of the word to the gateway; doubled each time. A link loses nothing while it
 * stands, so this is for links that have just broken; long enough for both to be answered where nothing is wrong.
 */
export const PREPARE_REPEAT_MS = 20
/** First repeat of an unanswered COMMIT, which the client has a part in answering; doubled each time. */
export const COMMIT_REPEAT_MS = 250
/** No repeat after this: far below `TOMBSTONE_MS`, so that no COMMIT arrives where its epoch is forgotten. */
export const COMMIT_GIVE_UP_MS = 10_000
/** Shifts under way from one owner; more are refused as BUSY and can be asked for again. */
export const MAX_OUTGOING = 16_384
/** A connection that begins another object while the target fetches the first is prepared again this often. */
const MAX_ROUNDS = 4

export type ShiftResult =
  | {
      readonly ok: true
      readonly confirmed: boolean
      readonly ms: number
      /** To PREPARED, in the whole as `ms`. */
      readonly preparedMs: number
      /** From COMMIT to SHIFTED; 0 where the target has not said so. */
      readonly pauseMs: number
    }
  | { readonly ok: false; readonly reason: ShiftRefusal }

interface Required {
  readonly needs: readonly string[]
  readonly octets: number
}

/** What the state machine asks of the owner that runs it. */
export interface OutgoingHost {
  /** False when the message was surely not sent. */
  send(to: number, message: ShiftMessage): boolean
  /** The keys and the octets by value that a snapshot would carry now; undefined when the connection is gone. */
  requirements(connection: number): Required | undefined
  /** Why the connection cannot be frozen at this instant, or undefined. It may have ended when this returns. */
  movable(connection: number, now: number): ShiftRefusal | undefined
  /** Whether the kernel must be told before COMMIT (a client without timestamps). */
  needsSteering(connection: number): boolean
  /** Points the flow at `to`, and calls `steered` of this table when done. May be called again. */
  steer(connection: number, epoch: number, to: number): void
  /** The flow stays with us after all. */
  unsteer(connection: number, epoch: number): void
  /** Stops the connection and returns its state; it is thawed by `thaw`. */
  freeze(connection: number, now: number): unknown
  thaw(connection: number, now: number): void
  /** Has what was sent to `to` leave now, and not when the caller is done: the client waits for it. */
  hasten(to: number): void
  /** COMMIT is on its way: from now on only forward what still arrives. */
  release(connection: number, epoch: number, to: number, now: number): void
  /** The target refused after COMMIT without ever having transmitted: the frozen connection is ours again. */
  reclaim(connection: number, epoch: number, now: number): void
}

type Done = (result: ShiftResult, now: number) => void

type Phase = 'preparing' | 'steering' | 'committed'

class Shift {
  readonly connection: number
  readonly epoch: number
  readonly to: number
  readonly flow: Flow
  readonly startedAt: number
  readonly done: Done
  phase: Phase = 'preparing'
  /** The gateway was told of the target. */
  steered = false
  needs: readonly string[]
  octets: number
  /** Of what is asked for: see `Prepare`. */
  round = 1
  /** No COMMIT after this. */
  readonly until: number
  deadline: number
  repeatMs = PREPARE_REPEAT_MS
  preparedAt = 0
  committedAt = 0
  commit: Commit | undefined = undefined

  constructor(
    connection: number,
    epoch: number,
    to: number,
    flow: Flow,
    { needs, octets }: Required,
    startedAt: number,
    until: number,
    done: Done,
  ) {
    this.connection = connection
    this.epoch = epoch
    this.to = to
    this.flow = flow
    this.needs = needs
    this.octets = octets
    this.startedAt = startedAt
    this.until = until
    this.deadline = Math.min(startedAt + PREPARE_REPEAT_MS, until)
    this.done = done
  }
}

export class OutgoingShifts {
  readonly #host: OutgoingHost
  readonly #prepareTimeoutMs: number
  readonly #shifts = new Map<number, Shift>()
  /** Shifts without PREPARE whose COMMIT waits for `commit`. */
  #unprepared: Shift[] = []
  /** Never later than the earliest deadline; exact after each `expire`. */
  #pollAt = Number.POSITIVE_INFINITY

  constructor(host: OutgoingHost, prepareTimeoutMs: number = DEFAULT_PREPARE_TIMEOUT_MS) {
    this.#host = host
    this.#prepareTimeoutMs = prepareTimeoutMs
  }

  get size(): number {
    return this.#shifts.size
  }

  has(connection: number): boolean {
    return this.#shifts.has(connection)
  }

  /** What the target of the shift under way was asked for. */
  needsOf(connection: number): readonly string[] {
    return this.#shifts.get(connection)?.needs ?? []
  }

  /**
   * Begins to move `connection` to the owner `to`; `done` is called once. `epoch` must be higher than any that this
   * connection has had or tried, so that no late answer to an earlier attempt can be taken for one to this. With
   * `unprepared` COMMIT is the first message, and leaves at the next `commit`: not from within the callbacks of a connection,
   * which may still be used there.
   */
  start(
    connection: number,
    epoch: number,
    flow: Flow,
    to: number,
    now: number,
    done: Done,
    unprepared = false,
  ): void {
    const refuse = (reason: ShiftRefusal) => done({ ok: false, reason }, now)
    if (this.#shifts.has(connection)) return refuse('ALREADY_SHIFTING')
    if (this.#shifts.size >= MAX_OUTGOING) return refuse('BUSY')
    const requirements = this.#host.requirements(connection)
    if (requirements === undefined) return refuse('CLOSED')
    const shift = new Shift(
      connection,
      epoch,
      to,
      flow,
      requirements,
      now,
      now + this.#prepareTimeoutMs,
      done,
    )
    if (unprepared) {
      shift.preparedAt = now
      this.#unprepared.push(shift)
    } else if (shift.needs.length > MAX_NEEDS) return refuse('NOT_NOW')
    else if (!this.#prepare(shift)) return refuse('TARGET_DOWN')
    this.#shifts.set(connection, shift)
    this.#pollAt = Math.min(this.#pollAt, shift.deadline)
  }

  /** Whether `commit` has something to do. */
  get commits(): boolean {
    return this.#unprepared.length > 0
  }

  /** Sends the COMMITs of the shifts without PREPARE. */
  commit(now: number): void {
    while (this.#unprepared.length > 0) {
      const shifts = this.#unprepared
      this.#unprepared = []
      // What one costs us afterwards would keep it waiting; many leave together.
      const alone = shifts.length === 1
      for (const shift of shifts)
        if (this.#shifts.get(shift.connection) === shift) this.#commit(shift, now, alone)
    }
  }

  receive(from: number, message: Prepared | Refused | Shifted, now: number): void {
    const shift = this.#shifts.get(message.connection)
    // Anything of another epoch or another target is a late copy from an earlier attempt.
    if (shift === undefined || shift.epoch !== message.epoch || shift.to !== from) return
    switch (message.type) {
      case 'PREPARED':
        if (message.round !== shift.round) return
        if (shift.phase === 'preparing') this.#prepared(shift, now)
        // The target asks for the COMMIT that it has not got.
        else if (shift.commit !== undefined) this.#host.send(from, shift.commit)
        return
      case 'REFUSED':
        if ((message.stage === 'COMMIT') !== (shift.phase === 'committed')) return
        this.#refused(shift, message.reason, now)
        return
      case 'SHIFTED':
        if (shift.phase !== 'committed') return
        this.#finish(
          shift,
          {
            ok: true,
            confirmed: message.confirmed,
            ms: now - shift.startedAt,
            preparedMs: shift.preparedAt - shift.startedAt,
            pauseMs: now - shift.committedAt,
          },
          now,
        )
        return
    }
  }

  /** The kernel steers the flow to the target now, or could not be told. */
  steered(connection: number, epoch: number, ok: boolean, now: number): void {
    const shift = this.#shifts.get(connection)
    if (shift === undefined || shift.epoch !== epoch || shift.phase !== 'steering') return
    if (ok) this.#commit(shift, now)
    else this.#abort(shift, 'STEERING', now)
  }

  /** The connection ended, or has another epoch, while we were asking; after COMMIT it is not ours to end. */
  withdraw(connection: number, reason: 'CLOSED' | 'STALE', now: number): void {
    const shift = this.#shifts.get(connection)
    if (shift !== undefined && shift.phase !== 'committed') this.#abort(shift, reason, now)
  }

  /** The link to `peer` broke. Before COMMIT that is an abort; after it COMMIT is repeated on the next link. */
  peerDown(peer: number, now: number): void {
    for (const shift of this.#shifts.values()) {
      if (shift.to === peer && shift.phase !== 'committed') this.#abort(shift, 'TARGET_DOWN', now)
    }
  }

  /**
   * A link to `peer` stands again. Its COMMITs are repeated, but never to a successor of the process they were meant
   * for: that one may have adopted and transmitted before it died, and an old state must not come to life behind it.
   */
  peerUp(peer: number, restarted: boolean, now: number): void {
    for (const shift of this.#shifts.values()) {
      if (shift.to !== peer || shift.commit === undefined) continue
      if (restarted) this.#finish(shift, { ok: false, reason: 'TARGET_DOWN' }, now)
      else this.#host.send(peer, shift.commit)
    }
  }

  pollAt(): number {
    return this.#pollAt
  }

  expire(now: number): void {
    if (now < this.#pollAt) return
    this.#pollAt = Number.POSITIVE_INFINITY
    for (const shift of this.#shifts.values()) {
      if (shift.deadline <= now) this.#overdue(shift, now)
      else this.#pollAt = Math.min(this.#pollAt, shift.deadline)
    }
  }

  #overdue(shift: Shift, now: number): void {
    if (shift.phase === 'committed') {
      // Whoever is there and has it would have said so: the target has ended with it.
      if (now - shift.committedAt >= COMMIT_GIVE_UP_MS) {
        return this.#finish(shift, { ok: false, reason: 'TARGET_DOWN' }, now)
      }
      this.#host.send(shift.to, shift.commit as Commit)
    } else {
      if (now >= shift.until) return this.#abort(shift, 'TIMEOUT', now)
      if (shift.phase === 'steering') this.#host.steer(shift.connection, shift.epoch, shift.to)
      else this.#prepare(shift)
    }
    shift.repeatMs *= 2
    shift.deadline = now + shift.repeatMs
    if (shift.phase !== 'committed') shift.deadline = Math.min(shift.deadline, shift.until)
    this.#pollAt = Math.min(this.#pollAt, shift.deadline)
  }

  #prepare({ connection, epoch, to, flow, needs, octets, round }: Shift): boolean {
    return this.#host.send(to, { type: 'PREPARE', connection, epoch, flow, needs, octets, round })
  }

  #prepared(shift: Shift, now: number): void {
    shift.preparedAt = now
    if (this.#host.needsSteering(shift.connection)) {
      shift.phase = 'steering'
      shift.steered = true
      this.#host.steer(shift.connection, shift.epoch, shift.to)
    } else this.#commit(shift, now)
  }

  #commit(shift: Shift, now: number, alone = true): void {
    const requirements = this.#host.requirements(shift.connection)
    if (requirements === undefined) return this.#abort(shift, 'CLOSED', now)
    if (!requirements.needs.every(need => shift.needs.includes(need))) {
      return this.#prepareAgain(shift, requirements, now)
    }
    const refusal = this.#host.movable(shift.connection, now)
    // The application was asked, and may have ended the connection there and then.
    if (this.#shifts.get(shift.connection) !== shift) return
    if (refusal !== undefined) return this.#abort(shift, refusal, now)
    const { connection, epoch, flow } = shift
    const snapshot = this.#host.freeze(connection, now)
    const commit: Commit = {
      type: 'COMMIT',
      connection,
      epoch,
      flow,
      snapshot,
    }
    // The single point of no return: once this returns true, the target may own the connection.
    if (!this.#host.send(shift.to, commit)) return this.#abort(shift, 'TARGET_DOWN', now)
    if (alone) this.#host.hasten(shift.to)
    shift.phase = 'committed'
    shift.commit = commit
    shift.committedAt = now
    shift.repeatMs = COMMIT_REPEAT_MS
    shift.deadline = now + COMMIT_REPEAT_MS
    this.#pollAt = Math.min(this.#pollAt, shift.deadline)
    this.#host.release(connection, epoch, shift.to, now)
  }

  /** The connection began another response meanwhile: the target is asked about that object too. */
  #prepareAgain(shift: Shift, { needs, octets }: Required, now: number): void {
    if (shift.round++ >= MAX_ROUNDS || needs.length > MAX_NEEDS) return this.#abort(shift, 'CHANGED', now)
    shift.needs = needs
    shift.octets = octets
    shift.phase = 'preparing'
    if (!this.#prepare(shift)) this.#abort(shift, 'TARGET_DOWN', now)
  }

  #abort(shift: Shift, reason: ShiftRefusal, now: number): void {
    const { connection, epoch } = shift
    // The gateway's answer to what is taken back, which may be no at once, is none to this shift any more.
    this.#shifts.delete(connection)
    this.#host.send(shift.to, { type: 'ABORT', connection, epoch })
    this.#unsteer(shift)
    this.#host.thaw(connection, now)
    this.#finish(shift, { ok: false, reason }, now)
  }

  #refused(shift: Shift, reason: ShiftRefusal, now: number): void {
    // No longer under way when the connection goes on: it may be wanted elsewhere at once.
    this.#shifts.delete(shift.connection)
    if (shift.phase === 'committed') this.#host.reclaim(shift.connection, shift.epoch, now)
    this.#unsteer(shift)
    shift.done({ ok: false, reason }, now)
  }

  #unsteer(shift: Shift): void {
    if (shift.steered) this.#host.unsteer(shift.connection, shift.epoch)
  }

  #finish(shift: Shift, result: ShiftResult, now: number): void {
    this.#shifts.delete(shift.connection)
    shift.done(result, now)
  }
}
