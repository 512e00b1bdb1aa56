/** `npm run bench -- differential`: many seeds of the differential test, and how our times compare with the kernel's. */
import { type Played, Stage } from './run.ts'
import { type Scenario, scenarioOf } from './scenario.ts'
import { elapsedMs, faultsOf, longestGapMs, toleranceMs } from './verdict.ts'

export interface DifferentialOptions {
  readonly seeds: number
  readonly first: number
  readonly json: boolean
  readonly verbose: boolean
}

export async function differential(options: DifferentialOptions): Promise<void> {
  const played: Played[] = []
  const failed: string[] = []
  const stage = await Stage.open()
  try {
    for (let seed = options.first; seed < options.first + options.seeds; seed++) {
      const scenario = scenarioOf(seed)
      try {
        const both = await stage.play(scenario)
        played.push(both)
        const faults = faultsOf(both)
        if (faults.length > 0) failed.push(`SEED=${seed} (${describe(scenario)}): ${faults.join('; ')}`)
        if (options.verbose) process.stdout.write(`${lineOf(both)}\n`)
      } catch (error) {
        failed.push(`SEED=${seed} (${describe(scenario)}): ${error instanceof Error ? error.message : error}`)
      }
      if (!options.verbose) process.stderr.write(`\rseed ${seed}, ${failed.length} failed `)
    }
  } finally {
    await stage.close()
  }
  process.stderr.write('\n')
  report(played, failed, options)
}

function report(played: readonly Played[], failed: readonly string[], options: DifferentialOptions): void {
  const figures = {
    scenarios: options.seeds,
    failed,
    elapsedRatio: spread(played.map(({ own, kernel }) => elapsedMs(own) / elapsedMs(kernel))),
    ownGapMs: spread(played.map(({ own }) => longestGapMs(own))),
    kernelGapMs: spread(played.map(({ kernel }) => longestGapMs(kernel))),
  }
  if (failed.length > 0) process.exitCode = 1
  if (options.json) {
    process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`)
    return
  }
  const line = (name: string, { p5, median, p95, most }: Spread, digits: number) =>
    process.stdout.write(
      `${name.padEnd(34)} p5 ${p5.toFixed(digits)}, median ${median.toFixed(digits)}, ` +
        `p95 ${p95.toFixed(digits)}, most ${most.toFixed(digits)}\n`,
    )
  process.stdout.write(`${played.length} scenarios beside the kernel, ${failed.length} failed\n`)
  line('time, ours by the kernel’s', figures.elapsedRatio, 2)
  line('longest wait, ours, ms', figures.ownGapMs, 0)
  line('longest wait, the kernel’s, ms', figures.kernelGapMs, 0)
  for (const text of failed) process.stdout.write(`${text}\n`)
}

interface Spread {
  readonly p5: number
  readonly median: number
  readonly p95: number
  readonly most: number
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN
  return { p5: at(0.05), median: at(0.5), p95: at(0.95), most: at(1) }
}

function lineOf(played: Played): string {
  const { scenario, own, kernel } = played
  return (
    `${scenario.seed} ${describe(scenario)}: ${elapsedMs(own).toFixed(0)} ms beside ${elapsedMs(kernel).toFixed(0)}, ` +
    `longest wait ${longestGapMs(own).toFixed(0)} beside ${longestGapMs(kernel).toFixed(0)} ` +
    `(+ ${toleranceMs(scenario).toFixed(0)}), packets ${own.wire.packets} beside ${kernel.wire.packets}`
  )
}

function describe({ shape, subject, mss, path, client, server, offer, ...rest }: Scenario): string {
  const options = Object.entries(offer).flatMap(([name, on]) => (on ? [name] : []))
  return (
    `${shape}, we as ${subject}, ${client.send} and ${server.send} octets, ${path.bitsPerSecond / 1e6} Mbit/s, ` +
    `${2 * path.delayMs} ms, loss ${100 * path.drop} %, MSS ${mss || 'by MTU'}, ` +
    `windows ${rest.peerReceiveOctets || 'auto'} and ${rest.subjectReceiveOctets || 'auto'}, ${options.join(' ') || 'no options'}`
  )
}
