/**
 * Which node makes something for all: each picks the same without asking, from the name alone, and as long as it lives
 * only what the others made moves when a node comes or goes (rendezvous hashing; Thaler and Ravishankar, 1998).
 */
import { createHash } from 'node:crypto'

/** The nodes in the order in which they are to be asked. */
export function rankedMakers(name: string, nodes: readonly number[]): readonly number[] {
  return nodes
    .map(id => ({ id, rank: createHash('sha256').update(`${id} ${name}`).digest('hex') }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ id }) => id)
}
