/**
 * Our own policy: every node has a cost, and the cheapest serves. A node that holds the object has nothing to read, a node
 * that has the connection has nothing to shift, and nobody waits at a node that is loaded less. So hot objects get another
 * holder when theirs are loaded above the others, as in LARD/R, and a connection moves only where that is worth it. The
 * form of the costs is that of extended LARD (Aron, Druschel and Zwaenepoel, "Efficient support for P-HTTP in
 * cluster-based web servers", USENIX 1999, §4).
 */
import { type Choice, type Cost, leastLoaded, type Question, type Reason, type View } from './policy.ts'

/**
 * Load that a read from disk is worth, and above it once more the load of the least loaded: where all are busy, differences
 * are larger by chance and memory is dearer. So an object gets another holder when its own has more than twice the least
 * load and 40 above that (LARD/R's T_high = 65 is 40 above its T_low = 25).
 */
export const READ_COST = 40
/** A shift takes some 0.3 ms of both owners together, as 75 small responses do; and a difference of load this small is chance. */
export const SHIFT_COST = 15

export function locality(question: Question, view: View): Choice {
  const { path, from } = question
  const { nodes, holders, turn } = view
  const least = leastLoaded(view)
  if (path === undefined)
    return { to: from ?? least.id, reason: from === undefined ? 'least-loaded' : 'stay' }
  const costs = nodes.map((node): Cost => {
    const wait = node.load - least.load
    const read = holders.includes(node.id) ? 0 : READ_COST + least.load
    const shift = from === undefined || from === node.id ? 0 : SHIFT_COST
    return { node: node.id, wait, read, shift, total: wait + read + shift }
  })
  let best = costs[turn % costs.length] as Cost
  for (let index = 1; index < costs.length; index++) {
    const cost = costs[(index + turn) % costs.length] as Cost
    if (cost.total < best.total) best = cost
  }
  return { to: best.node, reason: reasonOf(best, question, view), costs }
}

function reasonOf({ node, read }: Cost, { from }: Question, { nodes, holders }: View): Reason {
  if (node === from) return 'stay'
  if (read === 0) return 'holder'
  return nodes.some(({ id }) => holders.includes(id)) ? 'replica' : 'first'
}
