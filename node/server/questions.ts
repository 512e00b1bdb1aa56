/** Questions to dispatchers that wait for their answer. Their number is bounded, and who goes away answers none. */

/** Beyond it nobody is asked, and what can be decided here is. */
const MAX_OPEN = 4_096

interface Open<Answer> {
  readonly to: number
  readonly answered: (answer: Answer | undefined) => void
}

export class Questions<Answer> {
  readonly #open = new Map<number, Open<Answer>>()
  #token = 0

  /** `answered` is called once, perhaps at once: with undefined where nobody answers. */
  ask(
    to: number | undefined,
    send: (to: number, token: number) => boolean,
    answered: (answer: Answer | undefined) => void,
  ): void {
    const token = this.#token++
    if (to === undefined || this.#open.size >= MAX_OPEN || !send(to, token)) return answered(undefined)
    this.#open.set(token, { to, answered })
  }

  answer(from: number, token: number, answer: Answer | undefined): void {
    const open = this.#open.get(token)
    if (open?.to !== from) return
    this.#open.delete(token)
    open.answered(answer)
  }

  gone(id: number): void {
    for (const [token, { to }] of this.#open) if (to === id) this.answer(id, token, undefined)
  }
}
