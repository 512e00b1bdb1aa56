/**
 * Connections of nodes that died, given to others: keeps the birth records of responses that take their time, and when a
 * node is gone finds each of its connections that has one another owner. The fallback elements and forwards it changes are the
 * dispatcher's; how a node goes on with a connection is `node/tcp/succession.ts`.
 */
import {
  encodeRecordsMessage,
  MAX_DISOWNED,
  type NotRecoveredMessage,
  type RecordMessage,
} from '../node/server/record-messages.ts'
import type { Forward } from '../node/stack/connection.ts'
import { count } from '../node/stack/counters.ts'
import type { ShiftRefusal } from '../shift/messages.ts'

/** Octets of all records, at some 400 each. */
export const MAX_RECORDS_OCTETS = 256 * 1024 * 1024
/** Orders given in one go; the rest follows after a moment, so that one node's death does not stall the others. */
const MAX_ORDERS_AT_ONCE = 256
const ORDER_PAUSE_MS = 5
/** Records that one sweep looks at: some ms. */
const MAX_SWEPT = 16_384
/** An order that was not answered for so long is repeated: contents may have to be read first. */
const REPEAT_MS = 500
/** Connections are lost for whom nobody is found in this time. */
const GIVE_UP_MS = 20_000
/**
 * The epoch of a succession lies so far above those known here that no attempt of the dead owner to shift the connection, of
 * which nobody told us, can be above it. The id of the dispatcher is added: two that give one connection to two nodes, because
 * one took over from the other in the middle, agree by it on whose word counts.
 */
const EPOCHS_AHEAD = 1_024
/** The dead owner's clock may have been heard late, and a node that is only cut off goes on for a while. */
const TICKS_AHEAD_MS = 10_000

export type LossReason = ShiftRefusal | 'NO_RECORD' | 'NO_NODE'

interface Birth {
  readonly record: Uint8Array
  readonly epoch: number
  readonly at: number
}

/** A connection whose owner is dead. */
interface Orphan {
  readonly from: number
  readonly since: number
  /** Whom it was offered to; -1: nobody yet, or the one asked said no. */
  to: number
  readonly refused: number[]
  reason: LossReason
  /** Changes of owner since its record. */
  shifts: number
  /** When it is to be offered, or offered again. */
  dueAt: number
}

export interface RecoveryHost {
  /** Of the dispatcher. */
  readonly id: number
  readonly ownerIdBits: number
  /** The forward of a connection, while it is one. */
  forward(connection: number): Forward | undefined
  /** Every forward. */
  forwards(): Iterable<Forward>
  /** Who should go on with what was asked for, of those that are up. */
  place(path: string, not: readonly number[]): number | undefined
  send(to: number, envelope: unknown[]): boolean
  /** The gateways send the client's packets to `to` from now on, where it has no timestamps. */
  steer(forward: Forward, to: number, steered: (ok: boolean) => void): void
  /** The forward points elsewhere. */
  moved(forward: Forward): void
  /** Nobody goes on with it. */
  lost(forward: Forward): void
}

export interface RecoveryCounters {
  /** Connections whose owner died and that another went on with. */
  recovered: number
  /** Those that ended with their owner, by why nobody could go on with them. */
  readonly lost: Record<string, number>
  /** Records that found no room. */
  dropped: number
}

export class Recovery {
  readonly counters: RecoveryCounters = { recovered: 0, lost: {}, dropped: 0 }
  readonly #host: RecoveryHost
  readonly #births = new Map<number, Birth>()
  readonly #orphans = new Map<number, Orphan>()
  #cursor: MapIterator<number> | undefined = undefined
  #octets = 0
  #dueAt = Number.POSITIVE_INFINITY

  constructor(host: RecoveryHost) {
    this.#host = host
  }

