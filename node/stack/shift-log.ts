/**
 * What an owner remembers of the shifts that it began: every one counted, by target, cause and result, and the last of
 * them with how long each step took. For who watches; nothing here decides anything.
 */
import type { ShiftRefusal } from '../../shift/messages.ts'
import { ArrivalLog } from './arrival-log.ts'

/** Why a shift was begun: a first request, a later one, the operator's order, a node that is being emptied, one that is loaded too much, or the application's own call. */
export const SHIFT_CAUSES = ['placement', 'request', 'order', 'drain', 'relief', 'application'] as const
export type ShiftCause = (typeof SHIFT_CAUSES)[number]

/** At some 150 octets: what a watcher has missed between two questions, and the history of a connection. */
export const MAX_LOGGED_SHIFTS = 4_096

export interface LoggedShift {
  /** One more than that of the one before. */
  readonly seq: number
  readonly connection: number
  /** That it was to begin; 0 where it was not tried. */
  readonly epoch: number
  readonly to: number
  readonly cause: ShiftCause
  /** Undefined where it was done. */
  readonly refusal: ShiftRefusal | undefined
  /** On the owner's clock, as is the end. */
  readonly startedAt: number
  readonly endedAt: number
  /** From the start to PREPARED, and to COMMIT; both 0 where it was refused. */
  readonly preparedMs: number
  readonly committedMs: number
}

export class ShiftLog {
  /** The other half: of those that ended here. */
  readonly arrivals = new ArrivalLog()
  readonly #ring: LoggedShift[] = []
  /** By target, cause and refusal: bounded by the owner ids times the causes times the refusals. */
  readonly #counts = new Map<string, number>()
  #seq = 0

  /** Of the last one; 0: there was none. */
  get seq(): number {
    return this.#seq
  }

  add(shift: Omit<LoggedShift, 'seq'>): void {
    const seq = ++this.#seq
    this.#ring[seq % MAX_LOGGED_SHIFTS] = { seq, ...shift }
    const key = `${shift.to} ${shift.cause} ${shift.refusal ?? ''}`
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  /** Those after `seq` that are still known, the oldest first; at most the last `max` of them. */
  since(seq: number, max: number): LoggedShift[] {
    const known = Math.min(this.#seq, MAX_LOGGED_SHIFTS)
    const first = Math.max(seq + 1, this.#seq - Math.min(known, max) + 1)
    const found: LoggedShift[] = []
    for (let at = first; at <= this.#seq; at++) found.push(this.#ring[at % MAX_LOGGED_SHIFTS] as LoggedShift)
    return found
  }

  of(connection: number): LoggedShift[] {
    return this.since(0, MAX_LOGGED_SHIFTS).filter(shift => shift.connection === connection)
  }

  /** `target cause refusal` and how many there were since the start; the refusal is empty where it was done. */
  counts(): ReadonlyMap<string, number> {
    return this.#counts
  }
}
