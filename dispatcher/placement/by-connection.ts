/** What balancers do that know nothing of files: a connection is placed once, and stays. */
import { type Choice, leastLoaded, type NodeLoad, type Question, type View } from './policy.ts'

export function roundRobin({ from }: Question, { nodes, turn }: View): Choice {
  if (from !== undefined) return { to: from, reason: 'stay' }
  return { to: (nodes[turn % nodes.length] as NodeLoad).id, reason: 'turn' }
}

export function leastLoadedNode({ from }: Question, view: View): Choice {
  if (from !== undefined) return { to: from, reason: 'stay' }
  return { to: leastLoaded(view).id, reason: 'least-loaded' }
}
