/**
 * A TCB as a plain array that packs small, and back. What is exported is what `TRAVELS` names, in its order;
 * what is imported is checked field by field and then as a whole, because it came over a network. Octets that
 * the peer has acknowledged, and octets of contents, do not travel: contents are named by their keys.
 */
import type { TcpConfig } from './config.ts'
import type { Content } from './content.ts'
import { violation } from './invariants.ts'
import { updateMss } from './open.ts'
import { asSeq, diff, type Seq } from './seq.ts'
import {
  exportRecords,
  exportRuns,
  exportSend,
  exportUnread,
  importRecords,
  importRuns,
  importSend,
  importUnread,
} from './snapshot-lists.ts'
import { MAX_REACH_OCTETS } from './succession.ts'
import { createTcb, PENDING_RST_REPLY, PHASES, STATES, type Tcb } from './tcb.ts'
import { resumeClock } from './timestamps.ts'
import { TRAVELS } from './travels.ts'

/** Raised whenever a field comes, goes, moves or changes its meaning. */
export const TCB_VERSION = 4

const MAX_INT32 = 2 ** 31 - 1
const MIN_INT32 = -(2 ** 31)
/** µs in 10 years, and thousandths of the largest window: more is no time and no window. */
const MAX_PLAIN = 2 ** 53 - 1

type Fields = Record<string, number | boolean | string>
/** A word of `travels.ts`. */
type Kind = string

interface Step {
  /** The sub-record, or undefined: the TCB itself. */
  group: string | undefined
  field: string
  kind: Kind
  idle: ((tcb: Tcb) => boolean) | undefined
}

const noRuns = (tcb: Tcb) => tcb.outOfOrder.runs.length === 0
const noDuplicate = (tcb: Tcb) => tcb.ack.duplicateLeft === tcb.ack.duplicateRight

/** Fields that mean nothing while something else is so: they travel as 0, instead of as what they once were. */
const IDLE: Record<string, (tcb: Tcb) => boolean> = {
  'snd.iss': tcb => tcb.state !== 'SYN-RECEIVED',
  'snd.replySeq': tcb => (tcb.snd.pending & PENDING_RST_REPLY) === 0,
  'rcv.irs': tcb => tcb.state !== 'SYN-RECEIVED',
  'rcv.fin': tcb => !tcb.rcv.finKnown,
  'rcv.up': tcb => !tcb.rcv.urgent,
  'ack.duplicateLeft': noDuplicate,
  'ack.duplicateRight': noDuplicate,
  'ack.recent0': noRuns,
  'ack.recent1': noRuns,
  'ack.recent2': noRuns,
  'ack.recent3': noRuns,
  'ack.challengeAt': tcb => tcb.ack.challenges === 0,
  'recovery.point': tcb => tcb.recovery.phase === 'OPEN',
  'recovery.undoUna': tcb => tcb.recovery.undoCwnd === 0,
  'recovery.probeEnd': tcb => !tcb.recovery.probeOut,
  'rack.dsackRound': tcb => !tcb.rack.dsackRoundOn,
  'shift.probeSeq': tcb => !tcb.shift.probed,
  'shift.reach': tcb => !tcb.shift.reaches,
  'mtu.probeEnd': tcb => tcb.mtu.probe === 0,
}

const LISTS = ['send-queue', 'receive-queue', 'out-of-order', 'sent-records']

function listSteps(): Step[] {
  const steps: Step[] = []
  for (const [name, kind] of Object.entries(TRAVELS) as [string, Kind | Record<string, Kind>][]) {
    if (typeof kind === 'string') {
      if (kind !== 'local' && !LISTS.includes(kind))
        steps.push({ group: undefined, field: name, kind, idle: undefined })
      continue
    }
    for (const [field, inner] of Object.entries(kind))
      if (inner !== 'local') steps.push({ group: name, field, kind: inner, idle: IDLE[`${name}.${field}`] })
  }
  return steps
}

const STEPS = listSteps()
const SCALARS = STEPS.filter(step => step.kind !== 'flag')
const FLAGS = STEPS.filter(step => step.kind === 'flag')
/** Version, bits of an owner id, flags; then the scalars; then four lists. */
const HEAD = 3
const LENGTH = HEAD + SCALARS.length + 4

function fieldsOf(tcb: Tcb, group: string | undefined): Fields {
  const whole = tcb as unknown as Record<string, Fields>
  return group === undefined ? (whole as unknown as Fields) : (whole[group] as Fields)
}

