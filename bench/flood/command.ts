/**
 * `npm run bench -- flood`: downloads that stand, and new clients, while somebody sends hostile packets at a steady rate; by turns
 * with rounds in which nobody does. The nodes' links are limited, as a machine's link is: what is measured is what the cluster loses
 * by the packets, beside what one machine of two cores loses by having to make them.
 */
import { randomFillSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAddress } from '../../node/wire/address.ts'
import { type ClusterState, withCluster } from '../local-cluster.ts'
import { inNamespace, run } from '../process.ts'
import { type Progress, SILENT, startProgress } from '../report/progress.ts'
import { type PublishOptions, publish, toldOf } from '../report/publish.ts'
import { type Goal, medianOf, type Result, type Row } from '../report/result.ts'
import { interleave, type Rounds, type Sample, stepsOf } from '../report/rounds.ts'
import { residentOctets } from '../resident.ts'
import type { Attacked, AttackerTarget } from './attacker.ts'
import { SPOOFED } from './attacks.ts'
import { OWN } from './own-connections.ts'
import { Talker } from './talker.ts'
import type { Victims } from './victims.ts'

const CLUSTER = { name: 'gyre-flood', vip: '10.77.143.1', vip6: 'none', admin: '127.0.0.1:8962', nodes: 2 }
const LINK_RATE = '200mbit'
const DOWNLOADS = 8
const FIRST_PORT = 41_000
const LARGE_OCTETS = 16 * 1024 * 1024
const SMALL_OCTETS = 1_024
/** Of the attacker, the last of its network. */
const OWN_ADDRESS = '198.19.255.255'
const FORGED_NETWORK = '198.18.0.0/15'
export const UNDISTURBED = 'undisturbed'
/** What established downloads may lose. */
const LEAST_SHARE = 90

const ATTACKS: Readonly<Record<string, string>> = {
  [UNDISTURBED]: 'nobody attacks',
  syn: 'SYNs from 65,536 forged addresses',
  ack: 'ACKs from forged addresses, for no connection',
  tsecr: 'the same, with timestamps that name a node',
  blind: 'RSTs, SYNs and data with the addresses and ports of the downloads, numbers guessed',
  fragments: 'fragments of TCP',
  icmp: '"too big" and "port unreachable" that quote segments of the downloads, numbers guessed',
  vip: 'packets that come from the virtual address itself',
  sack: 'on 32 connections of one’s own, acknowledgements of three segments apart each',
  tiny: 'on 32 connections of one’s own, segments of one octet that leave gaps',
}

export interface FloodRun {
  /** Packets a second. */
  readonly rate: number
  readonly seconds: number
  readonly rounds: number
  readonly only: string
}

export type FloodOptions = FloodRun & PublishOptions

export async function flood(options: FloodOptions): Promise<Result> {
  const systems = systemsOf(options.only)
  const progress = startProgress(stepsOf(systems.length, options.rounds))
  try {
    const { rows, noise } = await measureFlood(options, progress)
    return await publish(
      {
        bench: 'flood',
        title: 'Hostile packets',
        options: toldOf(options),
        notes: [
          `${DOWNLOADS} downloads over ${CLUSTER.nodes} links of ${LINK_RATE}; a new client each 25 ms asks for ${SMALL_OCTETS} octets.`,
          'The attacker has the same two cores as the cluster: "sent" is what its kernel took.',
          ...systems.map(system => `${system}: ${ATTACKS[system]}.`),
        ],
        columns: [
          { name: 'downloads', unit: 'MB/s', digits: 1, better: 'more' },
          { name: 'of undisturbed', unit: '%', digits: 1 },
          { name: 'sent', unit: '1/s', digits: 0 },
          { name: 'new client p50', unit: 'ms', digits: 1 },
          { name: 'new client p99', unit: 'ms', digits: 1 },
          { name: 'memory grows', unit: 'MB', digits: 1 },
        ],
        rows,
        charts: [{ kind: 'bars', column: 'of undisturbed' }],
        goals: goalsOf,
        noise,
      },
      options,
    )
  } finally {
    progress.stop()
  }
}

function systemsOf(only: string): string[] {
  return [UNDISTURBED, ...[...SPOOFED, ...OWN].filter(name => name.includes(only))]
}

function goalsOf(rows: readonly Row[]): Goal[] {
  return rows
    .filter(({ system }) => system !== UNDISTURBED)
    .map(({ group, system }) => ({
      groups: [group],
      text: `${system}: what downloads keep of their throughput`,
      ...{ value: medianOf(rows, group, system, 'of undisturbed'), limit: LEAST_SHARE, unit: '%' },
      bound: 'least' as const,
    }))
}

