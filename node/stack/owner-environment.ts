/** What one owner is told at its start, and what it asks of the world around it: a process, or a simulator. */

import type { TcpConfig } from '../tcp/config.ts'
import type { HashKey } from '../tcp/isn.ts'
import type { PacketBatch } from '../tun/packet-batch.ts'
import type { Connection, Forward } from './connection.ts'
import type { OwnerLimits } from './limits.ts'
import type { ClosedMessage, OwnedMessage, SteerMessage } from './messages.ts'
import type { Vips } from './vips.ts'

export interface OwnerConfig {
  readonly id: number
  readonly vips: Vips
  readonly tcp: TcpConfig
  /** `shift`: we stamp our own id, and packets come straight to us. `clone`: its dispatcher's, which relays. */
  readonly mode: 'shift' | 'clone'
  readonly limits: OwnerLimits
  /** Upper part of the ids of connections that begin here, so that no two owners give the same. */
  readonly idBase: number
  /** The cluster's, at an owner that accepts: a dispatcher, or who serves alone. Nodes have none. */
  readonly secret: HashKey | undefined
}

/** What an owner asks of the world around it. */
export interface OwnerEnvironment {
  transmit(batch: PacketBatch): void
  /** Sends an envelope to another owner; false when it surely was not sent. */
  send(to: number, envelope: unknown[]): boolean
  /** The same for what may be lost, as packets may. */
  sendDroppable(to: number, envelope: unknown[]): boolean
  /** What was sent to an owner leaves at once, where it would wait for us to be done. */
  hasten?(to: number): void
  /** A uniformly distributed int32. */
  random(): number
  /** Wall clock in whole seconds. */
  nowSecond(): number
  /** The same in ms, as the sequence numbers and timestamps of new connections follow it on every machine. */
  wallMs(): number
  /** We own the connection now, or it ended here: for the dispatchers' records, off the packet path. */
  owned(connection: Connection): void
  closed(connection: Connection): void
  /**
   * The connection is about to send, and its response takes longer than one flight, or did: whoever would go on with it after our
   * death should hear of it. On the packet path.
   */
  record?(connection: Connection): void
  /** We gave a connection away, and pass its packets on (in clone mode the kernel may do it for us). */
  forwarding(forward: Forward): void
  /** Points the kernel's fallback element of a flow at `to`; the answer goes to `owner.steered`. */
  steer(connection: Connection, epoch: number, to: number): void
  /** An owner's news for the dispatcher: OWNED, CLOSED or STEER. */
  told(from: number, message: OwnedMessage | ClosedMessage | SteerMessage, now: number): void
  /** Whether the owner `id` is one that packets can be sent to now. */
  reachable(id: number): boolean
  /** The dispatchers that can be reached now, which know where a flow lives that we do not know; we are not among them. */
  dispatchers(): readonly number[]
  /** Whether a segment of a flow that nobody claims may be answered by RST now (all nodes have reported). */
  settled(): boolean
}
