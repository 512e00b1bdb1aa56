/**
 * Processes that want owner ids of one engine, in virtual time, for `leases.test.ts`: the engine goes away, does not run for a while, loses
 * its storage; processes do not run for a while, are cut off from the engine, die and come back; writes come late. Dispatchers are
 * only there as what they say of ids: which run of one they have heard of last.
 */
import type { Answer, Ask, LeaseTimes } from './asking.ts'
import { HeldLease } from './held-lease.ts'
import { formatHolder, parseHolder } from './holder.ts'
import { IdSearch, type IdWish } from './id-search.ts'
import type { Entry } from './store.ts'

export const STEP_MS = 20
export const TIMES: LeaseTimes = { leaseMs: 5_000, renewMs: 500 }
const ANSWER_MS = 1_000
const RECONNECT_MS = 500
/** From a link to the word of a dispatcher to the run before. */
const LINK_MS = 100
const MAX_LATENCY_MS = 60
const LOST_ANSWERS = 0.03

interface Question {
  readonly ask: Ask
  /** When the engine is to see to it, unless it does not run then. */
  readonly at: number
  readonly answerAt: number
  readonly isAnswerLost: boolean
  answer: Answer
  isDone: boolean
}

export class TestProcess {
  readonly wish: IdWish
  search: IdSearch
  held: HeldLease | undefined
  question: Question | undefined
  pausedUntil = 0
  cutUntil = 0
  reconnectedAt = 0
  /** Its connection has broken, and nothing was asked since: the store rejects the next question. */
  isBroken = false
  /** Nothing kept it from renewing since it took its id. */
  isUntroubled = true
  isDead = false

  constructor(wish: IdWish, now: number) {
    this.wish = wish
    this.search = new IdSearch(wish, now, TIMES)
  }
}

export class TestWorld {
  now = 0
  isUp = true
  runsAgainAt = 0
  /** There are dispatchers, which say whose id is linked by another. */
  hasDispatchers = true
  readonly processes: TestProcess[] = []
  /** What must not be; of the first alone anybody will hear. */
  readonly faults: string[] = []
  readonly #random: () => number
  #registers = new Map<string, Entry>()
  #revision = 0
  readonly #questions = new Set<Question>()
  /** By id: the runs that had it. */
  readonly #runs = new Map<number, string[]>()
  /** By id: the run that dispatchers are linked with, and since when. */
  readonly #linked = new Map<number, { readonly run: string; readonly at: number }>()

  constructor(random: () => number) {
    this.#random = random
  }

