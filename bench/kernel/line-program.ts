/** A program that is told what to do by lines on its standard input, and answers by lines on its standard output, in order. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export class LineProgram {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #exited: Promise<unknown>
  #errors = ''

  constructor(child: ChildProcess) {
    const { stdin, stdout, stderr } = child
    if (stdin === null || stdout === null || stderr === null) throw new Error('the program has no pipes')
    this.#child = child
    this.#exited = child.exitCode === null ? once(child, 'exit') : Promise.resolve()
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
    stderr.on('data', chunk => {
      this.#errors += chunk
    })
    // Its end is told by what it should have answered.
    stdin.on('error', () => {})
  }

  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** Its next line. Throws where it has ended, with what it said of that. */
  async next(): Promise<string> {
    const { value, done } = await this.#lines.next()
    if (done !== true) return value as string
    await this.#exited
    throw new Error(`a program of the benchmark ended: ${this.#errors.trim()}`)
  }

  async ask(line: string): Promise<string> {
    this.tell(line)
    return await this.next()
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }
}
