/**
 * The numbers and flags of a TCB as octets, and back: flags, then a bit for each number that is not its kind's usual
 * value (0, or a time that never comes), then a varint for each of those. Most of a quiet connection's hundred numbers are
 * usual ones, so that they take an eighth of an octet; and a shift handles one value instead of a hundred.
 */
import { asSeq, diff, type Seq } from './seq.ts'
import { PENDING_RST_REPLY, PHASES, STATES, type Tcb } from './tcb.ts'
import { TRAVELS } from './travels.ts'

const MAX_INT32 = 2 ** 31 - 1
const MIN_INT32 = -(2 ** 31)
/** Eight times seven bits hold any safe integer. */
const MAX_VARINT_OCTETS = 8

/** As numbers, because a chain of string comparisons for each of a hundred fields is half the cost of a snapshot. */
const KINDS = [
  'count',
  'octets',
  'int32',
  'send-seq',
  'receive-seq',
  'real',
  'state',
  'phase',
  'duration',
  'deadline',
  'instant',
  'instant-or-never',
] as const
const [COUNT, OCTETS, INT32, SEND_SEQ, RECEIVE_SEQ, REAL, STATE, PHASE, DURATION, DEADLINE, , OR_NEVER] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
]

type Fields = Record<string, number | boolean | string>

interface Step {
  readonly name: string
  readonly field: string
  /** An index of `KINDS`. */
  readonly kind: number
  readonly idle: ((tcb: Tcb) => boolean) | undefined
}

/** The numbers and flags of one sub-record, or (undefined) of the TCB itself. */
interface Group {
  readonly name: string | undefined
  readonly numbers: Step[]
  readonly flags: string[]
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

/** All but what is local, and the lists, which are no numbers. */
function groups(): Group[] {
  const whole: Group = { name: undefined, numbers: [], flags: [] }
  const all = [whole]
  const put = (group: Group, field: string, kind: string) => {
    const name = `${group.name ?? 'tcb'}.${field}`
    const index = (KINDS as readonly string[]).indexOf(kind)
    if (kind === 'flag') group.flags.push(field)
    else if (index >= 0) group.numbers.push({ name, field, kind: index, idle: IDLE[name] })
  }
  for (const [name, kind] of Object.entries(TRAVELS) as [string, string | Record<string, string>][]) {
    if (typeof kind === 'string') {
      put(whole, name, kind)
      continue
    }
    const group: Group = { name, numbers: [], flags: [] }
    for (const [field, inner] of Object.entries(kind)) put(group, field, inner)
    all.push(group)
  }
  return all
}

const GROUPS = groups()
const NUMBERS = GROUPS.reduce((sum, { numbers }) => sum + numbers.length, 0)
const FLAGS = GROUPS.reduce((sum, { flags }) => sum + flags.length, 0)
const BITMAP_OCTETS = Math.ceil(NUMBERS / 8)
/** One for all: an export is copied out of it. */
const buffer = new Uint8Array(MAX_VARINT_OCTETS * (NUMBERS + 1) + BITMAP_OCTETS)

function fieldsOf(tcb: Tcb, { name }: Group): Fields {
  const whole = tcb as unknown as Record<string, Fields>
  return name === undefined ? (whole as unknown as Fields) : (whole[name] as Fields)
}

export function exportNumbers(tcb: Tcb, now: number): Uint8Array {
  const bitmap = writeVarint(0, flagsToMask(tcb))
  buffer.fill(0, bitmap, bitmap + BITMAP_OCTETS)
  let at = bitmap + BITMAP_OCTETS
  let index = 0
  for (const group of GROUPS) {
    const fields = fieldsOf(tcb, group)
    for (const { field, kind, idle } of group.numbers) {
      const bit = index++
      if (idle?.(tcb)) continue
      const plain = toPlain(tcb, kind, fields[field] as number | string, now)
      if (plain === (kind < DURATION ? 0 : INFINITE)) continue
      const octet = bitmap + (bit >> 3)
      buffer[octet] = (buffer[octet] as number) | (1 << (bit & 7))
      at = writeVarint(at, plain)
    }
  }
  return buffer.slice(0, at)
}

/** Sets every number and flag of `tcb`, or says what is wrong with `octets`. */
export function importNumbers(tcb: Tcb, octets: unknown, now: number): string | undefined {
  if (!(octets instanceof Uint8Array)) return 'not the numbers of a TCB'
  const reader = new VarintReader(octets)
  const mask = reader.next()
  if (!(mask < 2 ** FLAGS)) return 'bad flags'
  maskToFlags(tcb, mask)
  const bitmap = reader.at
  reader.at += BITMAP_OCTETS
  if (reader.at > octets.length) return 'too few numbers'
  let index = 0
  for (const group of GROUPS) {
    const fields = fieldsOf(tcb, group)
    for (const { name, field, kind } of group.numbers) {
      const bit = index++
      const isThere = ((octets[bitmap + (bit >> 3)] as number) & (1 << (bit & 7))) !== 0
      const value = fromPlain(tcb, kind, isThere ? reader.next() : kind < DURATION ? 0 : INFINITE, now)
      if (value === undefined) return `bad ${name}`
      fields[field] = value
    }
  }
  return reader.at === octets.length ? undefined : 'too many numbers'
}

class VarintReader {
  readonly octets: Uint8Array
  at = 0

