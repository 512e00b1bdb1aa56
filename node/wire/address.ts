/**
 * IP addresses as four int32 words, IPv4 in its mapped form ::ffff:a.b.c.d, and their text. The packet path
 * only compares words; text is for configuration, logs and the control plane.
 */

export interface Address {
  readonly family: 4 | 6
  readonly word0: number
  readonly word1: number
  readonly word2: number
  readonly word3: number
}

/** Third word of every IPv4 address in mapped form (RFC 4291 §2.5.5.2). */
export const MAPPED_WORD = 0xffff
/** `0000:0000:0000:0000:0000:ffff:255.255.255.255` */
const MAX_TEXT_LENGTH = 45

const V4_TEXT = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/
const GROUP_TEXT = /^[0-9a-f]{1,4}$/i

/** Words of dotted decimal text, or undefined. Leading zeros are refused: some read them as octal. */
function parseV4Word(text: string): number | undefined {
  const parts = V4_TEXT.exec(text)
  if (parts === null) return undefined
  let word = 0
  for (let index = 1; index <= 4; index++) {
    const octet = Number(parts[index])
    if (octet > 255) return undefined
    word = (word << 8) | octet
  }
  return word
}

/** 16-bit groups of colon-separated text; a dotted IPv4 tail counts as two. */
function parseGroups(text: string, mayEndDotted: boolean): number[] | undefined {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [index, part] of parts.entries()) {
    if (mayEndDotted && index === parts.length - 1 && part.includes('.')) {
      const word = parseV4Word(part)
      if (word === undefined) return undefined
      groups.push(word >>> 16, word & 0xffff)
    } else {
      if (!GROUP_TEXT.test(part)) return undefined
      groups.push(Number.parseInt(part, 16))
    }
  }
  return groups
}

function parseV6Groups(text: string): number[] | undefined {
  const gap = text.indexOf('::')
  if (gap < 0) {
    const groups = parseGroups(text, true)
    return groups?.length === 8 ? groups : undefined
  }
  const head = parseGroups(text.slice(0, gap), false)
  const tail = parseGroups(text.slice(gap + 2), true)
  // `::` stands for at least one group (RFC 4291 §2.2).
  if (head === undefined || tail === undefined || head.length + tail.length > 7) return undefined
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}

/** The address that `text` names, or undefined. Zone identifiers and brackets are refused. */
export function parseAddress(text: string): Address | undefined {
  if (text.length > MAX_TEXT_LENGTH) return undefined
  if (!text.includes(':')) {
    const word3 = parseV4Word(text)
    return word3 === undefined
      ? undefined
      : { family: 4, word0: 0, word1: 0, word2: MAPPED_WORD, word3: word3 }
  }
  const groups = parseV6Groups(text)
  if (groups === undefined) return undefined
  const word = (index: number) => ((groups[index] ?? 0) << 16) | (groups[index + 1] ?? 0)
  const family = isMapped(word(0), word(2), word(4)) ? 4 : 6
  return { family, word0: word(0), word1: word(2), word2: word(4), word3: word(6) }
}

export function isMapped(word0: number, word1: number, word2: number): boolean {
  return word0 === 0 && word1 === 0 && word2 === MAPPED_WORD
}

/** Dotted decimal for the mapped form, else the canonical text of RFC 5952. */
export function formatAddress(word0: number, word1: number, word2: number, word3: number): string {
  if (isMapped(word0, word1, word2)) {
    return `${word3 >>> 24}.${(word3 >>> 16) & 255}.${(word3 >>> 8) & 255}.${word3 & 255}`
  }
  const groups = [word0, word1, word2, word3].flatMap(word => [word >>> 16, word & 0xffff])
  // RFC 5952 §4.2: the longest run of at least two zero groups is shortened, the first one of equals.
  let start = -1
  let length = 1
  for (let from = 0; from < 8; from++) {
    let to = from
    while (to < 8 && groups[to] === 0) to++
    if (to - from > length) {
      start = from
      length = to - from
    }
  }
  const text = (part: number[]) => part.map(group => group.toString(16)).join(':')
  if (start < 0) return text(groups)
  return `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`
}

/** `192.0.2.1:80` or `[2001:db8::1]:80`. */
export function formatEndpoint(
  word0: number,
  word1: number,
  word2: number,
  word3: number,
  port: number,
): string {
  const text = formatAddress(word0, word1, word2, word3)
  return isMapped(word0, word1, word2) ? `${text}:${port}` : `[${text}]:${port}`
}

/**
 * Whether an IPv4 address can be neither end of a unicast packet on a wire: "this network", loopback, multicast,
 * limited broadcast (RFC 1122 §3.2.1.3).
 */
export function isMartian4(word: number): boolean {
  const first = word >>> 24
  return first === 0 || first === 127 || first >> 4 === 14 || word === -1
}

/**
 * The same for IPv6: ::/96 (unspecified, loopback, IPv4-compatible), multicast, and the mapped form, which on
 * a wire would pass for an IPv4 flow in every table that is keyed by words.
 */
export function isMartian6(word0: number, word1: number, word2: number): boolean {
  return (word0 === 0 && word1 === 0 && (word2 === 0 || word2 === MAPPED_WORD)) || word0 >>> 24 === 255
}