  start(name: string, id: number | undefined, ownerIdBits: number): TestProcess {
    // Where a run before is known, by it alone: clocks may have stepped since.
    const run = (after: string | undefined) => {
      const at = after === undefined ? BigInt(1 + this.now) : (BigInt(`0x${after}`) >> 22n) + 1n
      return ((at << 22n) | BigInt(Math.floor(this.#random() * 2 ** 22))).toString(16).padStart(16, '0')
    }
    const process = new TestProcess({ role: 'node', name, id, ownerIdBits, run }, this.now)
    this.processes.push(process)
    return process
  }

  down(): void {
    this.isUp = false
    this.#questions.clear()
  }

  up(isStorageLost: boolean): void {
    this.isUp = true
    if (isStorageLost) this.#registers = new Map()
    for (const process of this.processes) {
      process.reconnectedAt = this.now + this.#random() * RECONNECT_MS
      process.isBroken = true
    }
  }

  /** Somebody deletes the bucket: no connection breaks. */
  empty(): void {
    this.#registers = new Map()
  }

  pause(process: TestProcess, ms: number): void {
    process.pausedUntil = this.now + ms
    process.isUntroubled = false
  }

  cut(process: TestProcess, ms: number): void {
    process.cutUntil = this.now + ms
    process.isUntroubled = false
  }

  /** Ends without a word. */
  kill(process: TestProcess): void {
    process.isDead = true
    if (process.question !== undefined && this.#random() < 0.5) this.#questions.delete(process.question)
  }

  run(ms: number): void {
    for (const end = this.now + ms; this.now < end; this.now += STEP_MS) this.#step()
  }

  holders(): TestProcess[] {
    return this.processes.filter(({ held, isDead }) => !isDead && held !== undefined && !held.isOver)
  }

  /** Those who would send packets now. */
  senders(): TestProcess[] {
    return this.holders().filter(
      ({ held, pausedUntil }) => pausedUntil <= this.now && held?.permits(this.now) === true,
    )
  }

  register(key: string): Entry | undefined {
    return this.#registers.get(key)
  }

  /** As in a storage that somebody restored. */
  put(key: string, value: string): void {
    this.#registers.set(key, { value, revision: ++this.#revision })
  }

  #step(): void {
    if (this.isUp && this.now >= this.runsAgainAt) this.#serve()
    for (const process of this.processes) if (!process.isDead) this.#act(process)
  }

  /** What has arrived at the engine by now. */
  #serve(): void {
    for (const question of this.#questions) {
      if (question.at > this.now) continue
      this.#questions.delete(question)
      question.answer = this.#apply(question.ask)
      question.isDone = true
    }
  }

  #apply({ key, write }: Ask): Answer {
    const entry = this.#registers.get(key)
    if (write === undefined) return entry
    if ((entry?.revision ?? 0) !== write.revision) return undefined
    this.#check(key, entry, write.value)
    this.#registers.set(key, { value: write.value, revision: ++this.#revision })
    return this.#revision
  }

  /** Nobody loses an id who was let run and could reach the engine whenever it was there. */
  #check(key: string, entry: Entry | undefined, value: string): void {
    const [before, after] = [entry && parseHolder(entry.value), parseHolder(value)]
    if (after === undefined || before?.run === after.run) return
    const id = Number(key.slice('owner.'.length))
    const loser = this.holders().find(({ held }) => held?.id === id && held.run !== after.run)
    if (loser?.isUntroubled) this.faults.push(`${this.now}: ${loser.wish.name} loses ${key} for nothing`)
    const runs = this.#runs.get(id) ?? []
    if (before !== undefined && after.run <= before.run)
      this.faults.push(`${key}: ${after.run} after ${before.run}`)
    this.#runs.set(id, [...runs, after.run])
  }

  #act(process: TestProcess): void {
    if (process.pausedUntil > this.now) return
    this.#hear(process)
    const machine = process.held ?? process.search
    if (process.held?.isOver === true || process.search.refusal !== undefined) return
    if (process.question === undefined) {
      const ask = machine.next(this.now)
      if (typeof ask !== 'number') this.#put(process, ask)
      return
    }
    this.#answer(process, process.question, machine)
  }

  #put(process: TestProcess, ask: Ask): void {
    const latency = this.#random() * MAX_LATENCY_MS
    const at = this.now + latency / 2
    const question: Question = {
      ...{ ask, at, answerAt: this.now + latency, answer: undefined, isDone: false },
      isAnswerLost: this.#random() < LOST_ANSWERS,
    }
    process.question = question
    const isReached = this.isUp && process.cutUntil <= this.now && process.reconnectedAt <= this.now
    if (isReached && !process.isBroken) this.#questions.add(question)
    process.isBroken = false
  }

  #answer(process: TestProcess, question: Question, machine: Pick<HeldLease, 'answered'>): void {
    const { ask, answerAt, answer, isDone, isAnswerLost } = question
    const isHere = isDone && !isAnswerLost && answerAt <= this.now && process.cutUntil <= this.now
    if (!isHere && this.now < ask.askedAt + ANSWER_MS) return
    process.question = undefined
    machine.answered(ask, isHere ? answer : 'away', this.now)
    const { taken } = process.search
    if (process.held !== undefined || taken === undefined) return
    process.held = new HeldLease(taken, process.wish, TIMES)
    process.isUntroubled = true
    this.#linked.set(taken.id, { run: taken.run, at: this.now + LINK_MS })
  }

  /** Of a dispatcher that is linked with a later run. */
  #hear({ held }: TestProcess): void {
    const linked = this.hasDispatchers ? held && this.#linked.get(held.id) : undefined
    if (linked !== undefined && linked.at <= this.now && linked.run > (held?.run ?? ''))
      held?.suspect(this.now)
  }
}

/** Somebody else's word in a register. */
export function strangersValue(): string {
  return formatHolder({ run: 'ffffffffff000000', name: 'stranger', role: 'node', released: false })
}
