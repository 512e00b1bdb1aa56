/**
 * The four lists of a TCB in a snapshot: the send queue (by reference), unread octets, out-of-order runs and sent
 * records, out and in. Each is flat, and bounded by the same constants as in a living connection.
 */
import type { Content } from './content.ts'
import { MAX_OUT_OF_ORDER_RUNS } from './out-of-order.ts'
import { appendOwned } from './receive-queue.ts'
import { MAX_SEND_CHUNKS, type SendChunk, SendQueue } from './send-queue.ts'
import {
  appendRecord,
  endOf,
  flagsOf,
  LOST,
  MAX_SENT_RECORDS,
  RETRANSMITTED,
  SACKED,
  sentAtOf,
  sentCount,
  startOf,
} from './sent-records.ts'
import { add, diff, type Seq } from './seq.ts'
import type { Tcb } from './tcb.ts'

/** Characters of a content's key; a path and a validator. */
export const MAX_KEY_CHARS = 4_096
/** Unread octets arrive in pieces of any size, but not in more pieces than octets could be in packets. */
const MAX_UNREAD_PIECES = 65_536
/** ms and octets; transmissions so close to each other are told apart by their order alone. */
const MAX_BURST_MS = 0.05
const MAX_BURST_OCTETS = 2 ** 24
/** Six times seven bits hold any length with its flags, and any age. */
const MAX_VARINT_OCTETS = 6
/** ms; a record is no older than a connection that gives up. */
const MAX_RECORD_AGE_MS = 3_600_000

