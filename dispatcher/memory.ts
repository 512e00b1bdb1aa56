/** How much memory a process of this machine may have. */
import { totalmem } from 'node:os'
import { MIN_CACHE_OCTETS } from './options.ts'

/** Octets of this machine, or of the control group that we are in where that allows less. */
function memoryOctets(): number {
  const constrained = process.constrainedMemory()
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
}

/** Octets for files in each of so many nodes on this machine: a quarter of its memory for all of them together. */
export function defaultCacheOctets(nodes: number): number {
  return Math.max(MIN_CACHE_OCTETS, Math.floor(memoryOctets() / 4 / nodes))
}