/** The TCB at `now`; it may be used on, the export refers to nothing that changes. */
export function exportTcb(tcb: Tcb, now: number): unknown[] {
  const plain: unknown[] = [TCB_VERSION, tcb.config.ownerIdBits, flagsToMask(tcb)]
  for (const step of SCALARS) {
    if (step.idle?.(tcb)) plain.push(0)
    else plain.push(toPlain(tcb, step.kind, fieldsOf(tcb, step.group)[step.field] as number | string, now))
  }
  plain.push(exportSend(tcb), exportUnread(tcb), exportRuns(tcb), exportRecords(tcb, now))
  return plain
}

function flagsToMask(tcb: Tcb): number {
  let mask = 0
  for (let bit = 0; bit < FLAGS.length; bit++) {
    const step = FLAGS[bit] as Step
    if (fieldsOf(tcb, step.group)[step.field] === true) mask |= 1 << bit
  }
  return mask
}

function toPlain(tcb: Tcb, kind: Kind, value: number | string, now: number): number | null {
  if (typeof value === 'string') {
    const names: readonly string[] = kind === 'state' ? STATES : PHASES
    return names.indexOf(value)
  }
  switch (kind) {
    case 'send-seq':
      return diff(value as Seq, tcb.snd.una)
    case 'receive-seq':
      return diff(value as Seq, tcb.rcv.nxt)
    case 'octets':
      return Math.round(value)
    case 'real':
    case 'duration':
      return Number.isFinite(value) ? Math.round(value * 1000) : null
    case 'deadline':
      return Number.isFinite(value) ? Math.max(0, Math.round((value - now) * 1000)) : null
    case 'instant':
    case 'instant-or-never':
      return Number.isFinite(value) ? Math.max(0, Math.round((now - value) * 1000)) : null
    default:
      return value
  }
}

/**
 * The TCB that `plain` stands for, dormant until `adopt`; or what is wrong with it. `resolve` gives the content of
 * a key. To make good the time that `plain` was under way, pass a `now` that is earlier by so much.
 */
export function importTcb(
  plain: unknown,
  config: TcpConfig,
  now: number,
  resolve: (key: string) => Content | undefined,
): Tcb | string {
  if (!Array.isArray(plain) || plain.length !== LENGTH) return 'not a TCB'
  if (plain[0] !== TCB_VERSION) return `TCB version ${String(plain[0])}, not ${TCB_VERSION}`
  if (plain[1] !== config.ownerIdBits)
    return `owner ids of ${String(plain[1])} bits, not ${config.ownerIdBits}`
  const mask = plain[2]
  if (!isInt32(mask) || mask < 0 || mask >= 2 ** FLAGS.length) return 'bad flags'
  const flow = emptyFlow()
  const tcb = createTcb(config, flow, 'CLOSED', 0, 0, now)
  for (let bit = 0; bit < FLAGS.length; bit++) {
    const step = FLAGS[bit] as Step
    fieldsOf(tcb, step.group)[step.field] = (mask & (1 << bit)) !== 0
  }
  const wrong =
    importScalars(tcb, plain, now) ??
    importLists(tcb, plain, now, resolve) ??
    implausible(tcb) ??
    violation(settle(tcb, now))
  return wrong ?? tcb
}

function emptyFlow() {
  return {
    family: 4 as const,
    local0: 0,
    local1: 0,
    local2: 0,
    local3: 0,
    localPort: 0,
    remote0: 0,
    remote1: 0,
    remote2: 0,
    remote3: 0,
    remotePort: 0,
  }
}

function isInt32(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= MIN_INT32 && (value as number) <= MAX_INT32
}

function importScalars(tcb: Tcb, plain: unknown[], now: number): string | undefined {
  // What others are relative to comes first, wherever it stands.
  for (const relative of [false, true]) {
    for (let index = 0; index < SCALARS.length; index++) {
      const step = SCALARS[index] as Step
      if ((step.kind === 'send-seq' || step.kind === 'receive-seq') !== relative) continue
      const value = fromPlain(tcb, step.kind, plain[HEAD + index], now)
      if (value === undefined) return `bad ${step.group ?? 'tcb'}.${step.field}`
      fieldsOf(tcb, step.group)[step.field] = value
    }
  }
  return undefined
}

