/**
 * `npm run bench -- storm`: very many idle connections of the kernel's own, all at one node, which is then emptied: all move at
 * once, and each is asked for a file afterwards, because a client notices nothing of it.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DrainReport, MAX_DRAIN_MS } from '../../dispatcher/admin/api.ts'
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { membersOf } from '../beside.ts'
import { Programs } from '../kernel/program.ts'
import { Swarms, sourcesFor } from '../kernel/swarms.ts'
import { type ClusterState, withCluster } from '../local-cluster.ts'
import { inNamespace, run } from '../process.ts'
import { type Progress, SILENT, startProgress } from '../report/progress.ts'
import { type Measured, type PublishOptions, publish, toldOf } from '../report/publish.ts'
import { type Goal, medianOf, type Result, type Row } from '../report/result.ts'
import { interleave, type Rounds, type Sample, stepsOf } from '../report/rounds.ts'
import { residentOctets } from '../resident.ts'

export interface StormRun {
  readonly connections: number
  readonly nodes: number
  /** Connections opened a second. */
  readonly rate: number
  /** Seconds of rest before and after the storm: what is idle is put away, and what was told of it is told. */
  readonly rest: number
  readonly rounds: number
}

export type StormOptions = StormRun & PublishOptions

const CLUSTER = { name: 'gyre-storm', vip: '10.77.139.1', vip6: 'none', admin: '127.0.0.1:8952' }
/** First three numbers of the clients' addresses. */
const SOURCES = '10.80.0'
const CLIENT_DEVICE = 'eth0'
const SOURCE = 'node1'
const BODY_OCTETS = 1_024
/** The longest that an idle connection waits for its storm. */
const CONFIG = { timeouts: { idle: '1h' } }
const POLL_MS = 50

export async function storm(options: StormOptions): Promise<Result> {
  const { connections, nodes } = options
  const progress = startProgress(stepsOf(1, options.rounds))
  try {
    const { rows, noise } = await measure(options, progress)
    const measured: Measured = {
      bench: 'storm',
      title: `${connections} idle connections moved at once`,
      options: toldOf(options),
      notes: [
        `From one node to ${nodes - 1}; every process and the clients share the machine.`,
        'Memory is what is resident of the processes, by connections.',
      ],
      columns: [
        { name: 'moved', unit: '', digits: 0 },
        { name: 'stayed', unit: '', digits: 0 },
        { name: 'time', unit: 's', digits: 2, better: 'less' },
        { name: 'rate', unit: '1/s', digits: 0 },
        { name: 'answered afterwards', unit: '', digits: 0 },
        { name: 'slowest answer', unit: 'ms', digits: 0 },
        { name: 'source before', unit: 'octets', digits: 0 },
        { name: 'source after', unit: 'octets', digits: 0 },
        { name: 'targets after', unit: 'octets', digits: 0 },
        { name: 'dispatcher before', unit: 'octets', digits: 0 },
        { name: 'dispatcher after', unit: 'octets', digits: 0 },
      ],
      rows,
      charts: [{ kind: 'bars', column: 'rate' }],
      goals: all => goalsOf(all, connections),
      noise,
    }
    const result = await publish(measured, options)
    if (rows.some(({ errors }) => errors > 0)) process.exitCode = 1
    return result
  } finally {
    progress.stop()
  }
}

export async function measure(options: StormRun, progress: Progress = SILENT): Promise<Rounds> {
  const folder = await mkdtemp(join(tmpdir(), 'gyre-storm-'))
  const programs = await Programs.compile('swarm')
  try {
    const root = join(folder, 'root')
    const config = join(folder, 'gyre.config.json')
    await mkdir(root)
    await writeFile(join(root, '1k'), Buffer.alloc(BODY_OCTETS, 'gyre'))
    await writeFile(config, JSON.stringify(CONFIG))
    const flags = { ...CLUSTER, nodes: options.nodes, root, more: ['--config', config] }
    return await interleave({
      ...{ group: groupOf(options.connections), systems: ['gyre'], rounds: options.rounds, progress },
      nameOf: name => name,
      measure: () => withCluster(flags, state => oneStorm(options, programs, state)),
    })
  } finally {
    await programs.remove()
    await rm(folder, { recursive: true, force: true })
  }
}

