/** What an owner counts; every field only grows, but for those that say otherwise. */
import { createIcmpCounters, createIpCounters, type IcmpCounters, type IpCounters } from './ip-counters.ts'

/** What the bounds of memory and of tables cost connections, by its names in `nstat` (TcpExt). */
export interface MemoryCounters {
  /** Connections in TIME-WAIT that ended early, because there were too many or their place was needed. */
  TCPTimeWaitOverflow: number
  /** Half-open connections that gave their place to one that was proven. */
  TCPReqQFullDrop: number
  /** Times that memory for received octets came to be scarce. */
  TCPMemoryPressures: number
  /** Times that a connection gave up what it held beyond gaps (RFC 2018 §8), and stretches given up. */
  PruneCalled: number
  OfoPruned: number
}

/** What the listener counts, by its names in `nstat` (TcpExt). */
export interface ListenCounters {
  SyncookiesSent: number
  SyncookiesRecv: number
  /** Acknowledgements of no cookie, while cookies were awaited. */
  SyncookiesFailed: number
  /** Cookies sent because there were too many half-open connections; it is the only reason here. */
  TCPReqQFullDoCookies: number
  /** Connections refused because there was no room for them. */
  ListenOverflows: number
  /** The same, and whatever else kept a connection from being accepted. */
  ListenDrops: number
}

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
  readonly listen: ListenCounters
  readonly memory: MemoryCounters
  readonly ip4: IpCounters
  readonly ip6: IpCounters
  readonly icmp4: IcmpCounters
  readonly icmp6: IcmpCounters
  /** ICMP errors about segments of connections here, by what they say. */
  icmpErrors: Record<string, number>
  /** Packets that were not TCP for the VIP, malformed or with a bad checksum, by verdict. */
  discarded: Record<string, number>
  closed: number
  /** How long shifts from here took, to SHIFTED. */
  readonly shiftMs: DurationCounts
}

/** Upper bounds of `DurationCounts`, in ms; the last bucket has none. */
export const SHIFT_BOUNDS_MS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1_000, 5_000]

export interface DurationCounts {
  readonly counts: number[]
  /** In ms. */
  sum: number
}

export function countDuration(durations: DurationCounts, ms: number): void {
  let bucket = 0
  while (bucket < SHIFT_BOUNDS_MS.length && ms > (SHIFT_BOUNDS_MS[bucket] as number)) bucket++
  durations.counts[bucket] = (durations.counts[bucket] ?? 0) + 1
  durations.sum += ms
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
    ip4: createIpCounters(),
    ip6: createIpCounters(),
    icmp4: createIcmpCounters(),
    icmp6: createIcmpCounters(),
    icmpErrors: {},
    memory: {
      TCPTimeWaitOverflow: 0,
      TCPReqQFullDrop: 0,
      TCPMemoryPressures: 0,
      PruneCalled: 0,
      OfoPruned: 0,
    },
    listen: {
      SyncookiesSent: 0,
      SyncookiesRecv: 0,
      SyncookiesFailed: 0,
      TCPReqQFullDoCookies: 0,
      ListenOverflows: 0,
      ListenDrops: 0,
    },
    discarded: {},
    closed: 0,
    shiftMs: { counts: SHIFT_BOUNDS_MS.concat(0).fill(0), sum: 0 },
  }
}

export function count(record: Record<string, number>, name: string): void {
  record[name] = (record[name] ?? 0) + 1
}
