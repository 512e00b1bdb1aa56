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
import { add, diff, gt, type Seq } from './seq.ts'
import type { Tcb } from './tcb.ts'

/** Characters of a content's key; a path and a validator. */
export const MAX_KEY_CHARS = 4_096
/** Unread octets arrive in pieces of any size, but not in more pieces than octets could be in packets. */
const MAX_UNREAD_PIECES = 65_536
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
  const base = gt(snd.una, snd.iss) ? snd.una : add(snd.iss, 1)
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

/** Octets, age in µs and flags of each record. */
export function exportRecords(tcb: Tcb, now: number): number[] {
  const { sent } = tcb
  const plain: number[] = []
  for (let index = 0; index < sentCount(sent); index++) {
    const octets = diff(endOf(sent, index), startOf(sent, index))
    const age = Math.max(0, Math.round((now - sentAtOf(sent, index)) * 1000))
    plain.push(octets, age, flagsOf(sent, index))
  }
  return plain
}

export function importRecords(tcb: Tcb, plain: unknown, now: number): string | undefined {
  if (!Array.isArray(plain) || plain.length > 3 * MAX_SENT_RECORDS || plain.length % 3 !== 0)
    return 'bad sent records'
  let start: Seq = tcb.snd.una
  for (let at = 0; at < plain.length; at += 3) {
    const octets: unknown = plain[at]
    const age: unknown = plain[at + 1]
    const flags: unknown = plain[at + 2]
    if (!isCount(octets) || octets === 0 || octets > 2 ** 30) return 'bad sent record'
    if (!isCount(age) || age > MAX_RECORD_AGE_MS * 1000) return 'bad sent record'
    if (!isCount(flags) || flags > (SACKED | LOST | RETRANSMITTED)) return 'bad sent record'
    const end = add(start, octets)
    appendRecord(tcb.sent, start, end, now - age / 1000, flags)
    start = end
  }
  return undefined
}
