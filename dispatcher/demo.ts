/**
 * The demo download: a client of the kernel's own TCP in the client's namespace, started by the operator and watched by all.
 * Where `gyre up` did not build such a namespace there is none, and the report says so.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { AdminError } from './admin/errors.ts'
import { type DemoReport, NO_DEMO } from './admin/feed-messages.ts'

/** Part of the demo site; its checksum stands beside it. */
const PATH = '/downloads/gyre-sample.bin'
/** Slow enough to be watched: 24 s. */
const OCTETS_PER_SECOND = 262_144
const MAX_LINE_CHARACTERS = 1_024

export interface DemoOptions {
  /** Undefined: there is no client on this machine. */
  readonly namespace: string | undefined
  /** What runs `demo-client.ts`, without its arguments. */
  readonly program: readonly string[]
  readonly vip: string
  readonly port: number
}

export class Demo {
  readonly #options: DemoOptions
  #child: ChildProcess | undefined
  #report: DemoReport

  constructor(options: DemoOptions) {
    this.#options = options
    this.#report = options.namespace === undefined ? NO_DEMO : { ...NO_DEMO, unavailable: '' }
  }

  /** Another object whenever it has changed. */
  get report(): DemoReport {
    return this.#report
  }

  /** Rejects with NOT_READY where there is no client, and BUSY while one runs. */
  async start(): Promise<DemoReport> {
    const { namespace, program, vip, port } = this.#options
    if (namespace === undefined) throw new AdminError('NOT_READY', NO_DEMO.unavailable)
    if (this.#child !== undefined) throw new AdminError('BUSY', 'a demo download runs already')
    const url = `http://${vip}${port === 80 ? '' : `:${port}`}${PATH}`
    this.#report = { ...NO_DEMO, unavailable: '', state: 'running', url }
    const child = spawn(
      'ip',
      ['netns', 'exec', namespace, ...program, url, `${OCTETS_PER_SECOND}`],
      // It ends when its input does: with us, however we end.
      { stdio: ['pipe', 'pipe', 'inherit'] },
    )
    this.#child = child
    createInterface({ input: child.stdout }).on('line', line => this.#said(child, line))
    child.on('error', error => this.#ended(child, error.message))
    child.on('close', code => this.#ended(child, `the client ended (status ${code})`))
    return this.#report
  }

  stop(): void {
    this.#child?.kill('SIGKILL')
  }

  /** A line is a part of the report as JSON; the last one says how it ended. */
  #said(child: ChildProcess, line: string): void {
    if (child !== this.#child || line.length > MAX_LINE_CHARACTERS) return
    try {
      this.#report = { ...this.#report, ...(JSON.parse(line) as Partial<DemoReport>) }
    } catch {
      // Not ours: the program wrote something else.
    }
  }

  #ended(child: ChildProcess, error: string): void {
    if (child !== this.#child) return
    this.#child = undefined
    if (this.#report.state === 'running') this.#report = { ...this.#report, state: 'broken', error }
  }
}
