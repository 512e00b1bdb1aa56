/**
 * The kernel's own relay on the dispatcher's machine, for clone mode: each connection's element sends the client's packets
 * on to the node that answers it, before they reach our TUN. Cyclone's relay without a process in the packet path. Where
 * the kernel has no element (yet), the owner's forwards do the same in user space.
 */
import type { Forward } from '../node/stack/connection.ts'
import { formatAddress } from '../node/wire/address.ts'
import type { Member } from './members.ts'
import {
  DEFAULT_FLOW_TIMEOUT_MS,
  type FlowKey,
  type NextHop,
  type SteeredFlow,
  type Steering,
} from './steering/steering.ts'

export class Relay {
  readonly #steering: Steering
  readonly #onError: (error: unknown) => void

  constructor(steering: Steering, onError: (error: unknown) => void) {
    this.#steering = steering
    this.#onError = onError
  }

  setOwners(members: readonly Member[]): void {
    this.#steering.setOwners(members.map(nextHop)).catch(this.#onError)
  }

  set(record: Forward): void {
    this.#steering.updateFlows({ set: [steeredFlow(record, record.to)], remove: [] }).catch(this.#onError)
  }

  remove(record: Forward): void {
    this.#steering.updateFlows({ set: [], remove: [flowKey(record)] }).catch(this.#onError)
  }

  stop(): Promise<void> {
    return this.#steering.stop()
  }
}

export function nextHop({ id, address, address6 }: Member): NextHop {
  return { owner: id, address, address6 }
}

export function flowKey(flow: {
  readonly family: 4 | 6
  readonly remote0: number
  readonly remote1: number
  readonly remote2: number
  readonly remote3: number
  readonly remotePort: number
}): FlowKey {
  const { family, remote0, remote1, remote2, remote3, remotePort } = flow
  return { family, address: formatAddress(remote0, remote1, remote2, remote3), port: remotePort }
}

export function steeredFlow(flow: Parameters<typeof flowKey>[0], owner: number): SteeredFlow {
  return { ...flowKey(flow), owner, timeoutMs: DEFAULT_FLOW_TIMEOUT_MS }
}
