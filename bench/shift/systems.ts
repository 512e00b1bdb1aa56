/**
 * What the benchmark of shifts moves connections with: two nodes of a cluster of ours, and two processes of TCP_REPAIR
 * in the same namespaces. Both take the same orders over Unix sockets, and the same client watches.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { membersOf } from '../beside.ts'
import { octetBlock } from '../differential/octets.ts'
import type { Programs } from '../kernel/program.ts'
import { type ClusterState, REPOSITORY, withCluster } from '../local-cluster.ts'
import { inNamespace, run } from '../process.ts'
import type { Scenario } from './scenarios.ts'

export type SystemName = 'gyre' | 'TCP_REPAIR'

export interface Place {
  readonly state: ClusterState
  readonly folder: string
  readonly programs: Programs
}

const NAME = 'gyre-shift'
const VIP = '10.77.203.1'
/** Where the kernel's TCP answers, on the same wires. */
const REPAIR_VIP = '10.77.203.2'
const PORT = 80
const REPAIR_PORT = 81
const LINK_PORT = 4_444
/** As `kernel/common.h` fills it. */
const SEED = 1
export const SMALL_OCTETS = 1_024
/** Less than an eighth of a cache of the default size: it is held in one piece. */
export const BIG_OCTETS = 8 * 1024 * 1024
const PROBE = join(REPOSITORY, 'dist', 'bench', 'shift', 'probe.js')
const READY_MS = 5_000

/** Runs `work` with a cluster whose nodes take orders. */
export async function withPlace<Result>(
  folder: string,
  programs: Programs,
  work: (place: Place) => Promise<Result>,
): Promise<Result> {
  const root = join(folder, 'root')
  await mkdir(root)
  const block = Buffer.from(octetBlock(SEED))
  for (const octets of [SMALL_OCTETS, BIG_OCTETS]) {
    await writeFile(join(root, `file.${octets}`), Buffer.alloc(octets, block))
  }
  const environment = {
    GYRE_SHIFT_PROBE: folder,
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import ${pathToFileURL(PROBE)}`,
  }
  const addresses = { vip: VIP, vip6: 'fd77:203::1', admin: '127.0.0.1:8873' }
  return await withCluster({ name: NAME, ...addresses, nodes: 2, root, environment }, async state => {
    await routeRepair(state)
    return await work({ state, folder, programs })
  })
}

function nodesOf(state: ClusterState) {
  const [first, second] = membersOf(state, 'node')
  if (first === undefined || second === undefined) throw new Error('the cluster has not two nodes')
  return [first, second] as const
}

/** The kernel's address belongs to both nodes; the gateway's route says which of them is meant. */
async function routeRepair(state: ClusterState): Promise<void> {
  const { gatewayNamespace, clientNamespace } = state
  for (const { namespace } of nodesOf(state)) {
    await run(...inNamespace(namespace, 'ip', ['address', 'add', `${REPAIR_VIP}/32`, 'dev', 'lo']))
  }
  const via = (await run(...inNamespace(clientNamespace, 'ip', ['-4', 'route', 'show', `${VIP}/32`]))).split(
    ' ',
  )[2]
  await run(...inNamespace(clientNamespace, 'ip', ['route', 'add', `${REPAIR_VIP}/32`, 'via', via ?? '']))
  await run(
    ...inNamespace(gatewayNamespace, 'ip', [
      'route',
      'add',
      `${REPAIR_VIP}/32`,
      'via',
      nodesOf(state)[0].address,
    ]),
  )
}

/** The wire to the client has this many bits a second, or as many as the machine gives. */
export async function limitWire(state: ClusterState, rate: string | undefined): Promise<void> {
  const { gatewayNamespace } = state
  if (rate === undefined) {
    await run(...inNamespace(gatewayNamespace, 'tc', ['qdisc', 'delete', 'dev', 'wan0', 'root'])).catch(
      () => {},
    )
    return
  }
  const tbf = ['root', 'tbf', 'rate', rate, 'burst', '128kb', 'latency', '200ms']
  await run(...inNamespace(gatewayNamespace, 'tc', ['qdisc', 'replace', 'dev', 'wan0', ...tbf]))
}

/** What the client saw, line by line. */
export async function watch(place: Place, system: SystemName, scenario: Scenario): Promise<number[][]> {
  if (system === 'gyre') {
    const orders = [1, 2].map(id => join(place.folder, `${id}.sock`))
    return await runClient(place, { vip: VIP, port: PORT, orders }, scenario)
  }
  const { state, folder, programs } = place
  const orders = ['a', 'b'].map(name => join(folder, `${scenario.name.replaceAll(/\W/g, '-')}-${name}.sock`))
  const [first, second] = nodesOf(state)
  const servers: ChildProcess[] = []
  try {
    for (const [index, { namespace, address }] of [first, second].entries()) {
      const server = programs.start('repair', namespace, {
        first: index === 0 ? 1 : 0,
        vip: REPAIR_VIP,
        port: REPAIR_PORT,
        link: first.address,
        linkPort: LINK_PORT,
        address,
        gateway: `/run/netns/${state.gatewayNamespace}`,
        orders: orders[index] as string,
        ahead: scenario.ahead,
      })
      servers.push(server)
      server.stderr?.pipe(process.stderr)
      await ready(server)
    }
    return await runClient(place, { vip: REPAIR_VIP, port: REPAIR_PORT, orders }, scenario)
  } finally {
    for (const server of servers) {
      if (server.exitCode !== null || server.signalCode !== null) continue
      const ended = once(server, 'exit')
      server.kill('SIGTERM')
      await ended
    }
  }
}

function ready(server: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('a TCP_REPAIR server does not start')), READY_MS)
    server.stdout?.once('data', () => {
      clearTimeout(timer)
      resolve()
    })
    server.once('exit', code => {
      clearTimeout(timer)
      reject(new Error(`a TCP_REPAIR server ended with status ${code}`))
    })
  })
}

interface Service {
  readonly vip: string
  readonly port: number
  readonly orders: readonly string[]
}

async function runClient(place: Place, service: Service, scenario: Scenario): Promise<number[][]> {
  const { vip, port, orders } = service
  const { kind, count, warm, receiveBuffer, windowUs, phase } = scenario
  const args = {
    scenario: kind,
    vip,
    port,
    orders0: orders[0] as string,
    orders1: orders[1] as string,
    count,
    warm,
    rcvbuf: receiveBuffer,
    windowUs,
    phase,
    big: BIG_OCTETS,
    small: SMALL_OCTETS,
  }
  const timeoutMs = 30_000 + (count + warm) * ((4 * windowUs) / 1000 + 300)
  const output = await place.programs.run('watch', place.state.clientNamespace, args, timeoutMs)
  const lines = output.split('\n').filter(line => line !== '')
  return lines.map(line => line.split(' ').map(Number))
}
