/**
 * When a node is to be relieved of work that is there already: what is served from memory over kept connections asks nobody
 * where it should be, so neither the hottest object nor the hottest connection would ever leave a loaded node.
 */
import { READ_COST } from './locality.ts'
import type { NodeLoad } from './policy.ts'

/** Loads are means over a second: what an order has moved shows only after a while, and is not to be moved twice. */
export const RELIEF_MS = 3_000
/** Connections of one order, so that the effect is seen before there is more of it. */
export const MAX_RELIEVED = 100

export interface Relief {
  readonly from: number
  readonly to: number
  /** Of the node that takes. */
  readonly load: number
}

/** From the most loaded node to the least, by the bound at which an object is worth another holder. */
export function reliefOf(nodes: readonly NodeLoad[]): Relief | undefined {
  if (nodes.length === 0) return undefined
  const most = nodes.reduce((a, b) => (b.load > a.load ? b : a))
  const least = nodes.reduce((a, b) => (b.load < a.load ? b : a))
  if (most.load <= 2 * least.load + READ_COST) return undefined
  return { from: most.id, to: least.id, load: least.load }
}
