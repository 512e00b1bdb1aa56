/**
 * Patterns of paths in settings: `*` is any run of characters within a segment, `**` any run at all, everything else
 * itself. Matching takes at most the product of both lengths: no pattern is a trap.
 */

/** Longer patterns are a mistake. */
export const MAX_PATTERN_LENGTH = 256

/** Whether the whole path is of the form of the pattern. */
export function matchesPath(pattern: string, path: string): boolean {
  // Places in the pattern that what was read of the path can have led to.
  let places = closure(pattern, new Set([0]))
  for (const character of path) {
    const next = new Set<number>()
    for (const place of places) {
      if (pattern[place] !== '*') {
        if (pattern[place] === character) next.add(place + 1)
      } else if (pattern[place + 1] === '*' || character !== '/') next.add(place)
    }
    if (next.size === 0) return false
    places = closure(pattern, next)
  }
  return places.has(pattern.length)
}

/** Stars may stand for nothing. */
function closure(pattern: string, places: Set<number>): Set<number> {
  for (const place of places) {
    if (pattern[place] === '*') places.add(place + (pattern[place + 1] === '*' ? 2 : 1))
  }
  return places
}