function groupOf(connections: number): string {
  return `${connections} connections`
}

async function oneStorm(options: StormRun, programs: Programs, state: ClusterState): Promise<Sample> {
  const { connections, rate, rest } = options
  const admin = new AdminClient(state.admin, state.token)
  const sources = sourcesFor(connections, SOURCES)
  await routeSources(state, sources)
  const target = { remote: state.vip, port: state.port, path: '/1k', body: BODY_OCTETS }
  const swarms = new Swarms(programs, state.clientNamespace, sources, target)
  try {
    const empty = memoryOf(state)
    const others = membersOf(state, 'node').filter(({ name }) => name !== SOURCE)
    // Nothing comes to the others, so all is at the one.
    for (const { name } of others) await admin.drain({ node: name, deadlineMs: MAX_DRAIN_MS })
    const opened = await swarms.tell(
      part => `open ${Math.round(connections * part)} ${Math.round(rate * part)}`,
    )
    await sleep(1_000 * rest)
    const before = memoryOf(state)
    for (const { name } of others) await admin.undrain(name)
    const report = await emptied(admin)
    await sleep(1_000 * rest)
    const after = memoryOf(state)
    const asked = await swarms.tell(() => 'check')
    const each = (octets: number) => octets / opened.kept
    return {
      moved: report.shifted,
      stayed: report.left,
      time: report.elapsedMs / 1_000,
      rate: (1_000 * report.shifted) / report.elapsedMs,
      'answered afterwards': asked.answered,
      'slowest answer': asked.worstMs,
      'source before': each(before.source - empty.source),
      'source after': each(after.source - empty.source),
      'targets after': each(after.targets - empty.targets),
      'dispatcher before': each(before.dispatcher - empty.dispatcher),
      'dispatcher after': each(after.dispatcher - empty.dispatcher),
      errors: opened.failed + asked.failed + report.left + (connections - asked.answered),
    }
  } finally {
    await swarms.stop()
    await admin.close()
  }
}

async function emptied(admin: AdminClient): Promise<DrainReport> {
  let report = await admin.drain({ node: SOURCE, deadlineMs: MAX_DRAIN_MS })
  while (report.state === 'draining') {
    await sleep(POLL_MS)
    report = await admin.drained(SOURCE)
  }
  return report
}

/** As many clients would come, from many addresses. */
async function routeSources(state: ClusterState, sources: readonly string[]): Promise<void> {
  const { clientNamespace, gatewayNamespace } = state
  const own = await run(...inNamespace(clientNamespace, 'ip', ['-4', '-o', 'address', 'show', CLIENT_DEVICE]))
  const client = /inet ([\d.]+)\//.exec(own)?.[1]
  if (client === undefined) throw new Error('the client has no address')
  const lines = sources.map(source => `ip address add ${source}/32 dev ${CLIENT_DEVICE}`)
  const ports = 'echo "1024 65535" >/proc/sys/net/ipv4/ip_local_port_range'
  await run(...inNamespace(clientNamespace, '/bin/sh', ['-e', '-c', [...lines, ports].join('\n')]))
  await run(...inNamespace(gatewayNamespace, 'ip', ['route', 'add', `${SOURCES}.0/24`, 'via', client]))
}

interface Memory {
  readonly source: number
  readonly targets: number
  readonly dispatcher: number
}

function memoryOf({ roles }: ClusterState): Memory {
  const sum = (of: (role: { role: string; name: string }) => boolean) =>
    roles.filter(of).reduce((octets, { pid }) => octets + residentOctets(pid), 0)
  return {
    source: sum(({ name }) => name === SOURCE),
    targets: sum(({ role, name }) => role === 'node' && name !== SOURCE),
    dispatcher: sum(({ role }) => role === 'dispatcher'),
  }
}

function goalsOf(rows: readonly Row[], connections: number): Goal[] {
  const of = (column: string) => medianOf(rows, groupOf(connections), 'gyre', column)
  const common = { groups: [], unit: '' }
  return [
    { ...common, text: 'connections that stayed', value: of('stayed'), limit: 0, bound: 'most' },
    {
      ...{ ...common, text: `answered afterwards, of ${connections}`, value: of('answered afterwards') },
      ...{ limit: connections, bound: 'least' },
    },
  ]
}
