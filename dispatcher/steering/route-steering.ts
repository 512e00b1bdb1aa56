/**
 * Steering where nothing steers: the routes carry every packet to the dispatcher, and the dispatcher's own forwards
 * pass it on (Cyclone's way, and the fallback where nftables is missing). So every update holds at once, as there is
 * nothing that could send a packet elsewhere.
 */
import {
  type FlowUpdate,
  type NextHop,
  NO_PACKETS,
  type SteeredFlow,
  type Steering,
  type SteeringCounters,
} from './steering.ts'
import { checkElement, checkFlow, checkOwners, checkRoom } from './steering-table.ts'

export class RouteSteering implements Steering {
  readonly #ownerIdBits: number

  constructor(ownerIdBits: number) {
    this.#ownerIdBits = ownerIdBits
  }

  async start(): Promise<void> {}

  async setOwners(owners: readonly NextHop[]): Promise<void> {
    checkOwners(owners, this.#ownerIdBits)
  }

  async updateFlows({ set, remove }: FlowUpdate): Promise<void> {
    checkRoom(set.length)
    for (const flow of remove) checkFlow(flow)
    for (const flow of set) checkElement(flow, 0)
  }

  async replaceFlows(flows: readonly SteeredFlow[]): Promise<void> {
    await this.updateFlows({ set: flows, remove: [] })
  }

  async counters(): Promise<SteeringCounters> {
    return NO_PACKETS
  }

  async stop(): Promise<void> {}
}
