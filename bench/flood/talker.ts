/** A program in a namespace that says "ready", goes on until it is told, and then prints JSON. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { REPOSITORY } from '../local-cluster.ts'
import { inNamespace } from '../process.ts'

const READY_MS = 60_000
const RESULT_MS = 60_000

export class Talker<Result> {
  readonly #name: string
  readonly #child: ChildProcess
  #output = ''
  #said = ''
  #waiting: () => void = () => {}

  constructor(namespace: string, name: string, ...args: string[]) {
    this.#name = name
    const script = join(REPOSITORY, 'dist', 'bench', 'flood', `${name}.js`)
    const command = inNamespace(namespace, process.execPath, [script, ...args])
    this.#child = spawn(...command, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#output += chunk.toString()
      this.#waiting()
    })
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#said = (this.#said + chunk.toString()).slice(-4_096)
    })
    this.#child.stdin?.on('error', () => {})
    this.#child.on('close', () => this.#waiting())
  }

  async ready(): Promise<void> {
    await this.#line(1, READY_MS)
  }

  tell(): void {
    this.#child.stdin?.end()
  }

  async result(): Promise<Result> {
    return JSON.parse(await this.#line(2, RESULT_MS)) as Result
  }

  /** Of one that is of no use any more. Idempotent. */
  kill(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
  }

  /** The line of this number, when it is whole. */
  #line(number: number, timeoutMs: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${this.#name} said nothing in ${timeoutMs} ms`)),
        timeoutMs,
      )
      this.#waiting = () => {
        const lines = this.#output.split('\n')
        if (lines.length > number) resolve(lines[number - 1] as string)
        else if (this.#child.exitCode === null && this.#child.signalCode === null) return
        else reject(new Error(`${this.#name} has ended: ${this.#said}`))
        clearTimeout(timer)
      }
      this.#waiting()
    })
  }
}
