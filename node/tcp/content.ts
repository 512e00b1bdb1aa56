/**
 * What a send queue refers to: octets that never change under their key, so that a retransmission reads
 * them again through the reference and a snapshot carries the reference instead of the octets.
 */
export interface Content {
  /** Names the octets for the whole cluster: equal keys mean equal octets (path and strong validator). */
  readonly key: string
  /** Octets in all. */
  readonly length: number
  /**
   * Finds the octets that are resident from `offset` on: fills `run` and returns true, or returns false when
   * none are in memory now (the sender then waits until it is woken).
   */
  locate(offset: number, run: Run): boolean
}

/** A stretch of resident octets: `length` of them from `start` in `octets`. */
export interface Run {
  octets: Uint8Array
  start: number
  length: number
}

/** Where the octets of a segment's payload are gathered; a packet batch is one. */
export interface PayloadSink {
  add(octets: Uint8Array, start: number, length: number): void
}
