/** CPU time as Linux counts it (proc(5)), in seconds. */
import { readFileSync } from 'node:fs'

/** USER_HZ, on every architecture. */
const TICKS_A_SECOND = 100

/** Of a process with all its threads, and of the soft interrupts that ran in them. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
}

export interface MachineSeconds {
  /** By anybody, and by the kernel for nobody. */
  readonly busy: number
  readonly idle: number
}

/** Of all cores together. What the host took away is in neither. */
export function machineSeconds(): MachineSeconds {
  const line = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]?.trim().split(/\s+/) ?? []
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, hard = 0, soft = 0] = line.slice(1).map(Number)
  return {
    busy: (user + nice + system + hard + soft) / TICKS_A_SECOND,
    idle: (idle + wait) / TICKS_A_SECOND,
  }
}