  /** Records kept, and connections that wait for an owner. */
  get size(): { readonly records: number; readonly octets: number; readonly orphans: number } {
    return { records: this.#births.size, octets: this.#octets, orphans: this.#orphans.size }
  }

  told({ owned, record }: RecordMessage, now: number): void {
    const { connection, epoch } = owned
    const known = this.#births.get(connection)
    if (known !== undefined && known.epoch > epoch) return
    if (known === undefined && this.#host.forward(connection) === undefined) return
    this.#drop(connection)
    // The node keeps none of it any more.
    if (record.length === 0) return
    if (this.#octets + record.length > MAX_RECORDS_OCTETS) {
      this.counters.dropped++
      return
    }
    // A view into what the link received.
    this.#births.set(connection, { record: new Uint8Array(record), epoch, at: now })
    this.#octets += record.length
  }

  /** The connection lives at `owner`, as that says. */
  claimed(connection: number, owner: number): void {
    const orphan = this.#orphans.get(connection)
    if (orphan === undefined) return
    if (orphan.to === owner) this.counters.recovered++
    this.#orphans.delete(connection)
  }

  /** The connection has ended, or is unknown from now on. */
  ended(connection: number): void {
    this.#drop(connection)
    this.#orphans.delete(connection)
  }

  /** Whether somebody is sought for the connection. */
  seeks(connection: number): boolean {
    return this.#orphans.has(connection)
  }

  /** `node` is taken for dead: whatever it owned, or was to take up, is to live on, as far as there is a record of it. */
  died(node: number, now: number): void {
    for (const forward of this.#host.forwards()) {
      if (forward.to === node && this.#births.has(forward.id)) this.#orphan(forward, node, now)
    }
    for (const orphan of this.#orphans.values()) if (orphan.to === node) release(orphan, now)
    this.#again(now)
  }

  #orphan(forward: Forward, from: number, now: number): void {
    // What the node's next run gives back as unknown is not the client's mistake.
    forward.claimedAt = now
    if (this.#orphans.has(forward.id)) return
    const reason = 'NO_NODE'
    this.#orphans.set(forward.id, { from, since: now, to: -1, refused: [], reason, shifts: 0, dueAt: now })
  }

  /** So many connections ended with their node, of which nothing was known but where they lived. */
  lostWithoutRecord(connections: number): void {
    const { lost } = this.counters
    if (connections > 0) lost.NO_RECORD = (lost.NO_RECORD ?? 0) + connections
  }

  notRecovered(from: number, { connection, epoch, reason }: NotRecoveredMessage, now: number): void {
    const orphan = this.#orphans.get(connection)
    if (orphan?.to !== from || this.#host.forward(connection)?.epoch !== epoch) return
    orphan.refused.push(from)
    orphan.reason = reason
    release(orphan, now)
    this.#again(now)
  }

  /** Tells a node of connections that it believes to be its own, and that others have taken up. */
  disown(
    from: number,
    connections: readonly { readonly connection: number; readonly epoch: number }[],
  ): void {
    for (let at = 0; at < connections.length; at += MAX_DISOWNED) {
      const some = connections.slice(at, at + MAX_DISOWNED)
      this.#host.send(from, encodeRecordsMessage({ type: 'DISOWN', connections: some }))
    }
  }

  /** Forgets records of connections that are known no more, however that came; to be called now and then. */
  sweep(): void {
    for (let looked = 0; looked < MAX_SWEPT; looked++) {
      this.#cursor ??= this.#births.keys()
      const { value: connection, done } = this.#cursor.next()
      if (done === true) {
        this.#cursor = undefined
        return
      }
      if (this.#host.forward(connection) === undefined) this.ended(connection)
    }
  }

  pollAt(): number {
    return this.#dueAt
  }

  poll(now: number): void {
    if (now < this.#dueAt) return
    this.#dueAt = Number.POSITIVE_INFINITY
    let orders = 0
    for (const [connection, orphan] of this.#orphans) {
      if (orphan.dueAt > now) this.#again(orphan.dueAt)
      else if (orders++ < MAX_ORDERS_AT_ONCE) this.#offer(connection, orphan, now)
      else this.#again(now + ORDER_PAUSE_MS)
    }
  }

  #again(at: number): void {
    this.#dueAt = Math.min(this.#dueAt, at)
  }

  #offer(connection: number, orphan: Orphan, now: number): void {
    const forward = this.#host.forward(connection)
    const birth = this.#births.get(connection)
    if (forward === undefined || birth === undefined) return void this.#orphans.delete(connection)
    if (now - orphan.since >= GIVE_UP_MS) return this.#lose(connection, forward, orphan)
    const to = orphan.to >= 0 ? orphan.to : this.#host.place(pathOf(forward.request), orphan.refused)
    orphan.dueAt = now + REPEAT_MS
    this.#again(orphan.dueAt)
    if (to === undefined) {
      // Somebody may come yet, but not to those who have all said no.
      if (orphan.refused.length > 0) this.#lose(connection, forward, orphan)
      return
    }
    forward.claimedAt = now
    if (orphan.to < 0) {
      orphan.shifts = Math.max(0, forward.epoch - birth.epoch)
      forward.epoch = Math.max(forward.epoch, birth.epoch) + EPOCHS_AHEAD + this.#host.id
      orphan.to = to
    }
    if (forward.timestamps) return this.#order(forward, birth, orphan, now)
    this.#host.steer(forward, to, ok => {
      if (ok && this.#orphans.get(connection) === orphan && orphan.to === to) {
        this.#order(forward, birth, orphan, now)
      }
    })
  }

  #order(forward: Forward, birth: Birth, { to, from, shifts }: Orphan, now: number): void {
    const { id: connection, epoch } = forward
    const elapsedMs = now - birth.at + TICKS_AHEAD_MS
    // Each change of owner since the record has taken a tick of its own.
    const ticks = Math.ceil(elapsedMs / (1 << this.#host.ownerIdBits)) + shifts
    const { record } = birth
    this.#host.send(
      to,
      encodeRecordsMessage({ type: 'RECOVER', connection, epoch, flow: forward, ticks, from, record }),
    )
    if (forward.to === to) return
    forward.to = to
    this.#host.moved(forward)
  }

  #lose(connection: number, forward: Forward, { reason }: Orphan): void {
    count(this.counters.lost, reason)
    this.ended(connection)
    this.#host.lost(forward)
  }

  #drop(connection: number): void {
    const known = this.#births.get(connection)
    if (known === undefined) return
    this.#births.delete(connection)
    this.#octets -= known.record.length
  }
}

/** Nobody has it. */
function release(orphan: Orphan, now: number): void {
  orphan.to = -1
  orphan.dueAt = now
}

/** Of the request as it is shown. */
function pathOf(request: string): string {
  const space = request.indexOf(' ')
  return space < 0 ? request : request.slice(space + 1)
}
