/** `npm run bench`: lists the benchmarks, or runs one. */
import { Command, InvalidArgumentError } from 'commander'
import { chaosBench } from './chaos/command.ts'
import { churnBench } from './churn/command.ts'
import { conformance } from './conformance/command.ts'
import { connections } from './connections/command.ts'
import { storm } from './connections/storm.ts'
import { crashBench } from './crash.ts'
import { cyclone } from './cyclone/command.ts'
import { differential } from './differential/command.ts'
import { type DrainBenchOptions, drainBench } from './drain.ts'
import { flood } from './flood/command.ts'
import { fuzz } from './fuzz.ts'
import { musts } from './musts.ts'
import { placementBench } from './placement.ts'
import { markOwn } from './report/noise.ts'
import { DEFAULT_OUT } from './report/publish.ts'
import type { Result } from './report/result.ts'
import { type RollingOptions, rolling } from './rolling/command.ts'
import { scale } from './scale/command.ts'
import { shift } from './shift/command.ts'
import { single } from './single.ts'
import { skew } from './skew/command.ts'
import { slowClients } from './slow-clients.ts'
import { soak } from './soak/command.ts'
import { throughput } from './throughput.ts'
import { trace } from './trace.ts'
import { wire } from './wire/command.ts'

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

/** A number within bounds, whole unless `fraction` says otherwise. */
function number(low: number, high: number, fraction = false): (text: string) => number {
  return text => {
    const value = Number(text)
    const isWrong = !(value >= low && value <= high) || (!fraction && !Number.isInteger(value))
    if (isWrong) throw new InvalidArgumentError(`${low} to ${high}`)
    return value
  }
}

/** Numbers of nodes, separated by commas. */
function nodeCounts(text: string): number[] {
  const counts = text.split(',').map(Number)
  if (counts.some(count => !Number.isInteger(count) || count < 1 || count > 32))
    throw new InvalidArgumentError('1 to 32, separated by commas')
  return counts
}

/** The status of a run whose figures must not be compared, beside 1 for one that failed. */
const EXIT_NOISY = 3

/** Where a benchmark of the common form leaves its result, and what its status says. */
function published<Options>(command: Command, run: (options: Options) => Promise<Result>): Command {
  return command
    .option('--out <folder>', 'where NAME.json and NAME.svg are written', DEFAULT_OUT)
    .option('--add', 'add the rounds to those that are there', false)
    .option('--json', 'print JSON instead of a table', false)
    .action(async (options: Options) => {
      const { noise } = await run(options)
      if (noise.reasons.length > 0) process.exitCode = EXIT_NOISY
    })
}

function drain(options: DrainBenchOptions & RollingOptions & { readonly rolling: boolean }): Promise<Result> {
  return options.rolling ? rolling(options) : drainBench(options)
}

const program = new Command('npm run bench --').description(
  'Benchmarks of gyre; as root, in namespaces of their own. Status 3: the machine was too noisy to compare.',
)
published(
  program
    .command('single')
    .summary('one node against nginx and Node’s http')
    .description('one node against nginx and Node’s http: 1 KiB, 64 KiB, 16 MiB, a connection per request')
    .option('--seconds <n>', 'length of each round', seconds, 5)
    .option('--rounds <n>', 'counted rounds of each system', rounds, 5)
    .option('--only <text>', 'only workloads whose name holds this', ''),
  single,
)

published(
  program
    .command('cyclone')
    .summary('limited links, memory and disks, beside others')
    .description(
      'Cyclone’s experiment: web-like files, limited links, too little memory, slow disks; ours beside hashing at layer 4, HAProxy and cooperative caching',
    )
    .option('--nodes <list>', 'numbers of nodes', nodeCounts, [1, 2, 4, 8, 12])
    .option('--rate <mbit>', 'of each node’s link; the paper’s was 100', number(1, 1_000), 10)
    .option('--disk-ms <ms>', 'for which a disk reads one file', number(0, 1_000), 40)
    .option('--objects <n>', 'files', number(2_000, 100_000), 2_400)
    .option('--connections <n>', 'at a time, for each node', number(1, 256), 16)
    .option('--seconds <n>', 'length of each round', seconds, 10)
    .option('--warm <n>', 'seconds before it', number(1, 600), 10)
    .option('--rounds <n>', 'counted rounds of each system', rounds, 3)
    .option('--only <text>', 'only systems whose name holds this', ''),
  cyclone,
)

published(
  program
    .command('connections')
    .summary('CPU of a connection for each request, beside proxies')
    .description(
      'accepting and handing over a connection for each request: rate, and CPU of the machine in front and of the nodes, beside HAProxy (TCP and HTTP) and nginx',
    )
    .option('--nodes <n>', 'behind each', number(1, 32), 2)
    .option('--connections <n>', 'at a time', number(1, 4_096), 64)
    .option('--rate <n>', 'connections a second of the paced rounds', number(1, 100_000), 2_000)
    .option('--seconds <n>', 'length of each round', seconds, 4)
    .option('--warm <n>', 'seconds before the first of each system', seconds, 4)
    .option('--rounds <n>', 'counted rounds of each system', rounds, 3)
    .option('--only <text>', 'only systems whose name holds this', ''),
  connections,
)

