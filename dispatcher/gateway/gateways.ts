/**
 * The gateways of a cluster as a dispatcher sees them: what they must steer by, kept so that a gateway that is linked (again)
 * gets all of it, and who has confirmed what. It knows links only as something that sends.
 */
import { SteeringError, type SteeringErrorCode } from '../steering/errors.ts'
import {
  type FlowUpdate,
  MAX_STEERED_FLOWS,
  type NextHop,
  NO_PACKETS,
  type SteeringCounters,
} from '../steering/steering.ts'
import { checkElement, checkFlow, type Element, keyOf, SteeringTable } from '../steering/steering-table.ts'
import { decodeGatewayMessage, encodeGatewayMessage, MAX_FLOWS_PER_MESSAGE } from './messages.ts'

/** A gateway answers within some 10 ms; a shift that waits for longer is better refused. */
export const DEFAULT_ACKNOWLEDGE_MS = 2000
/** Updates that wait for their acknowledgement. */
export const MAX_UNACKNOWLEDGED = 16_384

export interface GatewayLink {
  send(message: unknown): boolean
}

interface Waiting {
  /** Gateways whose acknowledgement is still missing. */
  readonly missing: Set<GatewayLink>
  readonly resolve: () => void
  readonly reject: (error: SteeringError) => void
  readonly timer: NodeJS.Timeout
}

export class Gateways {
  readonly #table: SteeringTable
  readonly #links = new Map<GatewayLink, SteeringCounters>()
  readonly #waiting = new Map<number, Waiting>()
  readonly #acknowledgeMs: number
  readonly #now: () => number
  #owners: readonly NextHop[] = []
  #seq = 0
  /** Messages from gateways that were none. */
  malformed = 0
  /** Owners or elements that a gateway could not set. */
  failures = 0

  constructor(ownerIdBits: number, now: () => number, acknowledgeMs = DEFAULT_ACKNOWLEDGE_MS) {
    this.#table = new SteeringTable(ownerIdBits)
    this.#now = now
    this.#acknowledgeMs = acknowledgeMs
  }

  /** Gateways that are linked now. */
  get size(): number {
    return this.#links.size
  }

