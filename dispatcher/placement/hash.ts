/**
 * Every path has one node, found by rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit
 * rates", IEEE/ACM Transactions on Networking 6(1), 1998): the node with the highest weight for the path. When a node
 * leaves, only its paths move, and when it is back only they return. Load is not looked at.
 */
import { type Choice, leastLoaded, type NodeLoad, type Question, type View } from './policy.ts'

/** The generator of the paper, §3: that of BSD's `rand`. */
const MULTIPLIER = 1_103_515_245
const INCREMENT = 12_345
const MASK = 0x7fff_ffff

export function hash({ path, from }: Question, view: View): Choice {
  const { nodes } = view
  if (path === undefined) {
    return from === undefined
      ? { to: leastLoaded(view).id, reason: 'least-loaded' }
      : { to: from, reason: 'stay' }
  }
  const digest = digestOf(path)
  let best = nodes[0] as NodeLoad
  let highest = -1
  for (const node of nodes) {
    const weight = weightOf(node.id, digest)
    if (weight <= highest) continue
    best = node
    highest = weight
  }
  return { to: best.id, reason: best.id === from ? 'stay' : 'hash' }
}

/** W(S, K) = (A ((A S + B) xor D(K)) + B) mod 2^31. */
function weightOf(node: number, digest: number): number {
  // Ids are small and in a row, which the generator alone would map to weights in a row.
  const server = scatter(node)
  const inner = (Math.imul(MULTIPLIER, server) + INCREMENT) ^ digest
  return scatter((Math.imul(MULTIPLIER, inner) + INCREMENT) & MASK) & MASK
}

/** FNV-1a, of 31 bits. */
function digestOf(path: string): number {
  let digest = 0x811c9dc5
  for (let at = 0; at < path.length; at++) digest = Math.imul(digest ^ path.charCodeAt(at), 0x01000193)
  return digest & MASK
}

/** The finaliser of MurmurHash3: every bit of the input reaches every bit of the output. */
function scatter(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
