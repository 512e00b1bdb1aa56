/**
 * `npm run bench -- soak`: very many idle connections on one owner, then thousands of new ones a second beside them, then
 * the end of all: what a connection costs, whether the old ones still live, and whether anything is left. The clients are
 * the kernel's own sockets, all of them, from one source address and one small C process for each 10,000: they cost some
 * kilobytes each, so nothing cheaper and less real is needed.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Programs } from '../kernel/program.ts'
import { type SwarmReport, Swarms, sourcesFor } from '../kernel/swarms.ts'
import { REPOSITORY } from '../local-cluster.ts'
import { inNamespace, run } from '../process.ts'
import type { Holding } from './owner-process.ts'

export interface SoakOptions {
  readonly connections: number
  readonly rate: number
  readonly seconds: number
  readonly json: boolean
}

const ADDRESS = '10.89.1.1'
const SOURCES = '10.89.0'
const BODY_OCTETS = 1_024
/** Openings and ends a second: a burst would measure the queue of the TUN. */
const PACE = 4_000
const STARTUP_MS = 10_000
/** An owner lets go of a connection that it closed first after TIME-WAIT, 60 s; and some, for the timers' grain. */
const TIME_WAIT_MS = 62_000
/** After it a connection is idle for the owner, too: delayed acknowledgements, loss probes and retransmissions are over. */
const IDLE_MS = 5_000

export interface SoakFigures {
  readonly opening: SwarmReport
  readonly churn: SwarmReport
  readonly check: SwarmReport
  /** What one idle connection takes at the owner. */
  readonly heapPerConnection: number
  readonly rssPerConnection: number
  readonly before: Holding
  readonly idle: Holding
  readonly afterChurn: Holding
  readonly after: Holding
  readonly faults: readonly string[]
}

