/**
 * What an operator or a stack may choose about TCP, with unit, range and source of each value. One object is
 * shared by all connections of an owner; a connection that moves takes its target's configuration, except for
 * what was negotiated or measured, which stands in the TCB.
 */
import { createCounters, type TcpCounters } from './counters.ts'
import { DEFAULT_TTL } from './transmission.ts'

/** Owner ids have at most this many bits: the tick of 2^k ms must not exceed about 1 s (RFC 7323 §5.4). */
export const MAX_OWNER_ID_BITS = 10
/** RFC 7323 §2.3: a window of more than 2^30 could not be told from an old one. */
export const MAX_RECEIVE_OCTETS = 1 << 30
/** RFC 9293 §3.7.1 MUST-15/16: what is assumed where the peer names no MSS. */
export const DEFAULT_PEER_MSS_V4 = 536
export const DEFAULT_PEER_MSS_V6 = 1220

export interface TcpConfig {
  /** Octets of payload and TCP options a packet may carry: advertised and never exceeded; 88–65,475 (link MTU less 40). */
  readonly mssV4: number
  /** The same over IPv6; 1,220–65,475 (link MTU less 60). */
  readonly mssV6: number

  /** Octets offered as the first receive window; 4,096–receiveMaxOctets. Linux starts near 64 KiB. */
  readonly receiveInitialOctets: number
  /** Octets that auto-tuning may raise the receive window to; up to MAX_RECEIVE_OCTETS. Fixes the window scale. */
  readonly receiveMaxOctets: number
  /** Octets of owned (not referenced) data that a send queue takes before `send` accepts less; 4,096–2^30. */
  readonly sendMaxOctets: number

  /** Our id in the low bits of TSval (design §1); 0 to 2^ownerIdBits - 1. */
  readonly ownerId: number
  /** Bits of an owner id, and the tick of the timestamp clock: 2^k ms; 0–10. */
  readonly ownerIdBits: number

  /** Offer and accept RFC 7323 timestamps. A connection without them can still move, but needs an entry per flow. */
  readonly timestamps: boolean
  /** Offer and accept RFC 2018 SACK. */
  readonly sack: boolean
  /** Offer and accept RFC 7323 window scaling. */
  readonly windowScaling: boolean
  /** Offer and accept RFC 3168 ECN. */
  readonly ecn: boolean
  /** RFC 9293 §3.7.4 (SHLD-7 lets an application turn it off): hold back small segments while data is in flight. */
  readonly nagle: boolean

  /** Differentiated Services field of a connection's segments until the application chooses another; 0–63 (RFC 2474). */
  readonly dscp: number
  /** Time to live (hop limit) of our packets; 1–255 (RFC 9293 §3.9.2, MUST-49). */
  readonly ttl: number

  /** ms; RFC 6298 §2.1. */
  readonly rtoInitialMs: number
  /** ms added to SRTT at least; 1–rtoMaxMs. Linux: 200 (RFC 6298 §2.4 says 1 s, which all large stacks shorten). */
  readonly rtoMinMs: number
  /** ms; RFC 6298 §2.5 asks for at least 60 s (and RFC 9293 for 120 s in all, which R2 covers). */
  readonly rtoMaxMs: number
  /** Retransmissions of a SYN before giving up; Linux tcp_syn_retries. RFC 9293 MUST-23: at least 3 minutes in all. */
  readonly synRetries: number
  /** Retransmissions of a SYN-ACK; Linux tcp_synack_retries. */
  readonly synAckRetries: number
  /** R2 of RFC 9293 §3.8.3 as a number of retransmissions; Linux tcp_retries2 (about 15 min). At least 100 s: SHLD-11. */
  readonly retries: number
  /** The same after the application closed; Linux tcp_orphan_retries' effective 8. */
  readonly closedRetries: number
  /** R1 of RFC 9293 §3.8.3: as many retransmissions make a SOFT_ERROR. At least 3 (SHLD-10); Linux tcp_retries1. */
  readonly troubleRetries: number
  /**
   * ms that octets may stay unacknowledged, beside R2; Infinity: R2 alone. The user timeout of RFC 9293 §3.9.1; it is
   * local, the option of RFC 5482 is neither sent nor taken. `setUserTimeout` changes it for one connection.
   */
  readonly userTimeoutMs: number

