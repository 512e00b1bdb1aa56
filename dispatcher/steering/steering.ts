/**
 * What the cluster needs of whatever steers packets to owners: a map from owner id to next hop, and for the few
 * flows whose packets name no owner (clients without timestamps) a fallback element each. Plain types, so that the
 * kernel's rules, the userspace relay and the simulator all stand behind the same interface.
 */

/** An owner of connections, and where its packets go. */
export interface NextHop {
  readonly owner: number
  /** IPv4 address in the LAN; undefined where the owner has none of the family. */
  readonly address: string | undefined
  readonly address6: string | undefined
  /** On the owner's own machine: the TUN of its instance, which takes the place of both addresses. */
  readonly device?: string | undefined
}

/** The client's end of a flow; the other end is the service. */
export interface FlowKey {
  readonly family: 4 | 6
  readonly address: string
  readonly port: number
}

export interface SteeredFlow extends FlowKey {
  readonly owner: number
  /** The element is forgotten after this long unless it is set again: 1 to MAX_FLOW_TIMEOUT_MS. */
  readonly timeoutMs: number
  /** The dispatcher whose word it is, where there are several. */
  readonly by?: number | undefined
}

/** Removals come first, so that a flow in both lists is set at the end. */
export interface FlowUpdate {
  readonly set: readonly SteeredFlow[]
  readonly remove: readonly FlowKey[]
}

/** Packets since the start; a super-packet of 64 KiB counts as one. */
export interface SteeringCounters {
  /** Addressed to the service. */
  readonly packets: number
  readonly octets: number
  /** Sent to the owner that their timestamp names. */
  readonly byOwner: number
  /** Sent on by the element of their flow. */
  readonly byFlow: number
  /** Left to the way of unknown packets: SYNs, and what nothing here knows. */
  readonly unsteered: number
  /** Of `byOwner`, by owner id. */
  readonly owners: readonly { readonly owner: number; readonly packets: number; readonly octets: number }[]
}

export interface Steering {
  /** Checks that steering can work here; rejects with a SteeringError. What an earlier run left stays in force. */
  start(): Promise<void>
  /**
   * Replaces the owners: resolves when packets follow the new ones, rejects with a SteeringError when the old ones
   * still hold. Elements of flows whose owner is gone are removed. `dispatchers` are those of the owners over which packets are
   * spread that nothing here steers; where there are none, such packets follow the route of their virtual address.
   */
  setOwners(owners: readonly NextHop[], dispatchers?: readonly number[]): Promise<void>
  /** Resolves when packets follow all of `update`; when it rejects with a SteeringError none of it holds. */
  updateFlows(update: FlowUpdate): Promise<void>
  /** As `updateFlows`, and removes every other element, or of those only what the dispatcher `by` has set. */
  replaceFlows(flows: readonly SteeredFlow[], by?: number): Promise<void>
  counters(): Promise<SteeringCounters>
  /** Removes everything that steers. Idempotent. */
  stop(): Promise<void>
}

/** Owner ids have at most 10 bits. */
export const MAX_OWNERS = 1024
/** 100,000 elements take 13 MB of the kernel's memory. */
export const MAX_STEERED_FLOWS = 262_144
export const MAX_FLOW_TIMEOUT_MS = 24 * 60 * 60 * 1000
/** Longer than any tombstone; who needs an element for longer sets it again. */
export const DEFAULT_FLOW_TIMEOUT_MS = 60 * 60 * 1000

export const NO_PACKETS: SteeringCounters = {
  packets: 0,
  octets: 0,
  byOwner: 0,
  byFlow: 0,
  unsteered: 0,
  owners: [],
}
