/** What an operator hears of a link that cannot be made: nothing while both sides start, and then not of every attempt. */
import type { LinkError } from './errors.ts'

/** Nothing is said before: the peer may be starting, too. */
const TELL_FAILURE_AFTER_MS = 2_000
const TELL_FAILURE_EVERY_MS = 10_000

export class FailureNotices {
  readonly #say: (text: string) => void
  #sayAt: number

  constructor(say: (text: string) => void, now: number) {
    this.#say = say
    this.#sayAt = now + TELL_FAILURE_AFTER_MS
  }

  /** `what` could not be reached, or ended the link. */
  note(what: string, { message }: LinkError, now: number): void {
    if (now < this.#sayAt) return
    this.#sayAt = now + TELL_FAILURE_EVERY_MS
    this.#say(`cannot reach ${what}: ${message}`)
  }
}
