/**
 * Very many connections of the kernel's own sockets: one process of `swarm.c` and one source address for each 10,000, because
 * each costs some kilobytes and an address has 64,000 ports.
 */
import { LineProgram } from './line-program.ts'
import type { Programs } from './program.ts'

/** Below the 20,000 descriptors that a process may have where nobody raised the limit, and the ports of an address. */
const PER_SWARM = 10_000

export interface SwarmReport {
  readonly opened: number
  readonly answered: number
  readonly failed: number
  readonly refused: number
  readonly timedOut: number
  readonly kept: number
  readonly worstMs: number
  readonly tookMs: number
}

export interface SwarmTarget {
  readonly remote: string
  readonly port: number
  readonly path: string
  /** Octets of the response's body. */
  readonly body: number
}

/** Source addresses for so many connections; `prefix` is the first three numbers of theirs. */
export function sourcesFor(connections: number, prefix: string): string[] {
  return Array.from({ length: Math.ceil(connections / PER_SWARM) }, (_, index) => `${prefix}.${1 + index}`)
}

export class Swarms {
  readonly #swarms: readonly LineProgram[]

  constructor(programs: Programs, namespace: string, sources: readonly string[], target: SwarmTarget) {
    this.#swarms = sources.map(
      local => new LineProgram(programs.start('swarm', namespace, { local, sources: 1, ...target })),
    )
  }

  /** Each is told its part of it. */
  async tell(line: (part: number) => string): Promise<SwarmReport> {
    const text = line(1 / this.#swarms.length)
    const answers = await Promise.all(this.#swarms.map(swarm => swarm.ask(text)))
    return joined(answers.map(answer => JSON.parse(answer) as SwarmReport))
  }

  async stop(): Promise<void> {
    await Promise.all(this.#swarms.map(swarm => swarm.stop()))
  }
}

/** What all swarms saw together. */
function joined(reports: readonly SwarmReport[]): SwarmReport {
  const sum = (of: (report: SwarmReport) => number) =>
    reports.reduce((total, report) => total + of(report), 0)
  return {
    opened: sum(({ opened }) => opened),
    answered: sum(({ answered }) => answered),
    failed: sum(({ failed }) => failed),
    refused: sum(({ refused }) => refused),
    timedOut: sum(({ timedOut }) => timedOut),
    kept: sum(({ kept }) => kept),
    worstMs: Math.max(...reports.map(({ worstMs }) => worstMs)),
    tookMs: Math.max(...reports.map(({ tookMs }) => tookMs)),
  }
}
