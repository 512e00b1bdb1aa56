/**
 * The transmission control block: everything that one connection is, as plain data with the RFC's own names,
 * so that a snapshot is nothing but reading it. It holds no behaviour; every field is set once, here. Absolute
 * times are ms on the owner's clock, a deadline of Infinity is none; `travels.ts` says how each field moves.
 */
import type { TcpConfig } from './config.ts'
import { createOutOfOrder, type OutOfOrder } from './out-of-order.ts'
import { createReceiveQueue, type ReceiveQueue } from './receive-queue.ts'
import { SendQueue } from './send-queue.ts'
import { createSentRecords, type SentRecords } from './sent-records.ts'
import { add, asSeq, type Seq } from './seq.ts'

export const STATES = [
  'CLOSED',
  'SYN-SENT',
  'SYN-RECEIVED',
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
  'TIME-WAIT',
] as const

/** RFC 9293 §3.3.2, without LISTEN, which has no connection. */
export type State = (typeof STATES)[number]

/** Both ends. An IPv4 address stands in its mapped form ::ffff:a.b.c.d; the words are int32. */
export interface Flow {
  family: 4 | 6
  local0: number
  local1: number
  local2: number
  local3: number
  localPort: number
  remote0: number
  remote1: number
  remote2: number
  remote3: number
  remotePort: number
}

/** RFC 9293 §3.3.1 send sequence variables, and what bounds a segment. */
export interface SendState {
  iss: Seq
  una: Seq
  nxt: Seq
  /** Octets, scaled up. */
  wnd: number
  wl1: Seq
  wl2: Seq
  /** TSval of the segment that SND.WL1 and SND.WL2 are of. */
  wlTs: number
  /** The largest window ever offered (RFC 9293 §3.8.6.2.1, RFC 5961 §5.2). */
  maxWnd: number
  /** Snd.Wind.Shift of RFC 7323. */
  scale: number
  /** Octets of payload and options that the peer takes in a packet: its MSS option. */
  peerMss: number
  /** The same by the path's MTU. */
  pathMss: number
  /** Octets of payload in a packet beside the options that every segment carries. */
  mss: number
  /** The application closed: a FIN follows the queue. */
  finQueued: boolean
  /** That FIN was sent at least once; it ends at SND.NXT. */
  finSent: boolean
  /** `PENDING_` bits: what `nextSegment` has to send besides data and acknowledgements. */
  pending: number
  /** The sequence number of a PENDING_RST_REPLY. */
  replySeq: Seq
  /** The next octets to send are not resident; nothing of the queue is sent until `wake`. */
  starved: boolean
  /** The sequence number of the first octet that was not. */
  starvedSeq: Seq
  /** When the last segment with octets was sent. */
  lastAt: number
}

/** A TLP is due: one segment beyond what cwnd allows (RFC 8985 §7). */
export const PENDING_LOSS_PROBE = 0x01
/** A zero-window, keepalive or shift probe: the old octet at SND.NXT - 1. */
export const PENDING_OLD_OCTET = 0x02
/** Send although the segment is small (sender's SWS override, RFC 9293 §3.8.6.2.1). */
export const PENDING_OVERRIDE = 0x04
/** A reset, after which the TCB is of no use. */
export const PENDING_RST = 0x08
/** A reset that answers one unacceptable acknowledgement and leaves the state (RFC 9293 §3.5.2 group 2). */
export const PENDING_RST_REPLY = 0x10

export interface ReceiveState {
  irs: Seq
  nxt: Seq
  /** The right edge that the peer was told of: RCV.NXT + RCV.WND of RFC 9293, which never moves left. */
  edge: Seq
  /** Rcv.Wind.Shift of RFC 7323. */
  scale: number
  /** Octets that unread data and the open window may take together; auto-tuning raises it. */
  limit: number
  /** The largest payload of a packet seen so far, for the delayed acknowledgement; 0: none yet. */
  mss: number
  /** Where the peer's FIN stands once `finKnown`. */
  fin: Seq
  finKnown: boolean
  /** When the last segment of the peer was accepted. */
  lastAt: number
  /** RCV.UP of RFC 9293: behind the last urgent octet, while `urgent` says that one is unread or still to come. */
  up: Seq
  urgent: boolean
  /** The round trip as a receiver sees it (`receive-rtt.ts`), 0: unknown; the measurement under way ends at `rttEnd`. */
  rttMs: number
  rttAt: number
  rttEnd: Seq
  /** Auto-tuning: octets the application took since `tuneAt`. */
  tuneOctets: number
  tuneAt: number
}

