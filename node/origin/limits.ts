/** What an operator may choose about fetching from origins, for all sites of a node. */
export interface OriginLimits {
  /** ms until a connection to an origin stands, name look-up and TLS included. */
  readonly connectMs: number
  /** ms from the request to the end of the head of its response. */
  readonly headMs: number
  /** ms between two pieces of a body. */
  readonly bodyMs: number
  /** Octets of a body; a response with more is refused (502). */
  readonly objectOctets: number
  /** Requests to one origin at a time; others wait. */
  readonly parallel: number
}

export const DEFAULT_ORIGIN_LIMITS: OriginLimits = {
  connectMs: 5_000,
  headMs: 30_000,
  bodyMs: 30_000,
  objectOctets: 64 * 1_048_576,
  parallel: 64,
}
