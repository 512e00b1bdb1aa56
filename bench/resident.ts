/** Memory of a process as Linux counts it (proc(5)). */
import { readFileSync } from 'node:fs'

/** What is resident, in octets. */
export function residentOctets(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024
}
