/**
 * One owner of connections, sans-IO: packets and messages go in, packets and messages come out, with one deadline.
 * A node and the dispatcher are the same here but for what they do with a SYN and with packets that nobody knows.
 * It holds the flows, their timers and the packet path; how connections change hands is in `owner-shifts.ts`.
 */
import type { OutgoingShifts, ShiftResult } from '../../shift/outgoing.ts'
import { countOwned } from '../tcp/adoption.ts'
import { segmentArrives } from '../tcp/arrival.ts'
import { CONFIRMED, ESTABLISHED, FIN_ACKED, PEER_FIN, STARVED, takeEvents } from '../tcp/events.ts'
import { nextSegment } from '../tcp/output.ts'
import { resetFor } from '../tcp/reset.ts'
import type { Tcb } from '../tcp/tcb.ts'
import { isnAfter, restIsnAfter, restReusable, reusable } from '../tcp/time-wait.ts'
import { expire } from '../tcp/timers.ts'
import { createTransmission } from '../tcp/transmission.ts'
import { retainUnread } from '../tcp/user.ts'
import { PacketBatch, VNET_DATA_VALID, VNET_HEADER_OCTETS, VNET_NEEDS_CSUM } from '../tun/packet-batch.ts'
import { parsePacket } from '../wire/parse.ts'
import { ACK, createSegment, RST, SYN } from '../wire/segment.ts'
import type { Application } from './application.ts'
import { Connection, type Forward } from './connection.ts'
import { count, createOwnerCounters, type OwnerCounters } from './counters.ts'
import { Emitter } from './emitter.ts'
import { Epochs } from './epochs.ts'
import { FlowTable } from './flow-table.ts'
import { Forwards } from './forwards.ts'
import { Internet, NOT_RETURNED } from './internet.ts'
import type { Usage } from './limits.ts'
import { Listener } from './listener.ts'
import { decodeOwnerMessage, type OwnerMessage, type PacketMessage } from './messages.ts'
import type { OwnerConfig, OwnerEnvironment } from './owner-environment.ts'
import { OwnerShifts } from './owner-shifts.ts'
import { flowOf, PacketPasser } from './packet-passer.ts'
import { Population } from './population.ts'
import { PUT_AWAY_AFTER_MS } from './put-away.ts'
import { ReceiveMemory } from './receive-memory.ts'
import { type ShiftCause, ShiftLog } from './shift-log.ts'
import { TimerQueue } from './timer-queue.ts'
import { usageOf } from './usage.ts'

/** First number of an envelope on the control link: whose message it holds. */
export const SHIFT_PROTOCOL = 1
export const OWNER_PROTOCOL = 2

/** Super-segments that one connection may send before the others have their turn: 256 KiB. */
const MAX_SEGMENTS_A_TURN = 4
/** Tombstones forgotten in one go; the rest follows at the next. */
const MAX_EXPIRED_AT_ONCE = 1_000
/** Events that may come with a state that is bounded of its own. */
const NEW_STATE = ESTABLISHED | PEER_FIN | FIN_ACKED
const NOBODY: readonly number[] = []
/** How often tombstones are looked through, in milliseconds. */
const FORWARD_SWEEP_MS = 1_000

export class Owner {
  readonly config: OwnerConfig
  readonly environment: OwnerEnvironment
  readonly application: Application
  readonly counters: OwnerCounters = createOwnerCounters()
  readonly flows: FlowTable<Connection | Forward>
  readonly byId = new Map<number, Connection | Forward>()
  readonly forwards: Forwards
  readonly epochs = new Epochs()
  readonly shiftLog = new ShiftLog()
  readonly #population = new Population()
  readonly memory: ReceiveMemory
  readonly #timers = new TimerQueue<Connection>()
  readonly #emitter: Emitter
  readonly #internet: Internet
  readonly #passer: PacketPasser
  readonly shifts: OwnerShifts
  readonly #listener: Listener | undefined
  readonly #segment = createSegment()
  readonly #out = createTransmission()
  /** Connections that may have something to send; each at most once. */
  #dirty: Connection[] = []
  #flushing: Connection[] = []
  #flushingNow = false
  /** Within one of our calls, all of which end in `flush`. */
  #inside = false
  /** A packet that came over the control link is put here to be parsed like any other. */
  readonly #injected = new PacketBatch(128 * 1024)
  #nextId = 1
  /** Of the call under way. */
  #now = 0
  /** Of the packet under way, a SYN that took over a connection in TIME-WAIT: what its ISN must not be below. */
  #leastIsn: number | undefined = undefined
  /** Of the packet under way, which other owner passed it on to us. */
  #passedBy = NOT_RETURNED
  /** Of the packet under way, which dispatchers do not know its flow. */
  #asked: readonly number[] = NOBODY
  #sweepAt = Number.POSITIVE_INFINITY
  connections = 0

