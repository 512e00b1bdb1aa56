/**
 * LARD with replication (Pai, Aron, Banga, Svendsen, Druschel, Zwaenepoel and Nahum, "Locality-aware request distribution in
 * cluster-based network servers", ASPLOS 1998, figure 3): each target has a set of servers, which grows when all of them
 * are loaded and shrinks when it has not changed for K seconds. It knows nothing of what the nodes hold.
 */
import {
  type Choice,
  leastLoaded,
  type NodeLoad,
  type Question,
  type ServerSet,
  type View,
} from './policy.ts'

/** Of §2.4: below T_LOW a node has room; above T_HIGH its clients wait. */
export const T_LOW = 25
export const T_HIGH = 65
/** K: how long a set stands before its most loaded server leaves it. */
export const SET_MS = 20_000

export function lardR({ path, from }: Question, view: View): Choice {
  const { nodes, now } = view
  const least = leastLoaded(view)
  if (path === undefined)
    return { to: from ?? least.id, reason: from === undefined ? 'least-loaded' : 'stay' }
  const set = nodes.filter(({ id }) => view.set?.nodes.includes(id))
  if (set.length === 0)
    return { to: least.id, reason: 'first', set: { nodes: [least.id], changedAt: now, asked: 0 } }
  const own = leastLoaded({ nodes: set, turn: view.turn })
  const most = set.reduce((a, b) => (b.load > a.load ? b : a))
  const grows = (own.load > T_HIGH && nodes.some(({ load }) => load < T_LOW)) || own.load >= 2 * T_HIGH
  const to = grows ? least : own
  const grown = set.includes(to) ? set : [...set, to]
  const { changedAt } = view.set as ServerSet
  const shrinks = grown.length > 1 && now - changedAt > SET_MS
  const left: readonly NodeLoad[] = shrinks ? grown.filter(node => node !== most) : grown
  const isChanged = left.length !== view.set?.nodes.length || grown !== set
  const changed = { nodes: left.map(({ id }) => id), changedAt: now, asked: 0 }
  return {
    to: to.id,
    reason: grown === set ? 'server-set' : 'replica',
    ...(isChanged ? { set: changed } : {}),
  }
}
