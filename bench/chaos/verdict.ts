/**
 * Which of the failures that clients have met the design allows. A response under way fails never: it is moved, or another node
 * goes on with it. A request of which no octet has been answered may fail with the process that had it: with a dispatcher only
 * the first one of a connection, which it had not handed over. Nothing else that befalls a cluster may be noticed.
 */
import type { Failure } from './load.ts'
import type { Kind } from './plan.ts'

/** What befell the cluster: wall clock, ms, until it was whole again. */
export interface Event {
  readonly kind: Kind
  readonly victim: string
  readonly began: number
  readonly ended: number
}

/** A client that is silent learns of a reset by its next request, or by what it repeats (RFC 6298's 1 s, doubled). */
const LATE_MS = 4_000

/** Unanswered requests that may fail: all, or only the first of a connection. */
const MAY_FAIL: Readonly<Partial<Record<Kind, 'any' | 'first'>>> = {
  'kill -9 of a node': 'any',
  // To the rest of the cluster they are dead as long as that lasts.
  'link cut one way': 'any',
  'wire of a node cut': 'any',
  'process stopped': 'any',
  'kill -9 of a dispatcher': 'first',
}

/** The event that explains a failure. */
export function explain(failure: Failure, events: readonly Event[]): Event | undefined {
  if (failure.at === 'answered' || failure.error === 'wedged') return undefined
  return events.find(({ kind, began, ended }) => {
    const which = MAY_FAIL[kind]
    const isMeanwhile = failure.since < ended + LATE_MS && failure.until > began
    return isMeanwhile && which !== undefined && (which === 'any' || failure.isFirst)
  })
}
