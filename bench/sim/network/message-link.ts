/**
 * A simulated control link: typed messages between two hosts over a connection that can break. By default it
 * behaves as TCP does (in order, nothing lost while it stands, what is in flight lost when it breaks); with an
 * adversary it does to each message what no protocol may rely on not happening.
 */
import type { World } from './element.ts'
import type { Random } from './random.ts'

/** Messages in flight in one direction; more are refused, as a full socket buffer would. */
export const MAX_MESSAGES_IN_FLIGHT = 100_000

/** Probabilities per message. */
export interface Adversary {
  readonly drop?: number
  readonly duplicate?: number
  /** Overtakes or is overtaken: sent on its own way, with up to `maxExtraMs` more. */
  readonly reorder?: number
  /** Held for up to `maxExtraMs`, and all behind it with it. */
  readonly delay?: number
  /** In flight when the connection breaks, it may yet arrive over the next one. */
  readonly stale?: number
  readonly maxExtraMs?: number
}

export interface MessageLinkOptions<Message> {
  /** One way. */
  readonly delayMs: number
  /** Up to so much more for each message; the order stays. */
  readonly jitterMs?: number
  /** How long an end believes in a connection that has been cut; what it sends meanwhile is lost. */
  readonly detectMs?: number
  readonly adversary?: Adversary
  /** How a message crosses to the other host; by default a deep copy of plain data. */
  readonly copy?: (message: Message) => Message
}

export interface MessageCounts {
  sent: number
  delivered: number
  lost: number
  duplicated: number
  refused: number
}

/** One host's end. The callbacks run as events of the scheduler, never within `send`, `cut` or `connect`. */
export class MessageEnd<Message> {
  onMessage: (message: Message) => void = () => {}
  onUp: () => void = () => {}
  onDown: () => void = () => {}
  /** Whether this end believes that it is connected. */
  isUp = false
  readonly #send: (message: Message) => boolean

  constructor(send: (message: Message) => boolean) {
    this.#send = send
  }

  /** False where the end is down or too much is in flight; true says nothing about arrival. */
  send(message: Message): boolean {
    return this.#send(message)
  }
}

/** One direction, and what its sender knows. */
interface Direction<Message> {
  readonly from: MessageEnd<Message>
  readonly to: MessageEnd<Message>
  /** The connection that the sender believes in. */
  generation: number
  inFlight: number
  /** When the last message in order arrives. */
  lastAt: number
}

export class MessageLink<Message> {
  readonly a: MessageEnd<Message>
  readonly b: MessageEnd<Message>
  readonly counts: MessageCounts = { sent: 0, delivered: 0, lost: 0, duplicated: 0, refused: 0 }
  readonly #world: World
  readonly #options: MessageLinkOptions<Message>
  readonly #random: Random
  readonly #ab: Direction<Message>
  readonly #ba: Direction<Message>
  /** Counts up with each connection and each cut: what belongs to another one is of the past. */
  #generation = 0
  #isConnected = false

  /** Down at first. */
  constructor(world: World, options: MessageLinkOptions<Message>) {
    this.#world = world
    this.#options = options
    this.#random = world.random.fork()
    this.a = new MessageEnd(message => this.#send(this.#ab, message))
    this.b = new MessageEnd(message => this.#send(this.#ba, message))
    this.#ab = { from: this.a, to: this.b, generation: 0, inFlight: 0, lastAt: 0 }
    this.#ba = { from: this.b, to: this.a, generation: 0, inFlight: 0, lastAt: 0 }
  }

  /** `a` connects: `b` is up after one delay and `a` after two, as with a handshake. */
  connect(): void {
    if (this.#isConnected) return
    this.#isConnected = true
    const generation = ++this.#generation
    this.#ab.lastAt = 0
    this.#ba.lastAt = 0
    const { scheduler } = this.#world
    scheduler.after(this.#options.delayMs, () => this.#up(this.#ba, generation))
    scheduler.after(2 * this.#options.delayMs, () => this.#up(this.#ab, generation))
  }

  /** The connection breaks: what is in flight is lost, and both ends learn of it. With `forMs` it comes back then. */
  cut(forMs = Infinity): void {
    if (!this.#isConnected) return
    this.#isConnected = false
    this.#generation++
    const { scheduler } = this.#world
    for (const direction of [this.#ab, this.#ba]) {
      const { generation } = direction
      if (!direction.from.isUp) continue
      scheduler.after(this.#options.detectMs ?? 0, () => this.#down(direction, generation))
    }
    if (forMs !== Infinity) scheduler.after(forMs, () => this.connect())
  }

  #up(direction: Direction<Message>, generation: number): void {
    if (generation !== this.#generation) return
    // Reconnected before it had noticed the cut: the owner of the end must still hear of both.
    this.#down(direction, direction.generation)
    direction.generation = generation
    direction.from.isUp = true
    direction.from.onUp()
  }

  #down(direction: Direction<Message>, generation: number): void {
    if (!direction.from.isUp || direction.generation !== generation) return
    direction.from.isUp = false
    direction.from.onDown()
  }

  #send(direction: Direction<Message>, message: Message): boolean {
    if (!direction.from.isUp) return false
    if (direction.inFlight >= MAX_MESSAGES_IN_FLIGHT) {
      this.counts.refused++
      return false
    }
    this.counts.sent++
    const { adversary = {}, copy = copyPlain } = this.#options
    const random = this.#random
    if (random.chance(adversary.drop ?? 0)) {
      this.counts.lost++
      return true
    }
    const copied = copy(message)
    this.#launch(direction, copied, adversary)
    if (random.chance(adversary.duplicate ?? 0)) {
      this.counts.duplicated++
      this.#launch(direction, copy(copied), adversary)
    }
    return true
  }

  #launch(direction: Direction<Message>, message: Message, adversary: Adversary): void {
    const random = this.#random
    const { scheduler } = this.#world
    const extra = random.between(0, adversary.maxExtraMs ?? 0)
    let at = scheduler.now + this.#options.delayMs + random.between(0, this.#options.jitterMs ?? 0)
    if (random.chance(adversary.reorder ?? 0)) at += extra
    else {
      if (random.chance(adversary.delay ?? 0)) at += extra
      at = Math.max(at, direction.lastAt)
      direction.lastAt = at
    }
    const { generation } = direction
    const survives = random.chance(adversary.stale ?? 0)
    direction.inFlight++
    scheduler.at(at, () => {
      direction.inFlight--
      if (!direction.to.isUp || (generation !== this.#generation && !survives)) {
        this.counts.lost++
        return
      }
      this.counts.delivered++
      direction.to.onMessage(message)
    })
  }
}

/** Plain data, octets, maps and sets, so that two hosts never share what one of them may change. */
function copyPlain<T>(value: T): T {
  return copyValue(value) as T
}

function copyValue(value: unknown): unknown {
  if (typeof value === 'function') throw new Error('a function cannot cross a link')
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copyValue)
  if (ArrayBuffer.isView(value)) return (value as Uint8Array).slice()
  if (value instanceof Map)
    return new Map([...value].map(([key, entry]) => [copyValue(key), copyValue(entry)]))
  if (value instanceof Set) return new Set([...value].map(copyValue))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new Error(`a ${value.constructor.name} cannot cross a link`)
  }
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, copyValue(entry)]))
}
