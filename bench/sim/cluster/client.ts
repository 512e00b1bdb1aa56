/**
 * Clients of the simulated cluster: each connection is a TCB of our own core, and an application that sends requests and
 * compares every octet of the responses with what an unmoved server would send. Not a model of Linux; the tests
 * in namespaces have the real one.
 */
import { segmentArrives } from '../../../node/tcp/arrival.ts'
import { type TcpConfig, tcpConfig } from '../../../node/tcp/config.ts'
import { CLOSED, ESTABLISHED, PEER_FIN, RESET, TIMED_OUT, takeEvents } from '../../../node/tcp/events.ts'
import { connect } from '../../../node/tcp/open.ts'
import { nextSegment } from '../../../node/tcp/output.ts'
import { setAddresses, setFields } from '../../../node/tcp/packet-header.ts'
import type { Flow, Tcb } from '../../../node/tcp/tcb.ts'
import { expire, pollAt } from '../../../node/tcp/timers.ts'
import { createTransmission } from '../../../node/tcp/transmission.ts'
import { abort, close, consume, retainUnread, send, unread, unreadOctets } from '../../../node/tcp/user.ts'
import { createTcpHeader } from '../../../node/wire/emit.ts'
import { createSegment, RST } from '../../../node/wire/segment.ts'
import type { ScheduledEvent } from '../network/clock/scheduler.ts'
import type { Packet, Sink, World } from '../network/element.ts'
import { readPacket, tcpPacket } from '../network/packet.ts'

export interface ClientOptions {
  readonly world: World
  readonly flow: Flow
  readonly tcp?: Partial<TcpConfig>
  /** Where the client's packets go. */
  readonly out: Sink
  /** The requests, one after the other on one connection, and the octets that must come back for each. */
  readonly exchanges: readonly Exchange[]
  /** Milliseconds between a response and the next request. */
  readonly thinkMs?: number
  /** Requests are all sent at once. */
  readonly pipelined?: boolean
  /** Close when all is received; otherwise the connection stays idle. */
  readonly closes?: boolean
  /** The port's last user, above whose numbers this one begins. */
  readonly after?: Client | undefined
  /** Whatever comes is kept in `transcript` and compared with nothing: for clients that are driven by `write`. */
  readonly raw?: boolean
}

export interface Exchange {
  readonly request: Uint8Array
  readonly response: Uint8Array
}

export class Client {
  readonly tcb: Tcb
  readonly #options: ClientOptions
  readonly #segment = createSegment()
  readonly #out = createTransmission()
  readonly #header = createTcpHeader()
  #timer: ScheduledEvent | undefined = undefined
  #exchange = 0
  #received = 0
  /** Octets received in all, and when the last new ones came. */
  octets = 0
  lastOctetAt = 0
  longestGapMs = 0
  /** RST segments that arrived before all was received, whether or not they were acceptable. */
  resets = 0
  failure: string | undefined = undefined
  done = false
  ended = false
  /** The server has sent its FIN. */
  finished = false
  /** Of a raw client: what it has received. */
  transcript = ''
  /** A client that stops reading lets its window close. */
  reading = true

  constructor(options: ClientOptions) {
    this.#options = options
    const { world, flow, after } = options
    const now = world.scheduler.now
    this.lastOctetAt = now
    const config = tcpConfig({ ...options.tcp })
    const isn = after === undefined ? world.random.int32() : (after.tcb.snd.nxt + 1) | 0
    const tsOffset = after === undefined ? world.random.int(1 << 20) : after.tcb.ts.offset + 1
    this.tcb = connect(config, flow, isn, tsOffset, now)
    this.#advance()
  }

  /** A packet for this client's flow. */
  receive(packet: Packet): void {
    const now = this.#options.world.scheduler.now
    const segment = this.#segment
    if (this.ended || readPacket(packet, segment) !== 'tcp') return
    // Behind the end of both streams a late copy of a segment may rightly be reset.
    const isOver = this.done || this.tcb.state === 'TIME-WAIT'
    if ((segment.flags & RST) !== 0 && !isOver) this.resets++
    segmentArrives(this.tcb, segment, now)
    this.#advance()
    retainUnread(this.tcb)
  }

