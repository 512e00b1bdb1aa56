/** `npm run bench`: lists the benchmarks, or runs one. */
import { Command, InvalidArgumentError } from 'commander'
import { single } from './single.ts'
import { throughput } from './throughput.ts'

function seconds(text: string): number {
  const value = Number(text)
  if (!(value >= 1 && value <= 600)) throw new InvalidArgumentError('1 to 600')
  return value
}

function rounds(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 100) throw new InvalidArgumentError('1 to 100')
  return value
}

const program = new Command('npm run bench --').description(
  'Benchmarks of gyre; as root, in namespaces of their own',
)
program
  .command('single')
  .description('one node against nginx and Node’s http: 1 KiB, 64 KiB, 16 MiB, a connection per request')
  .option('--seconds <n>', 'length of each round', seconds, 5)
  .option('--rounds <n>', 'counted rounds of each system', rounds, 5)
  .option('--only <text>', 'only workloads whose name holds this', '')
  .option('--json', 'print JSON', false)
  .action(single)

program
  .command('throughput')
  .description('TCP in simulated time: loss × round-trip time × reordering, beside the formulas of the RFCs')
  .option('--seeds <n>', 'runs of each row', rounds, 10)
  .option('--only <text>', 'only rows that begin with or hold this, e.g. "0.1 | 50"', '')
  .option('--write', 'write the committed table anew', false)
  .action(throughput)

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
if (process.argv.length <= 2) program.outputHelp()
