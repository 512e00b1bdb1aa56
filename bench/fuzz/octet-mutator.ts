/** Mutations of octets and of plain values that know nothing of their meaning, for parsers of text and of messages. */
import type { Random } from '../sim/network/random.ts'

const MAX_CHANGES = 6
/** Octets that mean something to one of our grammars. */
const TELLING = [0, 9, 10, 13, 32, 37, 44, 45, 46, 47, 58, 59, 61, 63, 127, 128, 255]
const NUMBERS = [
  0,
  -1,
  1,
  0.5,
  255,
  256,
  65_535,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32,
  2 ** 53,
  -(2 ** 53),
  1e308,
]
const MAX_GROWN_OCTETS = 40_000

/** `octets` changed in a copy; `other` is one to splice with. */
export function mutateOctets(octets: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  let copy = octets.slice()
  for (let changes = random.chance(0.6) ? 1 : 1 + random.int(MAX_CHANGES); changes > 0; changes--)
    copy = changeOctets(copy, other, random)
  return copy
}

function changeOctets(
  octets: Uint8Array<ArrayBuffer>,
  other: Uint8Array,
  random: Random,
): Uint8Array<ArrayBuffer> {
  const at = random.int(octets.length + 1)
  switch (random.int(8)) {
    case 0:
      if (at < octets.length) octets[at] = (octets[at] ?? 0) ^ (1 << random.int(8))
      return octets
    case 1:
      if (at < octets.length) octets[at] = random.pick(TELLING)
      return octets
    case 2:
      return join(octets.subarray(0, at), octets.subarray(Math.min(octets.length, at + 1 + random.int(8))))
    case 3:
      return join(octets.subarray(0, at), Uint8Array.of(random.pick(TELLING)), octets.subarray(at))
    case 4:
      return octets.slice(0, at)
    case 5: {
      const from = random.int(other.length + 1)
      return join(octets.subarray(0, at), other.subarray(from, from + random.int(64)), octets.subarray(at))
    }
    case 6: {
      // A stretch again and again: what is bounded is only found by what is long.
      const stretch = octets.subarray(at, at + 1 + random.int(32))
      const times = random.chance(0.02) ? 1_000 : 1 + random.int(4)
      if (octets.length + stretch.length * times > MAX_GROWN_OCTETS) return octets
      return join(
        octets.subarray(0, at),
        ...Array.from({ length: times }, () => stretch),
        octets.subarray(at),
      )
    }
    default:
      return join(octets.subarray(0, at), random.octets(random.int(8)), octets.subarray(at))
  }
}

function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** A deep copy of plain data in which a value here and there is another one, of the same type or not. */
export function mutateValue(value: unknown, random: Random, p: number): unknown {
  if (random.chance(p)) return replacement(value, random)
  if (Array.isArray(value)) {
    const list = value.map(entry => mutateValue(entry, random, p))
    if (random.chance(p))
      list.splice(random.int(list.length + 1), random.int(2), ...(random.chance(0.5) ? [list[0]] : []))
    return list
  }
  if (value instanceof Uint8Array) return random.chance(p) ? mutateOctets(value, value, random) : value
  return value
}

function replacement(value: unknown, random: Random): unknown {
  if (typeof value === 'number' && random.chance(0.7))
    return random.chance(0.5) ? random.pick(NUMBERS) : value + random.int(5) - 2
  if (typeof value === 'boolean' && random.chance(0.7)) return !value
  if (value instanceof Uint8Array && random.chance(0.7)) return mutateOctets(value, value, random)
  return random.pick([
    null,
    true,
    '',
    'CLOSED',
    'x'.repeat(random.int(300)),
    [],
    [[]],
    {},
    Number.NaN,
    ...NUMBERS,
    new Uint8Array(3),
  ])
}
