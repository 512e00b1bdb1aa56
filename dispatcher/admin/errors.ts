/**
 * The stable codes of the admin API's errors and the HTTP status of each. The server sends them as
 * `{ code, message }`, the client throws them again; the message is one line for the operator.
 */
const STATUSES = {
  INVALID_REQUEST: 400,
  /** An act without the token, or with a wrong one. */
  UNAUTHORIZED: 401,
  FORBIDDEN_HOST: 403,
  FORBIDDEN_ORIGIN: 403,
  NOT_FOUND: 404,
  UNKNOWN_OWNER: 404,
  UNKNOWN_CONNECTION: 404,
  /** The node was not asked to drain. */
  NOT_DRAINING: 404,
  /** No site answers for the host. */
  UNKNOWN_HOST: 404,
  METHOD_NOT_ALLOWED: 405,
  /** The owner takes no more connections, on the operator's order. */
  OWNER_DRAINING: 409,
  /** The owner has no room. */
  OWNER_FULL: 409,
  OWNER_DOWN: 409,
  /** The connection stays where it is, for a reason of the shift protocol, which the message names. */
  SHIFT_REFUSED: 409,
  /** The configuration is wrong on an owner, which the message names; nothing has changed anywhere. */
  CONFIG_REFUSED: 409,
  BODY_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  /** A fault of ours; its details are in the server's log, not in the answer. */
  INTERNAL: 500,
  /** Said by the client: the answer is none of this API. */
  BAD_ANSWER: 502,
  NOT_READY: 503,
  BUSY: 503,
  /** Said by the client: no cluster of that name runs on this machine. */
  CLUSTER_NOT_RUNNING: 503,
  /** Said by the client: nothing answers at the admin address. */
  ADMIN_UNREACHABLE: 503,
  TIMEOUT: 504,
} as const satisfies Record<string, number>

export type AdminErrorCode = keyof typeof STATUSES

export class AdminError extends Error {
  readonly code: AdminErrorCode

  constructor(code: AdminErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'AdminError'
    this.code = code
  }
}

export function statusOf(code: AdminErrorCode): number {
  return STATUSES[code]
}

export function isAdminErrorCode(text: string): text is AdminErrorCode {
  return Object.hasOwn(STATUSES, text)
}
