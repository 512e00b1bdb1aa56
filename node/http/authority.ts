/**
 * The authority of a target URI: the value of Host and the authority of an absolute-form target (RFC 9112 §3.2).
 * Checks the form and compares two of them; which site an authority means is decided elsewhere.
 */
import { hexValue, isDigit, REG_NAME } from './grammar.ts'

const COLON = 0x3a
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const PERCENT = 0x25
const MAX_PORT_DIGITS = 5
/** `http` alone: this server speaks no other scheme. */
const DEFAULT_PORT = 80

/** Where the host ends (the colon of the port, or the end), or -1 where the authority is malformed. */
export function hostEnd(octets: Uint8Array, start: number, end: number): number {
  let at = start
  if (octets[start] === OPEN_BRACKET && start < end) {
    at++
    while (at < end && (hexValue(octets[at] as number) >= 0 || octets[at] === COLON || octets[at] === 0x2e))
      at++
    if (at >= end || octets[at] !== CLOSE_BRACKET || at === start + 1) return -1
    at++
    return at === end || octets[at] === COLON ? at : -1
  }
  while (at < end && REG_NAME[octets[at] as number] !== 0) {
    if (octets[at] === PERCENT && !escaped(octets, at, end)) return -1
    at++
  }
  return at === end || octets[at] === COLON ? at : -1
}

function escaped(octets: Uint8Array, at: number, end: number): boolean {
  return at + 2 < end && hexValue(octets[at + 1] as number) >= 0 && hexValue(octets[at + 2] as number) >= 0
}

/** Whether the octets are `uri-host [":" port]` (RFC 9110 §7.2): no user information, a port of digits. */
export function isAuthority(octets: Uint8Array, start: number, end: number): boolean {
  const colon = hostEnd(octets, start, end)
  if (colon < 0 || end - colon > MAX_PORT_DIGITS + 1) return false
  for (let at = colon + 1; at < end; at++) if (!isDigit(octets[at] as number)) return false
  return true
}

/** As `isAuthority`, with a host that is not empty: the `http` scheme requires one (RFC 9110 §4.2.1). */
export function isHttpAuthority(octets: Uint8Array, start: number, end: number): boolean {
  return isAuthority(octets, start, end) && hostEnd(octets, start, end) > start
}

function portOf(octets: Uint8Array, colon: number, end: number): number {
  let port = 0
  for (let at = colon + 1; at < end; at++) port = port * 10 + (octets[at] as number) - 0x30
  // "example.org", "example.org:" and "example.org:80" are one authority (RFC 3986 §6.2.3).
  return end - colon <= 1 ? DEFAULT_PORT : port
}

export function lower(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet
}

/** Whether two well-formed authorities mean the same: host without regard to case, ports by value. */
export function sameAuthority(
  octets: Uint8Array,
  start: number,
  end: number,
  otherStart: number,
  otherEnd: number,
): boolean {
  const colon = hostEnd(octets, start, end)
  const otherColon = hostEnd(octets, otherStart, otherEnd)
  if (colon - start !== otherColon - otherStart) return false
  for (let at = 0; at < colon - start; at++) {
    if (lower(octets[start + at] as number) !== lower(octets[otherStart + at] as number)) return false
  }
  return portOf(octets, colon, end) === portOf(octets, otherColon, otherEnd)
}
