/**
 * Owners and fallback elements as data: what the kernel's maps hold, and the decision that its rules take. It has
 * no clock and runs nothing; `nft-steering.ts` keeps the kernel equal to it, the simulator asks it directly.
 */
import { formatAddress, parseAddress } from '../../node/wire/address.ts'
import { SteeringError } from './errors.ts'
import { SLOTS } from './slots.ts'
import {
  type FlowKey,
  MAX_FLOW_TIMEOUT_MS,
  MAX_OWNERS,
  MAX_STEERED_FLOWS,
  type NextHop,
  type SteeredFlow,
} from './steering.ts'

/** How finely expiry is kept, in milliseconds: elements of one such span are forgotten together. */
const EXPIRY_SPAN_MS = 1000

export interface Element extends FlowKey {
  readonly key: string
  readonly owner: number
  readonly expiresAt: number
  readonly by?: number | undefined
}

/** What a rule sees of a packet to the service. */
export interface SteeredPacket {
  readonly flow: FlowKey
  readonly syn: boolean
  readonly ack: boolean
  /** TSecr, or undefined where the segment has no timestamps. */
  readonly tsEcr: number | undefined
}

export class SteeringTable {
  readonly #ownerMask: number
  #owners: ReadonlyMap<number, NextHop> = new Map()
  #slots: readonly number[] = []
  readonly #elements = new Map<string, Element>()
  /** Keys by the span in which they expire. */
  readonly #expiring = new Map<number, Set<string>>()

  /** `ownerIdBits` is 1 to 10. */
  constructor(ownerIdBits: number) {
    this.#ownerMask = (1 << ownerIdBits) - 1
  }

  get owners(): ReadonlyMap<number, NextHop> {
    return this.#owners
  }

  /** The dispatcher of each slot. */
  get slots(): readonly number[] {
    return this.#slots
  }

  get size(): number {
    return this.#elements.size
  }

  elements(): IterableIterator<Element> {
    return this.#elements.values()
  }

  get(key: string): Element | undefined {
    return this.#elements.get(key)
  }

  setOwners(owners: ReadonlyMap<number, NextHop>, slots: readonly number[] = []): void {
    this.#owners = owners
    this.#slots = slots
  }

  set(element: Element): void {
    this.remove(element.key)
    this.#elements.set(element.key, element)
    const span = spanOf(element.expiresAt)
    const keys = this.#expiring.get(span)
    if (keys === undefined) this.#expiring.set(span, new Set([element.key]))
    else keys.add(element.key)
  }

  remove(key: string): void {
    const element = this.#elements.get(key)
    if (element === undefined) return
    this.#elements.delete(key)
    const span = spanOf(element.expiresAt)
    const keys = this.#expiring.get(span)
    keys?.delete(key)
    if (keys?.size === 0) this.#expiring.delete(span)
  }

  clear(): void {
    this.#elements.clear()
    this.#expiring.clear()
  }

  /** Keys whose time is over; they stay until they are removed. */
  expired(now: number): string[] {
    const keys: string[] = []
    for (const [span, due] of this.#expiring) if (span < spanOf(now)) keys.push(...due)
    return keys
  }

  /** The owner that the packet's timestamp names, where the gateway goes by it. */
  named({ flow, syn, ack, tsEcr }: SteeredPacket): number | undefined {
    if (syn || !ack || tsEcr === undefined) return undefined
    const owner = tsEcr & this.#ownerMask
    return this.#hop(owner, flow.family) === undefined ? undefined : owner
  }

  /** The owner that a packet goes to, or undefined: the way of unknown packets. The order is that of the rules. */
  steer(packet: SteeredPacket, now: number): number | undefined {
    const named = this.named(packet)
    if (named !== undefined || packet.syn) return named
    const element = this.#elements.get(keyOf(packet.flow))
    if (element === undefined || element.expiresAt <= now) return undefined
    return this.#hop(element.owner, packet.flow.family) === undefined ? undefined : element.owner
  }

  /** The dispatcher for a packet that nothing else steers, by whatever hash of its source; undefined: its route. */
  spread(hash: number, family: 4 | 6): number | undefined {
    const dispatcher = this.#slots[hash % SLOTS]
    return dispatcher === undefined || this.#hop(dispatcher, family) === undefined ? undefined : dispatcher
  }

  #hop(owner: number, family: 4 | 6): string | undefined {
    return hopOf(this.#owners.get(owner), family)
  }
}

function spanOf(time: number): number {
  return Math.floor(time / EXPIRY_SPAN_MS)
}

/** The address, or the device, that packets of the family go to; undefined where there is none. */
export function hopOf(hop: NextHop | undefined, family: 4 | 6): string | undefined {
  return hop?.device ?? (family === 4 ? hop?.address : hop?.address6)
}

export function keyOf(flow: FlowKey): string {
  return `${flow.address} ${flow.port}`
}

/** A map by owner id of checked next hops with canonical addresses; throws a SteeringError. */
export function checkOwners(owners: readonly NextHop[], ownerIdBits: number): Map<number, NextHop> {
  if (owners.length > MAX_OWNERS) throw new SteeringError('STEERING_FULL', `more than ${MAX_OWNERS} owners`)
  const checked = new Map<number, NextHop>()
  for (const { owner, address, address6, device } of owners) {
    const fits = Number.isInteger(owner) && owner >= 0 && owner < 1 << ownerIdBits
    if (!fits) throw new SteeringError('BAD_VALUE', `owner id ${owner} does not fit ${ownerIdBits} bits`)
    if (checked.has(owner)) throw new SteeringError('BAD_VALUE', `owner id ${owner} is there twice`)
    checked.set(owner, {
      owner,
      address: address === undefined ? undefined : canonicalAddress(address, 4),
      address6: address6 === undefined ? undefined : canonicalAddress(address6, 6),
      device,
    })
  }
  return checked
}

/** A checked flow with the canonical text of its address, so that equal flows have equal keys. */
export function checkFlow(flow: FlowKey): FlowKey {
  const { family, port } = flow
  if (!(Number.isInteger(port) && port >= 0 && port <= 0xffff)) {
    throw new SteeringError('BAD_VALUE', `not a port: ${port}`)
  }
  return { family, address: canonicalAddress(flow.address, family), port }
}

export function checkElement(flow: SteeredFlow, now: number): Element {
  const { owner, timeoutMs, by } = flow
  const { family, address, port } = checkFlow(flow)
  if (!(timeoutMs >= 1 && timeoutMs <= MAX_FLOW_TIMEOUT_MS)) {
    throw new SteeringError('BAD_VALUE', `timeoutMs is 1 to ${MAX_FLOW_TIMEOUT_MS}, not ${timeoutMs}`)
  }
  return { family, address, port, key: `${address} ${port}`, owner, expiresAt: now + timeoutMs, by }
}

export function checkRoom(elements: number): void {
  if (elements <= MAX_STEERED_FLOWS) return
  throw new SteeringError('STEERING_FULL', `more than ${MAX_STEERED_FLOWS} steered flows`)
}

function canonicalAddress(text: string, family: 4 | 6): string {
  const address = parseAddress(text)
  if (address?.family !== family) throw new SteeringError('BAD_VALUE', `not an IPv${family} address: ${text}`)
  return formatAddress(address.word0, address.word1, address.word2, address.word3)
}
