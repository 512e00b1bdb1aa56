/** What the calls of the API reject with, or throw. Codes are stable; messages are not. */
import type { ShiftRefusal } from '../../shift/messages.ts'

export type GyreErrorCode =
  | `ERR_GYRE_${ShiftRefusal}`
  /** There is no node in this process: run the program by `gyre node --app`. */
  | 'ERR_GYRE_NO_NODE'
  /** The port is taken by another listener of this process. */
  | 'ERR_GYRE_PORT_IN_USE'
  /** The module of the application could not be imported, or threw. */
  | 'ERR_GYRE_APP_FAILED'
  /** An argument is out of its range. */
  | 'ERR_GYRE_BAD_ARGUMENT'

export class GyreError extends Error {
  override readonly name = 'GyreError'
  readonly code: GyreErrorCode

  constructor(code: GyreErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}

const WORDS: Readonly<Partial<Record<ShiftRefusal, string>>> = {
  PINNED: 'it was listened for with `shiftable: false`',
  NO_EXPORT: 'nobody can say what its state is: `listen` was given no `export`, and `shift` no state',
  NOT_NOW: 'the application has no state to give at this moment',
  BAD_STATE: 'its state is not structured data, or could not be told',
  STATE_TOO_LARGE: 'its state is too large',
  UNREAD: 'the stream holds octets that nobody has read',
  UNWRITTEN: 'the stream holds more octets to write than travel',
  PIPED: 'it is piped into, or from, something that does not move with it',
  NO_APPLICATION: 'nobody listens on its port there',
  CLOSED: 'it has been closed',
  UNKNOWN_TARGET: 'there is no such owner',
  DRAINING: 'that owner takes no connections now',
  ALREADY_SHIFTING: 'it is being shifted already',
}

/** A connection that did not move; it goes on here, unless its code is ERR_GYRE_CLOSED or ERR_GYRE_TARGET_DOWN. */
export class ShiftError extends GyreError {
  readonly reason: ShiftRefusal
  readonly owner: number | string

  constructor(reason: ShiftRefusal, owner: number | string) {
    super(`ERR_GYRE_${reason}`, `the socket is not shifted to ${owner}: ${WORDS[reason] ?? reason}`)
    this.reason = reason
    this.owner = owner
  }
}
