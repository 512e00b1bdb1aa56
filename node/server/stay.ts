/**
 * How often a connection moves because of what it asks for: one whose objects are at two nodes would go to and fro with
 * every request. What is not where it has to stay is read there, and then both nodes have it.
 */
import type { Connection } from '../stack/connection.ts'

/** It stays at least so long: a move in a second costs less than a thousandth of a core. */
export const MIN_STAY_MS = 1_000
/**
 * Moves before that: a page and what belongs to it are asked for at once. In `npm run bench -- placement` ten instead of three
 * made 77.7 of 68.7 % hits (Zipf 0.8), for twice the shifts.
 */
export const FREE_MOVES = 10

export function mustStay({ shifts }: Connection, arrivedAt: number, now: number): boolean {
  // The first shift is the dispatcher's, with which each begins.
  return shifts > FREE_MOVES && now - arrivedAt < MIN_STAY_MS
}
