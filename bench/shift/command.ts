/**
 * `npm run bench -- shift`: what it costs to move a connection from one node to another, beside the kernel's TCP_REPAIR in
 * the same namespaces in the same run, and what the client sees of it, beside windows in which nothing moves.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Programs } from '../kernel/program.ts'
import { type Result, report } from './report.ts'
import { figuresOf, fullFiguresOf, type Scenario, scenarios } from './scenarios.ts'
import { limitWire, type Place, type SystemName, watch, withPlace } from './systems.ts'

export interface ShiftOptions {
  readonly count: number
  readonly warm: number
  readonly shifts: number
  readonly only: string
  readonly json: boolean
}

const SYSTEMS: readonly SystemName[] = ['gyre', 'TCP_REPAIR']

export async function shift(options: ShiftOptions): Promise<void> {
  const { count, warm, shifts, only } = options
  const chosen = scenarios(count, warm, shifts).filter(({ name }) => name.includes(only))
  const results = await measure(chosen, (system, { name }) =>
    process.stderr.write(`\r${name}: ${system}                    `),
  )
  process.stderr.write('\r')
  if (options.json) {
    process.stdout.write(`${JSON.stringify(results, null, 2)}\n`)
    return
  }
  process.stdout.write(
    `${cpus()[0]?.model ?? ''}, ${cpus().length} cores, Linux ${release()}, Node ${process.version}\n\n`,
  )
  process.stdout.write(report(results))
}

export async function measure(
  chosen: readonly Scenario[],
  progress: (system: SystemName, scenario: Scenario) => void = () => {},
): Promise<Result[]> {
  const folder = await mkdtemp(join(tmpdir(), 'gyre-shift-'))
  const programs = await Programs.compile('repair', 'watch')
  try {
    return await withPlace(folder, programs, async place => {
      const results: Result[] = []
      for (const scenario of chosen) {
        await limitWire(place.state, scenario.rate)
        for (const system of SYSTEMS) {
          progress(system, scenario)
          results.push(await one(place, system, scenario))
        }
      }
      return results
    })
  } finally {
    await programs.remove()
    await rm(folder, { recursive: true, force: true })
  }
}

async function one(place: Place, system: SystemName, scenario: Scenario): Promise<Result> {
  const lines = await watch(place, system, scenario)
  return scenario.kind === 'full'
    ? { system, full: fullFiguresOf(lines) }
    : { system, figures: figuresOf(scenario.name, lines) }
}
