/** One connection of the kernel (`peer.c`): started, waited for until it listens, and its report. */
import type { ChildProcess } from 'node:child_process'
import type { Programs } from './program.ts'

/** What both ends of a transfer say of it, whoever they are. */
export interface EndReport {
  readonly sent: number
  readonly received: number
  /** Position of the first octet that was not the expected one; -1: none. */
  readonly wrongAt: number
  /** The peer's end was seen, ours acknowledged, and nothing went wrong on the way. */
  readonly orderly: boolean
  readonly error: string
  /** The longest time that this end waited for the next octets, or the end, of the peer's. */
  readonly longestGapMs: number
  readonly elapsedMs: number
}

export interface KernelReport extends EndReport {
  readonly retransmitted: number
  readonly timestamps: 0 | 1
  readonly sack: 0 | 1
  readonly scaled: 0 | 1
  readonly ecn: 0 | 1
}

export type PeerArguments = Readonly<Record<string, number | string>>

export class KernelPeer {
  /** Resolves when it listens; at once for one that connects. */
  readonly ready: Promise<void>
  readonly report: Promise<KernelReport>
  readonly #child: ChildProcess

  constructor(programs: Programs, namespace: string, args: PeerArguments) {
    const child = programs.start('peer', namespace, args)
    this.#child = child
    let output = ''
    let errors = ''
    let listening: () => void = () => {}
    const listens = new Promise<void>(resolve => {
      listening = resolve
    })
    child.stderr?.on('data', chunk => {
      errors += chunk
    })
    child.stdout?.on('data', chunk => {
      output += chunk
      if (output.startsWith('ready\n')) listening()
    })
    this.report = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', code => {
        const line = output.split('\n').find(text => text.startsWith('{'))
        if (code === 0 && line !== undefined) resolve(JSON.parse(line) as KernelReport)
        else reject(new Error(`the kernel's end failed: ${errors.trim() || `status ${code}`}`))
      })
    })
    this.ready =
      args.role === 'listen' ? Promise.race([listens, this.report.then(() => {})]) : Promise.resolve()
    // Whoever waits for the report hears of its failure; nobody may be waiting yet.
    this.report.catch(() => {})
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}
