/** What the clients of `npm run bench -- drain --rolling` are told, and what they tell. */

interface File {
  readonly path: string
  /** With what is to come. */
  readonly file: string
}

export interface ClientOptions {
  readonly host: string
  readonly port: number
  readonly long: File
  readonly short: File
  /** At a time; the next begins when one is over. */
  readonly downloads: number
  /** Of each. */
  readonly octetsPerSecond: number
  /** Every other one keeps its connection, the rest has one for each request. */
  readonly users: number
  /** Between two requests of one. */
  readonly everyMs: number
}

export interface ClientCounts {
  /** Downloads: each was whole, or broke. */
  readonly begun: number
  readonly whole: number
  readonly broken: number
  readonly requests: number
  readonly failed: number
  /** Asked a second time, because a kept connection ended before a word of the answer. */
  readonly repeated: number
  /** What was wrong, by kind. */
  readonly faults: Readonly<Record<string, number>>
  /** Of short requests, ms. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}
