/** What an owner counts; every field only grows, but for those that say otherwise. */

export interface OwnerCounters {
  /** Connections accepted here by a handshake of our own. */
  accepted: number
  /** Dormant clones that were made here (PREPARE admitted). */
  cloned: number
  /** Connections that became ours by COMMIT. */
  adopted: number
  /** Connections that we gave away, COMMIT sent. */
  shifted: number
  /** Shifts whose target has said SHIFTED. */
  confirmed: number
  /** Shifts that did not happen, by reason. */
  aborted: Record<string, number>
  /** Packets that we passed to another owner because of a forward. */
  forwardedPackets: number
  /** Packets passed to us by another owner. */
  receivedForwards: number
  /** Packets of flows unknown here that we handed to the dispatcher. */
  unknownPackets: number
  /** Packets dropped: no place on the link, too many hops, or nobody to ask. */
  droppedForwards: number
  /** RST sent for segments of no connection. */
  resetsSent: number
  /** SYNs refused because a table was full. */
  refusedSyns: number
  /** Packets that were not TCP for the VIP, malformed or with a bad checksum, by verdict. */
  discarded: Record<string, number>
  closed: number
}

export function createOwnerCounters(): OwnerCounters {
  return {
    accepted: 0,
    cloned: 0,
    adopted: 0,
    shifted: 0,
    confirmed: 0,
    aborted: {},
    forwardedPackets: 0,
    receivedForwards: 0,
    unknownPackets: 0,
    droppedForwards: 0,
    resetsSent: 0,
    refusedSyns: 0,
    discarded: {},
    closed: 0,
  }
}

export function count(record: Record<string, number>, name: string): void {
  record[name] = (record[name] ?? 0) + 1
}