  constructor(octets: Uint8Array) {
    this.octets = octets
  }

  /** NaN for what is no safe integer, or is not there. */
  next(): number {
    let value = 0
    for (let count = 0, factor = 1; count < MAX_VARINT_OCTETS; count++, factor *= 128) {
      const octet = this.octets[this.at++]
      if (octet === undefined) return Number.NaN
      value += (octet & 127) * factor
      if (octet < 128) return value <= Number.MAX_SAFE_INTEGER ? value : Number.NaN
    }
    return Number.NaN
  }
}

function flagsToMask(tcb: Tcb): number {
  let mask = 0
  let bit = 0
  for (const group of GROUPS) {
    const fields = fieldsOf(tcb, group)
    for (const field of group.flags) {
      if (fields[field] === true) mask |= 1 << bit
      bit++
    }
  }
  return mask
}

function maskToFlags(tcb: Tcb, mask: number): void {
  let bit = 0
  for (const group of GROUPS) {
    const fields = fieldsOf(tcb, group)
    for (const field of group.flags) fields[field] = (mask & (1 << bit++)) !== 0
  }
}

function writeVarint(at: number, value: number): number {
  let rest = value
  let end = at
  for (; rest >= 128; rest = Math.floor(rest / 128)) buffer[end++] = (rest % 128) | 128
  buffer[end++] = rest
  return end
}

/** What stands for a time that never comes, or never was: the usual one. No varint is negative. */
const INFINITE = -1

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value
}

function toPlain(tcb: Tcb, kind: number, value: number | string, now: number): number {
  if (typeof value === 'string') {
    const names: readonly string[] = kind === STATE ? STATES : PHASES
    return names.indexOf(value)
  }
  switch (kind) {
    case COUNT:
      return value
    case OCTETS:
      return Math.round(value)
    case INT32:
      return zigzag(value)
    case SEND_SEQ:
      return zigzag(diff(value as Seq, tcb.snd.una))
    case RECEIVE_SEQ:
      return zigzag(diff(value as Seq, tcb.rcv.nxt))
    case REAL:
      return thousandths(value)
    case DURATION:
      return Number.isFinite(value) ? thousandths(value) : INFINITE
    case DEADLINE:
      return Number.isFinite(value) ? thousandths(value - now) : INFINITE
    default:
      return Number.isFinite(value) ? thousandths(now - value) : INFINITE
  }
}

/** As many as a varint holds: an application may name any time, and 285,000 years are as good as a longer one. */
function thousandths(value: number): number {
  return Math.min(Math.max(0, Math.round(value * 1000)), Number.MAX_SAFE_INTEGER)
}

/** The value of a field, or undefined where `value` is none. What others are relative to has been set before them. */
function fromPlain(tcb: Tcb, kind: number, value: number, now: number): number | string | undefined {
  if (value === INFINITE) return kind === OR_NEVER ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  if (Number.isNaN(value)) return undefined
  switch (kind) {
    case COUNT:
    case OCTETS:
      return value <= MAX_INT32 ? value : undefined
    case INT32:
      return int32(value)
    case SEND_SEQ:
      return relative(tcb.snd.una, value)
    case RECEIVE_SEQ:
      return relative(tcb.rcv.nxt, value)
    case REAL:
    case DURATION:
      return value / 1000
    case STATE:
      return STATES[value]
    case PHASE:
      return PHASES[value]
    case DEADLINE:
      return now + value / 1000
    default:
      return now - value / 1000
  }
}

function int32(plain: number): number | undefined {
  const value = plain % 2 === 0 ? plain / 2 : -(plain + 1) / 2
  return value >= MIN_INT32 && value <= MAX_INT32 ? value : undefined
}

function relative(to: number, plain: number): number | undefined {
  const distance = int32(plain)
  return distance === undefined ? undefined : asSeq(to + distance)
}
