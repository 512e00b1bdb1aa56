/**
 * What befalls the cluster, one thing after the other, as it follows from a seed. All kinds come by turns in an order of their own
 * each time, so that a short run has seen each of them; whom they befall goes round as well.
 */
import { Random } from '../sim/network/random.ts'

export const KINDS = [
  'kill -9 of a node',
  'kill -9 of a dispatcher',
  'kill -9 of a gateway',
  'drain and undrain',
  'storm of shifts',
  'link cut one way',
  'wire of a node cut',
  'process stopped',
  'packets lost',
  'packets doubled',
  'packets delayed',
  'no timestamps',
] as const
export type Kind = (typeof KINDS)[number]

export interface Step {
  readonly kind: Kind
  /** Whom it befalls, and for a link its other end; by name. */
  readonly victim: string
  readonly other: string
  /** For how long, where it lasts; of a kill until it is over. */
  readonly ms: number
  /** Until the next step, when all is well again. */
  readonly restMs: number
}

export interface Cast {
  readonly nodes: readonly string[]
  readonly dispatchers: readonly string[]
  readonly gateways: readonly string[]
}

/** From below the time after which a silent peer is suspected to above that after which its link is given up. */
const [SHORT_MS, LONG_MS] = [200, 4_500]
const [LEAST_REST_MS, MOST_REST_MS] = [300, 2_500]

/** Without end. `haste` divides all times. */
export function* plan(seed: number, cast: Cast, haste = 1): Generator<Step, never> {
  const random = new Random(seed)
  const kinds = deck(KINDS, random)
  const node = deck(cast.nodes, random)
  const dispatcher = deck(cast.dispatchers, random)
  const gateway = deck(cast.gateways, random)
  const anybody = deck([...cast.nodes, ...cast.dispatchers, ...cast.gateways], random)
  const ends = deck([...cast.nodes, ...cast.dispatchers], random)
  for (;;) {
    const kind = kinds()
    const [ms, restMs] = [random.between(SHORT_MS, LONG_MS), random.between(LEAST_REST_MS, MOST_REST_MS)]
    const [victim, other] = victims(kind, { node, dispatcher, gateway, anybody, ends })
    yield { kind, victim, other, ms: Math.round(ms / haste), restMs: Math.round(restMs / haste) }
  }
}

type Draw = () => string

function victims(
  kind: Kind,
  of: Readonly<Record<'node' | 'dispatcher' | 'gateway' | 'anybody' | 'ends', Draw>>,
): readonly [string, string] {
  switch (kind) {
    case 'kill -9 of a node':
    case 'drain and undrain':
    case 'wire of a node cut':
    case 'packets delayed':
      return [of.node(), '']
    case 'kill -9 of a dispatcher':
      return [of.dispatcher(), '']
    case 'kill -9 of a gateway':
      return [of.gateway(), '']
    case 'process stopped':
      return [of.anybody(), '']
    case 'link cut one way':
      return [of.ends(), of.ends()]
    default:
      return ['', '']
  }
}

/** Draws all, in any order, before one comes again; never the same twice in a row. */
function deck<T>(all: readonly T[], random: Random): () => T {
  let left: T[] = []
  let last: T | undefined
  return () => {
    if (left.length === 0) {
      left = random.shuffle([...all])
      // The last is drawn first.
      if (left.length > 1 && left.at(-1) === last) left.reverse()
    }
    last = left.pop() as T
    return last
  }
}
