/**
 * What a case of the conformance suite is, as data: what is written on a fresh connection, and what must come back.
 * The cases are in `cases`, by theme; who runs them against what is `run.ts`.
 */
import type { Response } from './response.ts'

/**
 * `must` and `should`: the RFC's own words (`should`: also what it only recommends); `safety`: what the RFC leaves open
 * and a server on the open internet needs; `timing`: what takes long.
 */
export type Level = 'must' | 'should' | 'safety' | 'timing'

export interface Expected {
  /** Any of these. */
  readonly status: readonly number[]
  /** By name in lower case: the value, its form, or null where it must be absent. */
  readonly fields?: Readonly<Record<string, string | RegExp | null>>
  readonly body?: string | RegExp
  /** What else is wrong with it, or undefined. `seen`: the responses before it. */
  readonly check?: (response: Response, seen: readonly Response[]) => string | undefined
}

/** Written at once; in pieces with a pause between; or made of the responses so far. */
export type Sent = string | readonly string[] | ((seen: readonly Response[]) => string)

export interface Step {
  readonly send: Sent
  /** The final responses to come before the next step. */
  readonly expect: readonly Expected[]
  /** Of the requests that are sent, where they are not GET. */
  readonly methods?: readonly string[]
}

export interface Case {
  readonly section: string
  readonly level: Level
  readonly name: string
  readonly steps: readonly Step[]
  /**
   * Whether the server ends the connection. Where it does not, another request on it must be answered: so octets
   * that were taken for the wrong message come to light.
   */
  readonly closes: boolean | 'either'
  /** The client's half is closed behind its last step. */
  readonly finishes?: boolean
}

/** What the document root of every tested server holds. */
export const ALPHABET = 'abcdefghijklmnopqrstuvwxyz'
export const INDEX = '<!doctype html>\n<title>conformance</title>\n'
export const LARGE_OCTETS = 100_000
export const STYLE = 'p { color: black }\n'.repeat(50)
/** No real brotli or gzip: that the octets are those of the file beside is what is tested. */
export const STYLE_BR = `br:${'b'.repeat(100)}`
export const STYLE_GZ = `gz:${'g'.repeat(150)}`
export const FILES: Readonly<Record<string, string>> = {
  'index.html': INDEX,
  'file.txt': ALPHABET,
  'empty.txt': '',
  'large.bin': '0123456789'.repeat(LARGE_OCTETS / 10),
  'docs/index.html': INDEX,
  'bare/file.txt': ALPHABET,
  'style.css': STYLE,
  'style.css.br': STYLE_BR,
  'style.css.gz': STYLE_GZ,
  'with space.txt': ALPHABET,
  '.secret': 'secret',
  '.git/config': 'secret',
}
/** A file beside the root, and a link inside the root that leads to it. */
export const OUTSIDE = 'secret: outside of the root'
export const OUTSIDE_LINK = 'leak.txt'

/** A request for a path with these field lines, Host first. */
export function request(line: string, ...fields: readonly string[]): string {
  const first = /HTTP\/\d\.\d$/.test(line) ? line : `${line} HTTP/1.1`
  return `${first}\r\nHost: example.test\r\n${fields.map(field => `${field}\r\n`).join('')}\r\n`
}

export const OK: Expected = { status: [200] }
export const FILE: Expected = { status: [200], body: ALPHABET }

type Row = readonly [
  name: string,
  send: Sent,
  expected: Expected | readonly Expected[],
  methods?: readonly string[],
]

/** Cases of one section that each consist of one step. */
export function section(
  name: string,
  level: Level,
  closes: Case['closes'],
  rows: readonly Row[],
): readonly Case[] {
  return rows.map(([title, send, expected, methods]) => ({
    section: name,
    level,
    name: title,
    closes,
    steps: [
      {
        send,
        expect: Array.isArray(expected) ? (expected as readonly Expected[]) : [expected as Expected],
        ...(methods === undefined ? {} : { methods }),
      },
    ],
  }))
}

/** Refused, and the connection is of no use any more. */
export function refused(
  section_: string,
  level: Level,
  status: readonly number[],
  rows: Readonly<Record<string, string>>,
) {
  return section(
    section_,
    level,
    true,
    Object.entries(rows).map(([name, send]) => [name, send, { status }] as const),
  )
}
