/**
 * The state that an application gives along with a connection, as octets and back: structured data by msgpackr, with what
 * `structuredClone` knows beyond JSON (Map, Set, Date, typed arrays, cycles). What it could not carry whole is refused.
 */
import { Packr } from 'msgpackr'
import type { ShiftRefusal } from '../../shift/messages.ts'

/** Octets of one connection's state, packed; a shift with more is refused before anything happens. */
export const MAX_STATE_OCTETS = 256 * 1024
/** Octets of a message from node to node. */
export const MAX_TOLD_OCTETS = 1024 * 1024

/** Objects are records, so that a Map stays apart from them; nothing is shared between two messages. */
const packr = new Packr({ structuredClone: true, useToJSON: false })

/** The state packed, or why it cannot travel. */
export function encodeState(state: unknown): Uint8Array | ShiftRefusal {
  const octets = encode(state)
  if (octets === undefined) return 'BAD_STATE'
  return octets.length > MAX_STATE_OCTETS ? 'STATE_TOO_LARGE' : octets
}

/** Undefined for what is not structured data. */
export function encode(value: unknown): Uint8Array | undefined {
  try {
    // It throws for functions, streams and their like, which msgpackr would leave out without a word.
    structuredClone(value)
    return new Uint8Array(packr.pack(value))
  } catch {
    return undefined
  }
}

/** In an object, because the state may be undefined; undefined for octets that hold none. */
export function decode(octets: Uint8Array): { readonly value: unknown } | undefined {
  try {
    return { value: packr.unpack(octets) }
  } catch {
    return undefined
  }
}