published(
  program
    .command('storm')
    .summary('100,000 idle connections that all move at once')
    .description('a node with very many idle connections of the kernel’s own is emptied, and each is asked')
    .option('--connections <n>', 'idle ones', number(1, 250_000), 100_000)
    .option('--nodes <n>', 'of which one has them all', number(2, 32), 3)
    .option('--rate <n>', 'opened a second', number(1, 20_000), 2_500)
    .option('--rest <n>', 'seconds before and after it', seconds, 5)
    .option('--rounds <n>', 'clusters, one after the other', rounds, 1),
  storm,
)

published(
  program
    .command('skew')
    .summary('few connections or files that want most, by load and size')
    .description(
      'Zipf’s law with exponent 1.2 over connections, and over files: p99 by load, and the share of the ideal throughput by size, where connections move by load and where not',
    )
    .option('--nodes <n>', 'of which each has a link', number(2, 32), 4)
    .option('--rate <mbit>', 'of each link', number(1, 1_000), 20)
    .option('--connections <n>', 'kept ones', number(1, 4_096), 128)
    .option('--objects <n>', 'files', number(1, 10_000), 200)
    .option('--seconds <n>', 'length of each load', seconds, 4)
    .option('--warm <n>', 'seconds before the first', number(1, 600), 12)
    .option('--rounds <n>', 'counted rounds of each system', rounds, 1)
    .option('--only <text>', 'only experiments whose name holds this, as "hot object by size"', ''),
  skew,
)

program
  .command('conformance')
  .summary('raw-socket cases of HTTP against a server')
  .description('the raw-socket cases of HTTP against a server that listens')
  .option(
    '--against <server>',
    'gyre, nginx, apache, caddy, or host:port of a server of the root that --make-root makes',
    'gyre',
  )
  .option('--make-root <folder>', 'only make the document root in a folder, and print its path')
  .option('--timing', 'the cases that take minutes too', false)
  .action(conformance)

program
  .command('throughput')
  .summary('TCP in simulated time beside the formulas of the RFCs')
  .description('TCP in simulated time: loss × round-trip time × reordering, beside the formulas of the RFCs')
  .option('--seeds <n>', 'runs of each row', rounds, 10)
  .option('--only <text>', 'only rows that begin with or hold this, e.g. "0.1 | 50"', '')
  .option('--write', 'write the committed table anew', false)
  .action(throughput)

program
  .command('musts')
  .summary('what RFC 9293 asks for, and the tests that hold it')
  .description('what RFC 9293 asks for, and the tests that hold it; no benchmark, and needs no root')
  .option('--json', 'print JSON', false)
  .action(musts)

program
  .command('differential')
  .summary('our TCP beside the kernel’s over a bad wire')
  .description(
    'randomised exchanges over a bad wire: our TCP beside the kernel’s, both with the kernel as peer',
  )
  .option('--seeds <n>', 'scenarios', number(1, 100_000), 50)
  .option('--first <n>', 'seed of the first', number(1, 1_000_000), 1)
  .option('--verbose', 'a line for each', false)
  .option('--json', 'print JSON', false)
  .action(differential)

program
  .command('wire')
  .summary('bulk flows over a long wire that loses')
  .description(
    'bulk flows over a long wire that loses: from our TCP, beside the kernel’s CUBIC, to the same kernel',
  )
  .option('--mbit <n>', 'speed of each wire, Mbit/s', number(1, 1_000), 200)
  .option('--rtt <ms>', 'round trip', number(2, 1_000), 50)
  .option('--loss <percent>', 'of packets, at random', number(0, 50, true), 0.1)
  .option('--seconds <n>', 'length', number(1, 600), 20)
  .option('--seeds <n>', 'pairs of flows', number(1, 100), 8)
  .option('--first <n>', 'seed of the first', number(1, 1_000_000), 1)
  .option('--json', 'print JSON', false)
  .action(wire)

program
  .command('soak')
  .summary('100,000 idle connections, then new ones, then none')
  .description('idle connections on one owner, then new ones beside them, then none: memory, leaks, refusals')
  .option('--connections <n>', 'idle ones', number(1, 300_000), 100_000)
  .option('--rate <n>', 'new ones a second', number(1, 20_000), 2_000)
  .option('--seconds <n>', 'for so long', number(1, 600), 60)
  .option('--json', 'print JSON', false)
  .action(soak)

published(
  program
    .command('shift')
    .summary('what it costs to move a connection, beside TCP_REPAIR')
    .description(
      'what it costs to move a connection, beside the kernel’s TCP_REPAIR, and what the client sees of it',
    )
    .option('--count <n>', 'counted moves in each scenario', number(1, 100_000), 1_000)
    .option('--warm <n>', 'moves before them that do not count', number(0, 10_000), 200)
    .option('--shifts <n>', 'moves of a download at full speed, one each 5 ms', number(1, 100_000), 10_000)
    .option('--only <text>', 'only scenarios whose name holds this', ''),
  shift,
)