export interface AcknowledgeState {
  /** Acknowledgements to send at once. More than one only for a peer without SACK, which counts duplicates. */
  owed: number
  /** Segments still acknowledged at once. */
  quick: number
  /** Last.ACK.sent of RFC 7323 §4.3. */
  sent: Seq
  /** RFC 2883: the duplicate to report with the next acknowledgement, if left differs from right. */
  duplicateLeft: Seq
  duplicateRight: Seq
  /** Where the latest out-of-order runs were changed, newest first: the order of SACK blocks (RFC 2018 §4). */
  recent0: Seq
  recent1: Seq
  recent2: Seq
  recent3: Seq
  /** Challenge ACKs in the running period, and its start (RFC 5961 §7). */
  challenges: number
  challengeAt: number
}

export interface TimestampState {
  /** Negotiated. */
  on: boolean
  /** Whose id is stamped. */
  ownerId: number
  /** The connection's own offset of the tick, random (RFC 7323 §5.4). */
  offset: number
  /** The tick sent last, which the next may not be below. */
  tick: number
  /** TS.Recent, and when it was set (RFC 7323 §5.5: outdated after 24 days). */
  recent: number
  recentAt: number
}

export interface EcnState {
  on: boolean
  /** CE was received: ECE goes out with every acknowledgement until CWR comes. */
  echo: boolean
  /** The window was reduced: the next new data carries CWR. */
  cwr: boolean
}

export interface RttState {
  /** 0 until the first sample. */
  srttMs: number
  rttvarMs: number
  rtoMs: number
  /** The smallest sample of the last minutes (RFC 8985 §6.1 RACK.min_RTT); Infinity until the first. */
  minMs: number
  minAt: number
}

/** RFC 9438 CUBIC and RFC 9406 HyStart++; windows in octets, `wMax`, `wEst` and `cwndPrior` in segments. */
export interface CongestionState {
  cwnd: number
  ssthresh: number
  wMax: number
  wEst: number
  cwndPrior: number
  kSeconds: number
  /** Infinity: no epoch runs. */
  epochAt: number
  /** The sender used up cwnd in the running round (else cwnd must not grow: RFC 9293 / RFC 7661). */
  limited: boolean
  roundFlight: number
  roundEnd: Seq
  /** HyStart++: the round's start and end, minima and count of samples; Infinity: none. */
  hyStart: Seq
  hyEnd: Seq
  hyLastMs: number
  hyCurrentMs: number
  hySamples: number
  hyBaselineMs: number
  /** Rounds of conservative slow start; 0: not in it. */
  hyRounds: number
}

/** OPEN: none; CWR: reducing after ECE; RECOVERY: fast recovery; LOSS: after a retransmission timeout. */
export const PHASES = ['OPEN', 'CWR', 'RECOVERY', 'LOSS'] as const
export type Phase = (typeof PHASES)[number]

export interface RecoveryState {
  phase: Phase
  /** RecoveryPoint of RFC 6675: SND.NXT when the phase began. */
  point: Seq
  /** RFC 6937 PRR. */
  prrDelivered: number
  prrOut: number
  prrFlight: number
  /** One segment goes out whatever PRR says: the fast retransmission. */
  prrForce: boolean
  /** cwnd and ssthresh before the reduction; undoCwnd 0: nothing to undo. */
  undoCwnd: number
  undoSsthresh: number
  undoWMax: number
  /** Octets retransmitted in this phase that no D-SACK has named yet. */
  undoOctets: number
  undoUna: Seq
  /** RFC 5682: the timeout may turn out to be spurious. */
  frto: boolean
  /** Duplicate acknowledgements in a row, for peers without SACK. */
  duplicates: number
  /** Retransmission timeouts in a row. */
  retries: number
  /** When the octets at SND.UNA were sent first, once they were sent again; Infinity: they were not. */
  retriesAt: number
  /** RFC 8985 §7.2 TLP.end_seq and TLP.is_retrans. */
  probeOut: boolean
  probeRetransmits: boolean
  probeEnd: Seq
  /** The last probe sent something again for nothing: its receiver delays acknowledgements. */
  probeNeedless: boolean
}

