/**
 * The state file of a cluster on this machine, `/run/gyre/NAME/up.json`: who runs it, its processes and its network, for
 * `gyre down`, the operator's commands and the next start. Its exclusive creation is also what keeps two `gyre up`
 * of one name apart.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { TOKEN_FILE } from '../admin/access.ts'
import type { Mode, SteeringKind } from '../options.ts'
import { UpError } from './errors.ts'
import type { ProcessId } from './processes.ts'

/** Below it each cluster has its own folder; /run is empty after a boot, as are the kernel's namespaces. */
export const DEFAULT_RUN_FOLDER = '/run/gyre'
const VERSION = 1

export interface RoleState extends ProcessId {
  readonly name: string
  readonly role: 'gateway' | 'dispatcher' | 'node' | 'engine'
  /** Owner id; -1 of what owns nothing, and where the engine gives it. */
  readonly id: number
  readonly namespace: string
  readonly address: string
  readonly address6: string | undefined
  readonly restarts: number
}

export interface UpState {
  readonly version: typeof VERSION
  readonly name: string
  readonly status: 'starting' | 'ready' | 'stopping'
  readonly supervisor: ProcessId
  /** `host:port` of the admin interface, in the root namespace. */
  readonly admin: string
  readonly vip: string
  readonly vip6: string | undefined
  readonly port: number
  readonly mode: Mode
  readonly steering: SteeringKind
  readonly hostDevice: string
  readonly clientNamespace: string
  readonly gatewayNamespace: string
  readonly namespaces: readonly string[]
  readonly roles: readonly RoleState[]
}

export class StateFolder {
  readonly path: string
  readonly #file: string
  readonly #tokenFile: string

  constructor(name: string, runFolder = DEFAULT_RUN_FOLDER) {
    this.path = join(runFolder, name)
    this.#file = join(this.path, 'up.json')
    this.#tokenFile = join(this.path, TOKEN_FILE)
  }

  /** Where the nodes reach origin servers (`origin-relay.ts`). */
  get originSocket(): string {
    return join(this.path, 'origin.sock')
  }

  /** What the cluster's own engine stores. */
  get engineFolder(): string {
    return join(this.path, 'engine')
  }

  /** Undefined where there is none, or none that this version can read. */
  read(): UpState | undefined {
    try {
      return readState(this.#file)
    } catch (cause) {
      throw this.#unusable(cause)
    }
  }

  /** False where the file is there already; it appears whole or not at all. */
  claim(state: UpState): boolean {
    const draft = `${this.#file}.${process.pid}`
    this.create()
    try {
      writeFileSync(draft, textOf(state))
      linkSync(draft, this.#file)
      return true
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw this.#unusable(cause)
    } finally {
      rmSync(draft, { force: true })
    }
  }

  /**
   * Removes a file that says `stale`, or cannot be read where `stale` is undefined. False where it says something else
   * by now: somebody was faster.
   */
  discard(stale: UpState | undefined): boolean {
    const aside = `${this.#file}.${process.pid}`
    try {
      renameSync(this.#file, aside)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return true
      throw this.#unusable(cause)
    }
    try {
      const found = readState(aside)
      const same = found?.supervisor.pid === stale?.supervisor.pid
      if (!same) linkSync(aside, this.#file)
      return same
    } finally {
      rmSync(aside, { force: true })
    }
  }

  /** Replaces the file as a whole, so that nobody reads half of it. */
  write(state: UpState): void {
    try {
      writeFileSync(`${this.#file}.new`, textOf(state))
      renameSync(`${this.#file}.new`, this.#file)
    } catch (cause) {
      throw this.#unusable(cause)
    }
  }

  /** For root alone, who may do all of it anyway. */
  writeToken(token: string): void {
    rmSync(this.#tokenFile, { force: true })
    writeFileSync(this.#tokenFile, `${token}\n`, { mode: 0o600 })
  }

  /** Undefined where there is none, or it is not ours to read. */
  readToken(): string | undefined {
    try {
      return readFileSync(this.#tokenFile, 'utf8').trim()
    } catch {
      return undefined
    }
  }

  /** A log stays: it says why the last run ended. */
  remove(): void {
    rmSync(this.#tokenFile, { force: true })
    rmSync(this.#file, { force: true })
    rmSync(this.originSocket, { force: true })
    rmSync(this.engineFolder, { recursive: true, force: true })
    this.#removeEmpty()
  }

  /** For a run that ended as it was told to. */
  removeLog(name: string): void {
    rmSync(this.logPath(name), { force: true })
    this.#removeEmpty()
  }

  #removeEmpty(): void {
    try {
      rmdirSync(this.path)
    } catch {
      // There is a log, or another run by now.
    }
  }

  logPath(name: string): string {
    return join(this.path, `${name}.log`)
  }

  /** Creates the folder. */
  create(): void {
    try {
      mkdirSync(this.path, { recursive: true, mode: 0o755 })
    } catch (cause) {
      throw this.#unusable(cause)
    }
  }

  #unusable(cause: unknown): UpError {
    const why = cause instanceof Error ? cause.message : String(cause)
    return new UpError('STATE_UNUSABLE', `the state file ${this.#file} cannot be used: ${why}`, cause)
  }
}

function readState(file: string): UpState | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw cause
  }
  try {
    const state = JSON.parse(text) as UpState
    return state.version === VERSION ? state : undefined
  } catch {
    return undefined
  }
}

function textOf(state: UpState): string {
  return `${JSON.stringify(state, undefined, 1)}\n`
}
