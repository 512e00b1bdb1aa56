/**
 * What a coordinator asks of an engine: registers that are written by compare-and-set. Everything else (leases, their end, who
 * is there) is made of these by both sides' own clocks, so that no engine has to be trusted with time.
 */

export interface Entry {
  readonly value: string
  /** Grows with every write of any register; 1 or more. */
  readonly revision: number
}

export interface Store {
  /**
   * Undefined: this storage never heard of it. Rejects where the engine does not answer in time, and once after every connection
   * that broke, as the storage may be another then.
   */
  get(key: string): Promise<Entry | undefined>
  /**
   * Writes where `key` is still at `revision` (0: not there): the new revision, or undefined where it is not. Rejects where the
   * engine does not answer in time; then it may have been written, or be written later.
   */
  set(key: string, value: string, revision: number): Promise<number | undefined>
  close(): Promise<void>
}