/** All rows of one group; `errors` are downloads that ended, and new clients that were not served. */
export async function measureFlood(options: FloodRun, progress: Progress = SILENT): Promise<Rounds> {
  const root = await mkdtemp(join(tmpdir(), 'gyre-flood-'))
  try {
    await writeFile(join(root, 'large.bin'), randomFillSync(Buffer.alloc(LARGE_OCTETS)))
    await writeFile(join(root, 'small.bin'), randomFillSync(Buffer.alloc(SMALL_OCTETS)))
    const more = ['--link-rate', LINK_RATE]
    return await withCluster({ ...CLUSTER, root, more }, async state => {
      await routeForged(state)
      const { rows, noise } = await interleave({
        ...{ group: `${options.rate} packets a second`, systems: systemsOf(options.only) },
        ...{ nameOf: (system: string) => system, rounds: options.rounds, progress },
        measure: (system, round) => oneRound(options, state, system, round),
      })
      return { rows: withShares(rows), noise }
    })
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

/** What is answered to forged addresses leaves by the gateway for a network that takes it, as the Internet does. */
async function routeForged({ gatewayNamespace, clientNamespace, vip }: ClusterState): Promise<void> {
  const inGateway = (...args: string[]) =>
    run(...inNamespace(gatewayNamespace, 'ip', ['route', 'add', ...args]))
  await inGateway('blackhole', FORGED_NETWORK)
  await inGateway(`${OWN_ADDRESS}/32`, 'via', await addressTo(clientNamespace, vip))
}

/** The client's own, on its way to the virtual address. */
async function addressTo(namespace: string, vip: string): Promise<string> {
  const [route] = JSON.parse(await run(...inNamespace(namespace, 'ip', ['-j', 'route', 'get', vip]))) as [
    { prefsrc: string },
  ]
  return route.prefsrc
}

async function oneRound(
  { rate, seconds }: FloodRun,
  state: ClusterState,
  system: string,
  round: number,
): Promise<Sample> {
  const { vip, port, clientNamespace } = state
  // Ports of the round before may still be in TIME-WAIT.
  const first = FIRST_PORT + (round % 100) * 100
  const ports = Array.from({ length: DOWNLOADS }, (_, index) => first + index)
  const paths = ['/large.bin', '/small.bin']
  const victims = new Talker<Victims>(
    clientNamespace,
    'victims',
    vip,
    `${port}`,
    ...paths,
    `${ports}`,
    `${seconds}`,
  )
  let attacker: Talker<Attacked> | undefined
  try {
    await victims.ready()
    const before = memoryOf(state)
    if (system !== UNDISTURBED) {
      const target = JSON.stringify(await targetOf(state, ports))
      attacker = new Talker<Attacked>(clientNamespace, 'attacker', system, target, `${rate}`)
      await attacker.ready()
    }
    victims.tell()
    const seen = await victims.result()
    attacker?.tell()
    const attacked = await attacker?.result()
    return sampleOf(seen, attacked, memoryOf(state) - before)
  } finally {
    victims.kill()
    attacker?.kill()
  }
}

async function targetOf(
  { vip, port, clientNamespace, roles }: ClusterState,
  ports: number[],
): Promise<AttackerTarget> {
  const client = await addressTo(clientNamespace, vip)
  const own = { own: wordOf(OWN_ADDRESS), ownText: OWN_ADDRESS, path: '/large.bin' }
  const nodes = roles.filter(({ role }) => role === 'node').map(({ id }) => id)
  return { vip: wordOf(vip), port, client: wordOf(client), clientPorts: ports, nodes, ...own }
}

function wordOf(text: string): number {
  const address = parseAddress(text)
  if (address?.family !== 4) throw new RangeError(text)
  return address.word3
}

function sampleOf(victims: Victims, attacked: Attacked | undefined, grownOctets: number): Sample {
  const { newClientMs, octets, seconds, broken, unserved } = victims
  const newClient = (share: number) => newClientMs[Math.floor((newClientMs.length - 1) * share)] ?? Number.NaN
  return {
    downloads: octets / seconds / 1e6,
    sent: attacked === undefined ? 0 : attacked.packets / attacked.seconds,
    'new client p50': newClient(0.5),
    'new client p99': newClient(0.99),
    'memory grows': grownOctets / 1e6,
    errors: broken + unserved,
  }
}

/** Of all owners, resident. */
function memoryOf({ roles }: ClusterState): number {
  const owners = roles.filter(({ role }) => role !== 'gateway')
  return owners.reduce((sum, { pid }) => sum + residentOctets(pid), 0)
}

/** Each round beside the undisturbed one of the same turn. */
function withShares(rows: readonly Row[]): Row[] {
  const alone = rows.find(({ system }) => system === UNDISTURBED)?.figures.downloads ?? []
  return rows.map(row => ({
    ...row,
    figures: {
      ...row.figures,
      'of undisturbed': (row.figures.downloads ?? []).map(
        (rate, round) => (100 * (rate ?? 0)) / (alone[round] ?? 0),
      ),
    },
  }))
}
