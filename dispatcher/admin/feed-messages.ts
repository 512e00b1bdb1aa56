/**
 * What the feed of the admin API says, version 1: `GET /api/v1/feed` as a WebSocket of JSON texts, ten a second. The first is
 * `full`, and so is the first after frames that a slow viewer could not be sent; what they hold replaces everything. A viewer
 * may say `{ "focus": id | null }`: that connection is in the sample then. Times are ms, `at` those since 1970.
 */

export const FEED_PATH = '/feed'
export const FEED_PERIOD_MS = 100
/** Connections sent; all are counted. */
export const MAX_SOCKETS = 500
/** Shifts told one by one in a frame; all are counted. */
export const MAX_FRAME_SHIFTS = 200
/** Figures kept, one a second. */
export const MAX_HISTORY = 300

export interface FeedFrame {
  readonly version: 1
  readonly full: boolean
  readonly at: number
  /** Of all owners, sampled or not. */
  readonly connections: number
  /** Those of the cluster that are in the sample. */
  readonly sampled: number
  /** Shifts done and refused since the owners that run now were started. */
  readonly shifted: number
  readonly refused: number
  /** Whether the engine that coordinates the cluster, if there is one, does not answer. */
  readonly engineAway: boolean
  /** Absent where nothing changed. */
  readonly owners?: readonly FeedOwner[]
  /** New or changed. */
  readonly sockets: readonly FeedSocket[]
  /** Ids that have left the sample. */
  readonly ended: readonly number[]
  readonly shifts: readonly FeedShift[]
  /** Once a second: the shifts of the last minute. */
  readonly matrix?: readonly MatrixCell[]
  /** Once a second; in a full frame those of the last minutes, the oldest first. */
  readonly figures?: readonly FeedFigures[]
  /** Absent where nothing changed. */
  readonly demo?: DemoReport
}

export interface FeedOwner {
  readonly id: number
  readonly name: string
  readonly role: 'dispatcher' | 'node'
  readonly state: 'up' | 'draining' | 'down'
  readonly address: string
  readonly connections: number
  readonly cacheOctets: number
  readonly cacheObjects: number
  readonly rssOctets: number
  /** The longest that its event loop was late in the last second. */
  readonly lagMs: number
  /** A second, as are the two below. */
  readonly requests: number
  readonly octets: number
  readonly shifts: number
}

/** State and phase are indexes into STATES and PHASES of `node/tcp/tcb.ts`; the words come when they are new. */
export type FeedSocket =
  | readonly [...SocketFigures]
  | readonly [...SocketFigures, client: string, request: string, sinceSecond: number]
type SocketFigures = readonly [
  id: number,
  owner: number,
  state: number,
  /** Acknowledged since the connection began, or as far back as is known. */
  octets: number,
  srttMs: number,
  shifts: number,
  /** By its present owner. */
  retransmissions: number,
  phase: number,
]

export type FeedShift = readonly [
  connection: number,
  from: number,
  to: number,
  cause: string,
  /** Empty where it was done. */
  refusal: string,
  /** When it was over. */
  at: number,
  /** To SHIFTED, which is after the first packet of the client at its new owner. */
  ms: number,
  /** To PREPARED and to COMMIT. */
  preparedMs: number,
  committedMs: number,
]

export type MatrixCell = readonly [from: number, to: number, cause: string, refusal: string, count: number]

/** Of one second, or as it was at its end. */
export interface FeedFigures {
  readonly at: number
  readonly requests: number
  readonly octets: number
  readonly shifts: number
  readonly clones: number
  readonly accepted: number
  readonly refusals: Readonly<Record<string, number>>
  /** Of the last minute: from COMMIT to SHIFTED. Null where there was none, as are the shares below. */
  readonly pauseP50Ms: number | null
  readonly pauseP99Ms: number | null
  /** Of the packets of clients those that went through another owner than theirs. */
  readonly relayShare: number | null
  readonly hitRatio: number | null
  readonly connections: number
  readonly retransmitted: number
  /** The median of the sample. */
  readonly srttMs: number | null
  readonly rssOctets: number
  readonly lagMs: number
  /** [id, requests, octets, rss octets, lag in ms] */
  readonly byOwner: readonly (readonly [number, number, number, number, number])[]
}

export interface DemoReport {
  /** Why none can be started; empty where one can. */
  readonly unavailable: string
  readonly state: 'none' | 'running' | 'whole' | 'broken'
  readonly url: string
  /** Its address and port, by which its connection is found; empty before. */
  readonly client: string
  readonly octets: number
  readonly size: number
  /** Of what arrived, and what the site says of the file; empty before, or where it says nothing. */
  readonly sha256: string
  readonly expected: string
  /** Connections of the client's kernel that were reset. */
  readonly resets: number
  readonly error: string
}

export const NO_DEMO: DemoReport = {
  unavailable: 'no namespace of a client is known here: demo downloads need a cluster of gyre up',
  state: 'none',
  url: '',
  client: '',
  octets: 0,
  size: 0,
  sha256: '',
  expected: '',
  resets: 0,
  error: '',
}
