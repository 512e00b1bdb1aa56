/** The load of `load.c`, from a client's namespace. */
import type { ClusterState } from '../local-cluster.ts'
import { LineProgram } from './line-program.ts'
import type { Programs } from './program.ts'

export interface LoadOptions {
  readonly address: string
  readonly port: number
  /** Of the paths: its files are called 0, 1 and so on, all of so many octets. */
  readonly prefix: string
  readonly objects: number
  readonly octets: number
  readonly connections: number
  /** A connection for each request; else they are kept. */
  readonly closing: boolean
  /** Exponents of Zipf's law for connections and files; 0: all alike. */
  readonly connectionAlpha: number
  readonly objectAlpha: number
  readonly seed: number
  readonly core: number
}

export interface LoadFigures {
  readonly answered: number
  readonly perSecond: number
  readonly failed: number
  /** Were due while thousands before them waited for the same connection; never sent. */
  readonly shed: number
  /** From when a request was due to the last octet of its response, µs. */
  readonly p50: number
  readonly p99: number
  /** And to its first octet. */
  readonly firstP50: number
  readonly firstP99: number
}

export interface Window {
  /** Requests a second; 0: as many as are answered. */
  readonly rate: number
  /** Seconds that do not count, before those that do. */
  readonly warm: number
  readonly seconds: number
}

export class Load {
  readonly #program: LineProgram

  constructor(programs: Programs, { clientNamespace }: ClusterState, options: LoadOptions) {
    const { address, port, prefix, objects, octets, connections, closing, seed, core } = options
    const { connectionAlpha, objectAlpha } = options
    const target = { remote: address, port, prefix, objects, body: octets }
    const how = { slots: connections, closing: closing ? 1 : 0, seed, core }
    const args = { ...target, ...how, slotAlpha: connectionAlpha, objectAlpha }
    this.#program = new LineProgram(programs.start('load', clientNamespace, args))
  }

  /** `atBounds` runs when the window begins, and again when it has ended. */
  async run<Counters>(
    { rate, warm, seconds }: Window,
    atBounds: () => Counters | Promise<Counters>,
  ): Promise<{ readonly figures: LoadFigures; readonly before: Counters; readonly after: Counters }> {
    const begun = await this.#program.ask(`run ${rate} ${warm} ${seconds}`)
    if (begun !== 'begin') throw new Error(`the load says ${begun}`)
    const before = await atBounds()
    const ended = await this.#program.next()
    return { figures: JSON.parse(ended) as LoadFigures, before, after: await atBounds() }
  }

  stop(): Promise<void> {
    return this.#program.stop()
  }
}
