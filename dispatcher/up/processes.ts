/**
 * Other processes by their pid, safely: a pid is used again after its process has ended, so a process is only taken
 * for the one that was recorded when it also started at the recorded time.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ProcessId {
  readonly pid: number
  /** Ticks since the boot, from /proc; with the pid it names a process for ever. */
  readonly startTime: number
}

const POLL_MS = 20

/** Undefined where there is no such process, or it has ended and nobody has taken notice. */
export function identify(pid: number): ProcessId | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the name in parentheses and may hold anything; state is field 3, starttime field 22.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const startTime = Number(fields[19])
    return fields[0] === 'Z' || fields[0] === 'X' || Number.isNaN(startTime) ? undefined : { pid, startTime }
  } catch {
    return undefined
  }
}

/** Of a process that was just spawned, even if it has ended already. */
export function identifyOwn(pid: number): ProcessId {
  return identify(pid) ?? { pid, startTime: -1 }
}

export function isAlive(process: ProcessId): boolean {
  return identify(process.pid)?.startTime === process.startTime
}

/** Sends a signal to exactly this process; false where it has ended. */
export function signal(target: ProcessId, name: NodeJS.Signals): boolean {
  if (!isAlive(target)) return false
  try {
    return process.kill(target.pid, name)
  } catch {
    return false
  }
}

/** Whether the process ended within the time. */
export async function ended(process: ProcessId, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs
  while (isAlive(process)) {
    if (performance.now() >= deadline) return false
    await sleep(POLL_MS)
  }
  return true
}

/** Asks the process to end, and makes it end after the time. */
export async function terminate(process: ProcessId, withinMs: number): Promise<void> {
  if (!signal(process, 'SIGTERM') || (await ended(process, withinMs))) return
  signal(process, 'SIGKILL')
  await ended(process, withinMs)
}
