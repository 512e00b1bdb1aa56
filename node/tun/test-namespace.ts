/**
 * A network namespace of its own for one test file: created with a unique name, removed with everything in it
 * by `remove`. For tests with a real kernel peer, by root only; it changes nothing outside the namespace.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { existsSync, readdirSync, readlinkSync } from 'node:fs'

let created = 0

/** Why tests with real devices cannot run here, or undefined where they can. */
export function whyNoNamespace(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root'
  if (!existsSync('/dev/net/tun')) return 'needs /dev/net/tun'
  try {
    execFileSync('ip', ['netns', 'list'], { stdio: 'ignore' })
  } catch {
    return 'needs ip (iproute2) with network namespaces'
  }
  return undefined
}

/** How many descriptors of this process are TUN devices or network namespaces. */
export function openTunDescriptors(): number {
  const targets = readdirSync('/proc/self/fd').map(descriptor => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`)
    } catch {
      return '' // the one that listed the folder
    }
  })
  return targets.filter(target => target === '/dev/net/tun' || target.startsWith('net:[')).length
}

export class TestNamespace {
  readonly name: string

  constructor() {
    this.name = `gyre-test-${process.pid}-${created++}`
    execFileSync('ip', ['netns', 'add', this.name])
    this.ip('link', 'set', 'lo', 'up')
  }

  /** Runs `ip` inside, and returns what it says; throws where it fails. */
  ip(...args: string[]): string {
    return execFileSync('ip', ['-n', this.name, ...args], { encoding: 'utf8', stdio: 'pipe' })
  }

  /** Runs a command inside and waits for it while the event loop stands still. */
  runSync(command: string, ...args: string[]): string {
    const inside = ['netns', 'exec', this.name, command, ...args]
    return execFileSync('ip', inside, { encoding: 'utf8', stdio: 'pipe' })
  }

  /** Runs a command inside while the event loop goes on; rejects where it fails. */
  run(command: string, ...args: string[]): Promise<string> {
    const inside = ['netns', 'exec', this.name, command, ...args]
    return new Promise((resolve, reject) => {
      execFile('ip', inside, { timeout: 20_000 }, (error, stdout, stderr) => {
        if (error === null) resolve(stdout)
        else reject(new Error(`${command}: ${stderr || stdout}`, { cause: error }))
      })
    })
  }

  /** Starts a command inside with its standard input and output as pipes. */
  start(command: string, ...args: string[]): ChildProcess {
    return spawn('ip', ['netns', 'exec', this.name, command, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  }

  remove(): void {
    execFileSync('ip', ['netns', 'delete', this.name])
  }
}
