/**
 * The invariants of the design (§8), checked after every event of a simulation. A violation throws with the seed, so
 * that the run can be repeated.
 */
import type { Owner } from '../../../node/stack/owner.ts'
import { createSegment, RST, SYN } from '../../../node/wire/segment.ts'
import type { Packet } from '../network/element.ts'
import { type Cluster, parse } from './cluster.ts'

export class Invariants {
  readonly #cluster: Cluster
  readonly #segment = createSegment()
  /** The last TSval sent to each client port, and in which connection. */
  readonly #tsVals = new Map<number, number>()
  checks = 0

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  check(): void {
    this.checks++
    if (this.#cluster.options.isBetrayed === true) return
    this.#oneOwner()
    if (this.#cluster.options.isAttacked !== true) this.#noStateAtTheGateway()
  }

  /** `owner` is about to send `packet` to a client. */
  sent(owner: Owner, packet: Packet): void {
    // Forged packets get ICMP in answer, and ports of honest clients.
    const { isAttacked, isBetrayed } = this.#cluster.options
    if (isAttacked === true || isBetrayed === true) return
    const segment = parse(packet, this.#segment)
    if (segment === undefined) return this.#fail('a packet that does not parse was sent')
    const port = segment.dstPort
    if ((segment.flags & RST) !== 0) this.#noReset(owner, port)
    if ((segment.flags & SYN) !== 0) this.#tsVals.delete(port)
    if (!segment.hasTimestamps || this.#cluster.isCutOff(owner.config.id)) return
    // 3. TSval never decreases on a connection.
    const before = this.#tsVals.get(port)
    if (before !== undefined && ((segment.tsVal - before) | 0) < 0) {
      this.#fail(`owner ${owner.config.id} sent TSval ${segment.tsVal} after ${before}`)
    }
    this.#tsVals.set(port, segment.tsVal)
  }

  /** 1. At any time at most one owner of a connection transmits. */
  #oneOwner(): void {
    const owned = new Map<number, number>()
    for (const owner of this.#cluster.owners()) {
      // A node that is cut off does not know what it owned once; what it still sends must change nothing for the clients.
      if (this.#cluster.isCutOff(owner.config.id)) continue
      for (const entry of owner.byId.values()) {
        if (entry.kind !== 'connection' || entry.frozen) continue
        const other = owned.get(entry.id)
        if (other !== undefined) this.#fail(`owners ${other} and ${owner.config.id} both own ${entry.id}`)
        owned.set(entry.id, owner.config.id)
      }
    }
  }

  /** 5. No state per flow at the gateway for clients with timestamps. */
  #noStateAtTheGateway(): void {
    const { table } = this.#cluster.steering
    if (table.size === 0) return
    for (const element of table.elements()) {
      for (const owner of this.#cluster.owners()) {
        for (const entry of owner.byId.values()) {
          if (entry.kind === 'connection' && entry.remotePort === element.port && entry.timestamps) {
            this.#fail(`the gateway has an element for ${element.address}:${element.port}`)
          }
        }
      }
    }
  }

  /** 7. No RST is ever sent for a flow that some owner holds. */
  #noReset(sender: Owner, port: number): void {
    for (const owner of this.#cluster.owners()) {
      if (this.#cluster.isCutOff(owner.config.id)) continue
      for (const entry of owner.byId.values()) {
        if (entry.kind === 'connection' && entry.remotePort === port && entry.peek().state !== 'CLOSED') {
          this.#fail(`owner ${sender.config.id} reset port ${port}, which owner ${owner.config.id} holds`)
        }
      }
    }
  }

  #fail(what: string): never {
    const { seed } = this.#cluster.options
    throw new Error(`SEED=${seed} at ${this.#cluster.now.toFixed(3)} ms: ${what}`)
  }
}
