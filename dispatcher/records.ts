/**
 * The birth records of a dispatcher: which owner each connection lives at, so that a packet without a usable timestamp
 * (an RST, an ICMP error, a client without the option) finds its way. A record is a forward of the dispatcher's owner that
 * lives as long as the connection. Told after the fact by the owners, and told whole again on every new link.
 */
import { Forward } from '../node/stack/connection.ts'
import type { ClosedMessage, Owned, OwnedMessage } from '../node/stack/messages.ts'
import type { Owner } from '../node/stack/owner.ts'

export class Records {
  readonly #owner: Owner
  /** Called with each record that is new or points elsewhere now: the relay and the fallback elements follow it. */
  readonly #placed: (record: Forward) => void
  readonly #ended: (record: Forward) => void

  constructor(owner: Owner, placed: (record: Forward) => void, ended: (record: Forward) => void) {
    this.#owner = owner
    this.#placed = placed
    this.#ended = ended
  }

  told(from: number, message: OwnedMessage | ClosedMessage, now: number): void {
    for (const owned of message.connections) {
      if (message.type === 'OWNED') this.#owned(from, owned, now)
      else this.#closed(from, owned)
    }
  }

  /** `node` and all it owned is gone for good: what still comes for its connections is nobody's. */
  lost(node: number): number {
    let lost = 0
    for (const record of this.#owner.forwards.values()) {
      if (record.to !== node) continue
      this.#owner.forwards.remove(record)
      this.#ended(record)
      lost++
    }
    return lost
  }

  #owned(from: number, owned: Owned, now: number): void {
    const known = this.#owner.flows.find(owned.flow)
    if (known?.kind === 'connection') {
      // Our own newer connection of a reused port, or one that we are about to release: its forward will say so.
      return
    }
    if (known !== undefined && known.id === owned.connection) {
      // An older owner's word may come after a newer owner's, over another link.
      if (owned.epoch < known.epoch) return
      known.epoch = owned.epoch
      known.to = from
      known.claimedAt = now
      known.request = owned.request
      this.#placed(known)
      return
    }
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
  }

  #closed(from: number, owned: Owned): void {
    const known = this.#owner.byId.get(owned.connection)
    if (known?.kind !== 'forward' || known.epoch > owned.epoch) return
    if (known.to !== from && known.epoch === owned.epoch) return
    this.#owner.forwards.remove(known)
    this.#ended(known)
  }
}
