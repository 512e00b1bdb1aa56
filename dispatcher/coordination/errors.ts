/** Why a process does not come into the cluster, or has to leave it; the message is one line for the operator. */

export type CoordinationErrorCode =
  /** The engine refuses us: credentials, certificates. */
  | 'ENGINE_REFUSED'
  /** A file with credentials or certificates. */
  | 'ENGINE_FILE'
  | 'ENGINE_UNPROTECTED'
  | 'OWNER_ID_IN_USE'
  /** Known to be another's by now. */
  | 'LEASE_LOST'
  | 'CLOSED'

export class CoordinationError extends Error {
  readonly code: CoordinationErrorCode

  constructor(code: CoordinationErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'CoordinationError'
    this.code = code
  }
}
