/**
 * A cluster of its own for a benchmark or a test: started by the command that users start it with, under a name and a VIP that
 * nobody else has, and always removed.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TOKEN_FILE } from '../dispatcher/admin/access.ts'
import { RUN_DIRECTORY } from '../dispatcher/admin/client.ts'
import { inNamespace, run, start } from './process.ts'

/** The repository, where this runs from `dist/bench` or from `bench`. */
export const REPOSITORY = process.cwd()
export const GYRE = join(REPOSITORY, 'dist', 'dispatcher', 'main.js')
const START_TIMEOUT_MS = 60_000

export interface ClusterState {
  readonly name: string
  readonly admin: string
  /** For acts at the admin port. */
  readonly token: string
  readonly vip: string
  readonly vip6: string | undefined
  readonly port: number
  readonly clientNamespace: string
  readonly gatewayNamespace: string
  readonly roles: readonly {
    readonly name: string
    readonly role: string
    readonly id: number
    readonly pid: number
    readonly namespace: string
    readonly address: string
  }[]
}

export interface ClusterFlags {
  readonly name: string
  readonly vip: string
  readonly vip6: string
  readonly admin: string
  readonly nodes: number
  /** Undefined where `more` says what is served. */
  readonly root?: string
  readonly more?: readonly string[]
  /** Beside our own, of all its processes. */
  readonly environment?: Readonly<Record<string, string>>
}

/** Runs `work` on a running cluster, and removes the cluster whatever came of it. */
export async function withCluster<Result>(
  flags: ClusterFlags,
  work: (state: ClusterState) => Promise<Result>,
): Promise<Result> {
  const { name, vip, vip6, admin, nodes, root, more = [], environment } = flags
  await gyre(
    ['up', '--name', name, '--vip', vip, '--vip6', vip6, '--admin', admin, '--nodes', `${nodes}`].concat(
      root === undefined ? [] : ['--root', root],
      ['--detach', ...more],
    ),
    START_TIMEOUT_MS,
    environment,
  )
  try {
    return await work(await stateOf(name))
  } finally {
    await gyre(['down', '--name', name])
  }
}

export async function stateOf(name: string): Promise<ClusterState> {
  const folder = join(RUN_DIRECTORY, name)
  const token = (await readFile(join(folder, TOKEN_FILE), 'utf8')).trim()
  return { ...JSON.parse(await readFile(join(folder, 'up.json'), 'utf8')), token } as ClusterState
}

export function gyre(
  args: readonly string[],
  timeoutMs?: number,
  environment?: Readonly<Record<string, string>>,
): Promise<string> {
  return run(process.execPath, [GYRE, ...args], timeoutMs, environment)
}

/** Runs one of the acceptance tests' programs in a namespace, and returns the JSON that it prints. */
export function program<Result>(namespace: string, name: string, ...args: string[]): Promise<Result> {
  return startProgram<Result>(namespace, name, ...args).result
}

/** One that goes on until it is told to end. */
export interface StartedProgram<Result> {
  readonly result: Promise<Result>
  end(): void
}

export function startProgram<Result>(
  namespace: string,
  name: string,
  ...args: string[]
): StartedProgram<Result> {
  const script = join(REPOSITORY, 'dist', 'bench', 'acceptance', `${name}.js`)
  const { output, end } = start(...inNamespace(namespace, process.execPath, [script, ...args]), 180_000)
  return { result: output.then(printed => JSON.parse(printed) as Result), end }
}
