/**
 * Our own policy: every node has a cost, and the cheapest serves. A node that holds the object has nothing to read, a node
 * that has the connection has nothing to shift, and nobody waits at a node that is loaded less. So hot objects get another
 * holder when theirs are loaded above the others, as in LARD/R, and a connection moves only where that is worth it. The
 * form of the costs is that of extended LARD (Aron, Druschel and Zwaenepoel, "Efficient support for P-HTTP in
 * cluster-based web servers", USENIX 1999, §4).
 */
import {
  type Choice,
  type Cost,
  leastLoaded,
  type NodeLoad,
  type Question,
  type Reason,
  type ServerSet,
  type View,
} from './policy.ts'

/**
 * Load that a read from disk is worth, and above it once more the load of the least loaded: where all are busy, differences
 * are larger by chance and memory is dearer. So an object gets another holder when its own has more than twice the least
 * load and 40 above that (LARD/R's T_high = 65 is 40 above its T_low = 25).
 */
export const READ_COST = 40
/** A shift is work for both owners, and a difference of load as small as this is chance: it must not move anything. */
export const SHIFT_COST = 15

/**
 * A holder that was given up, because the object cooled, has it still: it is taken again before anybody reads it, but its
 * copy should grow old and go.
 */
export const KEEP_COST = 10
/** An object is cool when new connections asked for it less than once a second for so long (K of LARD/R). */
export const COOL_MS = 20_000
const COOL_QUESTIONS = 20

export function locality(question: Question, view: View): Choice {
  const { path, from } = question
  const { nodes, turn, now } = view
  const least = leastLoaded(view)
  if (path === undefined)
    return { to: from ?? least.id, reason: from === undefined ? 'least-loaded' : 'stay' }
  const set = cooled(view)
  const weights = weightsOf(view, set, least.load)
  let to = -1
  let lowest = Number.POSITIVE_INFINITY
  // A loop over numbers: with an object for each of a thousand nodes it is most of a placement (`bench -- scale`).
  for (let index = 0; index < nodes.length; index++) {
    const node = nodes[(index + turn) % nodes.length] as NodeLoad
    const total = node.load - least.load + readCost(node.id, weights) + shiftCost(node.id, from)
    if (total >= lowest) continue
    to = node.id
    lowest = total
  }
  const read = readCost(to, weights)
  const reason = reasonOf(to, read, question, view)
  const next = read > 0 && reason !== 'first' ? grown(to, view, set, now) : set
  return { to, reason, ...(next === undefined ? {} : { set: next }) }
}

/** What every node would cost, for who asks why. */
export function costsOf({ from }: Question, view: View): Cost[] {
  const least = leastLoaded(view).load
  const weights = weightsOf(view, cooled(view), least)
  return view.nodes.map(({ id, load }) => {
    const wait = load - least
    const read = readCost(id, weights)
    const shift = shiftCost(id, from)
    return { node: id, wait, read, shift, total: wait + read + shift }
  })
}

interface Weights {
  readonly holders: ReadonlySet<number>
  /** Undefined: all that hold it. */
  readonly servers: readonly number[] | undefined
  readonly least: number
}

function weightsOf({ holders }: View, set: ServerSet | undefined, least: number): Weights {
  return { holders: new Set(holders), servers: set?.nodes, least }
}

function readCost(node: number, { holders, servers, least }: Weights): number {
  if (!holders.has(node)) return READ_COST + least
  return servers === undefined || servers.includes(node) ? 0 : KEEP_COST
}

function shiftCost(node: number, from: number | undefined): number {
  return from === undefined || from === node ? 0 : SHIFT_COST
}

/** The set with this question counted, or without its most loaded server, where it is time to see whether one is too many. */
function cooled({ nodes, set, now }: View): ServerSet | undefined {
  if (set === undefined) return undefined
  if (now - set.changedAt <= COOL_MS) return { ...set, asked: set.asked + 1 }
  const servers = nodes.filter(({ id }) => set.nodes.includes(id))
  if (set.asked >= COOL_QUESTIONS || servers.length < 2) return { ...set, changedAt: now, asked: 0 }
  const most = servers.reduce((a, b) => (b.load > a.load ? b : a))
  return { nodes: set.nodes.filter(id => id !== most.id), changedAt: now, asked: 0 }
}

/** The set with one more server. */
function grown(node: number, { holders }: View, set: ServerSet | undefined, now: number): ServerSet {
  const before = set?.nodes ?? holders
  return { nodes: [...before.filter(id => id !== node), node], changedAt: now, asked: 0 }
}

function reasonOf(node: number, read: number, { from }: Question, { nodes, holders }: View): Reason {
  if (node === from) return 'stay'
  if (read === 0) return 'holder'
  return nodes.some(({ id }) => holders.includes(id)) ? 'replica' : 'first'
}