/** The keys that are referred to, then pieces: owned octets, or key index, offset and length. */
export function exportSend(tcb: Tcb): unknown[] {
  const { sendQueue } = tcb
  const keys: string[] = []
  const plain: unknown[] = [keys]
  for (let index = sendQueue.head; index < sendQueue.tail; index++) {
    const chunk = sendQueue.chunks[index] as SendChunk
    const skip = Math.max(0, sendQueue.released - chunk.at)
    const offset = chunk.offset + skip
    const length = chunk.length - skip
    if (chunk.content === null) plain.push(chunk.octets.subarray(offset, offset + length))
    else {
      let key = keys.indexOf(chunk.content.key)
      if (key < 0) key = keys.push(chunk.content.key) - 1
      plain.push(key, offset, length)
    }
  }
  return plain
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

export function importSend(
  tcb: Tcb,
  plain: unknown,
  resolve: (key: string) => Content | undefined,
): string | undefined {
  if (!Array.isArray(plain) || !Array.isArray(plain[0])) return 'bad send queue'
  if (plain.length > 1 + 3 * MAX_SEND_CHUNKS || plain[0].length > MAX_SEND_CHUNKS)
    return 'too long a send queue'
  const contents: Content[] = []
  for (const key of plain[0] as unknown[]) {
    if (typeof key !== 'string' || key.length > MAX_KEY_CHARS) return 'bad key of a content'
    const content = resolve(key)
    if (content === undefined) return `no content ${key}`
    contents.push(content)
  }
  const { snd, state } = tcb
  const base = state === 'SYN-RECEIVED' ? add(snd.iss, 1) : snd.una
  const finAcked = snd.finSent && snd.una === snd.nxt && state !== 'SYN-RECEIVED'
  tcb.sendQueue = new SendQueue(finAcked ? add(base, -1) : base)
  for (let at = 1; at < plain.length; ) {
    const piece: unknown = plain[at]
    if (piece instanceof Uint8Array) {
      if (!tcb.sendQueue.append(new Uint8Array(piece))) return 'too many pieces to send'
      at++
      continue
    }
    const content = isCount(piece) ? contents[piece] : undefined
    const offset: unknown = plain[at + 1]
    const length: unknown = plain[at + 2]
    if (content === undefined || !isCount(offset) || !isCount(length) || length === 0) return 'bad reference'
    if (!tcb.sendQueue.appendContent(content, offset, length)) return 'a reference is not in its content'
    at += 3
  }
  return undefined
}

export function exportUnread(tcb: Tcb): Uint8Array[] {
  const { first, more } = tcb.receiveQueue
  if (first.length === 0) return []
  // A borrowed run is overwritten soon; the others never change.
  const head = first.octets.subarray(first.start, first.start + first.length)
  const plain = [first.owned ? head : new Uint8Array(head)]
  for (const run of more) plain.push(run.octets.subarray(run.start, run.start + run.length))
  return plain
}

export function importUnread(tcb: Tcb, plain: unknown): string | undefined {
  if (!Array.isArray(plain) || plain.length > MAX_UNREAD_PIECES) return 'bad unread octets'
  for (const piece of plain as unknown[]) {
    if (!(piece instanceof Uint8Array) || piece.length === 0) return 'bad unread octets'
    appendOwned(tcb.receiveQueue, new Uint8Array(piece), 0, piece.length)
  }
  if (tcb.receiveQueue.octets > 2 ** 30) return 'too many unread octets'
  return undefined
}

/** Distance from RCV.NXT and octets of each run. */
export function exportRuns(tcb: Tcb): unknown[] {
  const plain: unknown[] = []
  for (const run of tcb.outOfOrder.runs)
    plain.push(diff(run.start, tcb.rcv.nxt), run.octets.subarray(0, diff(run.end, run.start)))
  return plain
}

export function importRuns(tcb: Tcb, plain: unknown): string | undefined {
  if (!Array.isArray(plain) || plain.length > 2 * MAX_OUT_OF_ORDER_RUNS || plain.length % 2 !== 0)
    return 'bad out-of-order runs'
  for (let at = 0; at < plain.length; at += 2) {
    const distance: unknown = plain[at]
    const octets: unknown = plain[at + 1]
    if (!isCount(distance) || distance > 2 ** 30) return 'bad out-of-order run'
    if (!(octets instanceof Uint8Array) || octets.length === 0) return 'bad out-of-order run'
    const start = add(tcb.rcv.nxt, distance)
    tcb.outOfOrder.runs.push({ start, end: add(start, octets.length), octets: new Uint8Array(octets) })
  }
  return undefined
}

/**
 * The records as octets: for each a varint of its length (0: as the one before) and flags, and one of by how many µs
 * it is younger than the one before (the first: its age). Transmissions of one burst travel as one.
 */
export function exportRecords(tcb: Tcb, now: number): Uint8Array {
  const { sent } = tcb
  const octets: number[] = []
  let lastLength = 0
  let lastAge = 0
  for (let index = 0; index < sentCount(sent); ) {
    const start = startOf(sent, index)
    const at = sentAtOf(sent, index)
    const flags = flagsOf(sent, index)
    let end = endOf(sent, index++)
    while (flags === 0 && index < sentCount(sent) && isSameBurst(tcb, index, at, diff(end, start)))
      end = endOf(sent, index++)
    const length = diff(end, start)
    const age = Math.min(Math.max(0, Math.round((now - at) * 1000)), MAX_RECORD_AGE_MS * 1000)
    pushVarint(octets, (length === lastLength ? 0 : length) * 8 + flags)
    const younger = lastAge - age
    pushVarint(octets, younger < 0 ? -2 * younger - 1 : 2 * younger)
    lastLength = length
    lastAge = age
  }
  return Uint8Array.from(octets)
}

function isSameBurst(tcb: Tcb, index: number, at: number, length: number): boolean {
  const { sent } = tcb
  if (flagsOf(sent, index) !== 0 || length > MAX_BURST_OCTETS) return false
  return Math.abs(sentAtOf(sent, index) - at) <= MAX_BURST_MS
}

function pushVarint(octets: number[], value: number): void {
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) octets.push((rest % 128) | 128)
  octets.push(rest)
}

export function importRecords(tcb: Tcb, plain: unknown, now: number): string | undefined {
  if (!(plain instanceof Uint8Array) || plain.length > MAX_SENT_RECORDS * 2 * MAX_VARINT_OCTETS)
    return 'bad sent records'
  let start: Seq = tcb.snd.una
  let length = 0
  let age = 0
  let at = 0
  /** The next varint, or -1 where there is none. */
  const next = (): number => {
    let value = 0
    for (let count = 0, factor = 1; count < MAX_VARINT_OCTETS; count++, factor *= 128) {
      const octet = plain[at++]
      if (octet === undefined) return -1
      value += (octet & 127) * factor
      if (octet < 128) return value
    }
    return -1
  }
  while (at < plain.length) {
    const head = next()
    const younger = next()
    if (head < 0 || younger < 0 || sentCount(tcb.sent) >= MAX_SENT_RECORDS) return 'bad sent record'
    if (head >= 8) length = Math.floor(head / 8)
    age -= younger % 2 === 0 ? younger / 2 : -(younger + 1) / 2
    if (length === 0 || length > 2 ** 30 || age < 0 || age > MAX_RECORD_AGE_MS * 1000)
      return 'bad sent record'
    const end = add(start, length)
    appendRecord(tcb.sent, start, end, now - age / 1000, (head % 8) & (SACKED | LOST | RETRANSMITTED))
    start = end
  }
  return undefined
}
