/**
 * How an owner's connections change hands: the two halves of the shift protocol, bound to the owner's tables, its
 * TCBs and its application. Everything that the protocol calls freeze, release, adopt or reclaim is done here.
 */
import type { Flow } from '../../clone/flow.ts'
import { type Requirements, requirements } from '../../clone/requirements.ts'
import { exportSnapshot, importSnapshot, type Snapshot } from '../../clone/snapshot.ts'
import { IncomingShifts } from '../../shift/incoming.ts'
import {
  type Commit,
  decodeShiftMessage,
  encodeShiftMessage,
  type Prepare,
  type ShiftMessage,
  type ShiftRefusal,
} from '../../shift/messages.ts'
import { OutgoingShifts, type ShiftResult } from '../../shift/outgoing.ts'
import { adopt, countOwned } from '../tcp/adoption.ts'
import type { Tcb } from '../tcp/tcb.ts'
import { CarriedMemory } from './carried-memory.ts'
import { Connection, Forward } from './connection.ts'
import { count, countDuration } from './counters.ts'
import { sameFlow } from './flow-table.ts'
import { TOMBSTONE_MS } from './forwards.ts'
import { Holders } from './holders.ts'
import { encodeOwnerMessage, type PacketMessage } from './messages.ts'
import { OWNER_PROTOCOL, type Owner, SHIFT_PROTOCOL } from './owner.ts'
import type { ShiftCause } from './shift-log.ts'

/** A connection that carries more by value is not taken: unread uploads are bounded by the receive buffer. */
const MAX_OCTETS_BY_VALUE = 8 * 1024 * 1024
/** More is not sent to a target that was not asked whether it has room. */
const MAX_OCTETS_UNPREPARED = 65_536
/**
 * A target that was not heard for so long is asked first: what is given to one that has just died is lost, and what is only
 * offered is not. Under load each peer is heard every few ms.
 */
const HEARD_MS = 100

/** Packets that followed COMMITs which are not yet answered, of all connections: beyond it they are passed on and forgotten. */
const MAX_HELD_OCTETS = 16 * 1024 * 1024

/** A connection whose COMMIT is out and not yet answered: kept whole, because a refusal gives it back. */
interface Given {
  readonly connection: Connection
  /** What came for it since: it goes once more after each repetition of COMMIT, for it was lost with it. */
  readonly held: PacketMessage[]
  octets: number
}

export class OwnerShifts {
  readonly outgoing: OutgoingShifts
  readonly incoming: IncomingShifts
  readonly #owner: Owner
  readonly #given = new Map<number, Given>()
  #heldOctets = 0
  readonly #holders = new Holders()
  readonly #carried: CarriedMemory
  /** When each owner was last heard, by its id. */
  readonly #heardAt: number[] = []

  constructor(owner: Owner) {
    this.#owner = owner
    this.#carried = new CarriedMemory(owner.config.limits.heldOctets)
    this.outgoing = new OutgoingShifts({
      send: (to, message) => this.#send(to, message),
      requirements: id => this.#requirements(id),
      movable: (id, now) => this.#movable(id, now),
      needsSteering: id => this.#needsSteering(id),
      steer: (id, epoch, to) => this.#steer(id, epoch, to),
      unsteer: (id, epoch) => this.#steer(id, epoch, owner.config.id),
      freeze: (id, now) => this.#freeze(id, now),
      thaw: id => this.#thaw(id),
      hasten: to => owner.environment.hasten?.(to),
      release: (id, epoch, to, now) => this.#release(id, epoch, to, now),
      reclaim: (id, epoch, now) => this.#reclaim(id, epoch, now),
    })
    this.incoming = new IncomingShifts({
      send: (to, message) => this.#send(to, message),
      knownEpoch: (id, now) => this.#knownEpoch(id, now),
      refused: (id, epoch) => this.#refused(id, epoch),
      admits: prepare => this.#admits(prepare),
      fetch: (prepare, from) => this.#fetch(prepare, from),
      dormant: (prepare, from, now) => this.#dormant(prepare, from, now),
      drop: () => {},
      adopt: (commit, from, now, prepared) => this.#adopt(commit, from, now, prepared),
    })
  }

