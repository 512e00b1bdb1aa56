/**
 * Our end of a transfer: an owner as a dispatcher runs it, on a real TUN, with an application that sends, reads and ends
 * as `peer.c` does with the kernel's TCP. It accepts, and it connects.
 */

import { Connection } from '../../node/stack/connection.ts'
import { Driver } from '../../node/stack/driver.ts'
import type { Owner } from '../../node/stack/owner.ts'
import type { TcpConfig } from '../../node/tcp/config.ts'
import { CLOSED, ESTABLISHED, FIN_ACKED, PEER_FIN, RESET, TIMED_OUT } from '../../node/tcp/events.ts'
import { connect } from '../../node/tcp/open.ts'
import { close, consume, hasPeerFinished, send, unread, unreadOctets } from '../../node/tcp/user.ts'
import type { Device } from '../../node/tun/device.ts'
import { parseAddress } from '../../node/wire/address.ts'
import type { EndReport } from '../kernel/peer.ts'
import { ownOwner } from '../own-owner.ts'
import { Random } from '../sim/network/random.ts'
import { firstWrong, octetBlock, octetsAt } from './octets.ts'

/** What one end does; the names are those of `peer.c`. */
export interface EndPlan {
  readonly send: number
  readonly sendSeed: number
  readonly sendChunk: number
  readonly sendPauseMs: number
  readonly readSeed: number
  readonly readChunk: number
  readonly readPauseMs: number
  /** 1: it sends only when it has seen the peer's end, so that the connection is half closed for long. */
  readonly afterEof: 0 | 1
  readonly timeoutMs: number
}

export interface OwnEndOptions {
  readonly device: Device
  readonly address: string
  readonly port: number
  readonly tcp: Partial<TcpConfig>
  readonly plan: EndPlan
  readonly seed: number
}

export class OwnEnd {
  readonly report: Promise<EndReport>
  readonly #options: OwnEndOptions
  readonly #random: Random
  readonly #owner: Owner
  readonly #driver: Driver
  readonly #toSend: Uint8Array
  readonly #expected: Uint8Array
  readonly #settle: (report: EndReport) => void
  readonly #deadline: NodeJS.Timeout
  readonly #timers = new Set<NodeJS.Timeout>()
  #connection: Connection | undefined = undefined
  #sent = 0
  #received = 0
  #wrongAt = -1
  #eof = false
  #finAcked = false
  #error = ''
  #reading = true
  #sending = true
  #began = 0
  #waitingSince = 0
  #longestGapMs = 0
  #finishedAt = 0

