/** Why a cluster does not start or stop, as stable codes; the message is one line for the operator. */

export type UpErrorCode =
  | 'NOT_ROOT'
  | 'TOOL_MISSING'
  | 'BAD_FLAG'
  | 'NAME_IN_USE'
  | 'VIP_IN_USE'
  | 'ADMIN_IN_USE'
  /** The kernel refused a namespace, device, address or route. */
  | 'NETWORK_FAILED'
  | 'ROLE_FAILED'
  /** A signal came before the cluster was ready. */
  | 'INTERRUPTED'
  | 'NOT_RUNNING'
  /** The state file cannot be read or written. */
  | 'STATE_UNUSABLE'

export class UpError extends Error {
  readonly code: UpErrorCode

  constructor(code: UpErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'UpError'
    this.code = code
  }
}
