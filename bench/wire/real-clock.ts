/**
 * Runs the elements of a simulated network in real time: their scheduler is moved on by the machine's clock. An event is
 * late by up to a millisecond, which is the grain of a timer of Node.js; none is early, and their order is kept.
 */
import { Scheduler } from '../sim/network/clock/scheduler.ts'

export class RealClock {
  readonly scheduler = new Scheduler()
  readonly #origin = performance.now()
  /** Called after each move: what came out together is sent together. */
  readonly #moved: () => void
  #timer: NodeJS.Timeout | undefined = undefined
  #timerAt = Number.POSITIVE_INFINITY
  #closed = false

  constructor(moved: () => void) {
    this.#moved = moved
  }

  /** Runs what is due; `work` then happens at the present instant. */
  advance(work?: () => void): void {
    if (this.#closed) return
    this.scheduler.run(performance.now() - this.#origin)
    if (work !== undefined) {
      work()
      this.scheduler.run(this.scheduler.now)
    }
    this.#moved()
    this.#arm()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #arm(): void {
    const at = this.scheduler.nextAt
    if (at >= this.#timerAt || at === Number.POSITIVE_INFINITY) return
    clearTimeout(this.#timer)
    this.#timerAt = at
    const wait = Math.max(1, Math.ceil(at + this.#origin - performance.now()))
    this.#timer = setTimeout(() => {
      this.#timerAt = Number.POSITIVE_INFINITY
      this.advance()
    }, wait)
  }
}
