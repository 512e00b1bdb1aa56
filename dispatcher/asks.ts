/** Questions to owners and their answers: a token for each, a time limit, and a bound on how many are open. */
import type { ClusterMessage } from '../node/server/messages.ts'

/** An order to shift thousands of connections takes as long as its slowest hand-over. */
const ASK_TIMEOUT_MS = 15_000
const MAX_OPEN = 4_096

interface Open {
  readonly to: number
  readonly timer: NodeJS.Timeout
  readonly resolve: (value: unknown) => void
}

export class Asks {
  readonly #send: (to: number, message: ClusterMessage) => boolean
  readonly #open = new Map<number, Open>()
  #token = 0

  constructor(send: (to: number, message: ClusterMessage) => boolean) {
    this.#send = send
  }

  /** Resolves to the answer, or to undefined where none came: the owner is away, or did not understand. */
  ask(to: number, what: string, details: unknown): Promise<unknown> {
    return new Promise(resolve => {
      const token = this.#token++
      if (this.#open.size >= MAX_OPEN || !this.#send(to, { type: 'ASK', token, what, details })) {
        return resolve(undefined)
      }
      const timer = setTimeout(() => this.#settle(token, undefined), ASK_TIMEOUT_MS)
      this.#open.set(token, { to, timer, resolve })
    })
  }

  /** The answer read from its JSON; undefined also where it is none. */
  async askPlain(to: number, what: string, details: unknown): Promise<unknown> {
    const text = await this.ask(to, what, details)
    if (typeof text !== 'string') return undefined
    try {
      return JSON.parse(text)
    } catch {
      return undefined
    }
  }

  answered(from: number, token: number, value: unknown): void {
    if (this.#open.get(token)?.to === from) this.#settle(token, value)
  }

  /** The owner is away: nobody will answer. */
  gone(owner: number): void {
    for (const [token, open] of this.#open) if (open.to === owner) this.#settle(token, undefined)
  }

  close(): void {
    for (const token of this.#open.keys()) this.#settle(token, undefined)
  }

  #settle(token: number, value: unknown): void {
    const open = this.#open.get(token)
    if (open === undefined) return
    this.#open.delete(token)
    clearTimeout(open.timer)
    open.resolve(value)
  }
}