/** RFC 8985 §6.1. */
export interface RackState {
  /** -Infinity: nothing was delivered yet. */
  xmitAt: number
  end: Seq
  rttMs: number
  /** RACK.fack: the highest sequence delivered. */
  fack: Seq
  reordered: boolean
  /** RACK.reo_wnd_mult, RACK.reo_wnd_persist and RACK.dsack_round. */
  multiplier: number
  persist: number
  dsackRound: Seq
  dsackRoundOn: boolean
}

/** The search for the path's MTU (RFC 8899, `mtu-search.ts`), in octets of an MSS. */
export interface MtuState {
  /** The largest that may still get through; at most `snd.pathMss`: nothing to search for. */
  high: number
  /** The size of the probe that is out, which ends at `probeEnd`; 0: none. */
  probe: number
  probeEnd: Seq
  /** When the next one may go out; Infinity: never. */
  probeAt: number
}

/** What the application chose for this connection (RFC 9293 §3.9.1), and what it was told of. */
export interface UserState {
  nagle: boolean
  /** ms; Infinity: no keepalives, and no limit beside R2. */
  keepaliveIdleMs: number
  timeoutMs: number
  /** The application reads on after its FIN: FIN-WAIT-2 lasts as long as the peer wants. */
  halfOpen: boolean
  /** The Differentiated Services field of every segment, 0–63 (RFC 2474 §3). */
  dscp: number
  /** The latest error that did not end the connection: an index of `SOFT_ERRORS`. */
  softError: number
}

/** Deadlines; Infinity: not armed. */
export interface Timers {
  rto: number
  lossProbe: number
  reorder: number
  persist: number
  delayedAck: number
  keepalive: number
  /** TIME-WAIT and FIN-WAIT-2. */
  lifetime: number
  shift: number
  /** How often persist and keepalive fired without an answer. */
  persistCount: number
  keepaliveCount: number
}

/** RFC 9293 says nothing of it: the change of owner (design §1). */
export interface ShiftState {
  /** No segment that echoes our own id has arrived since `adopt`. */
  pending: boolean
  /** The first TSval of this owner. */
  tsVal: number
  probes: number
  /** The old octet that a probe carried: the D-SACK it causes says nothing about loss. */
  probeSeq: Seq
  probed: boolean
  /** The owner before us died: it may have sent octets up to `reach`, and the peer may acknowledge them (`succession.ts`). */
  reach: Seq
  reaches: boolean
}

export interface Tcb {
  config: TcpConfig
  flow: Flow
  state: State
  /** Came from LISTEN: RFC 9293 treats its SYN-RECEIVED otherwise. */
  passive: boolean
  events: number
  snd: SendState
  rcv: ReceiveState
  ack: AcknowledgeState
  ts: TimestampState
  ecn: EcnState
  rtt: RttState
  congestion: CongestionState
  recovery: RecoveryState
  rack: RackState
  timers: Timers
  shift: ShiftState
  mtu: MtuState
  user: UserState
  /** Negotiated: SACK, and window scaling (RFC 7323 §2.2: both ends or none). */
  sack: boolean
  scaled: boolean
  sendQueue: SendQueue
  receiveQueue: ReceiveQueue
  outOfOrder: OutOfOrder
  sent: SentRecords
}

const NEVER = Number.POSITIVE_INFINITY
const ZERO = asSeq(0)

function createSend(config: TcpConfig, flow: Flow, iss: Seq, now: number): SendState {
  const mss = flow.family === 4 ? config.mssV4 : config.mssV6
  return {
    iss,
    una: iss,
    nxt: iss,
    wnd: 0,
    wl1: ZERO,
    wl2: ZERO,
    wlTs: 0,
    maxWnd: 0,
    scale: 0,
    peerMss: mss,
    pathMss: mss,
    mss,
    finQueued: false,
    finSent: false,
    pending: 0,
    replySeq: iss,
    starved: false,
    starvedSeq: iss,
    lastAt: now,
  }
}

function createReceive(config: TcpConfig, now: number): ReceiveState {
  return {
    irs: ZERO,
    nxt: ZERO,
    edge: ZERO,
    scale: 0,
    limit: config.receiveInitialOctets,
    mss: 0,
    fin: ZERO,
    finKnown: false,
    lastAt: now,
    up: ZERO,
    urgent: false,
    rttMs: 0,
    rttAt: now,
    rttEnd: ZERO,
    tuneOctets: 0,
    tuneAt: now,
  }
}

