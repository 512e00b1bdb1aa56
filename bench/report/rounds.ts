/** Rounds of several systems by turns, so that what changes on the machine meanwhile meets all of them alike. */
import { NoiseMeter, type RoundNoise } from './noise.ts'
import type { Progress } from './progress.ts'
import type { Row } from './result.ts'

/** By the column's name. */
export type Sample = Readonly<Record<string, number>> & { readonly errors?: number }

export interface Rounds {
  readonly rows: readonly Row[]
  readonly noise: readonly RoundNoise[]
}

export interface RoundsOptions<System> {
  readonly group: string
  readonly systems: readonly System[]
  readonly nameOf: (system: System) => string
  readonly rounds: number
  readonly progress: Progress
  /** Before the first round of each system, where it needs to be warm. */
  readonly warm?: (system: System) => Promise<void>
  readonly measure: (system: System, round: number) => Promise<Sample>
}

/** Steps of progress that `interleave` takes. */
export function stepsOf(systems: number, rounds: number): number {
  return systems * rounds
}

export async function interleave<System>(options: RoundsOptions<System>): Promise<Rounds> {
  const { group, systems, nameOf, rounds, progress, warm, measure } = options
  const samples = new Map<string, Sample[]>(systems.map(system => [nameOf(system), []]))
  const noise: RoundNoise[] = []
  for (const system of warm === undefined ? [] : systems) {
    progress.say(`${group}, ${nameOf(system)}: warming up`)
    await warm?.(system)
  }
  const meter = new NoiseMeter()
  for (let round = 1; round <= rounds; round++) {
    for (const system of systems) {
      progress.say(`${group}, ${nameOf(system)}: round ${round} of ${rounds}`)
      meter.begin()
      samples.get(nameOf(system))?.push(await measure(system, round))
      noise.push(meter.read())
      progress.step()
    }
  }
  return { rows: [...samples].map(([system, of]) => rowOf(group, system, of)), noise }
}

export function rowOf(group: string, system: string, samples: readonly Sample[]): Row {
  const names = new Set(samples.flatMap(sample => Object.keys(sample)).filter(name => name !== 'errors'))
  const figures = Object.fromEntries(
    [...names].map(name => [name, samples.map(sample => sample[name] ?? null)]),
  )
  return { group, system, figures, errors: samples.reduce((sum, { errors }) => sum + (errors ?? 0), 0) }
}