  constructor(options: OwnEndOptions) {
    this.#options = options
    const { device, address, port, tcp, plan, seed } = options
    this.#toSend = octetBlock(plan.sendSeed)
    this.#expected = octetBlock(plan.readSeed)
    this.#random = new Random(`own end ${seed}`)
    this.#owner = ownOwner({
      device,
      address,
      port,
      tcp,
      random: this.#random,
      application: {
        accepted: (connection, now) => this.#accepted(connection, now),
        advanced: (connection, events, now) => this.#advanced(connection, events, now),
      },
    })
    this.#driver = new Driver(this.#owner, device)
    let settle: (report: EndReport) => void = () => {}
    this.report = new Promise(resolve => {
      settle = resolve
    })
    this.#settle = settle
    this.#deadline = setTimeout(() => this.#finish('Connection timed out'), plan.timeoutMs)
  }

  connect(remote: string, remotePort: number, localPort: number): void {
    const to = parseAddress(remote)
    const { v4 } = this.#owner.config.vips
    if (to?.family !== 4) throw new RangeError(`not an IPv4 address: ${remote}`)
    const now = performance.now()
    const ends = {
      family: 4 as const,
      remote0: to.word0,
      remote1: to.word1,
      remote2: to.word2,
      remote3: to.word3,
      remotePort,
      localPort,
    }
    const flow = {
      ...ends,
      local0: v4.word0,
      local1: v4.word1,
      local2: v4.word2,
      local3: v4.word3,
    }
    const random = this.#random
    const tcb = connect(this.#owner.config.tcp, flow, random.int32(), random.int32(), now)
    const connection = new Connection(1, 0, ends, tcb)
    this.#owner.install(connection)
    this.#accepted(connection, now)
    this.#owner.touched(connection, now)
    this.#driver.schedule()
  }

  close(): void {
    clearTimeout(this.#deadline)
    for (const timer of this.#timers) clearTimeout(timer)
    this.#driver.close()
  }

  #accepted(connection: Connection, now: number): void {
    this.#connection = connection
    this.#began = now
    this.#waitingSince = now
  }

  #advanced(connection: Connection, events: number, now: number): void {
    // accept() returns when the handshake is done; connect() is called before it begins.
    if ((events & ESTABLISHED) !== 0 && connection.tcb.passive) this.#accepted(connection, now)
    if ((events & RESET) !== 0) this.#error ||= 'Connection reset by peer'
    if ((events & TIMED_OUT) !== 0) this.#error ||= 'Connection timed out'
    if ((events & FIN_ACKED) !== 0) this.#finAcked = true
    this.#read(connection, now)
    // The peer's end was seen when everything before it was read.
    if ((events & PEER_FIN) !== 0 && !this.#eof) this.#noteEnd(connection, now)
    this.#send(connection, now)
    if ((events & CLOSED) !== 0 || this.#error !== '') return this.#finish(this.#error)
    if (this.#eof && this.#finAcked) this.#finish('')
  }

  #noteEnd(connection: Connection, now: number): void {
    if (unreadOctets(connection.tcb) > 0) return
    this.#noteGap(now)
    this.#eof = true
    this.#finishedAt = now
  }

  #noteGap(now: number): void {
    this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#waitingSince)
    this.#waitingSince = now
  }

  #read(connection: Connection, now: number): void {
    const { readChunk, readPauseMs } = this.#options.plan
    while (this.#reading && unreadOctets(connection.tcb) > 0) {
      const { octets, start, length } = unread(connection.tcb)
      const taken = Math.min(length, readChunk)
      if (this.#wrongAt < 0) this.#wrongAt = firstWrong(this.#expected, this.#received, octets, start, taken)
      this.#received += taken
      this.#noteGap(now)
      consume(connection.tcb, taken, now)
      if (readPauseMs === 0) continue
      this.#reading = false
      this.#waitingSince = now + readPauseMs
      this.#later(readPauseMs, () => {
        this.#reading = true
        const then = performance.now()
        this.#read(connection, then)
        if (connection.tcb.rcv.finKnown && this.#reading && !this.#eof && hasPeerFinished(connection.tcb))
          this.#noteEnd(connection, then)
        this.#send(connection, then)
        this.#owner.touched(connection, then)
        if (this.#eof && this.#finAcked) this.#finish('')
      })
    }
  }

  #send(connection: Connection, now: number): void {
    const { plan } = this.#options
    if (plan.afterEof === 1 && !this.#eof) return
    while (this.#sending && this.#sent < plan.send) {
      const wanted = Math.min(plan.sendChunk, plan.send - this.#sent)
      const taken = send(connection.tcb, octetsAt(this.#toSend, this.#sent, wanted), now)
      if (taken === 0) return
      this.#sent += taken
      if (plan.sendPauseMs === 0) continue
      this.#sending = false
      this.#later(plan.sendPauseMs, () => {
        this.#sending = true
        const then = performance.now()
        this.#send(connection, then)
        this.#owner.touched(connection, then)
      })
    }
    if (this.#sent === plan.send && this.#sending) close(connection.tcb, now)
  }

  #later(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      if (this.#connection === undefined || !this.#owner.owns(this.#connection)) return
      run()
      this.#driver.schedule()
    }, ms)
    this.#timers.add(timer)
  }

  #finish(error: string): void {
    clearTimeout(this.#deadline)
    const { plan } = this.#options
    this.#settle({
      sent: this.#sent,
      received: this.#received,
      wrongAt: this.#wrongAt,
      orderly: error === '' && this.#eof && this.#finAcked && this.#sent === plan.send,
      error,
      longestGapMs: this.#longestGapMs,
      elapsedMs: this.#finishedAt - this.#began,
    })
  }
}