  /** To be called for each link whose peer's role is `gateway`, when it is up. */
  up(link: GatewayLink): void {
    this.#links.set(link, NO_PACKETS)
    this.#sendOwners(link)
    const elements = this.#elements()
    let reset = true
    do {
      const set = elements.splice(0, MAX_FLOWS_PER_MESSAGE).map(element => this.#flowOf(element))
      link.send(encodeGatewayMessage({ type: 'flows', seq: this.#seq++, reset, set, remove: [] }))
      reset = false
    } while (elements.length > 0)
  }

  down(link: GatewayLink): void {
    this.#links.delete(link)
    // What it had not confirmed is unsure, but it gets all of it when it comes back.
    for (const [seq, { missing }] of this.#waiting)
      if (missing.has(link)) this.#failed(seq, 'NFT_FAILED', 'link lost')
  }

  /** A message from a gateway; anything else is counted and dropped. */
  receive(link: GatewayLink, envelope: unknown): void {
    const message = decodeGatewayMessage(envelope)
    switch (message?.type) {
      case 'owners-applied':
        return
      case 'flows-applied':
        return this.#applied(link, message.seq)
      case 'owners-failed':
        this.failures++
        return
      case 'flows-failed':
        this.failures++
        return this.#failed(message.seq, message.code as SteeringErrorCode, message.error)
      case 'counters':
        if (this.#links.has(link)) this.#links.set(link, message.counters)
        return
      default:
        this.malformed++
    }
  }

  /** Every owner there is, the dispatcher itself included. */
  setOwners(owners: readonly NextHop[]): void {
    this.#owners = owners
    for (const link of this.#links.keys()) this.#sendOwners(link)
  }

  /**
   * Resolves when every linked gateway steers by `update`, which has at most MAX_FLOWS_PER_MESSAGE flows in each list.
   * Rejects with a SteeringError when one does not, when none is linked, or for a bad value; then the update is taken
   * back here, and gateways that have it already are told so.
   */
  async updateFlows(update: FlowUpdate): Promise<void> {
    const now = this.#now()
    const removed = update.remove.map(flow => keyOf(checkFlow(flow)))
    const set = update.set.map(flow => checkElement(flow, now))
    for (const key of this.#table.expired(now)) this.#table.remove(key)
    if (this.#links.size === 0) throw new SteeringError('NFT_FAILED', 'no gateway is linked')
    if (this.#waiting.size >= MAX_UNACKNOWLEDGED) {
      throw new SteeringError('STEERING_BUSY', `${MAX_UNACKNOWLEDGED} updates of steering wait already`)
    }
    if (this.#table.size + set.length > MAX_STEERED_FLOWS) {
      throw new SteeringError('STEERING_FULL', `more than ${MAX_STEERED_FLOWS} steered flows`)
    }
    const before = [...removed, ...set.map(({ key }) => key)].map(key => [key, this.#table.get(key)] as const)
    for (const key of removed) this.#table.remove(key)
    for (const element of set) this.#table.set(element)
    try {
      await this.#send(update)
    } catch (error) {
      this.#takeBack(before, set)
      throw error
    }
  }

  /** Sums over the gateways that are linked. */
  counters(): SteeringCounters {
    let { packets, octets, byOwner, byFlow, unsteered } = NO_PACKETS
    const owners = new Map<number, { owner: number; packets: number; octets: number }>()
    for (const counters of this.#links.values()) {
      packets += counters.packets
      octets += counters.octets
      byOwner += counters.byOwner
      byFlow += counters.byFlow
      unsteered += counters.unsteered
      for (const { owner, ...count } of counters.owners) {
        const sum = owners.get(owner) ?? { owner, packets: 0, octets: 0 }
        sum.packets += count.packets
        sum.octets += count.octets
        owners.set(owner, sum)
      }
    }
    return { packets, octets, byOwner, byFlow, unsteered, owners: [...owners.values()] }
  }

  /** Rejects what waits. */
  close(): void {
    for (const seq of [...this.#waiting.keys()]) this.#failed(seq, 'STEERING_STOPPED', 'the dispatcher ends')
    this.#links.clear()
  }

  #send({ set, remove }: FlowUpdate): Promise<void> {
    const seq = this.#seq++
    const envelope = encodeGatewayMessage({ type: 'flows', seq, reset: false, set, remove })
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#failed(seq, 'NFT_FAILED', `a gateway did not answer in ${this.#acknowledgeMs} ms`)
      }, this.#acknowledgeMs)
      this.#waiting.set(seq, { missing: new Set(this.#links.keys()), resolve, reject, timer })
      for (const link of this.#links.keys()) {
        if (!link.send(envelope)) return this.#failed(seq, 'STEERING_BUSY', 'the link to a gateway is full')
      }
    })
  }

  #applied(link: GatewayLink, seq: number): void {
    const waiting = this.#waiting.get(seq)
    if (waiting === undefined || !waiting.missing.delete(link) || waiting.missing.size > 0) return
    clearTimeout(waiting.timer)
    this.#waiting.delete(seq)
    waiting.resolve()
  }

  #failed(seq: number, code: SteeringErrorCode, why: string): void {
    const waiting = this.#waiting.get(seq)
    if (waiting === undefined) return
    clearTimeout(waiting.timer)
    this.#waiting.delete(seq)
    waiting.reject(new SteeringError(code, `a gateway does not steer as told: ${why}`))
  }

  /** Only what nobody has changed since. */
  #takeBack(before: readonly (readonly [string, Element | undefined])[], set: readonly Element[]): void {
    const ours = new Map(set.map(element => [element.key, element]))
    const again: Element[] = []
    const gone: Element[] = []
    for (const [key, element] of before) {
      if (this.#table.get(key) !== ours.get(key)) continue
      if (element === undefined) {
        const mine = ours.get(key)
        if (mine !== undefined) gone.push(mine)
        this.#table.remove(key)
      } else {
        again.push(element)
        this.#table.set(element)
      }
    }
    const update = { set: again.map(element => this.#flowOf(element)), remove: gone }
    const envelope = encodeGatewayMessage({ type: 'flows', seq: this.#seq++, reset: false, ...update })
    for (const link of this.#links.keys()) link.send(envelope)
  }

  #sendOwners(link: GatewayLink): void {
    link.send(encodeGatewayMessage({ type: 'owners', seq: this.#seq++, owners: this.#owners }))
  }

  #elements(): Element[] {
    const now = this.#now()
    return [...this.#table.elements()].filter(({ expiresAt }) => expiresAt > now)
  }

  #flowOf({ family, address, port, owner, expiresAt }: Element) {
    return { family, address, port, owner, timeoutMs: Math.max(1, expiresAt - this.#now()) }
  }
}
