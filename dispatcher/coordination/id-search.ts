/**
 * Finds an owner id that may be taken, and takes it; sans-IO. An id may be taken when nobody ever had it, when it was given back, or
 * when this process itself has seen its register unwritten for the lease's time while the engine answered (`observations.ts`). The
 * holder's renewal and our write name the same revision, so that only one of them succeeds.
 */
import { type Answer, type Ask, DEFAULT_LEASE_TIMES, type LeaseTimes, read, write } from './asking.ts'
import { formatHolder, type Holder, leaseKey, parseHolder } from './holder.ts'
import { Observations } from './observations.ts'
import type { Entry } from './store.ts'

/**
 * Is there where the storage is older than the lease's time: in a new one, those who held ids in another may not be back yet. So it is
 * looked at right before an id is taken that nobody has.
 */
export const SETTLED_KEY = 'settled'
/** An id that is written so often while we want it is in use. */
const MOVES_IN_USE = 3
/**
 * Where none is free, so many at a time are looked at until all of them were written meanwhile, or one may be taken: a round over all of a large cluster's takes longer than two answers may be apart to count (`observations.ts`).
 */
const WATCHED_IDS = 8

export interface IdWish {
  readonly role: 'dispatcher' | 'node'
  /** Of the process; it decides where the search begins, so that a process has the same id again where it is free. */
  readonly name: string
  /** Exactly this one; undefined: any. */
  readonly id: number | undefined
  readonly ownerIdBits: number
  /** A name for this run that compares greater than `after`, that of an earlier run with the same id. */
  readonly run: (after: string | undefined) => string
}

export interface TakenId {
  readonly id: number
  readonly run: string
  readonly revision: number
  readonly takenAt: number
}

type Step = 'settling' | 'marking' | 'looking' | 'taking' | 'over'

export class IdSearch {
  readonly #wish: IdWish
  readonly #times: LeaseTimes
  readonly #seen: Observations
  readonly #startedAt: number
  #step: Step = 'settling'
  #nextAt: number
  /** Of the round over all ids, how many were looked at. */
  #looked = 0
  /** A whole round found none that is free. */
  #isCrowded = false
  /** The first of those that are watched then, and those that were written since they are. */
  #watched = 0
  readonly #written = new Set<string>()
  #isFirstRound = true
  #roundAt = 0
  /** What is about to be written, or was last. */
  #holder: Holder
  #revision = 0
  /** The candidate is to be taken, once the storage is known to be settled. */
  #isWanted = false
  #taken: TakenId | undefined = undefined
  #refusal: string | undefined = undefined

  constructor(wish: IdWish, now: number, times = DEFAULT_LEASE_TIMES) {
    this.#wish = wish
    this.#times = times
    this.#seen = new Observations(2 * times.renewMs)
    this.#startedAt = now
    this.#nextAt = now
    this.#holder = { run: '', name: wish.name, role: wish.role, released: false }
  }

  get taken(): TakenId | undefined {
    return this.#taken
  }

  /** Why there is none to be had. */
  get refusal(): string | undefined {
    return this.#refusal
  }