  /**
   * ms of silence before the first keepalive; Infinity: off, the default that RFC 9293 MUST-25 asks for. `setKeepalive`
   * changes it for one connection.
   */
  readonly keepaliveIdleMs: number
  /** ms between keepalives; Linux tcp_keepalive_intvl. */
  readonly keepaliveIntervalMs: number
  /** Unanswered keepalives before the connection is given up; Linux tcp_keepalive_probes. */
  readonly keepaliveProbes: number

  /** ms an acknowledgement may wait for company; 0–500 (RFC 9293 §3.8.6.3 MUST-40). Linux: 40. */
  readonly delayedAckMs: number
  /** Segments acknowledged at once at the start, so that a peer's slow start is not halved; Linux TCP_MAX_QUICKACKS. */
  readonly quickAcks: number

  /** ms in TIME-WAIT: 2 MSL; Linux 60 s (RFC 9293 §3.4.2 says 4 min). */
  readonly timeWaitMs: number
  /** ms of silence in FIN-WAIT-2 before a connection that nobody reads is dropped (`setHalfOpen`); Linux tcp_fin_timeout. */
  readonly finWait2Ms: number

  /** Segments; RFC 6928. */
  readonly initialCwndSegments: number
  /** Octets that cwnd never exceeds. */
  readonly maxCwndOctets: number
  /** RFC 5681 §4.1: let cwnd decay while nothing was sent for longer than an RTO. */
  readonly slowStartAfterIdle: boolean

  /** Challenge ACKs a connection sends per 5 s; RFC 5961 §7 names 10. */
  readonly challengeAcks: number

  readonly counters: TcpCounters
}

/** 64 MiB: 100 Gbit/s over 5 ms; more would only fill buffers. */
export const DEFAULT_MAX_CWND_OCTETS = 64 * 1024 * 1024
export const DEFAULT_RECEIVE_MAX_OCTETS = 4 * 1024 * 1024
/** ms of silence before a keepalive where the application asks for them and names none: two hours (MUST-28). */
export const DEFAULT_KEEPALIVE_IDLE_MS = 7_200_000

const DEFAULTS: Omit<TcpConfig, 'counters'> = {
  mssV4: 1460,
  mssV6: 1440,
  receiveInitialOctets: 65_535,
  receiveMaxOctets: DEFAULT_RECEIVE_MAX_OCTETS,
  sendMaxOctets: 1024 * 1024,
  ownerId: 0,
  ownerIdBits: 8,
  timestamps: true,
  sack: true,
  windowScaling: true,
  ecn: true,
  nagle: false,
  dscp: 0,
  ttl: DEFAULT_TTL,
  rtoInitialMs: 1_000,
  rtoMinMs: 200,
  rtoMaxMs: 60_000,
  synRetries: 7,
  synAckRetries: 5,
  retries: 15,
  closedRetries: 8,
  troubleRetries: 3,
  userTimeoutMs: Number.POSITIVE_INFINITY,
  keepaliveIdleMs: Number.POSITIVE_INFINITY,
  keepaliveIntervalMs: 75_000,
  keepaliveProbes: 9,
  delayedAckMs: 40,
  quickAcks: 16,
  timeWaitMs: 60_000,
  finWait2Ms: 60_000,
  initialCwndSegments: 10,
  maxCwndOctets: DEFAULT_MAX_CWND_OCTETS,
  slowStartAfterIdle: true,
  challengeAcks: 10,
}

/** The defaults with what the caller chose otherwise. The caller has checked the ranges. */
export function tcpConfig(chosen: Partial<TcpConfig>): TcpConfig {
  return { ...DEFAULTS, counters: createCounters(), ...chosen }
}
