/**
 * A link to one peer over a stream of octets: batched messages both ways, a bounded queue, liveness, and one
 * `onDown` when it ends, however it ends. It does not make connections (dialer.ts, listener.ts), does not
 * reconnect (a link that is down stays down, and what it had queued is gone) and knows no message by name.
 */
import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import type { Duplex } from 'node:stream'
import { MAX_MESSAGE_OCTETS, pack, unpackEach } from './codec.ts'
import { closeCodeOf, codeOfClose, LinkError } from './errors.ts'
import {
  CLOSE,
  closeFrame,
  FRAME_HEADER_OCTETS,
  FrameReader,
  frameHeader,
  MESSAGES,
  PING,
  PING_OCTETS,
  PONG,
  parseClose,
  pingFrame,
  writeFrameHeader,
} from './frame.ts'
import type { Hello } from './hello.ts'

export const DEFAULT_PING_INTERVAL_MS = 1000
export const DEFAULT_DEAD_AFTER_MS = 3000
/** Octets and messages that wait for the peer to read; two of the largest messages must fit. */
export const MAX_QUEUED_OCTETS = 2 * MAX_MESSAGE_OCTETS
export const MAX_QUEUED_MESSAGES = 16_384
/** Relayed packets are dropped above this, as by any router; about 2 ms of a 10 Gbit/s link. */
export const MAX_DROPPABLE_OCTETS = 2 * 1024 * 1024

/**
 * Up to here messages are copied together into one frame: 1.5 M messages/s of 60 octets, 64 in a turn, against 0.7 M
 * with a frame for each in one write.
 */
const MAX_JOINED_OCTETS = 4096
const MAX_JOINED_FRAME_OCTETS = 65_536
/** A batch is written before the turn ends when it reaches this, so that the kernel works meanwhile. */
const MAX_BATCH_OCTETS = 256 * 1024
/** How long a peer may take to end the connection when it was told that the link is over. */
const CLOSE_TIMEOUT_MS = 1000

export interface LinkHandlers {
  /** The link is up; `link.peer` is the peer's hello. Called before any message of the link. */
  onUp(link: Link): void
  /**
   * A message arrived. Its binary values are views into the frame it came in, never written again: copy what
   * is kept for long. It is what a peer sent: check it.
   */
  onMessage(link: Link, message: unknown): void
  /** The link is down, once and for good, also after `close`. Nothing of it follows. */
  onDown(link: Link, reason: LinkError): void
}

export interface LinkLimits {
  /** 10 to 60000 ms. */
  readonly pingIntervalMs?: number
  /** A peer that is not heard for this long is dead; noticed at the ping after it. At least the interval. */
  readonly deadAfterMs?: number
  readonly maxQueuedOctets?: number
  readonly maxQueuedMessages?: number
  readonly maxDroppableOctets?: number
}

export interface LinkCounters {
  messagesSent: number
  messagesReceived: number
  framesSent: number
  framesReceived: number
  octetsSent: number
  octetsReceived: number
  /** Droppable messages that were dropped. */
  dropped: number
  /** Messages that `send` refused: queue full, too large, link down. */
  refused: number
}

export class Link {
  readonly peer: Hello
  readonly counters: LinkCounters
  /** Of the last ping, in ms; NaN until the first was answered. */
  roundTripMs: number
  private readonly transport: Duplex
  private readonly reader: FrameReader
  private readonly handlers: LinkHandlers
  private readonly maxQueuedOctets: number
  private readonly maxQueuedMessages: number
  private readonly maxDroppableOctets: number
  private readonly pingIntervalMs: number
  private readonly deadAfterMs: number
  private readonly timer: NodeJS.Timeout
  private readonly flushBatch: () => void
  private readonly deliver: (message: unknown) => boolean
  private readonly deliverFrame: (kind: number, payload: Buffer) => boolean
  private down: LinkError | undefined
  private batch: Uint8Array[]
  private batchOctets: number
  private queuedMessages: number
  /** Since the last tick; octets, not messages: a peer in the middle of a large message is alive. */
  private isHeard: boolean
  private heardAt: number
  private tickedAt: number

