/**
 * A link to one peer over an open WebSocket: batched messages both ways, a bounded queue, liveness, and one
 * `onDown` when it ends, however it ends. It does not make connections (dialer.ts, listener.ts), does not
 * reconnect (a link that is down stays down, and what it had queued is gone) and knows no message by name.
 */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { RawData, WebSocket } from 'ws'
import { MAX_MESSAGE_OCTETS, pack, unpackEach } from './codec.ts'
import { closeCodeOf, codeOfClose, LinkError, type LinkErrorCode } from './errors.ts'
import type { Hello } from './hello.ts'

export const DEFAULT_PING_INTERVAL_MS = 1000
export const DEFAULT_DEAD_AFTER_MS = 3000
/** Octets and messages that wait for the peer to read; two of the largest messages must fit. */
export const MAX_QUEUED_OCTETS = 2 * MAX_MESSAGE_OCTETS
export const MAX_QUEUED_MESSAGES = 16_384
/** Relayed packets are dropped above this, as by any router; about 2 ms of a 10 Gbit/s link. */
export const MAX_DROPPABLE_OCTETS = 2 * 1024 * 1024

/** The largest frame taken: one message of the largest size; joined ones are far smaller. */
const MAX_FRAME_OCTETS = MAX_MESSAGE_OCTETS
/**
 * Up to here messages are copied together into one frame: 1.5 M messages/s of 60 octets, 64 in a turn, against 0.7 M
 * with a frame for each in one write.
 */
const MAX_JOINED_OCTETS = 4096
const MAX_JOINED_FRAME_OCTETS = 65_536
/** A batch is written before the turn ends when it reaches this, so that the kernel works meanwhile. */
const MAX_BATCH_OCTETS = 256 * 1024
/** How long a closing peer may take to answer the close frame. */
const CLOSE_TIMEOUT_MS = 1000
const PING_OCTETS = 8

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

/** What both ends pass to ws. Text is refused on arrival, so its validation would be wasted. */
export const WEBSOCKET_OPTIONS = {
  perMessageDeflate: false,
  skipUTF8Validation: true,
  allowSynchronousEvents: true,
  maxPayload: MAX_FRAME_OCTETS,
  closeTimeout: CLOSE_TIMEOUT_MS,
} as const

export class Link {
  readonly peer: Hello
  readonly counters: LinkCounters
  /** Of the last ping, in ms; NaN until the first was answered. */
  roundTripMs: number
  private readonly webSocket: WebSocket
  private readonly transport: Socket
  private readonly handlers: LinkHandlers
  private readonly maxQueuedOctets: number
  private readonly maxQueuedMessages: number
  private readonly maxDroppableOctets: number
  private readonly pingIntervalMs: number
  private readonly deadAfterMs: number
  private readonly timer: NodeJS.Timeout
  private readonly flushBatch: () => void
  private readonly deliver: (message: unknown) => boolean
  private down: LinkError | undefined
  private batch: Uint8Array[]
  private batchOctets: number
  private queuedMessages: number
  private heardOctets: number
  private heardAt: number
  private tickedAt: number

  /** For the dialer and the listener, with an open WebSocket, its TCP (or TLS) socket and a checked hello. */
  constructor(
    webSocket: WebSocket,
    transport: Socket,
    peer: Hello,
    handlers: LinkHandlers,
    limits: LinkLimits,
  ) {
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
    this.webSocket = webSocket
    this.transport = transport
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
    this.down = undefined
    this.batch = []
    this.batchOctets = 0
    this.queuedMessages = 0
    this.heardOctets = transport.bytesRead
    this.heardAt = performance.now()
    this.tickedAt = this.heardAt
    transport.setNoDelay(true)
    webSocket.on('message', (data, isBinary) => this.receiveFrame(data, isBinary))
    webSocket.on('pong', data => this.receivePong(data))
    webSocket.on('error', error => this.fail(faultOf(error)))
    webSocket.on('close', (code, reason) => this.fail(closeFault(code, reason)))
    this.ping()
  }

  get isUp(): boolean {
    return this.down === undefined
  }

  /** Octets that the kernel has not taken yet. */
  get queuedOctets(): number {
    return this.batchOctets + this.webSocket.bufferedAmount
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
    this.transport.cork()
    const last = batch.length - 1
    for (let from = 0; from <= last; ) {
      const to = joinable(batch, from)
      const frame = frameOf(batch, from, to)
      this.webSocket.send(frame, to > last ? () => this.written(batch.length) : undefined)
      this.counters.framesSent++
      from = to
    }
    this.transport.uncork()
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

  private receiveFrame(data: RawData, isBinary: boolean): void {
    if (this.down !== undefined) return
    if (!isBinary || !Buffer.isBuffer(data)) {
      this.fail(new LinkError('FRAME_INVALID', 'the peer sent a text frame'))
      return
    }
    this.counters.framesReceived++
    this.counters.octetsReceived += data.length
    const code = unpackEach(data, this.deliver)
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
    // A dead peer answers no close frame, and a broken socket takes none.
    if (reason.code === 'PEER_SILENT' || reason.code === 'CONNECTION_LOST') this.webSocket.terminate()
    else this.webSocket.close(closeCodeOf(reason.code), closeReason(reason))
    this.handlers.onDown(this, reason)
  }

  private tick(): void {
    const now = performance.now()
    // When this process itself was stopped, what the peer sent meanwhile is still unread: no verdict yet.
    const slept = now - this.tickedAt > 2 * this.pingIntervalMs
    this.tickedAt = now
    // Octets, not messages: a peer in the middle of a large message is alive.
    if (slept || this.transport.bytesRead !== this.heardOctets) {
      this.heardOctets = this.transport.bytesRead
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
    this.webSocket.ping(sentAt)
  }

  private receivePong(data: Buffer): void {
    if (data.length !== PING_OCTETS) return
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

/**
 * Messages packed for all links share pools; a small view that waits for a slow peer would keep a whole pool.
 * So only what fills a good part of its pool is sent without a copy.
 */
function frameOf(batch: readonly Uint8Array[], from: number, to: number): Uint8Array {
  const only = to - from === 1 ? batch[from] : undefined
  if (only !== undefined && only.length * 8 >= only.buffer.byteLength) return only
  return Buffer.concat(batch.slice(from, to))
}

function faultOf(error: Error): LinkError {
  const code: LinkErrorCode = faultCodeOf((error as NodeJS.ErrnoException).code)
  return new LinkError(code, error.message, error)
}

function faultCodeOf(code: string | undefined): LinkErrorCode {
  if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') return 'MESSAGE_TOO_LARGE'
  return code?.startsWith('WS_ERR_') ? 'FRAME_INVALID' : 'CONNECTION_LOST'
}

function closeFault(closeCode: number, reason: Buffer): LinkError {
  // 1006: the connection ended without a close frame (RFC 6455 §7.4.1).
  if (closeCode === 1006) return new LinkError('CONNECTION_LOST', 'the connection broke')
  const code = codeOfClose(closeCode)
  if (code === undefined || code === 'CLOSED') return new LinkError('PEER_CLOSED', 'closed by the peer')
  return new LinkError(code, `closed by the peer: ${reason.toString()}`)
}

/** A close frame takes 123 octets (RFC 6455 §5.5); visible ASCII, so that octets are characters. */
function closeReason(reason: LinkError): string {
  return reason.message.replace(/[^\x20-\x7e]/g, '?').slice(0, 123)
}
