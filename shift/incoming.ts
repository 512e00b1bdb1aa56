/**
 * The target's half of the shift protocol: dormant clones between PREPARE and COMMIT, and the acknowledgement of what
 * was adopted. A dormant clone transmits nothing. Every message may come twice, late or never; what was decided about
 * an epoch is remembered by the host (with the connection, or with the forward that it leaves behind).
 */
import type { Abort, Commit, Prepare, ShiftMessage, ShiftRefusal } from './messages.ts'

/** A clone whose source fell silent is dropped; longer than the source waits, so that the source decides first. */
export const DORMANT_MS = 10_000
/**
 * A clone that has waited so long for its COMMIT says once more that it is PREPARED, and doubles the time. COMMIT follows
 * PREPARED at once, or after a word to the gateway: it was lost with its link, and the source repeats it then.
 */
export const PREPARED_REPEAT_MS = 20
/** Clones are looked through no more often than this, in ms. */
const SWEEP_MS = 5
/** Clones waiting for their COMMIT; each costs a few hundred octets. */
export const MAX_DORMANT = 16_384

export interface IncomingHost {
  send(to: number, message: ShiftMessage): boolean
  /** The highest epoch of `connection` that this owner has adopted, refused or given away; -1 where unknown. */
  knownEpoch(connection: number, now: number): number
  /** Whether the epoch that is known was refused after its COMMIT, and not adopted. */
  refused(connection: number, epoch: number): boolean
  /** Why the connection cannot be taken now, or undefined. Must not change anything. */
  admits(prepare: Prepare): ShiftRefusal | undefined
  /** Fetches what the connection needs, then calls `checked` of this table (at once, where all is in memory). */
  fetch(prepare: Prepare, from: number): void
  /** A dormant clone stands: packets of the flow that reach us already belong to `from`. */
  dormant(prepare: Prepare, from: number, now: number): void
  /** The clone is dropped without having been adopted. */
  drop(prepare: Prepare, from: number): void
  /**
   * Becomes the owner. On a refusal nothing was transmitted, and the epoch is remembered as refused. Where nothing was
   * `prepared`, neither was it asked whether the connection is admitted.
   */
  adopt(commit: Commit, from: number, now: number, prepared: boolean): ShiftRefusal | undefined
}

interface Dormant {
  readonly prepare: Prepare
  readonly from: number
  readonly deadline: number
  ready: boolean
  repeatAt: number
  repeatMs: number
}

export class IncomingShifts {
  readonly #host: IncomingHost
  readonly #dormant = new Map<number, Dormant>()
  #pollAt = Number.POSITIVE_INFINITY

  constructor(host: IncomingHost) {
    this.#host = host
  }

  get size(): number {
    return this.#dormant.size
  }

  /** Whether a clone of the connection waits for its COMMIT. */
  awaits(connection: number): boolean {
    return this.#dormant.has(connection)
  }

  receive(from: number, message: Prepare | Abort | Commit, now: number): void {
    switch (message.type) {
      case 'PREPARE':
        return this.#prepare(from, message, now)
      case 'ABORT':
        return this.#abort(from, message)
      case 'COMMIT':
        return this.#commit(from, message, now)
    }
  }

  /** The answer to `fetch`. */
  checked(prepare: Prepare, refusal: ShiftRefusal | undefined): void {
    const dormant = this.#dormant.get(prepare.connection)
    // Another PREPARE may have taken its place while the object was read.
    if (dormant === undefined || dormant.prepare !== prepare) return
    if (refusal === undefined) {
      dormant.ready = true
      this.#sendPrepared(dormant)
    } else {
      const { connection, epoch } = prepare
      this.#forget(dormant)
      const stage = 'PREPARE'
      this.#host.send(dormant.from, { type: 'REFUSED', connection, epoch, reason: refusal, stage })
    }
  }

  /** Never later than what is due first. */
  pollAt(): number {
    return this.#pollAt
  }

