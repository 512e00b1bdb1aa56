/**
 * Runs `nft`, one command at a time, through a small helper process that does the forking. It knows nothing of the
 * rules. A fork of a process with the memory of a cache stops it for 8 to 20 ms (measured at 300 MB), each time, and
 * this one may be in the packet path; the helper is a shell of 1 MB, which forks in half a millisecond.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { TOOL_PATH } from './command.ts'
import { SteeringError } from './errors.ts'

/** The slowest transaction, 262,144 elements at once, takes under two seconds on one core. */
export const NFT_TIMEOUT_MS = 15_000
/** A listing of all owners in JSON has some 100 octets each. */
export const MAX_OUTPUT_OCTETS = 1024 * 1024
/** Of what nft said, as much as goes into a log. */
const MAX_DETAIL_CHARS = 2000

/**
 * Reads "octets arguments", gives that many octets of the rest to nft, and answers "status octets" and what nft wrote.
 * `read` of a shell takes single octets from a pipe and `head -c` no more than it was told, so none is lost between.
 */
const HELPER = `LC_ALL=C; export LC_ALL
while read -r octets arguments; do
  said=$(head -c "$octets" | nft $arguments 2>&1)
  status=$?
  printf '%s %s\\n%s' "$status" "\${#said}" "$said"
done`

type Helper = ChildProcessByStdio<Writable, Readable, null>

interface Waiting {
  readonly resolve: (output: string) => void
  readonly reject: (error: SteeringError) => void
}

export class NftCommand {
  readonly #timeoutMs: number
  readonly #prefix: readonly string[]
  #helper: Helper | undefined
  #waiting: Waiting | undefined
  #timer: NodeJS.Timeout | undefined
  #said: Buffer[] = []
  #octets = 0
  #closed = false

  /** `prefix` runs the helper elsewhere: `ip netns exec NAME`. */
  constructor(timeoutMs = NFT_TIMEOUT_MS, prefix: readonly string[] = []) {
    this.#timeoutMs = timeoutMs
    this.#prefix = prefix
  }

  /** Runs a text of commands as one transaction. Rejects with a SteeringError; then nothing of it holds. */
  async transact(text: string): Promise<void> {
    await this.run(['-f', '-'], text)
  }

  /**
   * Resolves to what nft printed. One at a time: a second call before the first has ended is a mistake of the caller.
   * `args` must not need quoting.
   */
  run(args: readonly string[], input = ''): Promise<string> {
    if (this.#closed) return Promise.reject(new SteeringError('STEERING_STOPPED', 'steering was stopped'))
    if (this.#waiting !== undefined) throw new Error('one nft command at a time')
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#said = []
      this.#octets = 0
      this.#helper ??= this.#start()
      this.#helper.ref()
      const { stdin } = this.#helper
      stdin.write(`${Buffer.byteLength(input)} ${args.join(' ')}\n`)
      stdin.write(input)
      this.#timer = setTimeout(() => {
        this.#fail(`nft did not answer in ${this.#timeoutMs} ms`)
      }, this.#timeoutMs)
    })
  }

  /** Ends the helper, and what it runs. Idempotent. */
  close(): void {
    this.#closed = true
    this.#fail('steering was stopped')
  }

  #start(): Helper {
    // Its own process group, so that a Ctrl-C does not end it before what is to be removed is removed.
    const [command = '/bin/sh', ...args] = [...this.#prefix, '/bin/sh', '-c', HELPER]
    const helper = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
      // nft reads a history file below HOME where it can.
      env: { ...process.env, HOME: '/nonexistent', PATH: TOOL_PATH },
    })
    helper.on('error', error => this.#lost(helper, error.message))
    helper.on('exit', () => this.#lost(helper, 'the helper of nft ended'))
    // A write to a dead helper; its end is told by 'exit'.
    helper.stdin.on('error', () => {})
    helper.stdout.on('data', (octets: Buffer) => {
      if (helper === this.#helper) this.#receive(octets)
    })
    // An idle helper keeps nobody alive; one that works does, by `ref` of the process above.
    unrefStream(helper.stdin)
    unrefStream(helper.stdout)
    return helper
  }

  #receive(octets: Buffer): void {
    if (this.#waiting === undefined) return
    this.#said.push(octets)
    this.#octets += octets.length
    if (this.#octets > MAX_OUTPUT_OCTETS) return this.#fail(`nft said more than ${MAX_OUTPUT_OCTETS} octets`)
    const said = this.#said.length === 1 ? octets : Buffer.concat(this.#said)
    this.#said = [said]
    const head = said.indexOf(10)
    if (head < 0) return
    const [status, length] = said.toString('latin1', 0, head).split(' ').map(Number)
    if (status === undefined || length === undefined || said.length - head - 1 < length) return
    this.#answer(status, said.toString('utf8', head + 1, head + 1 + length))
  }

  #answer(status: number, output: string): void {
    const waiting = this.#settle()
    this.#helper?.unref()
    if (waiting === undefined) return
    if (status === 0) return waiting.resolve(output)
    const detail = output.slice(0, MAX_DETAIL_CHARS)
    if (status === 127 || status === 126) {
      waiting.reject(
        new SteeringError('NFT_MISSING', 'the command nft cannot be run; install nftables', detail),
      )
    } else {
      const [first] = detail.split('\n')
      waiting.reject(new SteeringError('NFT_REFUSED', `nft refused (status ${status}): ${first}`, detail))
    }
  }

  #lost(helper: Helper, why: string): void {
    if (helper === this.#helper) this.#fail(why)
  }

  #fail(why: string): void {
    const helper = this.#helper
    this.#helper = undefined
    if (helper !== undefined) endGroup(helper)
    this.#settle()?.reject(new SteeringError('NFT_FAILED', why))
  }

  #settle(): Waiting | undefined {
    clearTimeout(this.#timer)
    const waiting = this.#waiting
    this.#waiting = undefined
    return waiting
  }
}

/** The helper and a command that hangs in it. */
function endGroup(helper: Helper): void {
  helper.stdin.destroy()
  helper.stdout.destroy()
  if (helper.pid === undefined || helper.exitCode !== null || helper.signalCode !== null) return
  try {
    process.kill(-helper.pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
  }
}

function unrefStream(stream: unknown): void {
  const { unref } = stream as { unref?: () => void }
  unref?.call(stream)
}