  /** Sends octets as they are, each call at once. */
  write(text: string): void {
    send(this.tcb, new TextEncoder().encode(text), this.#options.world.scheduler.now)
    this.#advance()
  }

  /** Takes what has come, and goes on doing so. */
  read(): void {
    this.reading = true
    this.#advance()
  }

  /** No more octets will be written. */
  finish(): void {
    close(this.tcb, this.#options.world.scheduler.now)
    this.#advance()
  }

  /** Resets the connection. */
  abort(): void {
    abort(this.tcb)
    this.#advance()
  }

  #advance(): void {
    const now = this.#options.world.scheduler.now
    const events = takeEvents(this.tcb)
    if ((events & ESTABLISHED) !== 0) this.#request(now)
    this.#read(now)
    if ((events & RESET) !== 0) this.failure ??= 'reset by the server'
    if ((events & TIMED_OUT) !== 0) this.failure ??= 'timed out'
    if ((events & PEER_FIN) !== 0) this.finished = true
    if ((events & CLOSED) !== 0) this.ended = true
    while (nextSegment(this.tcb, now, this.#out)) this.#emit()
    this.#schedule()
  }

  #request(now: number): void {
    const { exchanges, pipelined } = this.#options
    const last = pipelined === true ? exchanges.length : this.#exchange + 1
    for (let index = this.#exchange; index < last; index++) {
      const exchange = exchanges[index]
      if (exchange !== undefined) send(this.tcb, exchange.request, now)
    }
  }

  #read(now: number): void {
    while (this.reading && unreadOctets(this.tcb) > 0) {
      const run = unread(this.tcb)
      if (this.#options.raw === true) {
        this.transcript += Buffer.from(
          run.octets.buffer,
          run.octets.byteOffset + run.start,
          run.length,
        ).toString('latin1')
      } else this.#compare(run.octets, run.start, run.length)
      this.octets += run.length
      this.longestGapMs = Math.max(this.longestGapMs, now - this.lastOctetAt)
      this.lastOctetAt = now
      consume(this.tcb, run.length, now)
    }
  }

  #compare(octets: Uint8Array, start: number, length: number): void {
    for (let index = 0; index < length; index++) {
      const exchange = this.#options.exchanges[this.#exchange]
      if (exchange === undefined) {
        this.failure ??= 'octets after the last response'
        return
      }
      if (exchange.response[this.#received] !== octets[start + index]) {
        this.failure ??= `octet ${this.#received} of response ${this.#exchange} is wrong`
        return
      }
      if (++this.#received === exchange.response.length) this.#next()
    }
  }

  #next(): void {
    const { exchanges, pipelined, thinkMs = 0, closes = true, world } = this.#options
    this.#received = 0
    this.#exchange++
    if (this.#exchange < exchanges.length) {
      if (pipelined === true) return
      world.scheduler.after(thinkMs, () => {
        this.lastOctetAt = world.scheduler.now
        this.#request(world.scheduler.now)
        this.#advance()
      })
      return
    }
    this.done = true
    if (closes) close(this.tcb, world.scheduler.now)
  }

  #emit(): void {
    const { flow, out } = this.#options
    const header = this.#header
    setFields(header, this.#out)
    setAddresses(header, flow)
    const payload = new Uint8Array(this.#out.payloadLength)
    let at = 0
    const sink = {
      add: (octets: Uint8Array, start: number, length: number) => {
        payload.set(octets.subarray(start, start + length), at)
        at += length
      },
    }
    if (payload.length > 0) this.tcb.sendQueue.gather(this.#out.payloadSeq, payload.length, sink)
    out(tcpPacket(header, payload))
  }

  #schedule(): void {
    const { scheduler } = this.#options.world
    if (this.#timer !== undefined) scheduler.cancel(this.#timer)
    this.#timer = undefined
    const at = pollAt(this.tcb)
    if (this.ended || at === Number.POSITIVE_INFINITY) return
    this.#timer = scheduler.at(at, () => {
      expire(this.tcb, scheduler.now)
      this.#advance()
    })
  }
}