program
  .command('fuzz')
  .summary('changed packets, everywhere')
  .description('changed packets at the TCP core, at the owners of simulated clusters and at every parser')
  .option('--packets <n>', 'how many', number(1, 2 ** 31), 1_000_000)
  .option('--seed <n>', 'of the first scenario', number(1, 2 ** 31), 1)
  .action(fuzz)

program
  .command('slow-clients')
  .summary('others while thousands of slow clients are served')
  .description(
    'requests a second and latency of others while thousands of slow clients are served, beside nginx',
  )
  .option('--clients <n>', 'slow ones', number(1, 20_000), 2_000)
  .option('--seconds <n>', 'length of each round', seconds, 5)
  .option('--rounds <n>', 'of each system', rounds, 3)
  .option('--json', 'print JSON', false)
  .action(slowClients)

published(
  program
    .command('flood')
    .summary('hostile packets beside downloads and new clients')
    .description(
      'floods of forged packets of nine kinds at a steady rate: what downloads that stand keep, how long new clients wait, what memory grows',
    )
    .option('--rate <n>', 'packets a second', number(1_000, 1_000_000), 100_000)
    .option('--seconds <n>', 'length of each round', seconds, 4)
    .option('--rounds <n>', 'counted rounds of each attack', rounds, 3)
    .option('--only <text>', 'only attacks whose name holds this', ''),
  flood,
)

published(
  program
    .command('trace')
    .summary('a document root four times the cache')
    .description(
      'a document root four times the cache: hit ratios beside LRU and the optimum, throughput beside nginx',
    )
    .option('--seconds <n>', 'length of each round', seconds, 5)
    .option('--rounds <n>', 'counted rounds of each system', rounds, 3)
    .option('--ratios', 'hit ratios alone', false),
  trace,
)

program
  .command('placement')
  .summary('policies of placement in a simulated cluster')
  .description(
    'policies of placement beside each other, in a simulated cluster with less memory than files; needs no root',
  )
  .option('--requests <n>', 'of each trace', number(1_000, 100_000), 10_000)
  .option('--seed <n>', 'of the traces', number(1, 2 ** 31), 1)
  .option('--only <text>', 'only traces whose name holds this', '')
  .option('--json', 'print JSON', false)
  .action(placementBench)

published(
  program
    .command('churn')
    .summary('connections that break while nodes leave and come back')
    .description(
      'broken connections per 100,000 while nodes come and go, beside steering by hashes, in virtual time; needs no root',
    )
    .option('--connections <n>', 'of each system', number(1_000, 1_000_000), 20_000)
    .option('--nodes <n>', 'of which one is away half of the time', number(2, 200), 16)
    .option('--seed <n>', 'of the run', number(1, 2 ** 31), 1)
    .option('--only <text>', 'only systems whose name holds this', ''),
  churnBench,
)

published(
  program
    .command('scale')
    .summary('what grows with a cluster, to 10,000 nodes and 10 million connections')
    .description('what grows with a cluster, by the product’s code in virtual time; needs no root')
    .option('--only <text>', 'only rows whose name holds this, e.g. "cluster of 100"', ''),
  scale,
)

published(
  program
    .command('drain')
    .summary('nodes that are emptied, or all started anew, under load')
    .description(
      'how long it takes to empty a node of many downloads; or every node started anew under load, beside nginx behind HAProxy',
    )
    .option('--connections <n>', 'downloads at the node that is emptied', number(1, 5_000), 1_000)
    .option('--rounds <n>', 'of each system', rounds, 3)
    .option('--rolling', 'every node started anew, one after the other; the options below are for it', false)
    .option('--nodes <n>', 'in the cluster', number(2, 16), 3)
    .option('--downloads <n>', 'at a time', number(1, 500), 40)
    .option('--users <n>', 'who ask for something short', number(1, 500), 16)
    .option('--wait <seconds>', 'for a node to be done with what it has begun', number(1, 120), 10)
    .option('--only <text>', 'only systems whose name holds this', ''),
  drain,
)

program
  .command('crash')
  .summary('what clients see of a node that is killed')
  .description(
    'kill -9 of a node with many downloads, each of which has to arrive intact: how long they pause',
  )
  .option('--connections <n>', 'downloads', number(1, 5_000), 200)
  .option('--rounds <n>', 'clusters, one after the other', rounds, 3)
  .option('--cut', 'its wire is cut instead, while it lives', false)
  .option('--json', 'print JSON', false)
  .action(crashBench)

published(
  program
    .command('chaos')
    .summary('everything befalls a cluster under load')
    .description(
      'kills, cuts, drains, storms of shifts and bad networks befall a cluster under load, one after the other: nothing may be lost, stuck or left',
    )
    .option('--minutes <n>', 'for so long', number(1, 600), 10)
    .option('--seed <n>', 'of what befalls it', number(1, 2 ** 31), 1),
  chaosBench,
)

markOwn()
program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
if (process.argv.length <= 2) program.outputHelp()
