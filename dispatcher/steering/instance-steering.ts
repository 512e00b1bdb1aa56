/**
 * Steering among the instances of one machine, which share its addresses: of everything that a dispatcher tells a
 * gateway it keeps what concerns them, and puts their TUN devices in the place of their addresses.
 */
import {
  type FlowUpdate,
  type NextHop,
  NO_PACKETS,
  type SteeredFlow,
  type Steering,
  type SteeringCounters,
} from './steering.ts'

export class InstanceSteering implements Steering {
  readonly #steering: Steering
  readonly #devices: ReadonlyMap<number, string>

  /** `devices` are the TUNs by owner id; they must be there as long as this is used. */
  constructor(steering: Steering, devices: ReadonlyMap<number, string>) {
    this.#steering = steering
    this.#devices = devices
  }

  start(): Promise<void> {
    return this.#steering.start()
  }

  setOwners(owners: readonly NextHop[]): Promise<void> {
    const own: NextHop[] = []
    for (const { owner } of owners) {
      const device = this.#devices.get(owner)
      if (device !== undefined) own.push({ owner, address: undefined, address6: undefined, device })
    }
    return this.#steering.setOwners(own)
  }

  /** A flow that went to another machine has no element here any more. */
  updateFlows({ set, remove }: FlowUpdate): Promise<void> {
    const left = set.filter(flow => !this.#devices.has(flow.owner))
    return this.#steering.updateFlows({ set: this.#ownFlows(set), remove: [...remove, ...left] })
  }

  replaceFlows(flows: readonly SteeredFlow[], by?: number): Promise<void> {
    return this.#steering.replaceFlows(this.#ownFlows(flows), by)
  }

  /** None: the gateway has counted these packets already. */
  async counters(): Promise<SteeringCounters> {
    return NO_PACKETS
  }

  stop(): Promise<void> {
    return this.#steering.stop()
  }

  #ownFlows(flows: readonly SteeredFlow[]): readonly SteeredFlow[] {
    return flows.filter(({ owner }) => this.#devices.has(owner))
  }
}
