/**
 * The kinds of values that settings have, as zod schemas that carry what the table of settings says of them: unit,
 * default, range, whether a reload may change them. The settings themselves are in `schema.ts` and `site-schema.ts`.
 */
import { z } from 'zod'
import { formatDurationMs, formatOctets, parseDurationMs, parseOctets } from './units.ts'

export interface SettingFacts {
  /** One clause for the table. */
  readonly about: string
  /** As written in a file; '' where there is none. */
  readonly default: string
  /** `1 to 65535`, `shift, clone`. */
  readonly range: string
  readonly unit?: 'octets' | 'duration' | 'bits a second'
  /** Read again by a reload; every other setting stands until the process ends. */
  readonly reload?: true
  /** May differ between the machines of a cluster, so it is no part of the configuration's digest. */
  readonly machine?: true
}

/** Which schemas are settings: a schema of an object that is none is a group of them. */
export const SETTINGS = z.registry<SettingFacts>()

type Told = Omit<SettingFacts, 'default' | 'range' | 'unit'> & { readonly default?: string }

/** A setting of any kind: it may always be left out. */
export function setting<T extends z.ZodType>(schema: T, facts: SettingFacts): z.ZodOptional<T> {
  const optional = schema.optional()
  SETTINGS.add(optional, facts)
  return optional
}

/** A whole number. */
export function integerSetting(min: number, max: number, told: Told) {
  const range = `${min} to ${max}`
  const schema = z.int({ error: `expected a whole number, ${range}` })
  return setting(bounded(schema, min, max, range), { default: '', ...told, range })
}

/** `64MiB`, or a number of octets. */
export function octetsSetting(min: number, max: number, told: Told) {
  const range = `${formatOctets(min)} to ${formatOctets(max)}`
  const form = 'expected a size, as "64MiB"'
  const schema = z
    .union([z.number().transform(String), z.string()], { error: form })
    .transform((text, context) => parsed(parseOctets(text), form, context))
  return setting(bounded(schema, min, max, range), { default: '', ...told, range, unit: 'octets' })
}

/** `30s`; in milliseconds inside. */
export function durationSetting(min: number, max: number, told: Told) {
  const range = `${formatDurationMs(min)} to ${formatDurationMs(max)}`
  const form = 'expected a duration, as "30s"'
  const schema = z
    .string({ error: form })
    .transform((text, context) => parsed(parseDurationMs(text), form, context))
  return setting(bounded(schema, min, max, range), { default: '', ...told, range, unit: 'duration' })
}

export function choiceSetting<const C extends readonly string[]>(choices: C, told: Told) {
  const range = choices.join(', ')
  return setting(z.enum(choices, { error: `expected one of ${range}` }), { default: '', ...told, range })
}

export function booleanSetting(told: Told) {
  const schema = z.boolean({ error: 'expected true or false' })
  return setting(schema, { default: '', ...told, range: 'true, false' })
}

/** A text that a reader of flags understands, which throws one line for what it does not. */
export function textSetting<T>(read: (text: string) => T, range: string, told: Told) {
  return setting(readText(read, range), { default: '', ...told, range })
}

export function readText<T>(read: (text: string) => T, expected: string) {
  return z.string({ error: `expected ${expected}` }).transform((text, context) => {
    try {
      return read(text)
    } catch {
      return parsed<T>(undefined, `expected ${expected}`, context)
    }
  })
}

/** Checked after a transformation too, where zod's own `min` and `max` do not reach. */
function bounded<T extends z.ZodType<number, unknown>>(schema: T, min: number, max: number, range: string) {
  return schema.refine(value => value >= min && value <= max, { error: `expected ${range}` })
}

function parsed<T>(value: T | undefined, message: string, context: z.RefinementCtx): T {
  if (value !== undefined) return value
  context.addIssue({ code: 'custom', message })
  return z.NEVER
}
