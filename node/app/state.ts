/**
 * The state that an application gives along with a connection, as octets and back: structured data in the engine's own
 * form (`node:v8`), which checks every length against what is there before it makes room for it: a hostile peer gets no more
 * memory than it sends octets. (msgpackr takes an array's length at its word: six octets are 256 MiB.) What could not be
 * carried whole is refused.
 */
import { deserialize, serialize } from 'node:v8'
import type { ShiftRefusal } from '../../shift/messages.ts'

/** Octets of one connection's state, packed; a shift with more is refused before anything happens. */
export const MAX_STATE_OCTETS = 256 * 1024
/** Octets of a message from node to node. */
export const MAX_TOLD_OCTETS = 1024 * 1024

/** The state packed, or why it cannot travel. */
export function encodeState(state: unknown): Uint8Array | ShiftRefusal {
  const octets = encode(state)
  if (octets === undefined) return 'BAD_STATE'
  return octets.length > MAX_STATE_OCTETS ? 'STATE_TOO_LARGE' : octets
}

/** Undefined for what is not structured data. */
export function encode(value: unknown): Uint8Array | undefined {
  try {
    // It throws for functions, streams and their like.
    return new Uint8Array(serialize(value))
  } catch {
    return undefined
  }
}

/** In an object, because the state may be undefined; undefined for octets that hold none. */
export function decode(octets: Uint8Array): { readonly value: unknown } | undefined {
  try {
    return { value: deserialize(octets) }
  } catch {
    return undefined
  }
}
