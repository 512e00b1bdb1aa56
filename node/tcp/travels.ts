/**
 * How every field of the TCB travels to another owner. The type demands a name for each of them: a field added to
 * the TCB and forgotten here does not compile. The order of the entries is the order on the wire of
 * `snapshot-numbers.ts`, so a change of it is a new version there.
 */
import type { OutOfOrder } from './out-of-order.ts'
import type { ReceiveQueue } from './receive-queue.ts'
import type { SendQueue } from './send-queue.ts'
import type { SentRecords } from './sent-records.ts'
import type { Tcb } from './tcb.ts'

/**
 * A number: as it is (an int32, or one that is not negative), relative to SND.UNA or RCV.NXT so that it is small,
 * a fraction in thousandths, ms in µs, a point in time as µs from now, or not at all.
 */
export type NumberTravel =
  | 'int32'
  | 'count'
  | 'send-seq'
  | 'receive-seq'
  | 'real'
  /** Infinity survives. */
  | 'duration'
  /** In the future; Infinity survives. */
  | 'deadline'
  /** In the past; Infinity survives. */
  | 'instant'
  /** In the past; -Infinity survives. */
  | 'instant-or-never'
  /** Set by the target. */
  | 'local'

type Travel<V> = V extends boolean
  ? 'flag' | 'local'
  : V extends string
    ? 'state' | 'phase'
    : V extends number
      ? NumberTravel
      : V extends SendQueue
        ? 'send-queue'
        : V extends ReceiveQueue
          ? 'receive-queue'
          : V extends OutOfOrder
            ? 'out-of-order'
            : V extends SentRecords
              ? 'sent-records'
              : Travels<V>

export type Travels<V> = { readonly [K in keyof V]-?: K extends 'config' ? 'local' : Travel<V[K]> }

export const TRAVELS: Travels<Tcb> = {
  config: 'local',
  flow: {
    family: 'count',
    local0: 'int32',
    local1: 'int32',
    local2: 'int32',
    local3: 'int32',
    localPort: 'count',
    remote0: 'int32',
    remote1: 'int32',
    remote2: 'int32',
    remote3: 'int32',
    remotePort: 'count',
  },
  state: 'state',
  passive: 'flag',
  events: 'count',
  rcv: {
    nxt: 'int32',
    irs: 'receive-seq',
    edge: 'receive-seq',
    scale: 'count',
    limit: 'count',
    mss: 'count',
    fin: 'receive-seq',
    finKnown: 'flag',
    lastAt: 'instant',
    up: 'receive-seq',
    urgent: 'flag',
    rttMs: 'duration',
    rttAt: 'instant',
    rttEnd: 'receive-seq',
    tuneOctets: 'count',
    tuneAt: 'instant',
  },
  snd: {
    una: 'int32',
    iss: 'send-seq',
    nxt: 'send-seq',
    wnd: 'count',
    wl1: 'receive-seq',
    wl2: 'send-seq',
    wlTs: 'int32',
    maxWnd: 'count',
    scale: 'count',
    peerMss: 'count',
    pathMss: 'count',
    mss: 'local',
    finQueued: 'flag',
    finSent: 'flag',
    pending: 'count',
    replySeq: 'send-seq',
    starved: 'local',
    starvedSeq: 'local',
    lastAt: 'instant',
  },
  ack: {
    owed: 'count',
    quick: 'count',
    sent: 'receive-seq',
    duplicateLeft: 'receive-seq',
    duplicateRight: 'receive-seq',
    recent0: 'receive-seq',
    recent1: 'receive-seq',
    recent2: 'receive-seq',
    recent3: 'receive-seq',
    challenges: 'count',
    challengeAt: 'instant',
  },
  ts: {
    on: 'flag',
    ownerId: 'count',
    offset: 'local',
    tick: 'int32',
    recent: 'int32',
    recentAt: 'instant',
  },
  ecn: { on: 'flag', echo: 'flag', cwr: 'flag' },
  rtt: { srttMs: 'duration', rttvarMs: 'duration', rtoMs: 'duration', minMs: 'duration', minAt: 'instant' },
  congestion: {
    cwnd: 'real',
    ssthresh: 'real',
    wMax: 'real',
    wEst: 'real',
    cwndPrior: 'real',
    kSeconds: 'real',
    epochAt: 'instant',
    limited: 'flag',
    roundFlight: 'count',
    roundEnd: 'send-seq',
    hyStart: 'send-seq',
    hyEnd: 'send-seq',
    hyLastMs: 'duration',
    hyCurrentMs: 'duration',
    hySamples: 'count',
    hyBaselineMs: 'duration',
    hyRounds: 'count',
  },
  recovery: {
    phase: 'phase',
    point: 'send-seq',
    prrDelivered: 'count',
    prrOut: 'count',
    prrFlight: 'count',
    prrForce: 'flag',
    undoCwnd: 'real',
    undoSsthresh: 'real',
    undoWMax: 'real',
    undoOctets: 'int32',
    undoUna: 'send-seq',
    frto: 'flag',
    duplicates: 'count',
    retries: 'count',
    retriesAt: 'instant',
    probeOut: 'flag',
    probeRetransmits: 'flag',
    probeEnd: 'send-seq',
    probeNeedless: 'flag',
  },
  rack: {
    xmitAt: 'instant-or-never',
    end: 'send-seq',
    rttMs: 'duration',
    fack: 'send-seq',
    reordered: 'flag',
    multiplier: 'count',
    persist: 'count',
    dsackRound: 'send-seq',
    dsackRoundOn: 'flag',
  },
  timers: {
    rto: 'deadline',
    lossProbe: 'deadline',
    reorder: 'deadline',
    persist: 'deadline',
    delayedAck: 'deadline',
    keepalive: 'deadline',
    lifetime: 'deadline',
    shift: 'deadline',
    persistCount: 'count',
    keepaliveCount: 'count',
  },
  shift: {
    pending: 'flag',
    tsVal: 'int32',
    probes: 'count',
    probeSeq: 'send-seq',
    probed: 'flag',
    reach: 'send-seq',
    reaches: 'flag',
  },
  mtu: { high: 'count', probe: 'count', probeEnd: 'send-seq', probeAt: 'deadline' },
  user: {
    nagle: 'flag',
    keepaliveIdleMs: 'duration',
    timeoutMs: 'duration',
    halfOpen: 'flag',
    dscp: 'count',
    softError: 'count',
  },
  sack: 'flag',
  scaled: 'flag',
  sendQueue: 'send-queue',
  receiveQueue: 'receive-queue',
  outOfOrder: 'out-of-order',
  sent: 'sent-records',
}