/** The value of a field, or undefined where `plain` is none. */
function fromPlain(tcb: Tcb, kind: Kind, plain: unknown, now: number): number | string | undefined {
  if (plain === null) return infinite(kind)
  if (!Number.isInteger(plain) || Math.abs(plain as number) > MAX_PLAIN) return undefined
  const value = plain as number
  switch (kind) {
    case 'state':
      return STATES[value]
    case 'phase':
      return PHASES[value]
    case 'int32':
      return isInt32(value) ? value : undefined
    case 'count':
    case 'octets':
      return isInt32(value) && value >= 0 ? value : undefined
    case 'send-seq':
      return isInt32(value) ? asSeq(tcb.snd.una + value) : undefined
    case 'receive-seq':
      return isInt32(value) ? asSeq(tcb.rcv.nxt + value) : undefined
    case 'real':
    case 'duration':
      return value >= 0 ? value / 1000 : undefined
    case 'deadline':
      return value >= 0 ? now + value / 1000 : undefined
    default:
      return value >= 0 ? now - value / 1000 : undefined
  }
}

function infinite(kind: Kind): number | undefined {
  if (kind === 'deadline' || kind === 'instant' || kind === 'duration') return Number.POSITIVE_INFINITY
  return kind === 'instant-or-never' ? Number.NEGATIVE_INFINITY : undefined
}

function importLists(
  tcb: Tcb,
  plain: unknown[],
  now: number,
  resolve: (key: string) => Content | undefined,
): string | undefined {
  const at = LENGTH - 4
  return (
    importSend(tcb, plain[at], resolve) ??
    importUnread(tcb, plain[at + 1]) ??
    importRuns(tcb, plain[at + 2]) ??
    importRecords(tcb, plain[at + 3], now)
  )
}

/** Values that are possible in themselves and make no sense here; what depends on several is for `violation`. */
function implausible(tcb: Tcb): string | undefined {
  const { flow, snd, rcv, ack, rtt, ts, rack, recovery, mtu, shift } = tcb
  if (flow.family !== 4 && flow.family !== 6) return 'bad flow.family'
  if (flow.localPort > 0xffff || flow.remotePort > 0xffff) return 'bad flow ports'
  if (tcb.state === 'CLOSED' || tcb.state === 'SYN-SENT') return `a connection in ${tcb.state} does not move`
  if (snd.scale > 14 || rcv.scale > 14) return 'bad window scale'
  if (snd.peerMss < 88 || snd.peerMss > 0xffff || snd.pathMss < 88 || snd.pathMss > 0xffff) return 'bad MSS'
  if (snd.maxWnd > 2 ** 30 || rcv.limit > 2 ** 30 || rcv.limit < 1) return 'bad window'
  if (diff(rcv.edge, rcv.nxt) > 2 ** 30) return 'bad rcv.edge'
  if (ack.owed > 16 || ack.challenges > 0xffff || ack.quick > 0xffff) return 'bad acknowledgement counts'
  if (ts.ownerId >= 1 << tcb.config.ownerIdBits) return 'bad ts.ownerId'
  if (!Number.isFinite(rtt.srttMs) || !Number.isFinite(rtt.rttvarMs)) return 'bad round-trip time'
  if (!(rtt.rtoMs >= 1) || rtt.rtoMs > 3_600_000) return 'bad rtt.rtoMs'
  if (rack.multiplier < 1 || rack.multiplier > 64 || !Number.isFinite(rack.rttMs)) return 'bad RACK state'
  if (recovery.prrFlight < 1 && recovery.phase !== 'OPEN') return 'bad recovery.prrFlight'
  if (!Number.isFinite(rcv.rttMs)) return 'bad rcv.rttMs'
  if (shift.reaches && Math.abs(diff(shift.reach, snd.una)) > MAX_REACH_OCTETS + 1) return 'bad shift.reach'
  if (mtu.high > 0xffff || mtu.probe > 0xffff) return 'bad MTU search'
  if (recovery.retries > 0xff || tcb.timers.persistCount > 0xffffff) return 'bad retries'
  return undefined
}

/** What the target decides: its own clock, MTU and limits. */
function settle(tcb: Tcb, now: number): Tcb {
  const { config, snd, congestion } = tcb
  resumeClock(tcb, tcb.ts.tick, now)
  const ownMss = tcb.flow.family === 4 ? config.mssV4 : config.mssV6
  snd.pathMss = Math.min(snd.pathMss, ownMss)
  tcb.mtu.high = Math.min(tcb.mtu.high, ownMss)
  updateMss(tcb)
  congestion.cwnd = Math.max(Math.min(congestion.cwnd, config.maxCwndOctets), snd.mss)
  return tcb
}