function createAcknowledge(config: TcpConfig, now: number): AcknowledgeState {
  return {
    owed: 0,
    quick: config.quickAcks,
    sent: ZERO,
    duplicateLeft: ZERO,
    duplicateRight: ZERO,
    recent0: ZERO,
    recent1: ZERO,
    recent2: ZERO,
    recent3: ZERO,
    challenges: 0,
    challengeAt: now,
  }
}

function createCongestion(config: TcpConfig, iss: Seq): CongestionState {
  return {
    cwnd: 0,
    ssthresh: config.maxCwndOctets,
    wMax: 0,
    wEst: 0,
    cwndPrior: 0,
    kSeconds: 0,
    epochAt: NEVER,
    limited: false,
    roundFlight: 0,
    roundEnd: iss,
    hyStart: iss,
    hyEnd: iss,
    hyLastMs: NEVER,
    hyCurrentMs: NEVER,
    hySamples: 0,
    hyBaselineMs: NEVER,
    hyRounds: 0,
  }
}

function createRecovery(iss: Seq): RecoveryState {
  return {
    phase: 'OPEN',
    point: iss,
    prrDelivered: 0,
    prrOut: 0,
    prrFlight: 0,
    prrForce: false,
    undoCwnd: 0,
    undoSsthresh: 0,
    undoWMax: 0,
    undoOctets: 0,
    undoUna: iss,
    frto: false,
    duplicates: 0,
    retries: 0,
    retriesAt: NEVER,
    probeOut: false,
    probeRetransmits: false,
    probeEnd: iss,
    probeNeedless: false,
  }
}

function createRack(iss: Seq): RackState {
  return {
    xmitAt: Number.NEGATIVE_INFINITY,
    end: iss,
    rttMs: 0,
    fack: iss,
    reordered: false,
    multiplier: 1,
    persist: 0,
    dsackRound: iss,
    dsackRoundOn: false,
  }
}

function createMtu(config: TcpConfig, flow: Flow, iss: Seq): MtuState {
  return { high: flow.family === 4 ? config.mssV4 : config.mssV6, probe: 0, probeEnd: iss, probeAt: NEVER }
}

function createUser(config: TcpConfig): UserState {
  return {
    nagle: config.nagle,
    keepaliveIdleMs: config.keepaliveIdleMs,
    timeoutMs: config.userTimeoutMs,
    halfOpen: false,
    dscp: config.dscp,
    softError: 0,
  }
}

function createTimers(): Timers {
  return {
    rto: NEVER,
    lossProbe: NEVER,
    reorder: NEVER,
    persist: NEVER,
    delayedAck: NEVER,
    keepalive: NEVER,
    lifetime: NEVER,
    shift: NEVER,
    persistCount: 0,
    keepaliveCount: 0,
  }
}

/** A TCB in `state` before any segment: `acceptSyn` and `connect` make it useful. */
export function createTcb(
  config: TcpConfig,
  flow: Flow,
  state: State,
  isn: number,
  tsOffset: number,
  now: number,
): Tcb {
  const iss = asSeq(isn)
  return {
    config,
    flow,
    state,
    passive: false,
    events: 0,
    snd: createSend(config, flow, iss, now),
    rcv: createReceive(config, now),
    ack: createAcknowledge(config, now),
    ts: { on: false, ownerId: config.ownerId, offset: tsOffset | 0, tick: 0, recent: 0, recentAt: now },
    ecn: { on: false, echo: false, cwr: false },
    rtt: { srttMs: 0, rttvarMs: 0, rtoMs: config.rtoInitialMs, minMs: NEVER, minAt: now },
    congestion: createCongestion(config, iss),
    recovery: createRecovery(iss),
    rack: createRack(iss),
    timers: createTimers(),
    shift: { pending: false, tsVal: 0, probes: 0, probeSeq: iss, probed: false, reach: iss, reaches: false },
    mtu: createMtu(config, flow, iss),
    user: createUser(config),
    sack: false,
    scaled: false,
    sendQueue: new SendQueue(add(iss, 1)),
    receiveQueue: createReceiveQueue(),
    outOfOrder: createOutOfOrder(),
    sent: createSentRecords(),
  }
}
