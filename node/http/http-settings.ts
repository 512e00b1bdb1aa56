/**
 * What an operator may choose about a site, as plain data, and what is meant where nothing is chosen. Every node of a
 * cluster must have the same: a response may begin on one and end on another.
 */
import type { ContentCoding } from './content-coding.ts'
import { CODINGS, MADE_CODINGS, type MadeCoding } from './content-coding.ts'
import { type FieldRule, fieldLines, fieldsFault, MAX_RULES, ruleFault } from './field-rules.ts'

export interface HttpSettings {
  /** Codings whose variants (`.br`, `.zst`, `.gz` beside a file) are served, the preferred first; none: []. */
  readonly precompressed: readonly ContentCoding[]
  /** Codings in which the server makes variants of what is worth it, where none stands beside the file; none: []. */
  readonly compress: readonly MadeCoding[]
  /** Content-Type by the end of the name, in lower case and without its point, where it is not the usual one. */
  readonly mediaTypes: Readonly<Record<string, string>>
  /** Whether a directory without an index shows what it holds. */
  readonly listing: boolean
  /** Whether `/404.html` and its like in the root replace the pages of errors. */
  readonly errorPages: boolean
  /** Fields of every response, errors included. */
  readonly fields: Readonly<Record<string, string>>
  /** Fields of representations, by their paths. */
  readonly rules: readonly FieldRule[]
}

export const DEFAULT_HTTP_SETTINGS: HttpSettings = {
  precompressed: CODINGS,
  compress: MADE_CODINGS,
  mediaTypes: {},
  listing: false,
  errorPages: true,
  fields: {},
  rules: [],
}

/** What is wrong with the settings, or undefined. */
export function httpSettingsFault(settings: HttpSettings): string | undefined {
  if (settings.rules.length > MAX_RULES) return `more than ${MAX_RULES} rules`
  const fault = fieldsFault(settings.fields)
  if (fault !== undefined) return `fields: ${fault}`
  for (const [index, rule] of settings.rules.entries()) {
    const ruled = ruleFault(rule)
    if (ruled !== undefined) return `rules[${index}]: ${ruled}`
  }
  return undefined
}

/** The field lines of a representation. */
export function representationLines(settings: HttpSettings, path: string): string {
  return fieldLines(settings.fields, settings.rules, path)
}

/** The field lines of every other response. */
export function responseLines(settings: HttpSettings): string {
  return fieldLines(settings.fields, [], '')
}
