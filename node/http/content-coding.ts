/**
 * Which content codings a client takes, and in which order (RFC 9110 §12.5.3). Only variants that are whole are ever
 * chosen, beside the file or made in the background: what is compressed anew need not be the same octets on two nodes.
 */

import { trimOws } from './grammar.ts'
import { ACCEPT_ENCODING } from './known-field.ts'
import { field, type RequestHead, sameFieldOctets } from './request-head.ts'

/** RFC 9110 §8.4.1 and RFC 8878 §7.2, in the order of our preference: the smaller first. */
export const CODINGS = ['br', 'zstd', 'gzip'] as const
export type ContentCoding = (typeof CODINGS)[number]

/** Where the variant of a file stands: beside it, under its name with this at the end. */
export const SUFFIXES: Readonly<Record<ContentCoding, string>> = { br: '.br', zstd: '.zst', gzip: '.gz' }

/** Those that every version of Node.js that we run on can make. */
export const MADE_CODINGS = ['br', 'gzip'] as const
export type MadeCoding = (typeof MADE_CODINGS)[number]

export type Coding = ContentCoding | 'identity'

/** What a client without Accept-Encoding, or with an empty one, is given: every recipient can read it. */
export const IDENTITY_ONLY: readonly Coding[] = ['identity']

/** RFC 9110 §12.4.2: at most three digits. */
const WEIGHT = /^[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/
/** Longer values than any client has a use for are read up to here. */
const MAX_ELEMENTS = 32

/**
 * The codings that the value of Accept-Encoding accepts, the best first: by weight, then by our preference, and
 * identity, where nothing is said of it, last. Malformed elements are overlooked. Empty: not even identity.
 */
export function acceptedCodings(value: string): readonly Coding[] {
  const weights = new Map<string, number>()
  for (const element of value.split(',', MAX_ELEMENTS)) {
    const [name, parameter, ...more] = element.split(';').map(trimOws)
    const weight = parameter === undefined ? '1' : WEIGHT.exec(parameter)?.[1]
    if (name === undefined || name === '' || weight === undefined || more.length > 0) continue
    const coding = name.toLowerCase()
    // RFC 9110 §8.4.1.3: x-gzip is gzip.
    weights.set(coding === 'x-gzip' ? 'gzip' : coding, Number(weight))
  }
  const others = weights.get('*') ?? 0
  const ranked: { readonly coding: Coding; readonly weight: number }[] = CODINGS.map(coding => ({
    coding,
    weight: weights.get(coding) ?? others,
  }))
  // Acceptable unless refused by name or by "*;q=0"; any weight that is given is above none.
  const unsaid = weights.has('*') && others === 0 ? 0 : Number.MIN_VALUE
  ranked.push({ coding: 'identity', weight: weights.get('identity') ?? unsaid })
  return ranked
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight)
    .map(({ coding }) => coding)
}

interface Remembered {
  readonly octets: Uint8Array
  readonly codings: readonly Coding[]
}

/** Browsers send a handful of values, each millions of times. */
const MAX_REMEMBERED = 8
const MAX_REMEMBERED_OCTETS = 64

/** Remembers the last values seen by their octets, so that a request allocates nothing. */
export class CodingPreferences {
  readonly #remembered: Remembered[] = []
  #turn = 0

  of(head: RequestHead): readonly Coding[] {
    if ((head.present & ACCEPT_ENCODING) === 0) return IDENTITY_ONLY
    for (let index = 0; index < this.#remembered.length; index++) {
      const remembered = this.#remembered[index] as Remembered
      if (sameFieldOctets(head, ACCEPT_ENCODING, remembered.octets)) return remembered.codings
    }
    const value = field(head, ACCEPT_ENCODING) as string
    const codings = acceptedCodings(value)
    if (value.length <= MAX_REMEMBERED_OCTETS) this.#remember(value, codings)
    return codings
  }

  #remember(value: string, codings: readonly Coding[]): void {
    const octets = Uint8Array.from(value, character => character.charCodeAt(0))
    this.#remembered[this.#turn] = { octets, codings }
    this.#turn = (this.#turn + 1) % MAX_REMEMBERED
  }
}