  constructor(config: OwnerConfig, environment: OwnerEnvironment, application: Application) {
    this.config = config
    this.environment = environment
    this.application = application
    const { limits, secret, tcp } = config
    this.flows = new FlowTable(environment.random(), limits.connections + limits.forwards)
    const forgotten = ({ id, epoch }: Forward) => this.epochs.note(id, epoch, this.#now)
    this.forwards = new Forwards(this.flows, this.byId, forgotten, limits.forwards)
    this.#emitter = new Emitter(config.vips, batch => environment.transmit(batch))
    this.#passer = new PacketPasser(config, environment, this.counters)
    this.#internet = new Internet(this, this.#emitter, {
      passOn: (to, batch, index, hops) => void this.#passer.passOn(to, batch, index, hops),
      giveBack: (batch, index, hops) =>
        this.#passer.giveBack(batch, index, hops, this.#passedBy, 0, undefined),
      ask: (batch, index, hops, returnedBy) => this.#passer.ask(batch, index, hops, returnedBy, this.#asked),
      advance: (connection, now) => this.#advance(connection, now),
    })
    this.shifts = new OwnerShifts(this)
    this.memory = new ReceiveMemory(tcp, this.counters.memory, limits.heldOctets)
    this.#listener = secret && new Listener(tcp, secret, this.counters.listen, limits.halfOpen)
  }

  get isDispatcher(): boolean {
    return this.config.secret !== undefined
  }

  /** Whether there is no room for one more connection, not even at the cost of another. */
  get full(): boolean {
    const { timeWait, halfOpen } = this.#population
    return this.#isFull && timeWait === 0 && halfOpen === 0
  }

  get #isFull(): boolean {
    return this.connections >= this.config.limits.connections
  }

  get timeWait(): number {
    return this.#population.timeWait
  }

  get shifting(): Pick<OutgoingShifts, 'size' | 'has'> {
    return this.shifts.outgoing
  }

  /** How full every table is that one owner's connections share. */
  usage(): Record<string, Usage> {
    const { halfOpen, timeWait } = this.#population
    const waiting = { timers: this.#timers.length, dirty: this.#dirty.length }
    return usageOf(this, { halfOpen, timeWait, heldOctets: this.memory.octets, ...waiting }, this.shifts)
  }

  /** Packets from the device, virtio header first. */
  receiveBatch(batch: PacketBatch, now: number): void {
    this.#enter(now)
    for (let index = 0; index < batch.count; index++) this.#packet(batch, index, 0, NOT_RETURNED, now)
    this.flush(now)
  }

  /** An envelope of one of our two protocols; others are not for us. Hostile content is dropped and counted. */
  receiveMessage(from: number, envelope: readonly unknown[], now: number): void {
    this.#enter(now)
    this.shifts.heard(from, now)
    const [protocol, ...plain] = envelope
    if (protocol === SHIFT_PROTOCOL) {
      if (!this.shifts.receive(from, plain, now)) count(this.counters.discarded, 'bad-shift-message')
    } else if (protocol === OWNER_PROTOCOL) {
      const message = decodeOwnerMessage(plain)
      if (message === undefined) count(this.counters.discarded, 'bad-owner-message')
      else this.#message(from, message, now)
    }
    this.flush(now)
  }

  pollAt(): number {
    if (this.#dirty.length > 0) return Number.NEGATIVE_INFINITY
    return Math.min(this.#timers.earliest(), this.shifts.pollAt(), this.#sweepAt)
  }

  poll(now: number): void {
    this.#enter(now)
    for (let due = this.#timers.next(now); due !== undefined; due = this.#timers.next(now)) {
      if (due.frozen || this.byId.get(due.id) !== due) continue
      if (due.resting !== undefined && due.applicationDeadline > now) {
        // TIME-WAIT is over.
        this.#closed(due, now)
        continue
      }
      if (due.putAwayAt <= now && this.#putAway(due, now)) continue
      expire(due.tcb, now)
      this.#advance(due, now)
      if (due.applicationDeadline <= now) this.#applicationExpired(due, now)
    }
    this.shifts.expire(now)
    if (now >= this.#sweepAt) {
      this.forwards.expire(now, MAX_EXPIRED_AT_ONCE)
      this.#sweepAt = this.forwards.size > 0 ? now + FORWARD_SWEEP_MS : Number.POSITIVE_INFINITY
    }
    this.flush(now)
  }

  /** Begins to move a connection; `done` is called once, perhaps at once. */
  shift(
    connection: Connection,
    to: number,
    now: number,
    cause: ShiftCause,
    done: (result: ShiftResult) => void,
  ): void {
    this.shifts.start(connection, to, now, cause, done)
    if (!this.#inside) this.flush(now)
  }

  /** The kernel's answer to `environment.steer`. */
  steered(connection: number, epoch: number, ok: boolean, now: number): void {
    this.#enter(now)
    this.shifts.outgoing.steered(connection, epoch, ok, now)
    this.flush(now)
  }

  peerUp(peer: number, restarted: boolean, now: number): void {
    this.#enter(now)
    this.shifts.outgoing.peerUp(peer, restarted, now)
    this.flush(now)
  }

  peerDown(peer: number, now: number): void {
    this.#enter(now)
    this.shifts.outgoing.peerDown(peer, now)
    this.flush(now)
  }

  /** Whether `connection` is still this owner's to serve: to be asked after anything asynchronous. */
  owns(connection: Connection): boolean {
    return !connection.frozen && this.byId.get(connection.id) === connection
  }

  /** To be called when the application has changed a connection outside of its own callbacks; within one, `flush` follows. */
  touched(connection: Connection, now: number): void {
    if (!this.owns(connection)) return
    if (this.#inside) return this.#advance(connection, now)
    this.#enter(now)
    this.#advance(connection, now)
    this.flush(now)
  }

  #enter(now: number): void {
    this.#now = now
    this.#inside = true
  }

  /** Everything that may send does so, in turns, and the batch goes out. */
  flush(now: number): void {
    // An application that is called back while it sends is served by the call under way.
    if (this.#flushingNow) return
    this.#flushingNow = true
    const { outgoing } = this.shifts
    while (this.#dirty.length > 0 || outgoing.commits) {
      outgoing.commit(now)
      const turn = this.#dirty
      this.#dirty = this.#flushing
      this.#flushing = turn
      for (let index = 0; index < turn.length; index++) this.#transmit(turn[index] as Connection, now)
      turn.length = 0
    }
    this.#flushingNow = false
    this.#inside = false
    this.#emitter.flush()
  }

  markDirty(connection: Connection): void {
    if (connection.dirty) return
    connection.dirty = true
    this.#dirty.push(connection)
  }

  /** A connection that became ours: by a handshake, or by COMMIT. Replaces whatever the flow was here. */
  install(connection: Connection): boolean {
    const before = this.flows.find(connection)
    if (before?.kind === 'forward') this.forwards.remove(before)
    else if (before !== undefined) this.forget(before)
    const namesake = this.byId.get(connection.id)
    if (namesake?.kind === 'forward') this.forwards.remove(namesake)
    if (!this.#hasRoom() || !this.flows.set(connection)) return false
    this.byId.set(connection.id, connection)
    this.connections++
    this.#noteState(connection)
    this.markDirty(connection)
    return true
  }

  /** Takes the connection out of the tables; its flow may be given to a forward then. */
  remove(connection: Connection): void {
    this.flows.delete(connection)
    if (this.byId.get(connection.id) === connection) this.byId.delete(connection.id)
    this.connections--
    this.#population.remove(connection)
    this.memory.release(connection)
    this.#timers.forget(connection)
  }

  /** A connection is new here, or its state: what is too much of one state ends, oldest first. */
  #noteState(connection: Connection): void {
    const population = this.#population
    population.note(connection)
    if (population.timeWait > this.config.limits.timeWait) this.#recycle(population.oldestTimeWait())
  }

  /**
   * Makes room for one more connection, at the cost of what is worth least: the oldest in TIME-WAIT, whose client is done;
   * then the oldest half-open one, whose client is unproven. Established connections are never shed.
   */
  #hasRoom(): boolean {
    if (!this.#isFull || this.#recycle(this.#population.oldestTimeWait())) return true
    const unproven = this.#population.oldestHalfOpen()
    if (unproven === undefined) return false
    this.counters.memory.TCPReqQFullDrop++
    this.#closed(unproven, this.#now)
    return true
  }

  #recycle(connection: Connection | undefined): boolean {
    if (connection === undefined) return false
    this.counters.memory.TCPTimeWaitOverflow++
    this.#closed(connection, this.#now)
    return true
  }

  addForward(forward: Forward, now: number): void {
    this.forwards.add(forward)
    this.#sweepAt = Math.min(this.#sweepAt, now + FORWARD_SWEEP_MS)
  }

  /** Ends a connection at once without a word to the client: it lives elsewhere, or has been replaced. */
  forget(connection: Connection): void {
    countOwned(connection.peek(), -1)
    this.remove(connection)
    this.epochs.note(connection.id, connection.epoch, this.#now)
    this.shifts.leaving(connection)
    this.application.released(connection, this.#now)
  }

  #packet(batch: PacketBatch, index: number, hops: number, returnedBy: number, now: number): void {
    const offset = batch.offsetOf(index)
    const octets = batch.headOctetsOf(index) - VNET_HEADER_OCTETS
    const trusted = ((batch.arena[offset] as number) & (VNET_NEEDS_CSUM | VNET_DATA_VALID)) !== 0
    const segment = this.#segment
    const verdict = parsePacket(
      batch.arena,
      batch.view,
      offset + VNET_HEADER_OCTETS,
      octets,
      trusted,
      segment,
    )
    const { vips } = this.config
    const isOurs = (verdict === 'tcp' || verdict === 'icmp') && vips.isTo(segment) && !vips.isFrom(segment)
    if (!isOurs) return this.#internet.refuse(verdict, batch, index, segment, trusted, now)
    const ip = segment.family === 4 ? this.counters.ip4 : this.counters.ip6
    ip.InDelivers++
    if (segment.extended) ip.InExtended++
    if (verdict === 'icmp') return this.#internet.icmp(batch, index, segment, trusted, hops, returnedBy, now)
    const entry = this.flows.get(
      segment.src0,
      segment.src1,
      segment.src2,
      segment.src3,
      segment.srcPort,
      segment.dstPort,
    )
    if (entry === undefined) this.#unknown(batch, index, hops, returnedBy, now)
    else if (entry.kind === 'connection') {
      if (this.#isSuccessor(entry, now)) this.#unknown(batch, index, hops, returnedBy, now)
      else this.#deliver(entry, now)
    } else if (entry.to === this.#passedBy && this.shifts.incoming.awaits(entry.id)) {
      // Its COMMIT was lost; what it passes on comes once more behind the next.
      count(this.counters.discarded, 'not-there-yet')
    } else if (entry.to !== returnedBy) {
      const packet = this.#passer.passOn(entry.to, batch, index, hops)
      if (packet !== undefined) this.shifts.passedOn(entry.id, packet)
    } else {
      // Our record says that this flow is the sender's, and the sender knows nothing of it: it has ended. Unless its
      // COMMIT is still on the way, or the packet came there before COMMIT, and here behind the news of it.
      const isNew = entry.isNewly(now) && this.#leastIsn === undefined
      if (isNew || this.shifts.outgoing.has(entry.id)) return count(this.counters.discarded, 'not-there-yet')
      this.forwards.remove(entry)
      this.#unknown(batch, index, hops, returnedBy, now)
    }
  }

  /** A SYN that begins a new connection in the place of one in TIME-WAIT (RFC 6191), which ends here. */
  #isSuccessor(connection: Connection, now: number): boolean {
    if ((this.#segment.flags & (SYN | ACK | RST)) !== SYN) return false
    const { resting } = connection
    if (resting !== undefined) {
      if (!restReusable(resting, this.#segment)) return false
      this.#leastIsn = restIsnAfter(resting)
    } else {
      if (!reusable(connection.tcb, this.#segment)) return false
      this.#leastIsn = isnAfter(connection.tcb)
    }
    this.#closed(connection, now)
    return true
  }

  #deliver(connection: Connection, now: number): void {
    const { tcb } = connection
    if (this.memory.scarce && this.#segment.payloadLength > 0) this.memory.refuse(tcb, this.#segment)
    segmentArrives(tcb, this.#segment, now)
    this.#advance(connection, now)
    // What the application has not taken lies in the packet's own buffer, which is used again.
    retainUnread(tcb)
  }

  /** Tells the application what is new, and has the connection transmit, or ends it. */
  #advance(connection: Connection, now: number): void {
    const { tcb } = connection
    const events = takeEvents(tcb)
    if ((events & CONFIRMED) !== 0 && connection.confirmTo >= 0) this.shifts.confirm(connection, now)
    if ((events & NEW_STATE) !== 0) this.#noteState(connection)
    if (events !== 0) this.application.advanced(connection, events, now)
    if (connection.frozen) return
    if (tcb.state === 'CLOSED') {
      this.#drain(connection, Number.POSITIVE_INFINITY, now)
      return this.#closed(connection, now)
    }
    this.markDirty(connection)
  }

  /** Puts a connection away on which nothing has happened for a while; true where nothing else is due. */
  #putAway(connection: Connection, now: number): boolean {
    if (!connection.putAway(now)) {
      connection.putAwayAt = now + PUT_AWAY_AFTER_MS
      return false
    }
    if (connection.deadline() <= now) return false
    this.#timers.update(connection)
    return true
  }

  #applicationExpired(connection: Connection, now: number): void {
    connection.applicationDeadline = Number.POSITIVE_INFINITY
    if (!this.owns(connection)) return
    this.application.expired(connection, now)
    this.#advance(connection, now)
  }

  #transmit(connection: Connection, now: number): void {
    connection.dirty = false
    if (connection.frozen || this.byId.get(connection.id) !== connection) return
    if (connection.needsRecord()) this.environment.record?.(connection)
    if (this.#drain(connection, MAX_SEGMENTS_A_TURN, now)) this.markDirty(connection)
    // An abort, or the last acknowledgement of all, ends it as it is sent; where octets were missing the application reads on.
    const { tcb } = connection
    if (tcb.state === 'CLOSED' || (tcb.events & STARVED) !== 0) return this.#advance(connection, now)
    if (tcb.receiveQueue.octets !== 0 || tcb.outOfOrder.runs.length !== 0 || connection.heldOctets !== 0) {
      this.memory.account(connection)
    }
    if (tcb.state === 'TIME-WAIT') connection.rest()
    else connection.putAwayAt = now + PUT_AWAY_AFTER_MS
    this.#timers.update(connection)
  }

  /** Sends up to `turns` segments; true when there may be more. */
  #drain(connection: Connection, turns: number, now: number): boolean {
    const { tcb } = connection
    for (let turn = 0; turn < turns; turn++) {
      if (!nextSegment(tcb, now, this.#out)) return false
      if (this.#out.retransmission) connection.retransmissions++
      this.#emitter.emit(connection, this.#out, tcb.sendQueue)
    }
    return true
  }

  #closed(connection: Connection, now: number): void {
    if (this.byId.get(connection.id) !== connection) return
    this.remove(connection)
    // What was never offered to anybody has no COMMIT that could come late.
    if (connection.triedEpoch > 0) this.epochs.note(connection.id, connection.epoch, now)
    this.shifts.leaving(connection)
    this.counters.closed++
    this.shifts.outgoing.withdraw(connection.id, 'CLOSED', now)
    this.application.released(connection, now)
    this.environment.closed(connection)
  }

  /**
   * A flow that is neither ours nor known to be another's. A node never answers such a segment: it hands the packet
   * to a dispatcher, which accepts, asks the owner that the timestamp names and the other dispatchers, or resets.
   */
  #unknown(batch: PacketBatch, index: number, hops: number, returnedBy: number, now: number): void {
    const segment = this.#segment
    const leastIsn = this.#leastIsn
    this.#leastIsn = undefined
    if (!this.isDispatcher) {
      this.counters.unknownPackets++
      return this.#passer.giveBack(batch, index, hops, this.#passedBy, segment.srcPort, leastIsn)
    }
    if ((segment.flags & (SYN | ACK | RST)) === SYN) return this.#accept(leastIsn, now)
    if (returnedBy === NOT_RETURNED && this.#passer.passToNamed(segment, batch, index, hops)) return
    const isAnswered = (segment.flags & RST) === 0 && this.environment.settled()
    if (isAnswered && this.#acceptCookie(now)) return
    if (this.#passer.ask(batch, index, hops, returnedBy, this.#asked)) return
    if (isAnswered) this.#reset()
    else count(this.counters.discarded, 'unknown-flow')
  }

  #reset(): void {
    if (!resetFor(this.#segment, this.#out)) return
    this.counters.resetsSent++
    this.#answer()
  }

  #answer(): void {
    this.#emitter.emit(flowOf(this.#segment), this.#out, undefined)
  }

  #accept(leastIsn: number | undefined, now: number): void {
    const segment = this.#segment
    if (!this.#listens(segment.dstPort)) {
      // Which ports there are, the nodes say: a client that comes too early tries again.
      if (!this.environment.settled()) return count(this.counters.discarded, 'unknown-port')
      return this.#reset()
    }
    const wallMs = this.environment.wallMs()
    const { halfOpen } = this.#population
    const tcb = this.#listener?.syn(segment, leastIsn, halfOpen, this.#isFull, wallMs, now, this.#out)
    if (tcb === undefined) this.#answer()
    else this.#begin(tcb, now)
  }

  #listens(port: number): boolean {
    return this.application.listens?.(port) ?? port === this.config.vips.port
  }

  /** Takes the acknowledgement of a cookie; false where the segment is none and may be reset. */
  #acceptCookie(now: number): boolean {
    const listener = this.#listener
    if (listener === undefined || !this.#listens(this.#segment.dstPort)) return false
    const tcb = listener.acknowledgement(this.#segment, this.environment.wallMs(), now)
    if (tcb === undefined) return listener.awaitsCookies(now)
    if (!this.#hasRoom()) {
      // The client believes that it is connected, and sends its request again.
      this.counters.listen.ListenOverflows++
      this.counters.listen.ListenDrops++
    } else this.#deliver(this.#begin(tcb, now), now)
    return true
  }

  #begin(tcb: Tcb, now: number): Connection {
    const connection = new Connection(this.config.idBase + this.#nextId++, 0, flowOf(this.#segment), tcb)
    connection.since = this.environment.nowSecond()
    this.install(connection)
    this.counters.accepted++
    this.application.accepted(connection, now)
    return connection
  }

  #message(from: number, message: OwnerMessage, now: number): void {
    switch (message.type) {
      case 'PACKET':
        this.counters.receivedForwards++
        return this.#inject(message, from, NOT_RETURNED, now)
      case 'RETURNED':
        this.#leastIsn = message.leastIsn
        return this.#inject(message, NOT_RETURNED, from, now)
      case 'STRAY':
        if (!this.isDispatcher) return count(this.counters.discarded, 'bad-owner-message')
        this.#asked = message.asked
        return this.#inject(message, NOT_RETURNED, message.returnedBy, now)
      case 'STEERED':
        return this.shifts.outgoing.steered(message.connection, message.epoch, message.ok, now)
      case 'OWNED':
      case 'CLOSED':
      case 'STEER':
        return this.environment.told(from, message, now)
    }
  }

  /** A packet that another owner gave us, parsed like any other. */
  #inject(
    { octets, hops }: Pick<PacketMessage, 'octets' | 'hops'>,
    passedBy: number,
    returnedBy: number,
    now: number,
  ): void {
    this.#injected.clear()
    this.#passedBy = passedBy
    if (octets.length <= VNET_HEADER_OCTETS || !this.#injected.push(octets)) {
      count(this.counters.discarded, 'bad-owner-message')
    } else this.#packet(this.#injected, 0, hops, returnedBy, now)
    this.#passedBy = NOT_RETURNED
    this.#asked = NOBODY
    this.#leastIsn = undefined
  }
}
