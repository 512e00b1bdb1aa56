/**
 * The stored responses of one target (RFC 9111 §4.1): the first is known by the target itself, what others have selected
 * stands beside it under names that no request can have, bounded in number.
 */
import { createHash } from 'node:crypto'
import type { CachedObject } from '../../cache/cached-object.ts'
import type { CacheEntry } from '../../cache/policy.ts'
import type { CacheStore } from '../../cache/store.ts'
import type { StoredResponse } from '../http/stored-response.ts'

/** Responses of one target; a further one takes the place of the oldest. Accept-Encoding alone makes some six. */
export const MAX_VARIANTS = 8
/** No target holds it. */
export const VARIANT_MARK = '\u0001'
const NAME_CHARS = 22

/** What a stored object says; of the objects here there is always one. */
export function responseOf(object: CachedObject): StoredResponse {
  return object.response as StoredResponse
}

/** The entry that a request selects; `valuesOf` gives its values of the named fields. */
export function selectEntry(
  store: CacheStore,
  first: CacheEntry | undefined,
  valuesOf: (names: readonly string[]) => string,
): CacheEntry | undefined {
  if (first?.object === undefined) return undefined
  const { vary, selecting } = responseOf(first.object)
  if (vary.length === 0) return first
  const values = valuesOf(vary)
  if (values === selecting) return first
  const other = store.peek(variantPath(first.path, values))
  return other?.object !== undefined && responseOf(other.object).selecting === values ? other : undefined
}

/** Under which name a response is to be stored, room for it made. */
export function placeFor(store: CacheStore, path: string, response: StoredResponse): string {
  const first = store.peek(path)?.object
  if (first === undefined) return path
  const before = responseOf(first)
  if (before.vary.join() !== response.vary.join()) {
    // The origin chooses by other fields now: what was chosen by the old ones is found no more.
    for (const name of before.variants) store.remove(name)
    return path
  }
  if (before.selecting === response.selecting) {
    response.variants = before.variants
    return path
  }
  const name = variantPath(path, response.selecting)
  const others = before.variants.filter(known => known !== name)
  while (others.length >= MAX_VARIANTS - 1) store.remove(others.shift() as string)
  before.variants = [...others, name]
  return name
}

/** Every response of a target is gone. */
export function removeAll(store: CacheStore, path: string): void {
  const first = store.peek(path)?.object
  if (first === undefined) return
  for (const name of responseOf(first).variants) store.remove(name)
  store.remove(path)
}

function variantPath(path: string, selecting: string): string {
  const digest = createHash('sha256').update(selecting).digest('base64url')
  return path + VARIANT_MARK + digest.slice(0, NAME_CHARS)
}
