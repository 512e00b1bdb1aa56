/**
 * What runs on an owner's connections: the static site on a node, the reader of request heads on the dispatcher.
 * It sees connections that are this owner's, and never learns what packets look like.
 */
import type { Prepare, ShiftRefusal } from '../../shift/messages.ts'
import type { Content } from '../tcp/content.ts'
import type { Connection } from './connection.ts'

export interface Application {
  /** Whether connections to this port are accepted; where it is absent, those to the port of the service. */
  listens?(port: number): boolean
  /** A connection was accepted here. Sets `connection.state`. */
  accepted(connection: Connection, now: number): void
  /** The TCB has news: `events` is a mask of `node/tcp/events.ts`. */
  advanced(connection: Connection, events: number, now: number): void
  /** `connection.applicationDeadline` has passed; it is Infinity again, and stays so unless it is set anew. */
  expired(connection: Connection, now: number): void
  /** The connection is over, or given away: nothing of it may be used any more. */
  released(connection: Connection, now: number): void

  /**
   * Why a connection cannot be given away now; undefined where it can, and where this is absent. Asked when a shift is
   * wanted, and again (`final`) right before the connection is frozen, in one step with `exportState`.
   */
  movable?(connection: Connection, final: boolean, now: number): ShiftRefusal | undefined
  /** A shift has not happened, whether or not it came to the last question; the connection goes on here. */
  kept?(connection: Connection, now: number): void

  /** The application's state in plain data, for a snapshot: deadlines as time left. */
  exportState(connection: Connection, now: number): unknown
  /** Takes up the state that `exportState` gave elsewhere; false where it is not one. */
  importState(connection: Connection, plain: unknown, now: number): boolean
  /** After adoption: goes on where the former owner stopped. */
  resumed(connection: Connection, now: number): void

  /** Why a connection cannot be taken now; undefined where it can. */
  admits(prepare: Prepare): ShiftRefusal | undefined
  /** Brings the contents of these keys, which `from` has, into memory; says whether all are there. May answer at once. */
  fetch(keys: readonly string[], done: (refusal: ShiftRefusal | undefined) => void, from: number): void
  resolve(key: string): Content | undefined
}