  start(
    connection: Connection,
    to: number,
    now: number,
    cause: ShiftCause,
    done: (result: ShiftResult) => void,
  ): void {
    const { environment } = this.#owner
    // Given away already, or over: whoever decided this had not heard of it.
    if (!this.#owner.owns(connection)) return done({ ok: false, reason: 'CLOSED' })
    const finish = (result: ShiftResult, endedAt: number, epoch = 0) => {
      this.#finished(connection, result, endedAt)
      this.#log(connection.id, epoch, to, cause, result, now)
      done(result)
    }
    // TIME-WAIT holds nothing that anybody could want elsewhere, and is given up rather than moved.
    if (connection.isInTimeWait) return finish({ ok: false, reason: 'NOT_SHIFTABLE' }, now)
    if (to === this.#owner.config.id || !environment.reachable(to)) {
      return finish({ ok: false, reason: 'UNKNOWN_TARGET' }, now)
    }
    const refusal = this.#owner.application.movable?.(connection, false, now)
    if (refusal !== undefined) return finish({ ok: false, reason: refusal }, now)
    const needs = this.#unpreparedNeeds(connection, to, now)
    if (needs === undefined) return this.#attempt(connection, to, now, finish, false)
    const settle = (result: ShiftResult, endedAt: number, epoch: number) => {
      if (result.ok || result.reason !== 'NO_OBJECT') return finish(result, endedAt, epoch)
      // It held them once: now it has to read them.
      this.#holders.forget(to, needs)
      this.#attempt(connection, to, endedAt, finish, false)
    }
    this.#attempt(connection, to, now, settle, true)
  }

  #attempt(
    connection: Connection,
    to: number,
    now: number,
    done: (result: ShiftResult, now: number, epoch: number) => void,
    unprepared: boolean,
  ): void {
    const epoch = ++connection.triedEpoch
    const ended = (result: ShiftResult, at: number) => done(result, at, epoch)
    this.outgoing.start(connection.id, epoch, connection, to, now, ended, unprepared)
  }

  /**
   * The keys that a connection needs at its target, where it may be given over without asking: the target was heard just
   * now, holds all of them as far as we know, and no packet is to be steered there before COMMIT. Undefined: ask.
   */
  #unpreparedNeeds(connection: Connection, to: number, now: number): readonly string[] | undefined {
    if (now - (this.#heardAt[to] ?? Number.NEGATIVE_INFINITY) > HEARD_MS) return undefined
    if (this.#needsSteering(connection.id)) return undefined
    const { needs, octets, resident } = requirements(connection.tcb)
    if (octets > MAX_OCTETS_UNPREPARED || !resident) return undefined
    return this.#holders.hold(to, needs) ? needs : undefined
  }

  /** Anything came from an owner. */
  heard(from: number, now: number): void {
    this.#heardAt[from] = now
  }

  /** False for what is not a message of the shift protocol. */
  receive(from: number, plain: readonly unknown[], now: number): boolean {
    const message = decodeShiftMessage(plain)
    switch (message?.type) {
      case undefined:
        return false
      case 'PREPARE':
      case 'ABORT':
      case 'COMMIT':
        this.incoming.receive(from, message, now)
        return true
      case 'PREPARED':
        this.#holders.note(from, this.outgoing.needsOf(message.connection))
        this.outgoing.receive(from, message, now)
        return true
      case 'REFUSED':
      case 'SHIFTED':
        this.outgoing.receive(from, message, now)
        return true
    }
  }

  /** The client has echoed our own id: the old owner need wait no longer. */
  confirm(connection: Connection, now: number): void {
    const { id, epoch, adoptedAt } = connection
    this.#owner.shiftLog.arrivals.add({ connection: id, epoch, ms: now - adoptedAt })
    this.#confirm(connection)
  }

  #confirm(connection: Connection): void {
    const { id, epoch, confirmTo } = connection
    connection.confirmTo = -1
    this.#send(confirmTo, { type: 'SHIFTED', connection: id, epoch, confirmed: true })
  }

  /** The connection ends, or moves on, before the client has echoed our id: its former owner must not wait for that. */
  leaving(connection: Connection): void {
    const { id, epoch, confirmTo } = connection
    this.#carried.release(connection)
    if (confirmTo < 0) return
    connection.confirmTo = -1
    this.#send(confirmTo, { type: 'SHIFTED', connection: id, epoch, confirmed: false })
  }

  /** Octets to send that connections brought along. */
  get carriedOctets(): number {
    return this.#carried.octets
  }

  pollAt(): number {
    return Math.min(this.outgoing.pollAt(), this.incoming.pollAt())
  }

  expire(now: number): void {
    this.outgoing.expire(now)
    this.incoming.expire(now)
  }

  #send(to: number, message: ShiftMessage): boolean {
    const sent = this.#owner.environment.send(to, [SHIFT_PROTOCOL, ...encodeShiftMessage(message)])
    if (message.type === 'COMMIT') this.#repeatHeld(to, message.connection)
    return sent
  }

