/**
 * One end of a TCP connection on a simulated network: a TCB of `node/tcp` with real packets, a timer, and nothing of
 * the stack above. Its application only sends or reads; the invariants are checked after every event. An end may
 * change its owner as a shift would do it: by a packed snapshot, while packets are held or come late.
 */
import { pack, unpackEach } from '../../../node/control/codec.ts'
import { adopt } from '../../../node/tcp/adoption.ts'
import { segmentArrives } from '../../../node/tcp/arrival.ts'
import { type TcpConfig, tcpConfig } from '../../../node/tcp/config.ts'
import type { Content } from '../../../node/tcp/content.ts'
import { takeEvents } from '../../../node/tcp/events.ts'
import { checkInvariants, checkProgress } from '../../../node/tcp/invariants.ts'
import { acceptSyn, connect } from '../../../node/tcp/open.ts'
import { nextSegment } from '../../../node/tcp/output.ts'
import { setAddresses, setFields } from '../../../node/tcp/packet-header.ts'
import { exportTcb, importTcb } from '../../../node/tcp/snapshot.ts'
import type { Flow, Tcb } from '../../../node/tcp/tcb.ts'
import { expire, pollAt } from '../../../node/tcp/timers.ts'
import { createTransmission, type Transmission } from '../../../node/tcp/transmission.ts'
import { consume, retainUnread, unreadOctets } from '../../../node/tcp/user.ts'
import { createTcpHeader, packetHeadOctets, writeTcpPacket } from '../../../node/wire/emit.ts'
import { ACK, createSegment, RST, SYN } from '../../../node/wire/segment.ts'
import type { ScheduledEvent } from '../network/clock/scheduler.ts'
import { type Packet, type Sink, viewOf, type World } from '../network/element.ts'
import { readPacket } from '../network/packet.ts'

/** What an end does beside TCP; called at every turn, before anything is sent. */
export type Application = (end: Endpoint, events: number) => void

/** Reads whatever there is. */
export const reader: Application = end => {
  const { tcb } = end
  if (tcb === undefined) return
  const octets = unreadOctets(tcb)
  if (octets === 0) return
  end.received += octets
  consume(tcb, octets, end.now)
}

/** Addresses of documentation networks (RFC 5737); port 80 is the server's. */
export function clientFlow(port: number): Flow {
  return {
    family: 4,
    local0: 0,
    local1: 0,
    local2: 0xffff,
    local3: 0xc0000201 | 0,
    localPort: port,
    remote0: 0,
    remote1: 0,
    remote2: 0xffff,
    remote3: 0xcb007101 | 0,
    remotePort: 80,
  }
}

export class Endpoint {
  tcb: Tcb | undefined = undefined
  /** Octets that the application has read. */
  received = 0
  /** Changes of owner so far. */
  moves = 0
  application: Application
  readonly world: World
  readonly config: TcpConfig
  readonly #out: Sink
  readonly #segment = createSegment()
  readonly #transmission = createTransmission()
  readonly #header = createTcpHeader()
  #timer: ScheduledEvent | undefined = undefined
  /** Packets that arrive while the connection is between two owners. */
  #held: Packet[] | undefined = undefined
  #strayMs = 0

  constructor(world: World, out: Sink, application: Application, tcp: Partial<TcpConfig> = {}) {
    this.world = world
    this.application = application
    this.config = tcpConfig(tcp)
    this.#out = out
  }

  get now(): number {
    return this.world.scheduler.now
  }

  connect(flow: Flow): void {
    this.tcb = connect(this.config, flow, this.world.random.int32(), this.world.random.int(1 << 20), this.now)
    this.turn()
  }

  /** A packet from the network. */
  receive(packet: Packet): void {
    const segment = this.#segment
    if (readPacket(packet, segment) !== 'tcp') return
    const { tcb } = this
    const isStray =
      this.#strayMs > 0 &&
      segment.hasTimestamps &&
      (segment.tsEcr & 0xff) !== tcb?.ts.ownerId &&
      this.moves > 0
    if (isStray) this.world.scheduler.after(this.#strayMs, () => this.#take(packet))
    else this.#take(packet)
  }

  #take(packet: Packet): void {
    if (this.#held !== undefined) {
      this.#held.push(packet)
      return
    }
    const segment = this.#segment
    readPacket(packet, segment)
    if (this.tcb === undefined) {
      if ((segment.flags & (SYN | ACK | RST)) !== SYN) return
      const { random } = this.world
      this.tcb = acceptSyn(segment, this.config, random.int32(), random.int(1 << 20), this.now)
    } else segmentArrives(this.tcb, segment, this.now)
    this.turn()
  }

  /** The application has its turn, then everything that may be sent is. */
  turn(): void {
    const { tcb, now } = this
    if (tcb === undefined) return
    this.application(this, takeEvents(tcb))
    while (nextSegment(tcb, now, this.#transmission)) this.#emit(tcb, this.#transmission)
    retainUnread(tcb)
    checkInvariants(tcb)
    checkProgress(tcb)
    this.#arm(pollAt(tcb))
  }

  /** One timer, which is let run where the deadline has moved on: that is what nearly every packet does. */
  #arm(at: number): void {
    const { scheduler } = this.world
    const timer = this.#timer
    if (timer !== undefined && timer.index >= 0) {
      if (timer.at <= at) return
      scheduler.cancel(timer)
    }
    this.#timer = undefined
    if (at === Number.POSITIVE_INFINITY) return
    this.#timer = scheduler.at(at, () => {
      this.#timer = undefined
      const { tcb, now } = this
      if (tcb === undefined) return
      if (pollAt(tcb) > now) return this.#arm(pollAt(tcb))
      expire(tcb, now)
      this.turn()
    })
  }

  #emit(tcb: Tcb, out: Transmission): void {
    const header = this.#header
    setAddresses(header, tcb.flow)
    setFields(header, out)
    const head = packetHeadOctets(header)
    const packet = new Uint8Array(head + out.payloadLength)
    writeTcpPacket(packet, viewOf(packet), 0, header)
    if (out.payloadLength > 0 && !out.probe) {
      let at = head
      const whole = tcb.sendQueue.gather(out.payloadSeq, out.payloadLength, {
        add(octets, start, length) {
          packet.set(octets.subarray(start, start + length), at)
          at += length
        },
      })
      if (!whole) throw new Error('the payload is not in the send queue')
    }
    this.#out(packet)
  }

  /**
   * Another owner takes the connection: its snapshot, packed as on a control link, is under way for `transitMs`, in
   * which packets are held; what still names the old owner comes `strayMs` late, through it.
   */
  move(ownerId: number, transitMs: number, strayMs: number, content: Content): void {
    const { tcb, now } = this
    if (tcb === undefined || this.#held !== undefined) return
    const octets = pack(exportTcb(tcb, now))
    if (octets === undefined) throw new Error('the snapshot is too large to travel')
    let plain: unknown
    unpackEach(octets, message => {
      plain = message
      return true
    })
    this.#held = []
    this.tcb = undefined
    this.world.scheduler.after(transitMs, () => {
      const config = { ...this.config, ownerId }
      const restored = importTcb(plain, config, now, key => (key === content.key ? content : undefined))
      if (typeof restored === 'string') throw new Error(`SEED=${this.world.seed}: ${restored}`)
      adopt(restored, ownerId, this.now)
      this.tcb = restored
      this.moves++
      this.#strayMs = strayMs
      const held = this.#held ?? []
      this.#held = undefined
      this.turn()
      for (const packet of held) this.#take(packet)
    })
  }
}
