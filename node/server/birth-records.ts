/**
 * A node's side of birth records: it tells the dispatchers of each response that takes longer than one flight, before the first
 * octet of it is sent, and again whenever that record would not do any more; and it takes up what nodes that died have left.
 * The site alone has records: what an application answers is no function of the request.
 */
import { AppConnection } from '../app/app-connection.ts'
import { pack, unpackEach } from '../control/codec.ts'
import type { Connection } from '../stack/connection.ts'
import type { Owner } from '../stack/owner.ts'
import { exportRecord, Successions } from '../stack/successions.ts'
import { decodeRecordsMessage, encodeRecordsMessage, MAX_RECORD_OCTETS } from './record-messages.ts'
import { ownedOf } from './reporter.ts'

/** Octets sent since a record was told, after which its sequence numbers are too old to be compared (`MAX_REACH_OCTETS`). */
const RENEW_OCTETS = 2 ** 28
/**
 * Octets of records that a connection may cost beyond what its client has taken: one that sends octet by octet, and does not
 * read, would have each answered by a record of all that is unread.
 */
const MAX_RECORDS_AHEAD_OCTETS = 262_144
/** Takes back the record told before: the connection has changed, and what it is now is not kept. */
const NONE = new Uint8Array(0)

export interface BirthRecordsHost {
  readonly owner: Owner
  /** To every dispatcher; false where one of them surely does not get it. */
  send(envelope: unknown[]): boolean
  now(): number
  /** The owner's deadline may have moved earlier. */
  wake(): void
}

export class BirthRecords {
  readonly #host: BirthRecordsHost
  readonly #successions: Successions
  #linked = false

  constructor(host: BirthRecordsHost) {
    this.#host = host
    this.#successions = new Successions(host.owner)
  }

  /** Who has come to listen has no records of ours. */
  linkUp(): void {
    this.#linked = true
    for (const entry of this.#host.owner.byId.values()) {
      if (entry.kind !== 'connection' || entry.isPutAway || entry.resting !== undefined) continue
      if (!entry.needsRecord()) continue
      entry.recorded = undefined
      if (!entry.frozen) this.look(entry)
    }
  }

  linkDown(): void {
    this.#linked = false
  }

  /** The connection is about to send: on the packet path, for those alone that have a long response. */
  look(connection: Connection): void {
    if (!this.#linked || connection.state instanceof AppConnection) return
    const { sendQueue, rcv, snd } = connection.tcb
    // Over: the next response that takes its time has a record of its own.
    if (sendQueue.octets === 0) {
      connection.recorded = undefined
      return
    }
    const { recorded } = connection
    const { released } = sendQueue
    const end = released + sendQueue.octets
    if (
      recorded !== undefined &&
      recorded.end === end &&
      recorded.received === rcv.nxt &&
      recorded.closing === snd.finQueued &&
      released - recorded.released < RENEW_OCTETS
    ) {
      return
    }
    const begun = recorded?.begun ?? released
    const cost = recorded?.cost ?? 0
    const told = this.#tell(connection, cost <= MAX_RECORDS_AHEAD_OCTETS + released - begun)
    if (told === undefined) return
    connection.recorded = {
      end,
      received: rcv.nxt,
      closing: snd.finQueued,
      released,
      begun,
      cost: cost + told,
    }
  }

  /** An envelope of the dispatcher; what is none is dropped. */
  receive(envelope: readonly unknown[]): void {
    const message = decodeRecordsMessage(envelope.slice(1))
    switch (message?.type) {
      case 'RECOVER': {
        const { connection, epoch } = message
        const bequest = { ...message, record: unpacked(message.record) }
        this.#successions.takeUp(
          bequest,
          () => this.#host.now(),
          reason => {
            if (reason !== undefined) {
              this.#host.send(encodeRecordsMessage({ type: 'NOT_RECOVERED', connection, epoch, reason }))
            }
            this.#host.wake()
          },
        )
        return
      }
      case 'DISOWN':
        for (const { connection, epoch } of message.connections) {
          this.#successions.disown(connection, epoch, this.#host.now())
        }
    }
  }

  /** Octets of the record that was told; undefined where none could be. */
  #tell(connection: Connection, isAffordable: boolean): number | undefined {
    const { owner, now } = this.#host
    const plain = isAffordable ? exportRecord(owner, connection, now()) : undefined
    const packed = plain && pack(plain)
    const record = packed !== undefined && packed.length <= MAX_RECORD_OCTETS ? packed : NONE
    const message = encodeRecordsMessage({ type: 'RECORD', owned: ownedOf(connection), record })
    return this.#host.send(message) ? record.length : undefined
  }
}

/** Copied: a snapshot keeps what it is given, and the frame holds the messages of others as well. */
function unpacked(record: Uint8Array): unknown {
  let plain: unknown
  unpackEach(new Uint8Array(record), message => {
    plain = message
    return false
  })
  return plain
}
