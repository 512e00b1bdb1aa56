/**
 * Sequence numbers of RFC 9293 §3.4: 32-bit values on a circle, kept as int32 because V8 holds those unboxed.
 * Two of them compare only while less than 2^31 apart, which windows of at most 1 GiB guarantee.
 */

declare const brand: unique symbol
export type Seq = number & { readonly [brand]: 'Seq' }

/** Takes any 32-bit number, signed or unsigned, as a sequence number. */
export function asSeq(value: number): Seq {
  return (value | 0) as Seq
}

/** The signed distance from `b` to `a`. */
export function diff(a: Seq, b: Seq): number {
  return (a - b) | 0
}

export function add(a: Seq, octets: number): Seq {
  return ((a + octets) | 0) as Seq
}

export function lt(a: Seq, b: Seq): boolean {
  return ((a - b) | 0) < 0
}

export function le(a: Seq, b: Seq): boolean {
  return ((a - b) | 0) <= 0
}

export function gt(a: Seq, b: Seq): boolean {
  return ((a - b) | 0) > 0
}

export function ge(a: Seq, b: Seq): boolean {
  return ((a - b) | 0) >= 0
}

export function max(a: Seq, b: Seq): Seq {
  return ((a - b) | 0) > 0 ? a : b
}

export function min(a: Seq, b: Seq): Seq {
  return ((a - b) | 0) < 0 ? a : b
}
