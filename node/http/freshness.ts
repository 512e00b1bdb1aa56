/**
 * How long a stored response may be used, and how old it is (RFC 9111 §4.2). Plain numbers, judged once when the response
 * was received (`node/origin/verdict.ts`), so that they travel with it; times are milliseconds of the owner's own clock.
 */

/** What was found out about a response when it came. */
export interface Freshness {
  /** Owner's clock, ms, when it was received or validated. */
  readonly receivedAt: number
  /** Its age then, in seconds: corrected_initial_age of §4.2.3. */
  readonly initialAge: number
  /** Seconds; 0 where it is to be validated at every use. */
  readonly lifetime: number
  /** Seconds past the lifetime in which it may be used while it is validated (RFC 5861 §3). */
  readonly whileRevalidate: number
  /** The same where the origin answers with an error (RFC 5861 §4). */
  readonly ifError: number
  /** Whether it may be used stale by a cache that cannot reach the origin (§4.2.4, §5.2.2.2, §5.2.2.4, §5.2.2.8). */
  readonly ifDisconnected: boolean
}

/**
 * Where the origin cannot be reached and has not forbidden it, responses are used for this many seconds past their
 * lifetime: a day, in which somebody will have noticed. §4.2.4 leaves the time to the cache.
 */
export const MAX_DISCONNECTED_SECONDS = 86_400

/** current_age of §4.2.3, in whole seconds as Age has them. */
export function ageOf({ initialAge, receivedAt }: Freshness, now: number): number {
  return Math.floor(initialAge + Math.max(0, now - receivedAt) / 1_000)
}

/** Seconds past its lifetime; negative while it is fresh. */
function lateness(freshness: Freshness, now: number): number {
  return freshness.initialAge + (now - freshness.receivedAt) / 1_000 - freshness.lifetime
}

/** §4.2: response_is_fresh = (freshness_lifetime > current_age). */
export function isFresh(freshness: Freshness, now: number): boolean {
  return lateness(freshness, now) < 0
}

/** RFC 5861 §3. */
export function mayUseWhileRevalidating(freshness: Freshness, now: number): boolean {
  return lateness(freshness, now) < freshness.whileRevalidate
}

/** RFC 5861 §4. `cause`: an error that the origin sent, or no answer at all. */
export function mayUseStale(freshness: Freshness, cause: 'error' | 'disconnected', now: number): boolean {
  const late = lateness(freshness, now)
  if (late < freshness.ifError) return true
  return cause === 'disconnected' && freshness.ifDisconnected && late < MAX_DISCONNECTED_SECONDS
}
