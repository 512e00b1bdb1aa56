/** Processes in network namespaces, for tests. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'

/** `ip netns exec` becomes the command, so that its pid is the command's. */
export function spawnIn(
  namespace: string,
  command: string,
  args: readonly string[],
): ChildProcessByStdio<null, Readable, null> {
  return spawn('ip', ['netns', 'exec', namespace, command, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
}
