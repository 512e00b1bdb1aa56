/**
 * What a placement policy is: a pure function from a question, and what is known of the cluster, to a node. It neither keeps
 * nor changes anything; what it wants remembered it returns, and `placement.ts` keeps it. So any of them can be asked what
 * it would do, and all can be compared.
 */

export const POLICIES = ['locality', 'lard-r', 'round-robin', 'least-loaded', 'hash'] as const
export type PolicyName = (typeof POLICIES)[number]
export const DEFAULT_POLICY: PolicyName = 'locality'

export interface NodeLoad {
  readonly id: number
  /** Connections that the node owns, as last told, and those given to it since. */
  readonly connections: number
  /** The same and what the node has to do for them: see `loadOf` in `members.ts`. */
  readonly load: number
}

export interface Question {
  /** Undefined: nothing is known of what will be asked for. */
  readonly path: string | undefined
  /** The node that has the connection; undefined: the dispatcher, which cannot keep it. */
  readonly from: number | undefined
}

/** Nodes that serve one object, and since when it is those, in ms. */
export interface ServerSet {
  readonly nodes: readonly number[]
  readonly changedAt: number
  /** Questions about it since then, where the policy counts them. */
  readonly asked: number
}

export interface View {
  /** Those that take connections, by id; at least one. */
  readonly nodes: readonly NodeLoad[]
  /** Owner ids that hold the object, or will in a moment; some may be none of `nodes`. */
  readonly holders: readonly number[]
  /** What the policy had remembered of the path. */
  readonly set: ServerSet | undefined
  /** Counts decisions, so that equals can take turns. */
  readonly turn: number
  readonly now: number
}

/** What one node would cost, in units of load. */
export interface Cost {
  readonly node: number
  /** For those before it: how much more it is loaded than the least loaded. */
  readonly wait: number
  /** For reading the object, and for the memory that another copy takes. */
  readonly read: number
  /** For moving the connection. */
  readonly shift: number
  readonly total: number
}

export type Reason =
  | 'holder'
  | 'first'
  | 'replica'
  | 'relief'
  | 'stay'
  | 'least-loaded'
  | 'turn'
  | 'hash'
  | 'server-set'
  | 'shift-limit'

export interface Choice {
  readonly to: number
  readonly reason: Reason
  /** To be remembered of the path; undefined: as it was. */
  readonly set?: ServerSet
}

export type Policy = (question: Question, view: View) => Choice

/** Among equals in turn, or an idle cluster would put everything on its first node. */
export function leastLoaded({ nodes, turn }: Pick<View, 'nodes' | 'turn'>): NodeLoad {
  let best = nodes[turn % nodes.length] as NodeLoad
  for (let index = 1; index < nodes.length; index++) {
    const node = nodes[(index + turn) % nodes.length] as NodeLoad
    if (node.load < best.load) best = node
  }
  return best
}
