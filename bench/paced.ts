/** The open-loop load generator (`paced.c`): built where it is used, and its figures. */
import { join } from 'node:path'
import { inNamespace, run } from './process.ts'
import type { Figures } from './wrk.ts'

const SOURCE = join(process.cwd(), 'bench', 'paced.c')

export interface PacedLoad {
  readonly namespace: string
  readonly address: string
  readonly port: number
  readonly path: string
  readonly connections: number
  /** Requests a second. */
  readonly rate: number
  readonly seconds: number
  readonly core: number
}

/** Compiles the generator into `folder`; returns the program. */
export async function buildPaced(folder: string): Promise<string> {
  const program = join(folder, 'paced')
  await run('cc', ['-O2', '-D_GNU_SOURCE', '-o', program, SOURCE])
  return program
}

export async function paced(program: string, load: PacedLoad): Promise<Figures> {
  const { namespace, address, port, path, connections, rate, seconds, core } = load
  const numbers = [connections, Math.round(rate), seconds].map(String)
  const args = ['-c', `${core}`, program, address, `${port}`, path, ...numbers]
  const output = await run(...inNamespace(namespace, 'taskset', args), (seconds + 30) * 1000)
  const { perSecond, p50, p99 } = JSON.parse(output) as { perSecond: number; p50: number; p99: number }
  return { requestsPerSecond: perSecond, octetsPerSecond: 0, p50Ms: p50 / 1000, p99Ms: p99 / 1000, errors: 0 }
}
