/**
 * The birth records of a dispatcher: which owner each connection lives at, so that a packet without a usable timestamp
 * (an RST, an ICMP error, a client without the option) finds its way. A record is a forward of the dispatcher's owner that
 * lives as long as the connection. Told after the fact by the owners, and told whole again on every new link: what a link took
 * with it, or other dispatchers alone heard, is seen by that.
 */
import type { RecordMessage } from '../node/server/record-messages.ts'
import { Forward } from '../node/stack/connection.ts'
import type { ClosedMessage, Owned, OwnedMessage } from '../node/stack/messages.ts'
import type { Owner } from '../node/stack/owner.ts'
import type { Recovery } from './recovery.ts'

/**
 * A record that its owner does not name any more stays for so long: the connection may live at a node that was cut off as well,
 * and comes back within seconds; or be on its way there, which a source tries for 10 s (`COMMIT_GIVE_UP_MS`).
 */
export const DOUBT_MS = 15_000

/** Whose a connection is, undefined: nobody's any more, from which epoch on. */
interface Newer {
  readonly to: number | undefined
  readonly id: number
  readonly epoch: number
}

export class Records {
  readonly #owner: Owner
  /** Called with each record that is new or points elsewhere now: the relay and the fallback elements follow it. */
  readonly #placed: (record: Forward) => void
  readonly #ended: (record: Forward) => void
  readonly #recovery: Recovery
  /** When each node was linked last; bounded by the ids there are. */
  readonly #linkedAt = new Map<number, number>()
  /** Records that were not named, since when; a part of all forwards. */
  readonly #doubtful = new Map<Forward, number>()

  constructor(
    owner: Owner,
    placed: (record: Forward) => void,
    ended: (record: Forward) => void,
    recovery: Recovery,
  ) {
    this.#owner = owner
    this.#placed = placed
    this.#ended = ended
    this.#recovery = recovery
  }

  told(from: number, message: OwnedMessage | ClosedMessage, now: number): void {
    const stale: { connection: number; epoch: number }[] = []
    for (const owned of message.connections) {
      if (message.type === 'CLOSED') this.#closed(from, owned)
      else {
        const newer = this.#owned(from, owned, now)
        if (newer === undefined) this.#recovery.claimed(owned.connection, from)
        else if (newer.to !== from) stale.push({ connection: newer.id, epoch: newer.epoch })
      }
    }
    // A node that was cut off for a while comes back with what others have taken up meanwhile.
    this.#recovery.disown(from, stale)
  }

  /** A record for the case of its owner's death, which says as well who that owner is. */
  born(from: number, message: RecordMessage, now: number): void {
    const { connection, epoch } = message.owned
    // A copy that comes behind the end.
    if (!this.#owner.byId.has(connection) && this.#owner.epochs.get(connection) >= epoch) return
    this.told(from, { type: 'OWNED', connections: [message.owned] }, now)
    const forward = this.#owner.byId.get(connection)
    if (forward?.kind === 'forward' && forward.to === from) this.#recovery.told(message, now)
  }

  /** A new link: what `node` owns is named on it from here on. */
  linked(node: number, now: number): void {
    this.#linkedAt.set(node, now)
  }

  /** `node` has named all that it owns. */
  whole(node: number, now: number): void {
    const since = this.#linkedAt.get(node) ?? now
    for (const record of this.#owner.forwards.values()) {
      if (record.to === node && record.claimedAt < since) this.#doubtful.set(record, now)
    }
  }

  /** Removes what has been doubtful for long; to be called now and then. */
  sweep(now: number): void {
    for (const [record, at] of this.#doubtful) {
      if (now - at < DOUBT_MS) return
      this.#doubtful.delete(record)
      if (record.claimedAt < at && this.#isIdle(record)) this.remove(record)
    }
  }

  /** Whether it is kept, and nothing is under way that would bring a word of it. */
  #isIdle(record: Forward): boolean {
    const { id } = record
    return this.#owner.byId.get(id) === record && !this.#owner.shifting.has(id) && !this.#recovery.seeks(id)
  }

  /** `node` is gone for good: what still comes for the connections that it owned, and nobody takes up, is nobody's. */
  lost(node: number): number {
    let lost = 0
    for (const record of this.#owner.forwards.values()) {
      if (record.to !== node || this.#recovery.seeks(record.id)) continue
      this.remove(record)
      lost++
    }
    return lost
  }

  remove(record: Forward): void {
    this.#owner.forwards.remove(record)
    this.#recovery.ended(record.id)
    this.#ended(record)
  }

  /** What is known already, or was until the connection ended, where that is newer. */
  #owned(from: number, owned: Owned, now: number): Newer | undefined {
    const known = this.#owner.flows.find(owned.flow)
    if (known?.kind === 'connection') {
      // Our own newer connection of a reused port, or one that we are about to release: its forward will say so.
      return undefined
    }
    if (known !== undefined && known.id === owned.connection) {
      // An older owner's word may come after a newer owner's, over another link.
      if (owned.epoch < known.epoch) return known
      known.epoch = owned.epoch
      known.to = from
      known.claimedAt = now
      known.request = owned.request
      this.#placed(known)
      return undefined
    }
    const epoch = this.#owner.epochs.get(owned.connection)
    if (epoch > owned.epoch) return { to: undefined, id: owned.connection, epoch }
    const record = new Forward(
      owned.connection,
      owned.epoch,
      owned.flow,
      from,
      Number.POSITIVE_INFINITY,
      owned.timestamps,
      owned.request,
    )
    record.claimedAt = now
    this.#owner.addForward(record, now)
    this.#placed(record)
    return undefined
  }

  #closed(from: number, owned: Owned): void {
    const known = this.#owner.byId.get(owned.connection)
    if (known?.kind !== 'forward' || known.epoch > owned.epoch) return
    if (known.to !== from && known.epoch === owned.epoch) return
    this.remove(known)
  }
}