  /** For the dialer and the listener, with a stream behind its upgrade (TCP, or TLS over it) and a checked hello. */
  constructor(transport: Duplex, peer: Hello, handlers: LinkHandlers, limits: LinkLimits) {
    this.peer = peer
    this.counters = {
      messagesSent: 0,
      messagesReceived: 0,
      framesSent: 0,
      framesReceived: 0,
      octetsSent: 0,
      octetsReceived: 0,
      dropped: 0,
      refused: 0,
    }
    this.roundTripMs = Number.NaN
    this.transport = transport
    this.reader = new FrameReader()
    this.handlers = handlers
    this.maxQueuedOctets = limits.maxQueuedOctets ?? MAX_QUEUED_OCTETS
    this.maxQueuedMessages = limits.maxQueuedMessages ?? MAX_QUEUED_MESSAGES
    this.maxDroppableOctets = limits.maxDroppableOctets ?? MAX_DROPPABLE_OCTETS
    this.pingIntervalMs = limits.pingIntervalMs ?? DEFAULT_PING_INTERVAL_MS
    this.deadAfterMs = limits.deadAfterMs ?? DEFAULT_DEAD_AFTER_MS
    assert(this.pingIntervalMs >= 10 && this.pingIntervalMs <= 60_000, 'pingIntervalMs is 10 to 60000')
    assert(this.deadAfterMs >= this.pingIntervalMs, 'deadAfterMs is at least pingIntervalMs')
    this.timer = setInterval(() => this.tick(), this.pingIntervalMs).unref()
    this.flushBatch = () => this.flush()
    this.deliver = message => this.receive(message)
    this.deliverFrame = (kind, payload) => this.receiveFrame(kind, payload)
    this.down = undefined
    this.batch = []
    this.batchOctets = 0
    this.queuedMessages = 0
    this.isHeard = false
    this.heardAt = performance.now()
    this.tickedAt = this.heardAt
    transport.on('data', (octets: Buffer) => this.read(octets))
    transport.on('error', error => this.fail(new LinkError('CONNECTION_LOST', error.message, error)))
    transport.on('end', () => this.lost())
    transport.on('close', () => this.lost())
    this.ping()
  }

  get isUp(): boolean {
    return this.down === undefined
  }

  /** ms since anything was last heard of the peer, as far as that was looked at: at each ping. */
  get silentMs(): number {
    return this.isHeard ? 0 : performance.now() - this.heardAt
  }

  /** Octets that the kernel has not taken yet. */
  get queuedOctets(): number {
    return this.batchOctets + this.transport.writableLength
  }

  /**
   * Queues a message behind those before it; it leaves when the current callback returns, or at `flush`.
   * Returns false when it was not queued: link down, queue full, or message above a limit of the codec. True
   * does not mean that it arrives.
   */
  send(message: unknown): boolean {
    if (this.down !== undefined || this.queuedMessages >= this.maxQueuedMessages) return this.refuse()
    const octets = pack(message)
    if (octets === undefined || this.queuedOctets + octets.length > this.maxQueuedOctets) return this.refuse()
    // nextTick runs when the callback that sends returns, before the loop polls: no delay, unlike setImmediate.
    if (this.batch.length === 0) process.nextTick(this.flushBatch)
    this.batch.push(octets)
    this.batchOctets += octets.length
    this.queuedMessages++
    this.counters.messagesSent++
    this.counters.octetsSent += octets.length
    if (this.batchOctets >= MAX_BATCH_OCTETS) this.flush()
    return true
  }

  /** As `send`, for what the network might have lost as well: dropped when the peer is slow to read. */
  sendDroppable(message: unknown): boolean {
    if (this.queuedOctets > this.maxDroppableOctets) {
      this.counters.dropped++
      return false
    }
    return this.send(message)
  }

  /** Writes what is queued now, where the caller has long work to do before it returns. */
  flush(): void {
    const batch = this.batch
    if (batch.length === 0 || this.down !== undefined) return
    this.batch = []
    this.batchOctets = 0
    const last = batch.length - 1
    const written = () => this.written(batch.length)
    const isOne = joinable(batch, 0) > last
    if (!isOne) this.transport.cork()
    for (let from = 0; from <= last; ) {
      const to = joinable(batch, from)
      this.write(batch, from, to, to > last ? written : undefined)
      this.counters.framesSent++
      from = to
    }
    if (!isOne) this.transport.uncork()
  }

  private write(
    batch: readonly Uint8Array[],
    from: number,
    to: number,
    written: (() => void) | undefined,
  ): void {
    const only = batch[from] as Uint8Array
    // Messages packed for all links share pools; a small view that waits for a slow peer would keep a whole pool.
    if (to - from > 1 || only.length * 8 < only.buffer.byteLength) {
      this.transport.write(joinedFrame(batch, from, to), written)
      return
    }
    this.transport.write(frameHeader(MESSAGES, only.length))
    this.transport.write(only, written)
  }

  /** Ends the link after what is queued; `onDown` is called before this returns. Idempotent. */
  close(reason = new LinkError('CLOSED', 'closed by this side')): void {
    this.flush()
    this.fail(reason)
  }

  private refuse(): false {
    this.counters.refused++
    return false
  }

  private written(messages: number): void {
    this.queuedMessages -= messages
  }

