/**
 * Octets received in order that the application has not taken yet. The common case copies nothing: the payload
 * of a segment that arrives at an empty queue is borrowed from the packet, and only what the application left
 * is copied by `retain`. It knows no sequence numbers: the last octet is the one before RCV.NXT.
 */
import type { Run } from './content.ts'

/** Copies share buffers of at least this many octets, so that one-octet segments cost no object each. */
const MIN_BUFFER_OCTETS = 512
const MAX_BUFFER_OCTETS = 65_536

/** `length` octets from `start`; the octets behind them in the buffer are room to append. */
export interface ReceiveRun extends Run {
  /** Ours to append to: not borrowed, and shared with nobody. */
  owned: boolean
}

export interface ReceiveQueue {
  /** The first run stands here, so that the common case has no list. */
  readonly first: ReceiveRun
  readonly more: ReceiveRun[]
  /** Octets in all runs. */
  octets: number
}

const NO_OCTETS = new Uint8Array(0)

export function createReceiveQueue(): ReceiveQueue {
  return { first: { octets: NO_OCTETS, start: 0, length: 0, owned: false }, more: [], octets: 0 }
}

/** Appends octets that may be overwritten later: borrows them where the queue is empty, else copies. */
export function appendBorrowed(queue: ReceiveQueue, octets: Uint8Array, start: number, length: number): void {
  if (length === 0) return
  if (queue.octets === 0) {
    queue.first.octets = octets
    queue.first.start = start
    queue.first.length = length
    queue.first.owned = false
    queue.octets = length
    return
  }
  retain(queue)
  queue.octets += length
  const last = queue.more.length === 0 ? queue.first : (queue.more[queue.more.length - 1] as ReceiveRun)
  const room = last.octets.length - last.start - last.length
  const fitting = Math.min(room, length)
  if (fitting > 0) {
    last.octets.set(octets.subarray(start, start + fitting), last.start + last.length)
    last.length += fitting
  }
  const rest = length - fitting
  if (rest === 0) return
  const size = Math.max(rest, Math.min(MAX_BUFFER_OCTETS, 2 * last.octets.length))
  queue.more.push(copyRun(octets, start + fitting, rest, size))
}

/** Appends octets that belong to the queue from now on, as those of an out-of-order run. */
export function appendOwned(queue: ReceiveQueue, octets: Uint8Array, start: number, length: number): void {
  if (length === 0) return
  if (queue.octets === 0) {
    queue.first.octets = octets
    queue.first.start = start
    queue.first.length = length
    queue.first.owned = true
  } else {
    retain(queue)
    queue.more.push({ octets, start, length, owned: true })
  }
  queue.octets += length
}

function copyRun(octets: Uint8Array, start: number, length: number, size: number): ReceiveRun {
  const copy = new Uint8Array(Math.max(size, MIN_BUFFER_OCTETS))
  copy.set(octets.subarray(start, start + length))
  return { octets: copy, start: 0, length, owned: true }
}

/** Copies what is borrowed. To be called before the packet's buffer is used again. */
export function retain(queue: ReceiveQueue): void {
  const first = queue.first
  if (first.owned || first.length === 0) return
  const copy = new Uint8Array(Math.max(first.length, MIN_BUFFER_OCTETS))
  copy.set(first.octets.subarray(first.start, first.start + first.length))
  first.octets = copy
  first.start = 0
  first.owned = true
}

/** Takes `count` octets off the front; more than there are means all. Returns how many that was. */
export function dropUnread(queue: ReceiveQueue, count: number): number {
  const taken = Math.min(count, queue.octets)
  let left = taken
  const first = queue.first
  while (left >= first.length && left > 0) {
    left -= first.length
    shiftRun(queue)
  }
  first.start += left
  first.length -= left
  queue.octets -= taken
  if (queue.octets === 0) clearFirst(first)
  return taken
}

function shiftRun(queue: ReceiveQueue): void {
  const next = queue.more.shift()
  if (next === undefined) clearFirst(queue.first)
  else {
    queue.first.octets = next.octets
    queue.first.start = next.start
    queue.first.length = next.length
    queue.first.owned = next.owned
  }
}

function clearFirst(first: ReceiveRun): void {
  first.octets = NO_OCTETS
  first.start = 0
  first.length = 0
  first.owned = false
}

/** The first run, made to hold at least `octets` (or everything, if there is less) without a gap. */
export function contiguousRun(queue: ReceiveQueue, octets: number): Run {
  const first = queue.first
  const wanted = Math.min(octets, queue.octets)
  if (first.length >= wanted) return first
  const whole = new Uint8Array(wanted)
  whole.set(first.octets.subarray(first.start, first.start + first.length))
  let at = first.length
  while (at < wanted) {
    const next = queue.more[0] as ReceiveRun
    const part = Math.min(next.length, wanted - at)
    whole.set(next.octets.subarray(next.start, next.start + part), at)
    at += part
    next.start += part
    next.length -= part
    if (next.length === 0) queue.more.shift()
  }
  first.octets = whole
  first.start = 0
  first.length = wanted
  first.owned = true
  return first
}
