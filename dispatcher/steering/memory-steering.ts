/**
 * Steering inside one process, for simulated networks: the same checks and the same decision as the kernel's rules,
 * at once and with the given clock. It sends nothing; whoever simulates the gateway asks `steer`.
 */
import { SteeringError } from './errors.ts'
import { slotsOf } from './slots.ts'
import type { FlowUpdate, NextHop, SteeredFlow, Steering, SteeringCounters } from './steering.ts'
import {
  checkElement,
  checkFlow,
  checkOwners,
  checkRoom,
  hopOf,
  keyOf,
  type SteeredPacket,
  SteeringTable,
} from './steering-table.ts'

export class MemorySteering implements Steering {
  readonly table: SteeringTable
  readonly #ownerIdBits: number
  readonly #now: () => number
  readonly #byOwner = new Map<number, number>()
  #packets = 0
  #flowPackets = 0

  constructor(ownerIdBits: number, now: () => number) {
    this.table = new SteeringTable(ownerIdBits)
    this.#ownerIdBits = ownerIdBits
    this.#now = now
  }

  async start(): Promise<void> {}

  async setOwners(owners: readonly NextHop[], dispatchers: readonly number[] = []): Promise<void> {
    const checked = checkOwners(owners, this.#ownerIdBits)
    this.table.setOwners(checked, slotsOf(dispatchers))
    for (const { key, owner, family } of [...this.table.elements()]) {
      if (hopOf(checked.get(owner), family) === undefined) this.table.remove(key)
    }
  }

  async updateFlows({ set, remove }: FlowUpdate): Promise<void> {
    const keys = remove.map(flow => keyOf(checkFlow(flow)))
    const elements = set.map(flow => checkElement(flow, this.#now()))
    for (const { owner, family } of elements) {
      if (hopOf(this.table.owners.get(owner), family) !== undefined) continue
      throw new SteeringError('UNKNOWN_OWNER', `no owner ${owner} with an IPv${family} address`)
    }
    for (const key of this.table.expired(this.#now())) this.table.remove(key)
    checkRoom(this.table.size + elements.length)
    for (const key of keys) this.table.remove(key)
    for (const element of elements) this.table.set(element)
  }

  async replaceFlows(flows: readonly SteeredFlow[], by?: number): Promise<void> {
    const remove = [...this.table.elements()].filter(element => by === undefined || element.by === by)
    await this.updateFlows({ set: flows, remove })
  }

  /** The owner that the packet goes to, or undefined: the way of unknown packets. */
  steer(packet: SteeredPacket): number | undefined {
    const owner = this.table.steer(packet, this.#now())
    this.#packets++
    // A hash of its own: only that the packets of one source stay together is the same as in the kernel.
    if (owner === undefined) {
      return this.table.spread(hashOf(packet.flow.address) + packet.flow.port, packet.flow.family)
    }
    const named = this.table.named(packet)
    if (named === undefined) this.#flowPackets++
    else this.#byOwner.set(named, (this.#byOwner.get(named) ?? 0) + 1)
    return owner
  }

  async counters(): Promise<SteeringCounters> {
    const owners = [...this.#byOwner].map(([owner, packets]) => ({ owner, packets, octets: 0 }))
    const byOwner = owners.reduce((sum, { packets }) => sum + packets, 0)
    const unsteered = this.#packets - byOwner - this.#flowPackets
    return { packets: this.#packets, octets: 0, byOwner, byFlow: this.#flowPackets, unsteered, owners }
  }

  async stop(): Promise<void> {
    this.table.clear()
    this.table.setOwners(new Map())
  }
}

function hashOf(text: string): number {
  let hash = 0
  for (let index = 0; index < text.length; index++)
    hash = (Math.imul(hash, 31) + text.charCodeAt(index)) >>> 0
  return hash
}
