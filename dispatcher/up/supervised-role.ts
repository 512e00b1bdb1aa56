/**
 * One role of a cluster as a supervised process: started, waited for until it says that it serves, started again with
 * growing pauses when it dies, given up when it dies too often. It knows nothing of what the role does.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { ADMIN_TOKEN_VARIABLE, type Endpoint, SECRET_VARIABLE } from '../options.ts'
import { withAdminSocket } from './admin-socket.ts'
import { UpError } from './errors.ts'
import { identifyOwn, type ProcessId, signal, terminate } from './processes.ts'
import type { RoleState } from './state.ts'

export const MIN_RESTART_DELAY_MS = 250
export const MAX_RESTART_DELAY_MS = 30_000
/** Deaths in a row, each within STABLE_MS of its start, after which a role stays down. */
export const MAX_RESTARTS = 10
const STABLE_MS = 60_000
/** A role that was asked to end says goodbye to its peers and takes its rules away; then it is ended. */
const STOP_TIMEOUT_MS = 3000
/** Of what a role said last, for the line that tells of its death. */
const MAX_LINE_CHARS = 400

/** How the role's process is started. */
export interface RoleCommand extends Pick<RoleState, 'name' | 'role' | 'id' | 'address' | 'address6'> {
  /** Undefined: our own. */
  readonly namespace: string | undefined
  /** The program and its arguments, to be run in the namespace. */
  readonly argv: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** A listening socket is passed on as descriptor ADMIN_FD. */
  readonly admin: Endpoint | undefined
  readonly readyTimeoutMs: number
  /** Says that it serves, of a program that is not ours. */
  readonly readyLine?: RegExp
  /** ms after which it is made to end; 3 s where it does not say. */
  readonly stopTimeoutMs?: number
}

/** The first descriptor after the standard three. */
export const ADMIN_FD = 3

export interface RoleHandlers {
  /** A line that the role wrote, or that tells of it. */
  line(name: string, text: string): void
  /** Its pid changed. */
  changed(): void
  /** It died too often, after it had once been ready. */
  gaveUp(error: UpError): void
}

export class SupervisedRole {
  readonly command: RoleCommand
  readonly #handlers: RoleHandlers
  #child: ChildProcess | undefined
  #process: ProcessId | undefined
  #restarts = 0
  #deathsInARow = 0
  #startedAt = 0
  #ready = false
  #wasReady = false
  #stopping = false
  #lastLine = ''
  #timer: NodeJS.Timeout | undefined
  #started: { resolve: () => void; reject: (error: UpError) => void } | undefined

  constructor(command: RoleCommand, handlers: RoleHandlers) {
    this.command = command
    this.#handlers = handlers
  }