  private read(octets: Buffer): void {
    // What comes behind the end is of no interest, but read, so that the peer can end.
    if (this.down !== undefined) return
    this.isHeard = true
    const fault = this.reader.read(octets, this.deliverFrame)
    if (fault !== undefined) this.fail(new LinkError(fault, 'the peer sent a frame that links do not know'))
  }

  private receiveFrame(kind: number, payload: Buffer): boolean {
    switch (kind) {
      case MESSAGES:
        this.receiveMessages(payload)
        break
      case PING:
        this.writeUnlessSlow(pingFrame(PONG, payload))
        break
      case PONG:
        this.receivePong(payload)
        break
      case CLOSE:
        this.closed(payload)
        break
    }
    return this.down === undefined
  }

  private receiveMessages(payload: Buffer): void {
    this.counters.framesReceived++
    this.counters.octetsReceived += payload.length
    const code = unpackEach(payload, this.deliver)
    if (code !== undefined)
      this.fail(new LinkError(code, `the peer sent a message that cannot be read (${code})`))
  }

  private receive(message: unknown): boolean {
    this.counters.messagesReceived++
    this.handlers.onMessage(this, message)
    return this.down === undefined
  }

  /** One end for every cause; the first one is told. */
  private fail(reason: LinkError): void {
    if (this.down !== undefined) return
    this.down = reason
    this.batch = []
    this.batchOctets = 0
    clearInterval(this.timer)
    // A dead peer reads no close frame, and a broken connection takes none.
    if (reason.code === 'PEER_SILENT' || reason.code === 'CONNECTION_LOST') this.transport.destroy()
    else closeTransport(this.transport, reason)
    this.handlers.onDown(this, reason)
  }

  private lost(): void {
    this.fail(new LinkError('CONNECTION_LOST', 'the connection broke'))
  }

  private closed(payload: Buffer): void {
    const { code, reason } = parseClose(payload)
    const known = codeOfClose(code)
    const text = `closed by the peer: ${reason.replace(/[^\x20-\x7e]/g, '?')}`
    if (known === undefined || known === 'CLOSED')
      this.fail(new LinkError('PEER_CLOSED', 'closed by the peer'))
    else this.fail(new LinkError(known, text))
  }

  private tick(): void {
    const now = performance.now()
    // When this process itself was stopped, what the peer sent meanwhile is still unread: no verdict yet.
    const slept = now - this.tickedAt > 2 * this.pingIntervalMs
    this.tickedAt = now
    if (slept || this.isHeard) {
      this.isHeard = false
      this.heardAt = now
    } else if (now - this.heardAt >= this.deadAfterMs) {
      this.fail(new LinkError('PEER_SILENT', `nothing heard for ${Math.round(now - this.heardAt)} ms`))
      return
    }
    this.ping()
  }

  private ping(): void {
    const sentAt = Buffer.allocUnsafe(PING_OCTETS)
    sentAt.writeDoubleBE(performance.now())
    this.writeUnlessSlow(pingFrame(PING, sentAt))
  }

  /** A peer that does not read has our queue to hear of us; many small frames would take 20 times their octets. */
  private writeUnlessSlow(frame: Buffer): void {
    if (this.queuedOctets <= this.maxDroppableOctets) this.transport.write(frame)
  }

  private receivePong(data: Buffer): void {
    const elapsed = performance.now() - data.readDoubleBE(0)
    if (elapsed >= 0 && elapsed <= this.deadAfterMs + this.pingIntervalMs) this.roundTripMs = elapsed
  }
}

/** The end of the run of small messages at `from` that share a frame; a large one has its own. */
function joinable(batch: readonly Uint8Array[], from: number): number {
  let octets = 0
  let to = from
  for (; to < batch.length; to++) {
    const length = batch[to]?.length ?? 0
    octets += length
    if (length > MAX_JOINED_OCTETS || octets > MAX_JOINED_FRAME_OCTETS) break
  }
  return Math.max(to, from + 1)
}

function joinedFrame(batch: readonly Uint8Array[], from: number, to: number): Buffer {
  let octets = 0
  for (let index = from; index < to; index++) octets += (batch[index] as Uint8Array).length
  const frame = Buffer.allocUnsafe(FRAME_HEADER_OCTETS + octets)
  writeFrameHeader(frame, MESSAGES, octets)
  let at = FRAME_HEADER_OCTETS
  for (let index = from; index < to; index++) {
    const message = batch[index] as Uint8Array
    frame.set(message, at)
    at += message.length
  }
  return frame
}

/** Says why, ends, and does not wait for ever for the peer to end, too. */
export function closeTransport(transport: Duplex, reason: LinkError): void {
  if (transport.destroyed) return
  const timer = setTimeout(() => transport.destroy(), CLOSE_TIMEOUT_MS)
  transport.once('close', () => clearTimeout(timer))
  transport.end(closeFrame(closeCodeOf(reason.code), reason.message))
  transport.resume()
}
