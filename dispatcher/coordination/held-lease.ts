/**
 * A lease of an owner id that is held: renewed again and again, and given up when it is lost; sans-IO.
 *
 * When does a holder stop? When it *knows* that the lease is lost: by the word of its register, or by that of a dispatcher, which is
 * linked with a later run of the id. That it cannot renew is no reason. With the engine away for all, nobody can take the id either,
 * as it is given by the engine alone, and not before somebody has seen it unwritten for the lease's time while the engine answered: a
 * cluster without its engine goes on as it is. Where the holder alone is cut off from the engine, another may take the id, but it is
 * nobody's owner before a dispatcher is linked with it; that dispatcher closes the link of the holder and says why. A holder that is cut
 * off from all of them is no better placed than one whose lease nobody took: others go on with its connections, and what it still
 * sends changes nothing (ARCHITECTURE.md, «Life of a connection whose owner dies»). One that was not let run for a while sends nothing
 * before it has asked; by CLOCK_MONOTONIC, which does not go on while the whole machine is suspended: then the same holds as for one
 * that is cut off.
 */
import { type Answer, type Ask, DEFAULT_LEASE_TIMES, type LeaseTimes, read, write } from './asking.ts'
import { formatHolder, type Holder, leaseKey, parseHolder } from './holder.ts'
import type { TakenId } from './id-search.ts'
import type { Entry } from './store.ts'

export class HeldLease {
  readonly id: number
  readonly run: string
  readonly #holder: Holder
  readonly #times: LeaseTimes
  #revision: number
  #state: 'held' | 'lost' | 'releasing' | 'released' = 'held'
  #nextAt: number
  /** A write was not answered or did not fit: read before the next. */
  #inDoubt = false
  /** A dispatcher is linked with a later run of our id. */
  #isSuspected = false
  /** When we were last let run. */
  #ranAt: number
  /** Since when nobody has said that we still hold it, after a while in which we did not run; undefined: there was none. */
  #pausedAt: number | undefined = undefined
  #loss: string | undefined = undefined

  constructor(taken: TakenId, holder: Pick<Holder, 'name' | 'role'>, times = DEFAULT_LEASE_TIMES) {
    const { name, role } = holder
    this.id = taken.id
    this.run = taken.run
    this.#holder = { run: taken.run, name, role, released: false }
    this.#times = times
    this.#revision = taken.revision
    this.#nextAt = taken.takenAt + times.renewMs
    this.#ranAt = taken.takenAt
  }

  /** Why it is lost; undefined: it is not. */
  get loss(): string | undefined {
    return this.#loss
  }

  get isOver(): boolean {
    return this.#state === 'lost' || this.#state === 'released'
  }

  /** Whether packets may be sent under the id. */
  permits(now: number): boolean {
    return this.#loss === undefined && this.#pausedAt === undefined && !this.#wasPaused(now)
  }

  /** What is to be asked now, or when to come again. */
  next(now: number): Ask | number {
    this.#noteRunning(now)
    if (this.isOver) return Number.POSITIVE_INFINITY
    if (now < this.#nextAt) return this.#nextAt
    const key = leaseKey(this.id)
    if (this.#inDoubt) return read(key, now)
    const released = this.#state === 'releasing'
    return write(key, formatHolder({ ...this.#holder, released }), this.#revision, now)
  }

  answered(ask: Ask, answer: Answer, now: number): void {
    this.#noteRunning(now)
    if (this.isOver) return
    if (answer === 'away') return this.#away(ask, now)
    if (ask.write === undefined) return this.#looked(answer as Entry | undefined, now)
    if (typeof answer === 'number') return this.#renewed(ask, answer)
    this.#inDoubt = true
    this.#nextAt = now
  }

  /** A dispatcher says that it is linked with a later run of our id: it is so, unless the engine knows better. */
  suspect(now: number): void {
    this.#isSuspected = true
    this.#nextAt = Math.min(this.#nextAt, now)
  }

  /** Gives it back, so that it can be taken at once. */
  release(now: number): void {
    if (this.#state !== 'held') return
    this.#state = 'releasing'
    this.#nextAt = now
  }

  #wasPaused(now: number): boolean {
    return now - this.#ranAt >= this.#times.leaseMs / 2
  }

  #noteRunning(now: number): void {
    if (this.#wasPaused(now)) {
      this.#pausedAt = now
      this.#nextAt = now
    }
    this.#ranAt = now
  }

  #away(ask: Ask, now: number): void {
    this.#inDoubt = true
    this.#nextAt = now + this.#times.renewMs
    if (this.#state === 'releasing') this.#state = 'released'
    else if (this.#isSuspected) this.#lose('a later process with this owner id is linked with a dispatcher')
    // With the engine away, whoever has taken the id meanwhile is known to the dispatchers: they will tell.
    else this.#heard(ask)
  }

  /** What was asked before a pause says nothing about the time after it. */
  #heard(ask: Ask): void {
    if (this.#pausedAt !== undefined && ask.askedAt >= this.#pausedAt) this.#pausedAt = undefined
  }

  #renewed(ask: Ask, revision: number): void {
    this.#revision = revision
    this.#isSuspected = false
    this.#heard(ask)
    this.#nextAt = ask.askedAt + this.#times.renewMs
    if (this.#state === 'releasing') this.#state = 'released'
  }

  #looked(entry: Entry | undefined, now: number): void {
    const held = entry === undefined ? undefined : parseHolder(entry.value)
    // An earlier run, which was before us: the storage is older than our lease, as after a loss of power, and so as good as a new one.
    const isOlder = held !== undefined && held.run < this.run
    if (entry !== undefined && !isOlder && held?.run !== this.run) {
      const by = held === undefined ? 'something unknown' : `the ${held.role} ${held.name}`
      return this.#lose(`owner id ${this.id} was taken by ${by}`)
    }
    // Ours, by a write whose answer was lost, or nobody's, in a storage that is new: taken again.
    this.#revision = entry?.revision ?? 0
    this.#inDoubt = false
    this.#nextAt = now
  }

  #lose(why: string): void {
    if (this.#state === 'held') this.#loss = why
    this.#state = this.#state === 'held' ? 'lost' : 'released'
  }
}
