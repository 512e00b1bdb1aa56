/**
 * Field lines that a site adds to its responses by rules over paths, Cache-Control above all. The same settings give
 * the same octets on every node. Which settings there are is in http-settings.ts.
 */
import { asciiOctets, FIELD_VALUE, TOKEN } from './grammar.ts'
import { MAX_PATTERN_LENGTH, matchesPath } from './path-pattern.ts'

export interface FieldRule {
  /** Patterns of normalised paths (path-pattern.ts), of which one must fit; a directory's path is that of its index. */
  readonly paths: readonly string[]
  /** Only names that hold a hash of their content, as bundlers make them: `app.3f2a9c1b.js`. */
  readonly hashedNames?: boolean
  /** Values by field name. A later rule that fits replaces the fields of an earlier one. */
  readonly fields: Readonly<Record<string, string>>
}

/** A year: what RFC 9111 §1.2.2 lets a cache take for for ever, and RFC 8246. */
export const IMMUTABLE = 'public, max-age=31536000, immutable'

/** At least eight hexadecimal digits between a separator and the extension, among them a letter and a digit: no date. */
const HASHED_NAME = /[.\-_](?=[a-f]*\d)(?=\d*[a-f])[\da-f]{8,64}\.[A-Za-z\d.]{1,16}$/

/** Fields that frame the message, or that are the server's to say. */
const RESERVED: readonly string[] = [
  'accept-ranges',
  'allow',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'date',
  'etag',
  'keep-alive',
  'last-modified',
  'location',
  'retry-after',
  'server',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'vary',
]

/** All fields of one response are to fit a client's limit of a head, often 8 KiB, with ours beside them. */
export const MAX_RULE_FIELD_OCTETS = 4_096
export const MAX_RULES = 1_000

/** What is wrong with fields, or undefined. */
export function fieldsFault(fields: Readonly<Record<string, string>>): string | undefined {
  for (const [name, value] of Object.entries(fields)) {
    if (name === '' || !asciiOctets(name).every(octet => TOKEN[octet] === 1) || /[^!-~]/.test(name)) {
      return `${JSON.stringify(name)} is no field name`
    }
    if (RESERVED.includes(name.toLowerCase())) return `${name} is set by the server`
    const plain = /^[\t -~]*$/.test(value) && asciiOctets(value).every(octet => FIELD_VALUE[octet] === 1)
    if (!plain || value.trim() !== value) return `${JSON.stringify(value)} is no value of ${name}`
    if (name.length + value.length > MAX_RULE_FIELD_OCTETS) return `${name} is too long`
  }
  return undefined
}

/** What is wrong with a rule, or undefined. */
export function ruleFault(rule: FieldRule): string | undefined {
  for (const path of rule.paths) {
    if (!/^[/*]/.test(path)) return `${JSON.stringify(path)} begins neither with / nor with *`
    if (path.length > MAX_PATTERN_LENGTH) return 'a pattern of a path is too long'
  }
  return fieldsFault(rule.fields)
}

/** The field lines for a path: those for every response, then those of the rules that fit, each with its line end. */
export function fieldLines(
  always: Readonly<Record<string, string>>,
  rules: readonly FieldRule[],
  path: string,
): string {
  const lines = new Map<string, string>()
  const add = (fields: Readonly<Record<string, string>>) => {
    for (const [name, value] of Object.entries(fields)) lines.set(name.toLowerCase(), `${name}: ${value}\r\n`)
  }
  add(always)
  for (const { paths, hashedNames, fields } of rules) {
    if (hashedNames === true && !HASHED_NAME.test(path)) continue
    if (paths.some(pattern => matchesPath(pattern, path))) add(fields)
  }
  return [...lines.values()].join('')
}