  /** What is to be asked now, or when to come again. */
  next(now: number): Ask | number {
    if (now < this.#nextAt || this.#step === 'over') return this.#nextAt
    switch (this.#step) {
      case 'settling':
        return read(SETTLED_KEY, now)
      case 'marking':
        return write(SETTLED_KEY, '1', 0, now)
      case 'looking':
        return read(leaseKey(this.#candidate), now)
      case 'taking':
        return write(leaseKey(this.#candidate), formatHolder(this.#holder), this.#revision, now)
    }
  }

  answered(ask: Ask, answer: Answer, now: number): void {
    if (answer === 'away') return this.#away(now)
    switch (this.#step) {
      case 'settling':
        return this.#settle(ask, answer, now)
      case 'marking':
        this.#step = 'looking'
        return
      case 'looking':
        return this.#look(ask, answer as Entry | undefined, now)
      case 'taking':
        if (typeof answer === 'number') this.#take(answer, ask.askedAt)
        // Another was faster, or it is our own write that was late.
        else this.#step = 'looking'
        this.#isWanted = false
    }
  }

  get #candidate(): number {
    const { id, name, ownerIdBits } = this.#wish
    return id ?? (hashOf(name) + this.#watched + this.#looked) % (1 << ownerIdBits)
  }

  #away(now: number): void {
    this.#seen.interrupted()
    this.#nextAt = now + this.#times.renewMs
    // It may have been written all the same, and the storage may be another now.
    this.#isWanted = false
    this.#step = 'settling'
  }

  #settle(ask: Ask, answer: Answer, now: number): void {
    const { revision } = (answer as Entry | undefined) ?? { revision: 0 }
    const unmovedMs = this.#seen.note(SETTLED_KEY, revision, ask.askedAt, now)
    if (revision > 0) {
      this.#step = this.#isWanted ? 'taking' : 'looking'
      return
    }
    this.#isWanted = false
    if (unmovedMs >= this.#times.leaseMs) this.#step = 'marking'
    else this.#nextAt = now + this.#times.renewMs
  }

  #look(ask: Ask, entry: Entry | undefined, now: number): void {
    const held = entry === undefined ? undefined : parseHolder(entry.value)
    if (entry === undefined || held?.released === true) return this.#want(entry, held)
    if (held !== undefined && held.run === this.#holder.run) return this.#take(entry.revision, ask.askedAt)
    const moves = this.#seen.moves(ask.key)
    const unmovedMs = this.#seen.note(ask.key, entry.revision, ask.askedAt, now)
    if (!this.#isFirstRound && this.#seen.moves(ask.key) > moves) this.#written.add(ask.key)
    const isFree = unmovedMs >= this.#times.leaseMs
    if (isFree && (this.#wish.id !== undefined || this.#isCrowded)) return this.#want(entry, held)
    this.#goOn(held, now)
  }

  #want(entry: Entry | undefined, before: Holder | undefined): void {
    this.#holder = { ...this.#holder, run: this.#wish.run(before?.run) }
    this.#revision = entry?.revision ?? 0
    this.#isWanted = entry === undefined
    this.#step = this.#isWanted ? 'settling' : 'taking'
  }

  #take(revision: number, takenAt: number): void {
    this.#taken = { id: this.#candidate, run: this.#holder.run, revision, takenAt }
    this.#end()
  }

  #end(): void {
    this.#step = 'over'
    this.#nextAt = Number.POSITIVE_INFINITY
  }

  /** To the next id; after all of them, to the first one again a while later. */
  #goOn(held: Holder | undefined, now: number): void {
    const { id, ownerIdBits } = this.#wish
    if (id !== undefined) {
      this.#nextAt = now + this.#times.renewMs
      const isLate = now - this.#startedAt >= 2 * this.#times.leaseMs
      if (!isLate || this.#seen.moves(leaseKey(id)) < MOVES_IN_USE) return
      this.#refusal = `owner id ${id} is in use, by ${held === undefined ? 'something unknown' : `the ${held.role} ${held.name}`}`
      return this.#end()
    }
    const all = 1 << ownerIdBits
    this.#looked++
    if (this.#looked < (this.#isCrowded ? Math.min(WATCHED_IDS, all - this.#watched) : all)) return
    const looked = this.#looked
    this.#looked = 0
    this.#nextAt = Math.max(now, this.#roundAt + this.#times.renewMs)
    this.#roundAt = this.#nextAt
    const isWatched = this.#isCrowded
    this.#isCrowded = true
    this.#isFirstRound = !isWatched
    if (this.#written.size < looked) return
    this.#written.clear()
    this.#isFirstRound = true
    this.#watched += looked
    if (this.#watched < all) return
    this.#refusal = `all ${all} owner ids are in use`
    this.#end()
  }
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (const octet of Buffer.from(text)) hash = Math.imul(hash ^ octet, 0x01000193) >>> 0
  return hash
}
