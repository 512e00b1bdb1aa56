/**
 * The stable codes of everything that can go wrong on a control link, and how each one travels: as the
 * number in a close frame once a link is up, as the HTTP status of the refused upgrade before. It holds no
 * text about a particular failure; that is said where the failure happens.
 */

/** A released number is never reused. */
const FAULTS = {
  /** This side closed the link on purpose. */
  CLOSED: { closeCode: 4000, status: 503 },
  /** Peer and we speak different versions of the control protocol. */
  PROTOCOL_MISMATCH: { closeCode: 4001, status: 426 },
  /** The peer belongs to another cluster. */
  CLUSTER_MISMATCH: { closeCode: 4002, status: 403 },
  /** No hello, or one that is not well formed. */
  HELLO_INVALID: { closeCode: 4003, status: 400 },
  /** Another process holds this owner id, and it is the newer one. */
  OWNER_CONFLICT: { closeCode: 4004, status: 409 },
  /** The address answers, but not as the owner that was dialed. */
  OWNER_UNEXPECTED: { closeCode: 4005, status: 409 },
  /** A process dialed itself. */
  SELF_CONNECTION: { closeCode: 4006, status: 409 },
  TOO_MANY_LINKS: { closeCode: 4007, status: 503 },
  /** The same owner came back on a newer link. */
  REPLACED: { closeCode: 4008, status: 409 },
  /** Nothing was heard of the peer for longer than the limit. */
  PEER_SILENT: { closeCode: 4009, status: 504 },
  MESSAGE_TOO_LARGE: { closeCode: 4010, status: 413 },
  /** Octets that are not exactly the values a message may hold. */
  MESSAGE_MALFORMED: { closeCode: 4011, status: 400 },
  MESSAGE_TOO_DEEP: { closeCode: 4012, status: 400 },
  MESSAGE_TOO_MANY_VALUES: { closeCode: 4013, status: 400 },
  /** A frame of no known kind, or of an impossible size. */
  FRAME_INVALID: { closeCode: 4014, status: 400 },
  /** The peer closed the link on purpose. */
  PEER_CLOSED: { closeCode: 4015, status: 503 },
  /** The TCP connection under the link broke. */
  CONNECTION_LOST: { closeCode: 4016, status: 502 },
  /** No TCP connection, or no answer to the upgrade. */
  CONNECT_FAILED: { closeCode: 4017, status: 502 },
  CONNECT_TIMEOUT: { closeCode: 4018, status: 504 },
  /** The peer refused the upgrade without one of these codes: not a gyre control port, probably. */
  REFUSED: { closeCode: 4019, status: 403 },
  /** No TLS with a key of the cluster: another key, none, or no TLS on one of the sides. */
  UNAUTHENTICATED: { closeCode: 4020, status: 401 },
} as const satisfies Record<string, { closeCode: number; status: number }>

export type LinkErrorCode = keyof typeof FAULTS

export class LinkError extends Error {
  readonly code: LinkErrorCode

  constructor(code: LinkErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'LinkError'
    this.code = code
  }
}

export function closeCodeOf(code: LinkErrorCode): number {
  return FAULTS[code].closeCode
}

export function statusOf(code: LinkErrorCode): number {
  return FAULTS[code].status
}

/** The code that a peer's close code stands for; undefined where there is none. */
export function codeOfClose(closeCode: number): LinkErrorCode | undefined {
  return CODES_BY_CLOSE.get(closeCode)
}

export function isLinkErrorCode(text: string): text is LinkErrorCode {
  return Object.hasOwn(FAULTS, text)
}

const CODES_BY_CLOSE: ReadonlyMap<number, LinkErrorCode> = new Map(
  Object.entries(FAULTS).map(([code, fault]) => [fault.closeCode, code as LinkErrorCode] as const),
)
