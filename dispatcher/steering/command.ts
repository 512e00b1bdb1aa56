/** Runs a command of the system to its end with an input, and turns each way to fail into one error. */
import { spawn } from 'node:child_process'

const MAX_SAID_OCTETS = 1024 * 1024
const DEFAULT_TIMEOUT_MS = 30_000

export class CommandError extends Error {
  readonly code: 'COMMAND_MISSING' | 'COMMAND_FAILED' | 'COMMAND_TIMEOUT'
  /** What the command said on its standard error. */
  readonly detail: string

  constructor(code: CommandError['code'], message: string, detail: string) {
    super(message)
    this.name = 'CommandError'
    this.code = code
    this.detail = detail
  }
}

/** Where the tools are that a PATH of a plain user lacks. */
export const TOOL_PATH = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`

/** Resolves to the standard output; rejects with a CommandError. */
export function runCommand(
  command: string,
  args: readonly string[],
  input = '',
  timeoutMs = DEFAULT_TIMEOUT_MS,
): Promise<string> {
  return new Promise((resolve, reject) => {
    // A group of its own: a Ctrl-C at the terminal must not end what just removes the cluster.
    const child = spawn(command, args, { env: { ...process.env, PATH: TOOL_PATH }, detached: true })
    const out: Buffer[] = []
    const said: Buffer[] = []
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new CommandError('COMMAND_TIMEOUT', `${command} did not end in ${timeoutMs} ms`, ''))
    }, timeoutMs)
    child.stdout.on('data', (octets: Buffer) => keep(out, octets))
    child.stderr.on('data', (octets: Buffer) => keep(said, octets))
    child.stdin.on('error', () => {})
    child.on('error', error => {
      clearTimeout(timer)
      reject(new CommandError('COMMAND_MISSING', `${command} cannot be run: ${error.message}`, ''))
    })
    child.on('close', (status, signal) => {
      clearTimeout(timer)
      if (status === 0) return resolve(Buffer.concat(out).toString())
      const detail = Buffer.concat(said).toString().trim()
      const [first = ''] = detail.split('\n')
      const how = signal === null ? `status ${status}` : signal
      reject(new CommandError('COMMAND_FAILED', `${command} failed (${how}): ${first}`, detail))
    })
    child.stdin.end(input)
  })
}

function keep(kept: Buffer[], octets: Buffer): void {
  if (kept.reduce((sum, { length }) => sum + length, 0) < MAX_SAID_OCTETS) kept.push(octets)
}
