/** Commands as the benchmarks run them: bounded in time, their output kept, their failure an error that says what they said. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'

const MAX_OUTPUT_OCTETS = 16 * 1024 * 1024
const DEFAULT_TIMEOUT_MS = 120_000
/** Until a server listens. */
const LISTEN_MS = 20_000
const LISTEN_POLL_MS = 50

export function run(
  command: string,
  args: readonly string[],
  timeoutMs?: number,
  environment?: Readonly<Record<string, string>>,
): Promise<string> {
  return start(command, args, timeoutMs, environment).output
}

export interface Started {
  readonly output: Promise<string>
  /** Ends its standard input. */
  end(): void
}

export function start(
  command: string,
  args: readonly string[],
  timeoutMs = DEFAULT_TIMEOUT_MS,
  environment: Readonly<Record<string, string>> = {},
): Started {
  const env = { ...process.env, ...environment }
  const options = { timeout: timeoutMs, maxBuffer: MAX_OUTPUT_OCTETS, env }
  let child: ChildProcess | undefined
  const output = new Promise<string>((resolve, reject) => {
    child = execFile(command, [...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new Error(`${command} ${args.join(' ')}: ${stderr.trim() || error.message}`))
    })
  })
  return { output, end: () => child?.stdin?.end() }
}

export function inNamespace(namespace: string, command: string, args: readonly string[]): [string, string[]] {
  return ['ip', ['netns', 'exec', namespace, command, ...args]]
}

/** Whether a command of this name can be run. */
export async function has(command: string): Promise<boolean> {
  try {
    await run('sh', ['-c', `command -v ${command}`], 5_000)
    return true
  } catch {
    return false
  }
}

/** A server that is ended by `stop`, by its pid, and waited for. */
export class Server {
  readonly #child: ChildProcess
  readonly #exited: Promise<void>
  #output = ''

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-65_536)
    }
    this.#child.stdout?.on('data', keep)
    this.#child.stderr?.on('data', keep)
    this.#exited = new Promise(resolve => {
      this.#child.once('exit', () => resolve())
    })
  }

  get pid(): number {
    return this.#child.pid as number
  }

  get output(): string {
    return this.#output
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Whether it has ended by itself within `ms`. */
  async ended(ms: number): Promise<boolean> {
    const isLate = new Promise(resolve => setTimeout(resolve, ms).unref())
    await Promise.race([this.#exited, isLate])
    return !this.running
  }

  async stop(): Promise<void> {
    if (this.running) this.#child.kill('SIGTERM')
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await this.#exited
    clearTimeout(killer)
  }
}

/** Waits until a server listens, as the kernel of its namespace says: a connection would be counted as load. */
export async function listening(server: Server, namespace: string, port: number): Promise<void> {
  const until = performance.now() + LISTEN_MS
  for (;;) {
    const sockets = await run(...inNamespace(namespace, 'ss', ['-Hltn', `sport = :${port}`]))
    if (sockets.trim() !== '') return
    if (!server.running) throw new Error(`a server did not start: ${server.output}`)
    if (performance.now() > until) {
      await server.stop()
      throw new Error(`a server does not listen on port ${port}: ${server.output}`)
    }
    await new Promise(resolve => setTimeout(resolve, LISTEN_POLL_MS))
  }
}
