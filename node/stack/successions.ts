/**
 * Connections of an owner that died, taken up here from the record that it left (`node/tcp/succession.ts` says how): contents
 * first, then the TCB, then the application. Who is to take up what is the dispatcher's to say; what it says is checked.
 */
import type { Flow } from '../../clone/flow.ts'
import { requirements } from '../../clone/requirements.ts'
import { exportSnapshot, importSnapshot } from '../../clone/snapshot.ts'
import { isNeeds, MAX_NEEDS, type ShiftRefusal } from '../../shift/messages.ts'
import { succeed } from '../tcp/succession.ts'
import type { Connection } from './connection.ts'
import type { Owner } from './owner.ts'

/** Connections whose contents are being read for them. */
export const MAX_TAKING_UP = 4_096
/** A record with more by value (unread uploads, pages) is not kept: such a response is lost with its owner. */
export const MAX_OCTETS_IN_RECORD = 32_768

/** One connection that is to be taken up. */
export interface Bequest {
  readonly connection: number
  readonly epoch: number
  readonly flow: Flow
  /** Ticks of the timestamp clock that the dead owner may have gone on since the record, at most. */
  readonly ticks: number
  /** What `exportRecord` gave, as it came over the network. */
  readonly record: unknown
  /** Who may have the contents, beside the disk. */
  readonly from: number
}

/** The connection for its record: the keys of its contents, and its snapshot. Undefined where it is too large. */
export function exportRecord(owner: Owner, connection: Connection, now: number): unknown[] | undefined {
  const { tcb, shifts, request, since } = connection
  const { needs, octets } = requirements(tcb)
  if (octets > MAX_OCTETS_IN_RECORD || needs.length > MAX_NEEDS) return undefined
  const application = owner.application.exportState(connection, now)
  return [needs, exportSnapshot({ tcb, application, shifts, request, since }, now)]
}

export class Successions {
  readonly #owner: Owner
  /** Epochs of those whose contents are being read, by connection. */
  readonly #taking = new Map<number, number>()

  constructor(owner: Owner) {
    this.#owner = owner
  }

  /** `done` is called once, perhaps at once: with nothing where the connection is ours now. */
  takeUp(bequest: Bequest, now: () => number, done: (refusal: ShiftRefusal | undefined) => void): void {
    const { connection, epoch, flow, record, from } = bequest
    if (this.#taking.get(connection) === epoch) return
    const owner = this.#owner
    const answer = this.#known(bequest, now())
    if (answer !== undefined) return done(answer === 'ours' ? undefined : answer)
    if (!Array.isArray(record) || record.length !== 2 || !isNeeds(record[0])) return done('BAD_SNAPSHOT')
    const [needs, snapshot] = record
    const prepare = { type: 'PREPARE', connection, epoch, flow, needs, octets: 0, round: 0 } as const
    const refusal = owner.application.admits(prepare)
    if (refusal !== undefined) return done(refusal)
    if (this.#taking.size >= MAX_TAKING_UP || owner.full) return done('NO_MEMORY')
    this.#taking.set(connection, epoch)
    const before = owner.flows.find(flow)
    const fetched = (missing: ShiftRefusal | undefined) => {
      if (this.#taking.get(connection) === epoch) this.#taking.delete(connection)
      const late = this.#known(bequest, now())
      if (late !== undefined) return done(late === 'ours' ? undefined : late)
      const present = owner.flows.find(flow)
      // The client has begun another connection from that port meanwhile.
      if (present?.kind === 'connection' && present !== before) return done('STALE')
      done(missing ?? this.#install(bequest, snapshot, now()))
    }
    owner.application.fetch(needs, fetched, from)
  }

  /** Another owner has taken the connection up meanwhile: it is not ours any more, and the client hears nothing of that. */
  disown(id: number, epoch: number, now: number): void {
    const owner = this.#owner
    const entry = owner.byId.get(id)
    if (entry?.kind === 'connection' && entry.epoch < epoch) {
      // As one that was given away: what is still to be told of it, its owner tells.
      entry.frozen = true
      owner.forget(entry)
    }
    owner.epochs.note(id, epoch, now)
  }

  #known({ connection: id, epoch, flow }: Bequest, now: number): ShiftRefusal | 'ours' | undefined {
    const owner = this.#owner
    if (owner.shifts.isNamesake(id, flow)) return 'STALE'
    const entry = owner.byId.get(id)
    const known = entry?.epoch ?? owner.epochs.get(id)
    if (entry?.kind !== 'connection') {
      // What we have just given away may come back, and is newer than any record of it.
      if (owner.shifting.has(id)) return 'ALREADY_SHIFTING'
      return known >= epoch ? 'STALE' : undefined
    }
    // What we own is newer than any record of it.
    const isRaised = known < epoch
    if (isRaised) {
      entry.epoch = epoch
      entry.triedEpoch = epoch
    }
    owner.environment.owned(entry)
    if (isRaised) {
      // Begun with an epoch that the dispatcher would take for an old one.
      owner.shifts.outgoing.withdraw(id, 'STALE', now)
      owner.flush(now)
    }
    return 'ours'
  }

  #install(
    { connection: id, epoch, flow, ticks }: Bequest,
    plain: unknown,
    now: number,
  ): ShiftRefusal | undefined {
    const owner = this.#owner
    const { application } = owner
    let isMissing = false
    const snapshot = importSnapshot(plain, owner.config.tcp, now, key => {
      const content = application.resolve(key)
      isMissing ||= content === undefined
      return content
    })
    if (isMissing) return 'NO_OBJECT'
    if (typeof snapshot === 'string' || !succeed(snapshot.tcb, ticks, now)) return 'BAD_SNAPSHOT'
    const connection = owner.shifts.takeOver(id, epoch, flow, snapshot, now)
    if (typeof connection === 'string') return connection
    owner.environment.owned(connection)
    application.resumed(connection, now)
    owner.flush(now)
    return undefined
  }
}
