/**
 * The C programs that stand for an application on the kernel's TCP: what they do (socket options, TCP_INFO, a hundred
 * thousand sockets) Node.js has no call for. Compiled when they are first asked for.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { REPOSITORY } from '../local-cluster.ts'
import { inNamespace, run } from '../process.ts'

type Arguments = Readonly<Record<string, number | string>>
export type Program = 'peer' | 'swarm' | 'repair' | 'watch' | 'load'

/** Why none can be compiled, or undefined. */
export function whyNoCompiler(): string | undefined {
  const found = (process.env.PATH ?? '').split(':').some(folder => existsSync(join(folder, 'cc')))
  return found ? undefined : 'needs a C compiler (apt-get install gcc libc6-dev)'
}

export class Programs {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async compile(...programs: readonly Program[]): Promise<Programs> {
    const folder = await mkdtemp(join(tmpdir(), 'gyre-kernel-'))
    for (const program of programs) {
      const source = join(REPOSITORY, 'bench', 'kernel', `${program}.c`)
      await run('cc', ['-O2', '-o', join(folder, program), source, '-lm'])
    }
    return new Programs(folder)
  }

  /** Starts one in a namespace, its arguments as `name=value`. */
  start(program: Program, namespace: string, args: Arguments): ChildProcess {
    const [command, words] = this.#command(program, namespace, args)
    return spawn(command, words, { stdio: ['pipe', 'pipe', 'pipe'] })
  }

  /** Runs one to its end, and returns what it printed. */
  run(program: Program, namespace: string, args: Arguments, timeoutMs: number): Promise<string> {
    return run(...this.#command(program, namespace, args), timeoutMs)
  }

  #command(program: Program, namespace: string, args: Arguments): [string, string[]] {
    const words = Object.entries(args).map(([name, value]) => `${name}=${value}`)
    return inNamespace(namespace, join(this.#folder, program), words)
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }
}