export async function soak(options: SoakOptions): Promise<void> {
  const figures = await soaked(options)
  if (figures.faults.length > 0) process.exitCode = 1
  if (options.json) process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`)
  else report(options, figures)
}

async function soaked(options: SoakOptions): Promise<SoakFigures> {
  const namespace = `gyre-soak-${process.pid}`
  const root = await mkdtemp(join(tmpdir(), 'gyre-soak-'))
  const programs = await Programs.compile('swarm')
  let owner: ChildProcess | undefined
  let swarms: Swarms | undefined
  try {
    await writeFile(join(root, '1k'), Buffer.alloc(BODY_OCTETS, 'gyre'))
    await run('ip', ['netns', 'add', namespace])
    owner = fork(
      join(REPOSITORY, 'dist', 'bench', 'soak', 'owner-process.js'),
      [JSON.stringify({ namespace, tun: 'own', address: ADDRESS, port: 80, root })],
      { execArgv: ['--expose-gc', ...process.execArgv] },
    )
    await once(owner, 'message', { signal: AbortSignal.timeout(STARTUP_MS) })
    const sources = sourcesFor(options.connections, SOURCES)
    await configure(namespace, sources)
    swarms = new Swarms(programs, namespace, sources, {
      ...{ remote: ADDRESS, port: 80, path: '/1k', body: BODY_OCTETS },
    })
    return await phases(options, owner, swarms)
  } finally {
    await swarms?.stop()
    owner?.kill('SIGKILL')
    await run('ip', ['netns', 'delete', namespace]).catch(() => {})
    await programs.remove()
    await rm(root, { recursive: true, force: true })
  }
}

async function configure(namespace: string, sources: readonly string[]): Promise<void> {
  const lines = [
    'ip link set lo up',
    'ip link set own txqueuelen 10000 up',
    ...sources.map(source => `ip address add ${source}/32 dev own`),
    `ip route add ${ADDRESS}/32 dev own`,
    'echo "1024 65535" >/proc/sys/net/ipv4/ip_local_port_range',
    'for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$file; done',
  ]
  await run(...inNamespace(namespace, '/bin/sh', ['-e', '-c', lines.join('\n')]))
}

async function phases(options: SoakOptions, owner: ChildProcess, swarms: Swarms): Promise<SoakFigures> {
  const { connections, rate, seconds } = options
  const each = (line: (part: number) => string) => swarms.tell(line)
  const holding = async (): Promise<Holding> => {
    const answer = once(owner, 'message')
    owner.send('hold')
    return ((await answer) as [Holding])[0]
  }
  const say = (text: string) => process.stderr.write(`${text}\n`)
  // Once through everything, so that neither compiled code nor the first growth of tables counts.
  await each(part => `churn ${500 * part} 2`)
  await sleep(IDLE_MS)
  const before = await holding()
  say(`opening ${connections} connections`)
  const opening = await each(part => `open ${Math.round(connections * part)} ${PACE * part}`)
  await sleep(IDLE_MS)
  const idle = await holding()
  say(`${rate} new ones a second for ${seconds} s`)
  const churn = await each(part => `churn ${rate * part} ${seconds}`)
  const afterChurn = await holding()
  say('asking each of the old ones again')
  const check = await each(() => 'check')
  say('closing all')
  await each(part => `close ${PACE * part}`)
  await sleep(TIME_WAIT_MS)
  const after = await holding()
  owner.send('end')
  const held = idle.connections - before.connections
  const figures = {
    opening,
    churn,
    check,
    heapPerConnection: (idle.heap + idle.external - before.heap - before.external) / held,
    rssPerConnection: (idle.rss - before.rss) / held,
    before,
    idle,
    afterChurn,
    after,
  }
  return { ...figures, faults: faultsOf(figures) }
}

/** Memory that may stay: the arrays of tables that grew, and what is remembered of ended connections for some seconds. */
const MAX_LEFT_OCTETS_PER_CONNECTION = 200

function faultsOf(figures: Omit<SoakFigures, 'faults'>): string[] {
  const { opening, churn, check, after, before } = figures
  const faults: string[] = []
  for (const [name, { failed, refused, timedOut }] of Object.entries({ opening, churn, check })) {
    if (failed > 0)
      faults.push(`${name}: ${failed} failed, ${refused} of them refused, ${timedOut} timed out`)
  }
  if (check.answered !== opening.opened) {
    faults.push(`${check.answered} of ${opening.opened} idle connections lived at the end`)
  }
  if (after.connections > 0 || after.flows > 0)
    faults.push(`${after.connections} connections left, ${after.flows} flows`)
  const ever = opening.opened + churn.opened
  const left = after.heap + after.external - before.heap - before.external
  if (left > ever * MAX_LEFT_OCTETS_PER_CONNECTION) faults.push(`${left} octets left in the heap`)
  return faults
}

function report(options: SoakOptions, figures: SoakFigures): void {
  const { opening, churn, check, before, idle, afterChurn, after, faults } = figures
  const holding = (name: string, { connections, flows, timers, heap, external, rss }: Holding) =>
    process.stdout.write(
      `${name.padEnd(14)} ${connections} connections, ${flows} flows, ${timers} timers; heap ${mib(heap)}, ` +
        `buffers ${mib(external)}, resident ${mib(rss)} MiB\n`,
    )
  const swarm = (name: string, { opened, answered, failed, worstMs, tookMs }: SwarmReport) =>
    process.stdout.write(
      `${name.padEnd(14)} ${opened} opened, ${answered} answered, ${failed} failed, slowest ${worstMs.toFixed(0)} ms, ` +
        `in ${(tookMs / 1000).toFixed(1)} s\n`,
    )
  holding('before', before)
  swarm('opening', opening)
  holding('idle', idle)
  swarm(`${options.rate}/s`, churn)
  holding('beside them', afterChurn)
  swarm('asked again', check)
  holding('after the end', after)
  process.stdout.write(
    `an idle connection: ${figures.heapPerConnection.toFixed(0)} octets of heap and buffers, ` +
      `${figures.rssPerConnection.toFixed(0)} resident\n`,
  )
  for (const fault of faults) process.stdout.write(`fault: ${fault}\n`)
}

function mib(octets: number): string {
  return (octets / 1_048_576).toFixed(1)
}
