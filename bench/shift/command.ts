/**
 * `npm run bench -- shift`: what it costs to move a connection from one node to another, beside the kernel's TCP_REPAIR in
 * the same namespaces in the same run, and what the client sees of it, beside windows in which nothing moves.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Programs } from '../kernel/program.ts'
import { NoiseMeter, type RoundNoise } from '../report/noise.ts'
import { type Progress, SILENT, startProgress } from '../report/progress.ts'
import { type Measured, type PublishOptions, publish } from '../report/publish.ts'
import type { Result } from '../report/result.ts'
import { COLUMNS, goalsOf, rowsOf, type ShiftResult } from './report.ts'
import { figuresOf, fullFiguresOf, type Scenario, scenarios } from './scenarios.ts'
import { limitWire, type Place, type SystemName, watch, withPlace } from './systems.ts'

export interface ShiftOptions extends PublishOptions {
  readonly count: number
  readonly warm: number
  readonly shifts: number
  readonly only: string
}

const SYSTEMS: readonly SystemName[] = ['gyre', 'TCP_REPAIR']

export async function shift(options: ShiftOptions): Promise<Result> {
  const { count, warm, shifts, only } = options
  const chosen = scenarios(count, warm, shifts).filter(({ name }) => name.includes(only))
  const progress = startProgress(SYSTEMS.length * chosen.length)
  try {
    const { results, noise } = await measure(chosen, progress)
    const measured: Measured = {
      bench: 'shift',
      title: 'What it costs to move a connection',
      options: { count, warm, shifts, only },
      columns: COLUMNS,
      rows: rowsOf(results),
      charts: [{ kind: 'bars', column: 'owned p50' }],
      goals: goalsOf,
      noise,
    }
    const result = await publish(measured, options)
    const failures = results.filter(one => 'failed' in one).length
    if (failures > 0) throw new Error(`${failures} of ${results.length} rows failed`)
    return result
  } finally {
    progress.stop()
  }
}

export async function measure(
  chosen: readonly Scenario[],
  progress: Progress = SILENT,
): Promise<{ results: ShiftResult[]; noise: RoundNoise[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'gyre-shift-'))
  const programs = await Programs.compile('repair', 'watch')
  try {
    return await withPlace(folder, programs, async place => {
      const results: ShiftResult[] = []
      const noise: RoundNoise[] = []
      const meter = new NoiseMeter()
      for (const scenario of chosen) {
        await limitWire(place.state, scenario.rate)
        for (const system of SYSTEMS) {
          progress.say(`${scenario.name}: ${system}`)
          meter.begin()
          results.push(await one(place, system, scenario).catch(failed(system, scenario)))
          noise.push(meter.read())
          progress.step()
        }
      }
      return { results, noise }
    })
  } finally {
    await programs.remove()
    await rm(folder, { recursive: true, force: true })
  }
}

/** It costs its row, and not those that were measured before. */
function failed(system: SystemName, { name }: Scenario): (error: Error) => ShiftResult {
  return error => {
    process.stderr.write(`${name}: ${system}: ${error.message}\n`)
    return { system, failed: name }
  }
}

async function one(place: Place, system: SystemName, scenario: Scenario): Promise<ShiftResult> {
  const lines = await watch(place, system, scenario)
  return scenario.kind === 'full'
    ? { system, full: fullFiguresOf(lines) }
    : { system, figures: figuresOf(scenario.name, lines) }
}
