/** A real `nats-server` with JetStream on this machine, for tests: on a port and with a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TOOL_PATH } from '../steering/command.ts'

const READY_MS = 30_000
/** Of a connection that was taken and not greeted. */
const SILENT_MS = 1_000

export class TestEngine {
  readonly port: number
  readonly folder: string
  readonly #flags: readonly string[]
  #child: ChildProcess | undefined

  private constructor(port: number, folder: string, flags: readonly string[]) {
    this.port = port
    this.folder = folder
    this.#flags = flags
  }

  /** `flags` is told the folder, for files that they name. */
  static async start(flags: (folder: string) => readonly string[] = () => []): Promise<TestEngine> {
    const folder = mkdtempSync(join(tmpdir(), 'gyre-engine-'))
    const engine = new TestEngine(await freePort(), folder, flags(folder))
    await engine.run()
    return engine
  }

  /** Runs (again), and answers. */
  async run(): Promise<void> {
    const store = ['-js', '-sd', join(this.folder, 'store')]
    const child = spawn('nats-server', ['-a', '127.0.0.1', '-p', `${this.port}`, ...store, ...this.#flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, PATH: TOOL_PATH },
    })
    this.#child = child
    let said = ''
    child.stderr.on('data', octets => {
      said = `${said}${octets}`.slice(-4_000)
    })
    const failed = once(child, 'exit').then(() => Promise.reject(new Error(`nats-server ended: ${said}`)))
    failed.catch(() => {})
    await Promise.race([failed, this.#answers()])
  }

  /** `kill -9` */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  loseStorage(): void {
    rmSync(join(this.folder, 'store'), { recursive: true, force: true })
  }

  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  goOn(): void {
    this.#child?.kill('SIGCONT')
  }

  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #answers(): Promise<void> {
    for (const end = performance.now() + READY_MS; performance.now() < end; ) {
      const socket = connect(this.port, '127.0.0.1')
      const event = await new Promise(resolve => {
        socket.once('data', () => resolve('data'))
        socket.once('error', () => resolve('error'))
        socket.once('close', () => resolve('close'))
        socket.setTimeout(SILENT_MS, () => resolve('silent'))
      })
      socket.destroy()
      if (event === 'data') return
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    throw new Error('nats-server does not answer')
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