  expire(now: number): void {
    if (now < this.#pollAt) return
    let pollAt = Number.POSITIVE_INFINITY
    for (const dormant of this.#dormant.values()) {
      if (dormant.deadline <= now) this.#forget(dormant)
      else {
        if (dormant.repeatAt <= now) this.#repeat(dormant, now)
        pollAt = Math.min(pollAt, dormant.repeatAt, dormant.deadline)
      }
    }
    this.#pollAt = Math.max(pollAt, now + SWEEP_MS)
  }

  #repeat(dormant: Dormant, now: number): void {
    if (dormant.ready) {
      this.#sendPrepared(dormant)
      dormant.repeatMs *= 2
    }
    dormant.repeatAt = now + dormant.repeatMs
  }

  #prepare(from: number, prepare: Prepare, now: number): void {
    const { connection, epoch, round } = prepare
    const known = this.#dormant.get(connection)
    if (known !== undefined && known.from === from && known.prepare.epoch === epoch) {
      if (known.prepare.round >= round) {
        // A copy of the same PREPARE must not disturb the hand-over under way (Capybara's completions fell to 49 %).
        if (known.ready) this.#sendPrepared(known)
        return
      }
    } else if (known !== undefined && known.prepare.epoch >= epoch) return
    // A late copy: whoever owns the connection asks with an epoch above all that anybody knows.
    if (epoch <= this.#host.knownEpoch(connection, now)) return
    if (known !== undefined) this.#forget(known)
    const refusal = this.#dormant.size >= MAX_DORMANT ? 'NO_MEMORY' : this.#host.admits(prepare)
    if (refusal !== undefined) {
      this.#host.send(from, { type: 'REFUSED', connection, epoch, reason: refusal, stage: 'PREPARE' })
      return
    }
    this.#dormant.set(connection, {
      prepare,
      from,
      deadline: now + DORMANT_MS,
      ready: false,
      repeatAt: now + PREPARED_REPEAT_MS,
      repeatMs: PREPARED_REPEAT_MS,
    })
    this.#pollAt = Math.min(this.#pollAt, now + PREPARED_REPEAT_MS)
    this.#host.dormant(prepare, from, now)
    this.#host.fetch(prepare, from)
  }

  #abort(from: number, abort: Abort): void {
    const dormant = this.#dormant.get(abort.connection)
    if (dormant !== undefined && dormant.from === from && dormant.prepare.epoch === abort.epoch) {
      this.#forget(dormant)
    }
  }

  /**
   * The source has let go: unless this very epoch was decided before, we own the connection from here, whether or not
   * its clone still stands (it may have timed out here while COMMIT was repeated over a new link, or there never was one).
   */
  #commit(from: number, commit: Commit, now: number): void {
    const { connection, epoch } = commit
    if (epoch <= this.#host.knownEpoch(connection, now)) {
      if (this.#host.refused(connection, epoch)) {
        this.#host.send(from, { type: 'REFUSED', connection, epoch, reason: 'STALE', stage: 'COMMIT' })
      } else this.#host.send(from, { type: 'SHIFTED', connection, epoch, confirmed: false })
      return
    }
    const dormant = this.#dormant.get(connection)
    if (dormant !== undefined && dormant.prepare.epoch <= epoch) this.#dormant.delete(connection)
    const prepared = dormant?.ready === true && dormant.from === from && dormant.prepare.epoch === epoch
    const refusal = this.#host.adopt(commit, from, now, prepared)
    if (refusal !== undefined) {
      this.#host.send(from, { type: 'REFUSED', connection, epoch, reason: refusal, stage: 'COMMIT' })
    }
  }

  #sendPrepared({ from, prepare: { connection, epoch, round } }: Dormant): void {
    this.#host.send(from, { type: 'PREPARED', connection, epoch, round })
  }

  #forget(dormant: Dormant): void {
    this.#dormant.delete(dormant.prepare.connection)
    this.#host.drop(dormant.prepare, dormant.from)
  }
}
