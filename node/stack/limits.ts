/**
 * What one owner holds at most, each with its reason. What has a bound beside its own table stands there: tombstones and
 * epochs, shifts under way, packets and pieces of one connection.
 */
import { MAX_FORWARDS } from './forwards.ts'

/** At 2 KiB each idle they fill 1 GiB, which is what a process of one core should be given. */
export const MAX_CONNECTIONS = 1 << 19
/**
 * Half-open connections that keep state; a SYN beyond is answered by a cookie. Linux's own backlog (net.core.somaxconn): some
 * 12 MiB, and 4,000 new connections a second at a round trip of 1 s before the first cookie is needed.
 */
export const MAX_HALF_OPEN = 4_096

/** Some 128 MiB, and 1,000 connections a second that we close first, over the minute that TIME-WAIT lasts. */
export const MAX_TIME_WAIT = 1 << 16
/** 64 uploads with the largest window each, all of it held (`DEFAULT_RECEIVE_MAX_OCTETS`); what is read at once is not. */
export const MAX_HELD_OCTETS = 256 * 1024 * 1024

/** A bound, and how much of it is used now. */
export interface Usage {
  readonly used: number
  readonly max: number
}

export interface OwnerLimits {
  /** Connections in whatever state. */
  readonly connections: number
  /** Those of them in SYN-RECEIVED. */
  readonly halfOpen: number
  /** Those of them in TIME-WAIT; the oldest ends when there is one more. */
  readonly timeWait: number
  /** Octets received and not taken by the application, of all connections. */
  readonly heldOctets: number
  /** Tombstones of connections given away; at a dispatcher the birth records of all that live. */
  readonly forwards: number
}

export const DEFAULT_LIMITS: OwnerLimits = {
  connections: MAX_CONNECTIONS,
  halfOpen: MAX_HALF_OPEN,
  timeWait: MAX_TIME_WAIT,
  heldOctets: MAX_HELD_OCTETS,
  forwards: MAX_FORWARDS,
}
