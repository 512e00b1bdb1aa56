/** On what a benchmark ran: the machine, its kernel, and the versions of what took part. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryOctets: number
  readonly kernel: string
  /** By program; one that is not installed has none. */
  readonly versions: Readonly<Record<string, string>>
}

/** How each says its version. wrk has no flag for it and ends with status 1, so the status says nothing. */
const PROGRAMS: Readonly<Record<string, string>> = { nginx: '-v', haproxy: '-v', wrk: '-v' }
const VERSION_TIMEOUT_MS = 30_000

export async function describeMachine(): Promise<Machine> {
  const own = JSON.parse(readFileSync(join(process.cwd(), 'package.json'), 'utf8')) as { version: string }
  const versions: Record<string, string> = { gyre: own.version, node: process.versions.node }
  for (const [program, flag] of Object.entries(PROGRAMS)) {
    const version = await versionOf(program, flag)
    if (version !== undefined) versions[program] = version
  }
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryOctets: totalmem(),
    kernel: release(),
    versions,
  }
}

function versionOf(program: string, flag: string): Promise<string | undefined> {
  return new Promise(resolve => {
    execFile(program, [flag], { timeout: VERSION_TIMEOUT_MS }, (_error, stdout, stderr) => {
      resolve(/\d+\.\d+(\.\d+)?/.exec(`${stdout}${stderr}`)?.[0])
    })
  })
}

export function machineLine({ cpu, cores, kernel, versions }: Machine): string {
  const programs = Object.entries(versions).map(([program, version]) => `${program} ${version}`)
  return `${cpu}, ${cores} cores, Linux ${kernel}; ${programs.join(', ')}`
}