  get state(): RoleState | undefined {
    const { name, role, id, namespace, address, address6 } = this.command
    if (this.#process === undefined) return undefined
    return {
      ...this.#process,
      name,
      role,
      id,
      namespace: namespace ?? '',
      address,
      address6,
      restarts: this.#restarts,
    }
  }

  /** Resolves when the role serves for the first time; rejects with an UpError when it ended before. */
  async start(): Promise<void> {
    const ready = new Promise<void>((resolve, reject) => {
      this.#started = { resolve, reject }
    })
    await this.#spawn()
    await ready
  }

  /** Ends the process, whatever its state, and starts no other. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#timer)
    if (this.#process !== undefined)
      await terminate(this.#process, this.command.stopTimeoutMs ?? STOP_TIMEOUT_MS)
    this.#started?.reject(new UpError('INTERRUPTED', 'stopped before it was ready'))
    this.#started = undefined
  }

  /** SIGHUP: has the role read its configuration again; SIGUSR1: open its logs anew. */
  tell(name: 'SIGHUP' | 'SIGUSR1'): void {
    if (this.#ready && this.#process !== undefined) signal(this.#process, name)
  }

  /** Ends a process that is ending, without waiting for it. */
  kill(): void {
    if (this.#stopping && this.#process !== undefined) signal(this.#process, 'SIGKILL')
  }

  async #spawn(): Promise<void> {
    const { admin } = this.command
    if (admin === undefined) this.#launch(['ignore', 'pipe', 'pipe', 'ipc'])
    else await withAdminSocket(admin, ({ fd }) => this.#launch(['ignore', 'pipe', 'pipe', fd, 'ipc']))
  }

  #launch(stdio: StdioOptions): void {
    if (this.#stopping) return
    const { namespace, argv, environment, readyTimeoutMs } = this.command
    // A session of its own, so that a Ctrl-C at the terminal reaches only the supervisor.
    const [program = '', ...args] =
      namespace === undefined ? argv : ['ip', 'netns', 'exec', namespace, ...argv]
    const child = spawn(program, args, {
      stdio,
      detached: true,
      env: { ...withoutSecrets(process.env), ...environment },
    })
    this.#child = child
    this.#ready = false
    this.#lastLine = ''
    this.#startedAt = performance.now()
    this.#process = child.pid === undefined ? undefined : identifyOwn(child.pid)
    for (const stream of [child.stdout, child.stderr]) if (stream !== null) this.#follow(child, stream)
    child.on('message', message => {
      if (isReady(message)) this.#serves(child)
    })
    child.on('error', error => this.#gone(child, error.message))
    // 'close' comes when the last line has been read too.
    child.on('close', (code, name) => this.#gone(child, name ?? `status ${code}`))
    this.#timer = setTimeout(() => this.#tooSlow(), readyTimeoutMs)
    this.#handlers.changed()
  }

  #follow(child: ChildProcess, stream: Readable): void {
    const { name, readyLine } = this.command
    createInterface({ input: stream }).on('line', line => {
      const text = line.slice(0, MAX_LINE_CHARS)
      if (text.trim() !== '') this.#lastLine = text
      this.#handlers.line(name, text)
      if (readyLine?.test(text)) this.#serves(child)
    })
  }

  #serves(child: ChildProcess): void {
    if (child !== this.#child || this.#ready) return
    clearTimeout(this.#timer)
    this.#ready = true
    if (this.#wasReady) this.#handlers.line(this.command.name, `serves again as pid ${child.pid}`)
    this.#wasReady = true
    this.#started?.resolve()
    this.#started = undefined
  }

  #tooSlow(): void {
    this.#lastLine = `not ready within ${this.command.readyTimeoutMs} ms`
    if (this.#process !== undefined) terminate(this.#process, STOP_TIMEOUT_MS).catch(() => {})
  }

  #gone(child: ChildProcess, how: string): void {
    if (child !== this.#child) return
    clearTimeout(this.#timer)
    this.#child = undefined
    this.#process = undefined
    if (this.#stopping) return
    const { name } = this.command
    const said = this.#lastLine === '' ? '' : `: ${this.#lastLine}`
    if (this.#started !== undefined) {
      this.#started.reject(new UpError('ROLE_FAILED', `${name} did not start (${how})${said}`))
      this.#started = undefined
      return
    }
    this.#restart(how, said)
  }

  #restart(how: string, said: string): void {
    const { name } = this.command
    const stable = performance.now() - this.#startedAt >= STABLE_MS
    this.#deathsInARow = stable ? 1 : this.#deathsInARow + 1
    if (this.#deathsInARow > MAX_RESTARTS) {
      const message = `${name} died ${this.#deathsInARow} times in a row (${how})${said}`
      this.#handlers.gaveUp(new UpError('ROLE_FAILED', message))
      return
    }
    const delayMs = Math.min(MAX_RESTART_DELAY_MS, MIN_RESTART_DELAY_MS * 2 ** (this.#deathsInARow - 1))
    this.#handlers.line(name, `died (${how}); starts again in ${delayMs} ms`)
    this.#timer = setTimeout(() => {
      this.#restarts++
      this.#spawn().catch((error: unknown) => {
        this.#restart(error instanceof Error ? error.message : String(error), '')
      })
    }, delayMs)
    this.#handlers.changed()
  }
}

/** A role, and an application that it runs, is told no more than is its business. */
function withoutSecrets(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { [ADMIN_TOKEN_VARIABLE]: _token, [SECRET_VARIABLE]: _secret, ...others } = environment
  return others
}

function isReady(message: unknown): boolean {
  return typeof message === 'object' && message !== null && (message as { ready?: unknown }).ready === true
}