  /** A packet of a connection is passed on to its new owner: where that may have to be done again, it is kept. */
  passedOn(id: number, packet: PacketMessage): void {
    const given = this.#given.get(id)
    const octets = packet.octets.length
    if (given === undefined || this.#heldOctets + octets > MAX_HELD_OCTETS) return
    given.held.push(packet)
    given.octets += octets
    this.#heldOctets += octets
  }

  #repeatHeld(to: number, id: number): void {
    for (const packet of this.#given.get(id)?.held ?? []) {
      this.#owner.environment.sendDroppable(to, [OWNER_PROTOCOL, ...encodeOwnerMessage(packet)])
    }
  }

  /** COMMIT is answered, or will not be. */
  #takeGiven(id: number): Connection | undefined {
    const given = this.#given.get(id)
    if (given === undefined) return undefined
    this.#given.delete(id)
    this.#heldOctets -= given.octets
    return given.connection
  }

  #connection(id: number): Connection | undefined {
    const entry = this.#owner.byId.get(id)
    return entry?.kind === 'connection' ? entry : undefined
  }

  #requirements(id: number): Requirements | undefined {
    const connection = this.#connection(id)
    return connection === undefined ? undefined : requirements(connection.tcb)
  }

  #movable(id: number, now: number): ShiftRefusal | undefined {
    const connection = this.#connection(id)
    if (connection === undefined) return 'CLOSED'
    return this.#owner.application.movable?.(connection, true, now)
  }

  /** A client without timestamps echoes no id; where the dispatcher relays anyway, nobody reads the echo. */
  #needsSteering(id: number): boolean {
    const connection = this.#connection(id)
    return connection !== undefined && !connection.timestamps && this.#owner.config.mode === 'shift'
  }

  #steer(id: number, epoch: number, to: number): void {
    const connection = this.#connection(id)
    if (connection !== undefined) this.#owner.environment.steer(connection, epoch, to)
  }

  #freeze(id: number, now: number): unknown {
    const connection = this.#connection(id) as Connection
    connection.frozen = true
    const { tcb, shifts, request, since } = connection
    const application = this.#owner.application.exportState(connection, now)
    return exportSnapshot({ tcb, application, shifts, request, since }, now)
  }

  #thaw(id: number): void {
    const connection = this.#connection(id)
    if (connection === undefined) return
    connection.frozen = false
    this.#owner.markDirty(connection)
  }

  #release(id: number, epoch: number, to: number, now: number): void {
    const connection = this.#connection(id) as Connection
    countOwned(connection.tcb, -1)
    this.#owner.remove(connection)
    this.leaving(connection)
    this.#given.set(id, { connection, held: [], octets: 0 })
    const forgetAt = this.#owner.isDispatcher ? Number.POSITIVE_INFINITY : now + TOMBSTONE_MS
    const { request, timestamps } = connection
    const forward = new Forward(id, epoch, connection, to, forgetAt, timestamps, request)
    this.#owner.addForward(forward, now)
    this.#owner.counters.shifted++
    this.#owner.environment.forwarding(forward)
  }

  #reclaim(id: number, epoch: number, now: number): void {
    const connection = this.#takeGiven(id)
    if (connection === undefined) return
    connection.frozen = false
    connection.epoch = epoch
    if (!this.#owner.install(connection)) {
      // Others have come in its place: it ends, and whoever still speaks to it hears so from the dispatcher.
      this.#owner.application.released(connection, now)
      return this.#owner.environment.closed(connection)
    }
    countOwned(connection.tcb, 1)
    this.#owner.application.resumed(connection, now)
    this.#owner.environment.owned(connection)
  }

  #finished(connection: Connection, result: ShiftResult, now: number): void {
    const { counters, application } = this.#owner
    if (!result.ok) count(counters.aborted, result.reason)
    else if (result.confirmed) {
      counters.confirmed++
      countDuration(counters.shiftMs, result.ms)
    }
    if (this.#takeGiven(connection.id) === undefined) {
      if (!result.ok) application.kept?.(connection, now)
      return
    }
    application.released(connection, now)
    // A dispatcher's record ends with its node.
    if (result.ok || this.#owner.isDispatcher) return
    // It has ended with its target: who still speaks to it is to hear so from the dispatcher.
    const forward = this.#owner.byId.get(connection.id)
    if (forward?.kind === 'forward') this.#owner.forwards.remove(forward)
  }

  #log(
    connection: number,
    epoch: number,
    to: number,
    cause: ShiftCause,
    result: ShiftResult,
    startedAt: number,
  ): void {
    // Any number may be asked for, but there are only so many owners to remember.
    if (!Number.isInteger(to) || to < 0 || to >= 1 << this.#owner.config.tcp.ownerIdBits) return
    const took = result.ok ? result : { ms: 0, preparedMs: 0, pauseMs: 0 }
    this.#owner.shiftLog.add({
      connection,
      epoch,
      to,
      cause,
      refusal: result.ok ? undefined : result.reason,
      startedAt,
      endedAt: startedAt + took.ms,
      preparedMs: took.preparedMs,
      committedMs: took.ms - took.pauseMs,
    })
  }

  #knownEpoch(id: number, now: number): number {
    const { byId, epochs } = this.#owner
    const entry = byId.get(id)
    return entry === undefined ? epochs.get(id, now) : Math.max(entry.epoch, entry.refusedEpoch)
  }

  #refused(id: number, epoch: number): boolean {
    return this.#owner.byId.get(id)?.refusedEpoch === epoch
  }

  /** Whether the connection that others call so is another one here: the name of one cannot stand for two. */
  isNamesake(id: number, flow: Flow): boolean {
    const entry = this.#owner.byId.get(id)
    return entry?.kind === 'connection' && !sameFlow(entry, flow)
  }

  #admits(prepare: Prepare): ShiftRefusal | undefined {
    if (this.isNamesake(prepare.connection, prepare.flow)) return 'STALE'
    if (prepare.octets > MAX_OCTETS_BY_VALUE || this.#owner.full) return 'NO_MEMORY'
    return this.#owner.application.admits(prepare)
  }

  #fetch(prepare: Prepare, from: number): void {
    const checked = (refusal: ShiftRefusal | undefined) => this.incoming.checked(prepare, refusal)
    this.#owner.application.fetch(prepare.needs, checked, from)
  }

  /** Packets may be steered here before COMMIT (a client without timestamps): they still belong to the source. */
  #dormant(prepare: Prepare, from: number, now: number): void {
    const owner = this.#owner
    owner.counters.cloned++
    const before = owner.flows.find(prepare.flow)
    if (before !== undefined && before.id !== prepare.connection) return
    if (before?.kind === 'connection') return
    if (before !== undefined) {
      before.to = from
      return
    }
    // Remembered below the epoch that is being prepared, so that its COMMIT is still news.
    const forward = new Forward(
      prepare.connection,
      prepare.epoch - 1,
      prepare.flow,
      from,
      now + TOMBSTONE_MS,
      true,
      '',
    )
    owner.addForward(forward, now)
  }

  /** Whether a TCB is of the flow that its COMMIT names, and of an address that is ours to answer from. */
  #isOfFlow({ flow }: Tcb, named: Flow): boolean {
    const { vips } = this.#owner.config
    const { family, local0, local1, local2, local3 } = flow
    return (
      family === named.family && sameFlow(flow, named) && vips.has(family, local0, local1, local2, local3)
    )
  }

  /** Whether there is room for what a snapshot carries by value, whatever its PREPARE said, if there was one. */
  #hasMemory(tcb: Tcb, now: number): boolean {
    const { octets } = requirements(tcb)
    const held = this.#owner.memory.octets + octets - tcb.sendQueue.ownedOctets
    if (octets > MAX_OCTETS_BY_VALUE || held > this.#owner.config.limits.heldOctets) return false
    return this.#carried.hasRoom(tcb.sendQueue.ownedOctets, now)
  }

  #adopt(commit: Commit, from: number, now: number, prepared: boolean): ShiftRefusal | undefined {
    const owner = this.#owner
    // Not even remembered: its name is taken.
    if (this.isNamesake(commit.connection, commit.flow)) return 'STALE'
    if (!prepared) {
      const { connection, epoch, flow } = commit
      const refusal = this.#admits({
        type: 'PREPARE',
        connection,
        epoch,
        flow,
        needs: [],
        octets: 0,
        round: 0,
      })
      if (refusal !== undefined) return this.#refuse(commit, from, now, refusal)
      owner.counters.cloned++
    }
    let isMissing = false
    const needs: string[] = []
    const snapshot = importSnapshot(commit.snapshot, owner.config.tcp, now, key => {
      needs.push(key)
      const content = owner.application.resolve(key)
      isMissing ||= content === undefined
      return content
    })
    if (isMissing) return this.#refuse(commit, from, now, 'NO_OBJECT')
    if (typeof snapshot === 'string') return this.#refuse(commit, from, now, 'BAD_SNAPSHOT')
    const connection = this.takeOver(commit.connection, commit.epoch, commit.flow, snapshot, now)
    if (typeof connection === 'string') return this.#refuse(commit, from, now, connection)
    this.#holders.note(from, needs)
    connection.confirmTo = from
    connection.adoptedAt = now
    // Where no echo of our id can come, there is nothing to wait for.
    if (owner.config.mode === 'clone' || !connection.timestamps) this.#confirm(connection)
    owner.environment.owned(connection)
    owner.application.resumed(connection, now)
    return undefined
  }

  /** A connection that another owner gave to us, or left, is ours from now on; or why that cannot be. */
  takeOver(
    id: number,
    epoch: number,
    flow: Flow,
    snapshot: Snapshot,
    now: number,
  ): Connection | ShiftRefusal {
    const owner = this.#owner
    const { tcb } = snapshot
    if (!this.#isOfFlow(tcb, flow)) return 'BAD_SNAPSHOT'
    if (!this.#hasMemory(tcb, now)) return 'NO_MEMORY'
    const connection = new Connection(id, epoch, flow, tcb)
    connection.shifts = snapshot.shifts + 1
    connection.request = snapshot.request
    connection.since = snapshot.since
    if (!owner.application.importState(connection, snapshot.application, now)) return 'BAD_SNAPSHOT'
    if (!owner.install(connection)) return 'NO_MEMORY'
    this.#carried.note(connection, tcb.sendQueue.ownedOctets)
    adopt(tcb, owner.config.mode === 'clone' ? tcb.ts.ownerId : owner.config.id, now)
    owner.counters.adopted++
    return connection
  }

  /** Remembers that this epoch was refused after its COMMIT, so that a copy of the COMMIT finds the same answer. */
  #refuse(commit: Commit, from: number, now: number, reason: ShiftRefusal): ShiftRefusal {
    const { connection, epoch, flow } = commit
    const present = this.#connection(connection)
    if (present !== undefined) present.refusedEpoch = epoch
    // A dispatcher takes nothing: the next copy finds the same answer, and its records are for what lives.
    if (present !== undefined || this.#owner.isDispatcher) return reason
    const forward = new Forward(connection, epoch, flow, from, now + TOMBSTONE_MS, true, '')
    forward.refusedEpoch = epoch
    this.#owner.addForward(forward, now)
    return reason
  }
}
