/** The clients' load: what the program that makes it is told and tells, and its files. */
import { createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { limitBuffers } from '../acceptance/drained-downloads.ts'
import { type ClusterState, REPOSITORY } from '../local-cluster.ts'
import { inNamespace, type Started, start } from '../process.ts'

export interface ClientsOptions {
  readonly hosts: readonly string[]
  readonly port: number
  /** A JSON file of paths to SHA-256. */
  readonly list: string
  readonly seed: number
  /** How many are at work at a time: slow downloads, fast ones, kept connections. */
  readonly slow: number
  readonly fast: number
  readonly kept: number
}

/** Times are of the wall clock, in ms. */
export interface Failure {
  readonly kind: 'download' | 'kept'
  readonly at: 'connecting' | 'idle' | 'asked' | 'answered'
  /** When something was last heard on the connection, or it was begun. */
  readonly since: number
  readonly until: number
  /** No response had come on this connection before. */
  readonly isFirst: boolean
  readonly error: string
}

/** For octets that were owed. */
export interface Wait {
  readonly kind: Failure['kind']
  readonly began: number
  readonly ms: number
}

export interface ClientsReport {
  /** Whole and right. */
  readonly downloads: number
  readonly requests: number
  readonly octets: number
  readonly connects: number
  readonly failures: readonly Failure[]
  readonly waits: readonly Wait[]
}

const [LARGE_FILES, SMALL_FILES] = [12, 40]
const LARGE_OCTETS = 1_000_000
/** Within one flight, of which no record is made. */
const MAX_SMALL_OCTETS = 12_000

/** Returns the path of the list of digests. */
export function writeFiles(folder: string): string {
  const digests: Record<string, string> = {}
  const write = (name: string, length: number) => {
    const octets = randomBytes(length)
    writeFileSync(join(folder, name), octets)
    digests[`/${name}`] = createHash('sha256').update(octets).digest('hex')
  }
  for (let file = 0; file < LARGE_FILES; file++) write(`large${file}.bin`, LARGE_OCTETS + 7_919 * file)
  for (let file = 0; file < SMALL_FILES; file++)
    write(`small${file}.bin`, 1 + ((file * 7_919) % MAX_SMALL_OCTETS))
  const list = join(folder, 'digests.json')
  writeFileSync(list, JSON.stringify(digests))
  return list
}

export interface Load {
  readonly report: Promise<ClientsReport>
  /** What is under way is brought to its end, and nothing new begun. */
  end(): void
}

export async function startLoad(
  state: ClusterState,
  options: Omit<ClientsOptions, 'hosts' | 'port'>,
  timeoutMs: number,
): Promise<Load> {
  const { clientNamespace, vip, vip6, port } = state
  await limitBuffers(state)
  const told: ClientsOptions = { ...options, hosts: [vip, ...(vip6 === undefined ? [] : [vip6])], port }
  const script = join(REPOSITORY, 'dist', 'bench', 'chaos', 'clients.js')
  const args = [script, JSON.stringify(told)]
  const { output, end }: Started = start(...inNamespace(clientNamespace, process.execPath, args), timeoutMs)
  const report = output.then(text => JSON.parse(text) as ClientsReport)
  // A rejection is told where it is awaited.
  report.catch(() => {})
  return { report, end }
}
